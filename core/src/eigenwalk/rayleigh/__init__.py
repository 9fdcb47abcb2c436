"""The generalized eigenproblem ``A v = λ (B + εI) v`` on abstract operators; knows no image.

`A = CᵀC` is what varies and `B = FᵀF` what must hold, each given by a pushforward and, together, a pullback.
"""

from eigenwalk.rayleigh.davidson import Davidson
from eigenwalk.rayleigh.dense import Dense
from eigenwalk.rayleigh.nullspace import NullSpace
from eigenwalk.rayleigh.operators import Matrices, Operators
from eigenwalk.rayleigh.outward import Outward
from eigenwalk.rayleigh.subspace import Aim, Gaps, Memory, Solution

__all__ = ["Aim", "Davidson", "Dense", "Gaps", "Matrices", "Memory", "NullSpace", "Operators", "Outward", "Solution"]
