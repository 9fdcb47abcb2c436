"""ReSeFa: Zhu et al., "Region-Based Semantic Factorization in GANs", ICML 2022 (arXiv 2202.09649).

With J_f the Jacobian of a region's pixels at one image and J_b that of the others, the directions maximise the
generalized Rayleigh quotient ``vᵀ J_fᵀJ_f v / vᵀ J_bᵀJ_b v``: they are eigenvectors of ``(J_bᵀJ_b)⁻¹ J_fᵀJ_f``. If
the matrix below has no full rank, the authors' code can add τ times its trace to its diagonal. Here the region is what
varies, and the rest is what is fixed; the path is straight.
"""

from __future__ import annotations

import torch
from torch import Tensor

from eigenwalk.direction import Directions, Sight
from eigenwalk.errors import CompositionError, OptionError
from eigenwalk.shapes import Basis
from eigenwalk_baselines.vectors import gram, jacobians, signed, unit


class ReSeFa(Directions):
    """Generalized eigenvectors of the full Jacobians at the start.

    Attributes:
        tau: share of the trace of what is fixed that is added to its diagonal.
    """

    def __init__(self, tau: float = 1e-3):
        if tau < 0:
            raise OptionError(f"tau of resefa must be 0 or more, got {tau}")
        self.tau = tau

    def find(self, sight: Sight, k: int, previous: Tensor | None = None) -> Basis:
        """Return the `k` eigenvectors of the largest quotients ``(batch, k, latent)``.

        Raises:
            CompositionError: nothing is fixed, or with ``tau=0`` the fixed features leave some direction free.
        """
        C, F = jacobians(sight)
        if F.shape[2] == 0:
            raise CompositionError("resefa needs something fixed: fix a feature, such as the rest of the image")
        rows = [self._row(A, B)[:k] for A, B in zip(gram(C), gram(F), strict=True)]
        return torch.stack(rows).to(sight.like)

    def _row(self, A: Tensor, B: Tensor) -> Tensor:
        """Return the eigenvectors ``(latent, latent)`` as rows, by descending quotient."""
        L, failed = torch.linalg.cholesky_ex(B + self.tau * B.trace() * torch.eye(len(B)).to(B))
        if failed:
            raise CompositionError(
                f"resefa has no quotient, as some direction changes nothing that is fixed: take tau= above "
                f"{self.tau:g}, such as 0.001"
            )
        inverse = torch.linalg.solve_triangular(L, torch.eye(len(B)).to(B), upper=False)
        u = torch.linalg.eigh(inverse @ A @ inverse.T)[1].T.flip(0)
        return signed(unit(u @ inverse))
