"""One step from a solved eigenproblem or subspace: which direction, how far, and the pull back on what must hold."""

from eigenwalk.maths.step.direction import follow
from eigenwalk.maths.step.length import rate, step_size
from eigenwalk.maths.step.plan import Edge, Step, plan
from eigenwalk.maths.step.trade import traded

__all__ = ["Edge", "Step", "follow", "plan", "rate", "step_size", "traded"]
