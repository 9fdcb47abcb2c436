"""The published rule, for comparison (Balakrishnan et al., ECCV 2022, section 3).

The eigenvectors of ``B = FᵀF`` whose squared eigenvalues make up the share β_f of their sum are forbidden; in
their complement the top eigenvectors of A that make up β_c are the candidates; a previous direction is
projected on their span. Nothing weighs one against the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from eigenwalk.direction import Gaps, Limits, Method, Sight, State, Step
from eigenwalk.maths.methods.pairs import Pairs
from eigenwalk.maths.methods.subspace import gram, identity


@dataclass(frozen=True)
class NullSpace(Method):
    """The published method's directions from full Jacobians, taken by forward differences as there.

    Attributes:
        fixed_share: β_f, the share of B's squared eigenvalues that is forbidden.
        varied_share: β_c, the share of the projected A's squared eigenvalues that candidates make up.
    """

    differences = 0.01

    fixed_share: float = 0.99
    varied_share: float = 0.999

    def start(self, sight: Sight, k: int, limits: Limits) -> tuple[Step, State]:
        """Steps along k candidates, the largest varied change first."""
        return self.candidates(sight, k).leading(k, limits), {}

    def step(self, sight: Sight, state: State, gaps: Gaps, limits: Limits) -> tuple[Step, State]:
        """The step along the last direction, projected on the candidates' span."""
        return self.candidates(sight, 1, gaps.direction).leading(1, limits).map(lambda tensor: tensor[:, 0]), {}

    def candidates(self, sight: Sight, k: int, previous: Tensor | None = None) -> Pairs:
        """k candidates at each row; the first is the projection of `previous` ``(batch, latent)`` where that is given.

        A quotient is the plain ratio ``vᵀAv / vᵀBv``.
        """
        V = identity(sight.dim, sight.batch, sight.like)
        CV, FV = sight.push(V)
        a, b = gram(CV), gram(FV)
        rows = [
            self._row(a[i], b[i], k, None if previous is None else previous[i].double()) for i in range(sight.batch)
        ]
        best = torch.stack(rows)
        top = torch.einsum("nkd,nde,nke->nk", best, a, best)
        held = torch.einsum("nkd,nde,nke->nk", best, b, best)
        return Pairs(V, CV, FV, held.new_zeros(sight.batch), top / held.clamp_min(1e-30), best.to(V))

    def _row(self, a: Tensor, b: Tensor, k: int, previous: Tensor | None) -> Tensor:
        held, free = split(b, self.fixed_share)
        # A B of full rank would forbid every direction: what it holds least stays free.
        free = free if len(free) else held[-1:]
        top, _ = split(free @ a @ free.T, self.varied_share)
        candidates = top @ free
        if previous is not None:
            along = (candidates @ previous) @ candidates
            if along.norm() > 1e-8:
                candidates = torch.cat([(along / along.norm())[None], candidates])
        if len(candidates) < k:
            rest = torch.linalg.qr(torch.cat([candidates.T, torch.eye(len(a), dtype=a.dtype, device=a.device)], 1))[0].T
            candidates = torch.cat([candidates, rest[len(candidates) : k]])
        return candidates[:k]


def split(M: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """M's eigenvectors (rows, largest first) that make up `share` of its squared eigenvalues, and the others."""
    s, U = torch.linalg.eigh((M + M.T) / 2)
    s, U = s.flip(0).clamp_min(0), U.flip(1).T
    total = s.square().cumsum(0)
    if float(total[-1]) == 0.0:
        return U[:0], U
    count = int((total < share * total[-1]).sum()) + 1
    return U[:count], U[count:]
