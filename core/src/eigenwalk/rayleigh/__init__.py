"""The generalized eigenproblem ``A v = λ (B + εI) v`` on abstract operators; knows no image.

`A = CᵀC` is what varies and `B = FᵀF` what must hold, each given by a pushforward and, together, a pullback.
"""

from eigenwalk.rayleigh.davidson import Davidson
from eigenwalk.rayleigh.dense import Dense
from eigenwalk.rayleigh.nullspace import NullSpace
from eigenwalk.rayleigh.operators import Matrices, Operators
from eigenwalk.rayleigh.subspace import Memory, Solution

__all__ = ["Davidson", "Dense", "Matrices", "Memory", "NullSpace", "Operators", "Solution"]
