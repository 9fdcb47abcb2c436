"""Davidson's method: the leading eigenpairs without forming a Jacobian.

From the best vectors of the previous waypoint, each expansion takes the residual of one Ritz pair

    r = A x - θ (B + εI) x = Cᵀ(Cx) - θ Fᵀ(Fx) - θ ε x

preconditions it with a model of B (`eigenwalk.maths.methods.model`) and adds it to the subspace: one pushforward and
one pullback, however many features there are. (Davidson 1975; generalized form, Morgan and Scott 1986.)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from eigenwalk.direction import Gaps, Limits, Method, Sight, State, Step
from eigenwalk.maths.methods.model import LowRank
from eigenwalk.maths.methods.pairs import Pairs
from eigenwalk.maths.methods.subspace import RIDGE, extend, gram, orthonormal, ridge_of, ritz, without_zeros
from eigenwalk.path import Cost


@dataclass(frozen=True)
class Davidson(Method):
    """The leading eigenpairs by Davidson's method, warm-started.

    Attributes:
        keep: vectors carried from one waypoint to the next, or one for each direction at the start where those are
            more; each costs one pushforward.
        stiff: directions of the largest B known that are measured anew at every waypoint, one pushforward each. ε is
            a share of B's largest eigenvalue, and the vectors kept, which B hardly moves, say nothing of it: without
            them ε had fallen to half after 20 waypoints on the anime generator, and the quotient to 0.97.
        expansions: at a warm waypoint, at most; each costs one pushforward and one pullback.
        cold: expansions for each wanted pair at a start, at most.
        tolerance: a row stops where an expansion promises less than this share of the quotient, for each wanted
            pair. It then stands still while others go on, so that a path does not depend on its company.
        rank: of the model of B.
        share: ε as a share of B's largest eigenvalue.
        seed: of the random vectors that a start begins from.
    """

    keep: int = 3
    stiff: int = 2
    expansions: int = 4
    cold: int = 16
    tolerance: float = 1e-3
    rank: int = 24
    share: float = RIDGE
    seed: int = 0

    def start(self, sight: Sight, k: int, limits: Limits) -> tuple[Step, State]:
        """Steps along the k leading eigenvectors."""
        pairs, state = self.pairs(sight, k)
        return pairs.leading(k, limits), state

    def step(self, sight: Sight, state: State, gaps: Gaps, limits: Limits) -> tuple[Step, State]:
        """The step along what continues the last direction among the leading eigenvectors."""
        pairs, state = self.pairs(sight, 1, state)
        return pairs.step(*pairs.follow(gaps.direction), limits), state

    def most_passes(self, k: int) -> float:
        """The generator passes that k pairs take at a start, at most: the look, and all expansions."""
        n = self.cold * k
        return Cost(forwards=1, pushforwards=max(self.keep, k) + n, pullbacks=n).passes

    def pairs(self, sight: Sight, k: int, state: State | None = None) -> tuple[Pairs, State]:
        """The k leading eigenpairs at each row, and what to begin from at the next waypoint.

        Args:
            sight: the operators.
            k: how many pairs; at least one.
            state: what the previous waypoint left: ``basis`` ``(batch, keep, latent)``, its best vectors, and
                ``model_vectors`` and ``model_values``, the model of B. None at a start.
        """
        carried = 0 if state is None else state["basis"].shape[1]  # a path may follow any of them
        keep = min(max(self.keep, k, carried), sight.dim)
        V, model = self._begin(sight, keep, state)
        CV, FV = sight.push(V)
        a, b, ridge, model = self._measure(CV, FV, V, model)
        every = torch.ones(sight.batch, dtype=torch.bool, device=V.device)
        budget = self.expansions if state is not None else self.cold * k
        theta, Y = ritz(a, b, ridge)
        wanted, quiet = min(k, keep), torch.zeros_like(every, dtype=torch.long)
        for i in range(min(budget, sight.dim - V.shape[1])):
            j = i % wanted
            r = _residual(sight, V, CV, FV, theta[:, j], Y[:, j], ridge)
            w = model.solve(r, ridge)
            promise = (r * w).sum(-1).double() / theta[:, j].clamp_min(1e-30).square()
            small = (promise < self.tolerance) & (i >= k or state is not None)
            quiet = torch.where(small | (quiet >= wanted), quiet + 1, 0)
            if bool((quiet >= wanted).all()):
                break
            if bool((quiet > 0).all()):
                continue
            V, CV, FV = self._grow(sight, V, CV, FV, w, quiet == 0)
            a, b, ridge, model = self._measure(CV, FV, V, model)
            theta, Y = ritz(a, b, ridge)
        X = Y.to(V) @ V
        best = X[:, :keep] / X[:, :keep].norm(dim=-1, keepdim=True)
        return Pairs(V, CV, FV, ridge, theta[:, :keep], best), {"basis": best, **model.state}

    def _begin(self, sight: Sight, keep: int, state: State | None) -> tuple[Tensor, LowRank]:
        if state is None:
            V = torch.randn(keep, sight.dim, generator=torch.Generator().manual_seed(self.seed))
            V = V.to(sight.like).expand(sight.batch, -1, -1)
            return orthonormal(V), LowRank.zero(sight.batch, sight.dim, sight.like)
        model = LowRank.of(state)
        # Where nothing is fixed, B is zero and there is nothing to follow.
        known = model.s.shape[1] if bool(model.s.any()) else 0
        top = model.s.topk(min(self.stiff, known, sight.dim - keep), dim=1).indices
        first = torch.cat([state["basis"], model.Q.gather(1, top[:, :, None].expand(-1, -1, sight.dim))], 1)
        return orthonormal(first), model

    def _measure(self, CV: Tensor, FV: Tensor, V: Tensor, model: LowRank) -> tuple[Tensor, Tensor, Tensor, LowRank]:
        a, b = gram(CV), gram(FV)
        model = model.learn(V, b, self.rank)
        return without_zeros(a, V), b, ridge_of(model.largest.double(), a, self.share), model

    def _grow(
        self, sight: Sight, V: Tensor, CV: Tensor, FV: Tensor, w: Tensor, which: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The subspace with one vector more; with a zero in the rows that are not `which` ``(batch,)``."""
        random = torch.Generator().manual_seed(self.seed + V.shape[1])
        new = torch.where(which[:, None, None], extend(V, w, random), 0.0)
        c, f = sight.push(new)
        return torch.cat([V, new], 1), torch.cat([CV, c], 1), torch.cat([FV, f], 1)


def _residual(sight: Sight, V: Tensor, CV: Tensor, FV: Tensor, theta: Tensor, y: Tensor, ridge: Tensor) -> Tensor:
    """``A x - θ (B + εI) x`` ``(batch, latent)`` at ``x = y V``."""
    y, theta = y.to(V)[:, None], theta.to(V)[:, None]
    c, f = (y @ CV)[:, 0], (y @ FV)[:, 0]
    return sight.pull(c, -theta * f) - theta * ridge.to(V)[:, None] * (y @ V)[:, 0]
