"""One step from a solved eigenproblem: which direction, how far, and the pull back on what must hold."""

from eigenwalk.step.corrector import correction
from eigenwalk.step.direction import HANDFUL, follow, onward
from eigenwalk.step.length import rate, step_size

__all__ = ["HANDFUL", "correction", "follow", "onward", "rate", "step_size"]
