"""What the conformance kit checks of this package."""

from pathlib import Path

from eigenwalk.testing import Case

GOLDEN = Path(__file__).parent / "golden"

CASES = [
    Case("fourier.low", golden=GOLDEN / "low.json"),
    Case("fourier.high(cycles=6, edge=ideal)", golden=GOLDEN / "high.json"),
    Case("fourier.band(low=4, high=12, width=0.5)", golden=GOLDEN / "band.json"),
    Case("~fourier.band(low=4, high=12) | fourier.low"),
]
