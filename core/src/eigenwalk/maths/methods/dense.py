"""The exact solution: both Jacobians formed column by column, then a dense generalized eigenproblem."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from eigenwalk.direction import Gaps, Limits, Method, Sight, State, Step
from eigenwalk.maths.methods.pairs import Pairs
from eigenwalk.maths.methods.subspace import RIDGE, gram, identity, ridge_of, ritz

KEEP = 4
"""Eigenvectors that are returned at least, for a path to be continued among them."""


@dataclass(frozen=True)
class Dense(Method):
    """The exact eigenpairs, at the cost of one pushforward a coordinate: the reference for tests.

    Attributes:
        share: ε as a share of B's largest eigenvalue.
    """

    share: float = RIDGE

    def start(self, sight: Sight, k: int, limits: Limits) -> tuple[Step, State]:
        """Steps along the k leading eigenvectors."""
        return self.pairs(sight, k).leading(k, limits), {}

    def step(self, sight: Sight, state: State, gaps: Gaps, limits: Limits) -> tuple[Step, State]:
        """The step along what continues the last direction among the leading eigenvectors."""
        pairs = self.pairs(sight, 1)
        return pairs.step(*pairs.follow(gaps.direction), limits), {}

    def pairs(self, sight: Sight, k: int) -> Pairs:
        """The k leading eigenpairs at each row."""
        n = min(max(k, KEEP), sight.dim)
        V = identity(sight.dim, sight.batch, sight.like)
        CV, FV = sight.push(V)
        a, b = gram(CV), gram(FV)
        ridge = ridge_of(torch.linalg.eigvalsh(b)[:, -1], a, self.share)
        theta, Y = ritz(a, b, ridge)
        best = (Y[:, :n] / Y[:, :n].norm(dim=-1, keepdim=True)).to(V)
        return Pairs(V, CV, FV, ridge, theta[:, :n], best)
