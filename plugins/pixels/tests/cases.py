"""What the conformance kit checks of this package."""

from pathlib import Path

from eigenwalk.testing import Case

GOLDEN = Path(__file__).parent / "golden"

CASES = [
    Case("pixels", golden=GOLDEN / "pixels.json"),
    Case("pixels(size=10)", golden=GOLDEN / "smaller.json"),
    Case("luminance", golden=GOLDEN / "luminance.json"),
    Case("~luminance"),
]
