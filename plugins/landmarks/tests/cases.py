"""What the conformance kit checks of this package, and what it needs: drawn faces."""

from __future__ import annotations

from pathlib import Path

from eigenwalk.testing import Case
from eigenwalk_face.portraits import portraits

CASES = [
    Case("landmarks", images=portraits, golden=Path(__file__).with_name("golden.json")),
    Case("landmarks(points=(nose, mouth), aligned=true)", images=portraits),
    Case("landmarks(points=mouth, box=(0.2, 0.15, 0.8, 0.9))", images=portraits),
]
