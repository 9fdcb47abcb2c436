"""Davidson's method: the leading eigenpairs without forming a Jacobian.

From the best vectors of the previous waypoint, each expansion takes the residual of one Ritz pair

    r = A x - θ (B + εI) x = Cᵀ(Cx) - θ Fᵀ(Fx) - θ ε x

preconditions it with a model of B (`rayleigh.model`) and adds it to the subspace: one pushforward and one
pullback, however many features there are. (Davidson 1975; generalized form, Morgan and Scott 1986.)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from eigenwalk.maths.rayleigh.model import LowRank
from eigenwalk.maths.rayleigh.operators import Operators
from eigenwalk.maths.rayleigh.subspace import RIDGE, Gaps, Memory, Solution, extend, gram, orthonormal, ridge_of, ritz


@dataclass(frozen=True)
class Davidson:
    """The leading eigenpairs by Davidson's method, warm-started.

    Attributes:
        keep: vectors carried from one waypoint to the next, or one for each direction at the start where those are
            more; each costs one pushforward.
        stiff: directions of the largest B known that are measured anew at every waypoint, one pushforward each. ε is
            a share of B's largest eigenvalue, and the vectors kept, which B hardly moves, say nothing of it: without
            them ε had fallen to half after 20 waypoints on the anime generator, and the quotient to 0.97.
        expansions: at a warm waypoint, at most; each costs one pushforward and one pullback.
        cold: expansions for each wanted pair where there is no memory, at most.
        tolerance: a row stops where an expansion promises less than this share of the quotient, for each wanted
            pair. It then stands still while others go on, so that a path does not depend on its company.
        rank: of the model of B.
        share: ε as a share of B's largest eigenvalue.
        seed: of the random vectors that a cold start begins from.
    """

    keep: int = 3
    stiff: int = 2
    expansions: int = 4
    cold: int = 16
    tolerance: float = 1e-3
    rank: int = 24
    share: float = RIDGE
    seed: int = 0

    def solve(
        self,
        problem: Operators,
        k: int,
        memory: Memory | None = None,
        previous: Tensor | None = None,
        gaps: Gaps | None = None,
    ) -> Solution:
        """The k leading eigenpairs at each row.

        Args:
            problem: the operators.
            k: how many pairs; at least one.
            memory: what the previous waypoint left.
            previous: ``(batch, dim)``, the direction that led here; the memory holds it already.
            gaps: not needed: the pairs are those of this latent.
        """
        carried = 0 if memory is None else memory.basis.shape[1]  # a path may follow any of them
        keep = min(max(self.keep, k, carried), problem.dim)
        V, model = self._start(problem, keep, memory)
        CV, FV = problem.push(V)
        a, b, ridge, model = self._measure(CV, FV, V, model)
        every = torch.ones(problem.batch, dtype=torch.bool, device=V.device)
        budget = self.expansions if memory is not None else self.cold * k
        theta, Y = ritz(a, b, ridge)
        pairs, quiet = min(k, keep), torch.zeros_like(every, dtype=torch.long)
        for i in range(min(budget, problem.dim - V.shape[1])):
            j = i % pairs
            r = _residual(problem, V, CV, FV, theta[:, j], Y[:, j], ridge)
            w = model.solve(r, ridge)
            promise = (r * w).sum(-1).double() / theta[:, j].clamp_min(1e-30).square()
            small = (promise < self.tolerance) & (i >= k or memory is not None)
            quiet = torch.where(small | (quiet >= pairs), quiet + 1, 0)
            if bool((quiet >= pairs).all()):
                break
            if bool((quiet > 0).all()):
                continue
            V, CV, FV = self._grow(problem, V, CV, FV, w, quiet == 0)
            a, b, ridge, model = self._measure(CV, FV, V, model)
            theta, Y = ritz(a, b, ridge)
        X = Y.to(V) @ V
        best = X[:, :keep] / X[:, :keep].norm(dim=-1, keepdim=True)
        kept = Memory(best, model.Q, model.s)
        return Solution(theta[:, :keep], best, ridge, V, CV, FV, kept)

    def _start(self, problem: Operators, keep: int, memory: Memory | None) -> tuple[Tensor, LowRank]:
        if memory is None:
            V = torch.randn(keep, problem.dim, generator=torch.Generator().manual_seed(self.seed))
            V = V.to(problem.like).expand(problem.batch, -1, -1)
            return orthonormal(V), LowRank.zero(problem.batch, problem.dim, problem.like)
        # Where nothing is fixed, B is zero and there is nothing to follow.
        known = memory.model_values.shape[1] if bool(memory.model_values.any()) else 0
        stiff = min(self.stiff, known, problem.dim - keep)
        top = memory.model_values.topk(stiff, dim=1).indices
        first = torch.cat(
            [memory.basis, memory.model_vectors.gather(1, top[:, :, None].expand(-1, -1, problem.dim))], 1
        )
        return orthonormal(first), LowRank(memory.model_vectors, memory.model_values)

    def _measure(self, CV: Tensor, FV: Tensor, V: Tensor, model: LowRank) -> tuple[Tensor, Tensor, Tensor, LowRank]:
        a, b = gram(CV), gram(FV)
        model = model.learn(V, b, self.rank)
        ridge = ridge_of(model.largest.double(), a, self.share)
        # A zero in place of a vector has no quotient: behind all others with it.
        return a - torch.diag_embed((V.square().sum(-1) < 0.5).to(a)), b, ridge, model

    def _grow(
        self, problem: Operators, V: Tensor, CV: Tensor, FV: Tensor, w: Tensor, which: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The subspace with one vector more; with a zero in the rows that are not `which` ``(batch,)``."""
        random = torch.Generator().manual_seed(self.seed + V.shape[1])
        new = torch.where(which[:, None, None], extend(V, w, random), 0.0)
        c, f = problem.push(new)
        return torch.cat([V, new], 1), torch.cat([CV, c], 1), torch.cat([FV, f], 1)


def _residual(problem: Operators, V: Tensor, CV: Tensor, FV: Tensor, theta: Tensor, y: Tensor, ridge: Tensor) -> Tensor:
    """``A x - θ (B + εI) x`` ``(batch, dim)`` at ``x = y V``."""
    y, theta = y.to(V)[:, None], theta.to(V)[:, None]
    c, f = (y @ CV)[:, 0], (y @ FV)[:, 0]
    return problem.pull(c, -theta * f) - theta * ridge.to(V)[:, None] * (y @ V)[:, 0]
