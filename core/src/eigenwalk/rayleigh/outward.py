"""On from a waypoint: the quotient of what goes further, and the way back for what has drifted.

At the start the leading eigenvectors of ``A v = λ (B + εI) v`` say what can vary most while the rest holds. From
then on something *has* varied: ``d = c(z) - c(z_0)``. A step is to take that further, so that the variation that counts
is the one along a unit vector m of the values, and the quotient has one term above the line:

    (mᵀ C v)² / vᵀ(B + εI)v        largest at        v = (B + εI)⁻¹ Cᵀ m

a linear system in place of an eigenproblem. With ``d ≈ C (z - z_0)`` it is one power iteration of the pencil
(A, B + εI) on the whole displacement: it turns towards the top eigenvector and never jumps. m is the direction of d,
plus that of the last step's change, so that a path goes on where d itself can grow no more.

The pull that brings fixed features back, ``-(B + εI)⁻¹ Fᵀ e`` (`eigenwalk.step`), is a system with the same matrix.
Both are solved in one subspace: the previous direction, both right-hand sides preconditioned, and expansions, as in
conjugate gradients, by the residuals of both in turn. There ε is small: on an anime GAN (d = 128, six pairs of features)
3e-4 of B's largest eigenvalue left two thirds of the drift that 1e-2 left.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import normalize

from eigenwalk.rayleigh.davidson import Davidson
from eigenwalk.rayleigh.model import LowRank
from eigenwalk.rayleigh.operators import Operators
from eigenwalk.rayleigh.subspace import Aim, Gaps, Memory, Solution, extend, gram, ridge_of


@dataclass(frozen=True)
class Outward:
    """The leading eigenpairs at the start; at every later waypoint the subspace in which its step is solved.

    Attributes:
        lead: finds the eigenpairs at the start.
        expansions: at a later waypoint; each costs one pushforward and one pullback.
        momentum: what the last step's change counts in m, the change since the start counting 1.
        share: ε as a share of B's largest eigenvalue.
        smooth: ε of the preconditioner, as such a share: what the model of B does not know is not free.
        rank: of the model of B.
        whole: up to so many coordinates the subspace is the whole space: fewer pushforwards than expansions take.
    """

    lead: Davidson = field(default_factory=Davidson)
    expansions: int = 3
    momentum: float = 0.5
    share: float = 3e-4
    smooth: float = 1e-3
    rank: int = 24
    whole: int = 8

    def solve(
        self,
        problem: Operators,
        k: int,
        memory: Memory | None = None,
        previous: Tensor | None = None,
        gaps: Gaps | None = None,
    ) -> Solution:
        """The k leading eigenpairs at each row, or, after a `previous` step, a subspace to go on in.

        Args:
            problem: the operators.
            k: how many pairs, at the start.
            memory: what the waypoint before left.
            previous: ``(batch, dim)``, the unit direction that led here.
            gaps: what has varied and drifted since the start.
        """
        if memory is None or previous is None or gaps is None:
            return self.lead.solve(problem, k)
        if problem.dim <= self.whole:
            return self._whole(problem, previous, gaps)
        V = previous[:, None]
        CV, FV = problem.push(V)
        m = self._onward(gaps.varied, CV[:, 0])
        subspace = _Subspace(problem, V, CV, FV, LowRank(memory.model_vectors, memory.model_values), self)
        g = problem.pull(m, None)
        subspace.grow(g)
        if gaps.fixed.shape[1]:
            h = problem.pull(None, gaps.fixed)
            subspace.grow(h)
        if gaps.radial is not None:
            subspace.grow(gaps.radial)
        for i in range(min(self.expansions, problem.dim - subspace.V.shape[1]) if gaps.fixed.shape[1] else 0):
            # In turn, for both systems share the subspace: on the same GAN the pull alone left the direction at 0.75 to
            # 0.89 of its exact quotient, by turns 0.92 to 0.96, with the same drift.
            subspace.grow(subspace.lacking(m, g) if i % 2 == 0 else subspace.residual(gaps))
        return subspace.solution(Aim(m, gaps))

    def _onward(self, varied: Tensor, last: Tensor) -> Tensor:
        """m ``(batch, p)``: the direction of what has varied, and that of the last step's change."""
        return normalize(normalize(varied, dim=1) + self.momentum * normalize(last, dim=1), dim=1)

    def _whole(self, problem: Operators, previous: Tensor, gaps: Gaps) -> Solution:
        V = torch.eye(problem.dim).to(problem.like).expand(problem.batch, -1, -1)
        CV, FV = problem.push(V)
        m = self._onward(gaps.varied, (previous[:, None] @ CV)[:, 0])
        subspace = _Subspace(problem, V, CV, FV, LowRank.zero(problem.batch, problem.dim, problem.like), self)
        return subspace.solution(Aim(m, gaps))


