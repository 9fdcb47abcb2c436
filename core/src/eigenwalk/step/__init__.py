"""One step from a solved eigenproblem or subspace: which direction, how far, and the pull back on what must hold."""

from eigenwalk.step.direction import follow
from eigenwalk.step.length import rate, step_size
from eigenwalk.step.plan import Edge, Step, plan
from eigenwalk.step.trade import traded

__all__ = ["Edge", "Step", "follow", "plan", "rate", "step_size", "traded"]
