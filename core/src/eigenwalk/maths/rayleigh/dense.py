"""The exact solution: both Jacobians formed column by column, then a dense generalized eigenproblem."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from eigenwalk.maths.rayleigh.operators import Operators
from eigenwalk.maths.rayleigh.subspace import RIDGE, Gaps, Memory, Solution, gram, ridge_of, ritz

KEEP = 4
"""Eigenvectors that are returned at least, for a path to be continued among them."""


@dataclass(frozen=True)
class Dense:
    """The exact eigenpairs, at the cost of one pushforward a coordinate: the reference for tests.

    Attributes:
        share: ε as a share of B's largest eigenvalue.
    """

    share: float = RIDGE

    def solve(
        self,
        problem: Operators,
        k: int,
        memory: Memory | None = None,
        previous: Tensor | None = None,
        gaps: Gaps | None = None,
    ) -> Solution:
        """The k leading eigenpairs at each row; what came before is not needed here."""
        n = min(max(k, KEEP), problem.dim)
        V = torch.eye(problem.dim).to(problem.like).expand(problem.batch, -1, -1)
        CV, FV = problem.push(V)
        a, b = gram(CV), gram(FV)
        ridge = ridge_of(torch.linalg.eigvalsh(b)[:, -1], a, self.share)
        theta, Y = ritz(a, b, ridge)
        best = (Y[:, :n] / Y[:, :n].norm(dim=-1, keepdim=True)).to(V)
        nothing = Memory(best, best.new_zeros(problem.batch, 0, problem.dim), best.new_zeros(problem.batch, 0))
        return Solution(theta[:, :n], best, ridge, V, CV, FV, nothing)
