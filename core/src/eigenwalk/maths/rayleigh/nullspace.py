"""The published rule, for comparison (Balakrishnan et al., ECCV 2022, section 3).

The eigenvectors of ``B = FᵀF`` whose squared eigenvalues make up the share β_f of their sum are forbidden; in
their complement the top eigenvectors of A that make up β_c are the candidates; a previous direction is
projected on their span. Nothing weighs one against the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from eigenwalk.maths.rayleigh.operators import Operators
from eigenwalk.maths.rayleigh.subspace import Gaps, Memory, Solution, gram


@dataclass(frozen=True)
class NullSpace:
    """The published method's directions from full Jacobians.

    Attributes:
        fixed_share: β_f, the share of B's squared eigenvalues that is forbidden.
        varied_share: β_c, the share of the projected A's squared eigenvalues that candidates make up.
    """

    fixed_share: float = 0.99
    varied_share: float = 0.999

    def solve(
        self,
        problem: Operators,
        k: int,
        memory: Memory | None = None,
        previous: Tensor | None = None,
        gaps: Gaps | None = None,
    ) -> Solution:
        """k candidates at each row, the largest varied change first.

        With a `previous` direction the first is that one, projected on the candidates' span. `quotients`
        holds each one's plain ratio ``vᵀAv / vᵀBv``.
        """
        V = torch.eye(problem.dim).to(problem.like).expand(problem.batch, -1, -1)
        CV, FV = problem.push(V)
        a, b = gram(CV), gram(FV)
        rows = [
            self._row(a[i], b[i], k, None if previous is None else previous[i].double()) for i in range(problem.batch)
        ]
        best = torch.stack(rows)
        top = torch.einsum("nkd,nde,nke->nk", best, a, best)
        held = torch.einsum("nkd,nde,nke->nk", best, b, best)
        best = best.to(V)
        nothing = Memory(best, best.new_zeros(problem.batch, 0, problem.dim), best.new_zeros(problem.batch, 0))
        return Solution(
            top / held.clamp_min(1e-30), best, held.new_zeros(problem.batch), V, CV, FV, nothing, previous is not None
        )

    def _row(self, a: Tensor, b: Tensor, k: int, previous: Tensor | None) -> Tensor:
        held, free = leading(b, self.fixed_share)
        # A B of full rank would forbid every direction: what it holds least stays free.
        free = free if len(free) else held[-1:]
        inside = free @ a @ free.T
        top, _ = leading(inside, self.varied_share)
        candidates = top @ free
        if previous is not None:
            along = (candidates @ previous) @ candidates
            if along.norm() > 1e-8:
                candidates = torch.cat([(along / along.norm())[None], candidates])
        if len(candidates) < k:
            rest = torch.linalg.qr(torch.cat([candidates.T, torch.eye(len(a), dtype=a.dtype, device=a.device)], 1))[0].T
            candidates = torch.cat([candidates, rest[len(candidates) : k]])
        return candidates[:k]


def leading(M: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """M's eigenvectors (rows, largest first) that make up `share` of its squared eigenvalues, and the others."""
    s, U = torch.linalg.eigh((M + M.T) / 2)
    s, U = s.flip(0).clamp_min(0), U.flip(1).T
    total = s.square().cumsum(0)
    if float(total[-1]) == 0.0:
        return U[:0], U
    count = int((total < share * total[-1]).sum()) + 1
    return U[:count], U[count:]