class _Subspace:
    """Orthonormal rows V with their pushforwards, and the model of B that they teach."""

    def __init__(self, problem: Operators, V: Tensor, CV: Tensor, FV: Tensor, model: LowRank, method: Outward):
        self.problem, self.V, self.CV, self.FV, self.model, self.method = problem, V, CV, FV, model, method
        self._random = torch.Generator().manual_seed(0)
        self._measure()

    def _measure(self) -> None:
        self.b = gram(self.FV)
        self.model = self.model.learn(self.V, self.b, self.method.rank)
        largest = torch.maximum(self.model.largest.double(), torch.linalg.eigvalsh(self.b)[:, -1])
        self.ridge = ridge_of(largest, gram(self.CV), self.method.share)

    def grow(self, w: Tensor) -> None:
        """One vector more: w ``(batch, dim)``, preconditioned."""
        if self.V.shape[1] == self.problem.dim:
            return
        smooth = self.ridge * (self.method.smooth / self.method.share)
        new = extend(self.V, self.model.solve(w, smooth), self._random)
        c, f = self.problem.push(new)
        self.V, self.CV, self.FV = (torch.cat([a, b], 1) for a, b in ((self.V, new), (self.CV, c), (self.FV, f)))
        self._measure()

    def lacking(self, m: Tensor, g: Tensor) -> Tensor:
        """``(B + εI) v - g`` ``(batch, dim)`` at the direction v that it gives, for ``g = Cᵀm``: one pullback."""
        P = self.b + self.ridge[:, None, None] * torch.eye(self.b.shape[-1]).to(self.b)
        aim = (self.CV @ m[:, :, None])[:, :, 0].double()
        y = torch.linalg.solve(P, aim).to(self.V)[:, None]
        return self.problem.pull(None, (y @ self.FV)[:, 0]) + self.ridge.to(self.V)[:, None] * (y @ self.V)[:, 0] - g

    def residual(self, gaps: Gaps) -> Tensor:
        """``(B + εI) δ + Fᵀe + n Cᵀd`` ``(batch, dim)`` at the pull δ that this subspace gives: one pullback.

        n makes the pull neutral to what has varied, as in `eigenwalk.step.plan`.
        """
        u = normalize(gaps.varied, dim=1)
        h, g = ((X @ x[:, :, None])[:, :, 0].double() for X, x in ((self.FV, gaps.fixed), (self.CV, u)))
        P = self.b + self.ridge[:, None, None] * torch.eye(self.b.shape[-1]).to(self.b)
        both = torch.linalg.solve(P, torch.stack([-h, g], -1))
        y, Pg = both[..., 0], both[..., 1]
        bend = (g * Pg).sum(-1, keepdim=True)
        n = torch.where(bend > 0, (g * y).sum(-1, keepdim=True) / bend.clamp_min(1e-30), 0.0)
        y = (y - n * Pg).to(self.V)[:, None]
        pulled = self.problem.pull(n.to(u) * u, (y @ self.FV)[:, 0] + gaps.fixed)
        return pulled + self.ridge.to(self.V)[:, None] * (y @ self.V)[:, 0]

    def solution(self, aim: Aim) -> Solution:
        """What is known, to step in."""
        batch, dim = self.problem.batch, self.problem.dim
        memory = Memory(self.V.new_zeros(batch, 0, dim), self.model.Q, self.model.s)
        none = self.V.new_zeros(batch, 0)
        return Solution(none.double(), self.V[:, :0], self.ridge, self.V, self.CV, self.FV, memory, aim=aim)
