"""What the conformance kit checks of this package, and what it needs: drawn faces."""

from __future__ import annotations

from pathlib import Path

from eigenwalk.testing import Case
from eigenwalk_face.portraits import portraits
from eigenwalk_face.tflite.writer import write_mesh


def mesh(folder: Path) -> None:
    """A face mesh whose points move a little with the image, in ``mesh.tflite``."""
    write_mesh(folder / "mesh.tflite")


CASES = [
    Case("landmarks", images=portraits, golden=Path(__file__).with_name("golden.json")),
    Case("landmarks(points=(nose, mouth), aligned=true)", images=portraits),
    Case("landmarks(points=mouth, box=(0.2, 0.15, 0.8, 0.9))", images=portraits),
    Case('landmarks(model=mesh, file="{folder}/mesh.tflite")', images=portraits, prepare=mesh),
    Case(
        'landmarks(points=(lips, brows), model=mesh, file="{folder}/mesh.tflite", box=(0.2, 0.15, 0.8, 0.9))',
        prepare=mesh,
    ),
]
