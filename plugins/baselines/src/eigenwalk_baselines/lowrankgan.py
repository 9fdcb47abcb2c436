"""LowRankGAN: Zhu et al., "Low-Rank Subspaces in GANs", NeurIPS 2021 (arXiv 2106.04488).

``JᵀJ`` of a region's pixels and of the others are each split into a low-rank and a sparse part. The eigenvectors of
the region's low-rank part are its principal space; those that belong to the zero eigenvalues of the other's span the
null space. The directions are the first projected on the second, of unit length. Here the region is what varies, and
the rest is what is fixed; the path is straight.
"""

from __future__ import annotations

import torch
from torch import Tensor

from eigenwalk.direction import Directions, Sight
from eigenwalk.errors import CompositionError, OptionError
from eigenwalk.shapes import Basis
from eigenwalk_baselines.robust import low_rank
from eigenwalk_baselines.vectors import gram, jacobians, signed, unit


class LowRankGAN(Directions):
    """The principal space of what varies, projected on the null space of what is fixed.

    Attributes:
        sparsity: 1/λ, λ the weight of the sparse part.
        relax: how many eigenvalues of what is fixed count as zero, by which the null space grows.
        iterations: the most iterations of the factorisation.
    """

    def __init__(self, sparsity: float = 60.0, relax: int = 0, iterations: int = 10_000):
        if sparsity <= 0:
            raise OptionError(f"sparsity of lowrankgan must be above 0, got {sparsity}")
        if relax < 0 or iterations < 1:
            raise OptionError(
                f"relax of lowrankgan must be 0 or more and iterations 1 or more, got {relax} and {iterations}"
            )
        self.sparsity, self.relax, self.iterations = sparsity, relax, iterations

    def find(self, sight: Sight, k: int, previous: Tensor | None = None) -> Basis:
        """Return the `k` leading directions ``(batch, k, latent)``.

        If the principal space has fewer, eigenvectors of the Jacobian itself follow.

        Raises:
            CompositionError: nothing is fixed, or no direction is left.
        """
        C, F = jacobians(sight)
        if F.shape[2] == 0:
            raise CompositionError("lowrankgan needs something fixed: fix a feature, such as the rest of the image")
        rows = [self._row(A, B, k) for A, B in zip(gram(C), gram(F), strict=True)]
        return torch.stack(rows).to(sight.like)

    def _row(self, A: Tensor, B: Tensor, k: int) -> Tensor:
        d = len(A)
        held, rank = self._factored(B)
        null = held[min(max(1, rank - self.relax), d - 1) :]
        principal, rank = self._factored(A)
        if rank < k:
            rest = torch.linalg.eigh(A)[1].T.flip(0)
            principal = torch.cat([principal[:rank], rest[rank:]])
        projected = principal[:k] @ null.T @ null
        if not bool((projected.norm(dim=1) > 1e-9).all()):
            raise CompositionError(
                "lowrankgan has no direction left: what varies lies in what is fixed; take a larger relax= than "
                f"{self.relax}"
            )
        return signed(unit(projected))

    def _factored(self, M: Tensor) -> tuple[Tensor, int]:
        """The eigenvectors of M's low-rank part as rows, by descending size of their eigenvalue, and its rank."""
        s, U = torch.linalg.eigh(low_rank(M, 1 / self.sparsity, self.iterations))
        order = s.abs().argsort(descending=True)
        least = s.abs().max() * len(M) * torch.finfo(s.dtype).eps
        return U.T[order], int((s.abs() > least).sum())
