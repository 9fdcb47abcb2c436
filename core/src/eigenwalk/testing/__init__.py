"""The conformance kit: one set of checks that every feature and generator passes, ours and others'.

from eigenwalk.testing import Case

CASES = [Case("fourier.low(cycles=4)"), Case('mask(file="{folder}/mask.png")', prepare=write_mask)]
"""

from eigenwalk.testing.case import Case

__all__ = ["Case"]
