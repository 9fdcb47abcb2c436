"""The generalized eigenproblem ``A v = λ (B + εI) v`` on abstract operators; knows no image.

`A = CᵀC` is what varies and `B = FᵀF` what must hold, each given by a pushforward and, together, a pullback.
"""

from eigenwalk.maths.rayleigh.davidson import Davidson
from eigenwalk.maths.rayleigh.dense import Dense
from eigenwalk.maths.rayleigh.nullspace import NullSpace
from eigenwalk.maths.rayleigh.operators import Matrices, Operators
from eigenwalk.maths.rayleigh.outward import Outward
from eigenwalk.maths.rayleigh.subspace import Aim, Gaps, Memory, Solution

__all__ = ["Aim", "Davidson", "Dense", "Gaps", "Matrices", "Memory", "NullSpace", "Operators", "Outward", "Solution"]
