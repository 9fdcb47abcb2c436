"""A subspace with its pushforwards, and the Rayleigh-Ritz step inside it.

With orthonormal rows V ``(batch, m, dim)`` and their pushforwards ``C V`` and ``F V``, both Gram matrices are
known exactly inside the subspace, whatever the latent's dimension:

    a = V A Vᵀ = (CV)(CV)ᵀ        b = V B Vᵀ = (FV)(FV)ᵀ

so the eigenproblem there is small and dense, solved in float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

RIDGE = 1e-2
"""ε as a share of B's largest eigenvalue (DESIGN: the quotient beats the null-space rule at this share)."""


@dataclass(frozen=True)
class Memory:
    """What a solver carries from one waypoint to the next.

    Attributes:
        basis: the best vectors so far, ``(batch, keep, dim)``, to start from.
        model_vectors: orthonormal ``(batch, r, dim)`` with
        model_values: ``(batch, r)``, eigenpairs of a model of B learnt from every pushforward so far.
    """

    basis: Tensor
    model_vectors: Tensor
    model_values: Tensor

    def rows(self, index: Tensor) -> Memory:
        """The memory of some rows, in the given order; a row may be asked for twice."""
        return Memory(self.basis[index], self.model_vectors[index], self.model_values[index])


@dataclass(frozen=True)
class Gaps:
    """What has happened since the start, in values scaled as the operators are.

    Attributes:
        varied: d ``(batch, p)``, how what varies has changed.
        fixed: e ``(batch, q)``, how what is fixed has drifted.
        blocks: how many of the q values each fixed feature has.
        radial: ``(batch, dim)``, the way from the mean latent, where the walk stays in the latent's typical region.
    """

    varied: Tensor
    fixed: Tensor
    blocks: tuple[int, ...] = ()
    radial: Tensor | None = None


@dataclass(frozen=True)
class Aim:
    """What a step is to do: take the values on along m ``(batch, p)``, a unit vector, given the `gaps` so far."""

    m: Tensor
    gaps: Gaps


@dataclass(frozen=True)
class Solution:
    """The eigenpairs found at each latent, and the subspace they were found in.

    Attributes:
        quotients: ``(batch, n)``, largest first, at least as many as were asked for.
        vectors: ``(batch, n, dim)``, unit length.
        ridge: ε ``(batch,)``.
        V: orthonormal basis ``(batch, m, dim)`` of the subspace; zeros where a row needs fewer vectors than others.
        CV, FV: its pushforwards ``(batch, m, p)`` and ``(batch, m, q)``.
        memory: to start from at the next waypoint.
        continued: the first vector already continues the previous direction, so that none is to be chosen.
        aim: what the step from here is to do, where the subspace was made for that; there are no pairs then.
    """

    quotients: Tensor
    vectors: Tensor
    ridge: Tensor
    V: Tensor
    CV: Tensor
    FV: Tensor
    memory: Memory
    continued: bool = False
    aim: Aim | None = None


def gram(X: Tensor) -> Tensor:
    """``X Xᵀ`` ``(batch, m, m)`` in float64 for X ``(batch, m, p)``."""
    return (X @ X.mT).double()


def orthonormal(V: Tensor) -> Tensor:
    """An orthonormal basis of the rows of V ``(batch, m, dim)``, in their order."""
    Q, R = torch.linalg.qr(V.double().mT)
    # QR leaves signs free; those of R's diagonal make the first vector point where it pointed.
    return (Q * torch.where(R.diagonal(dim1=1, dim2=2) < 0, -1.0, 1.0)[:, None]).mT.to(V.dtype)


def extend(V: Tensor, w: Tensor, generator: torch.Generator) -> Tensor:
    """A unit vector ``(batch, 1, dim)`` along the part of w ``(batch, dim)`` outside the rows of V.

    Where nothing is left of it (converged, or a zero residual) a random direction takes its place, so that
    all rows of a batch keep the same number of vectors.
    """
    new = _outside(V, w)
    lost = new.norm(dim=-1) <= 1e-6 * w.norm(dim=-1).clamp_min(1e-30)
    if bool(lost.any()):
        random = torch.randn(w.shape[-1], generator=generator).to(w)
        new = torch.where(lost[:, None], _outside(V, random.expand_as(w)), new)
    return (new / new.norm(dim=-1, keepdim=True))[:, None]


def _outside(V: Tensor, w: Tensor) -> Tensor:
    # Twice: one pass of Gram-Schmidt loses orthogonality where w nearly lies in V (Kahan, Parlett).
    for _ in range(2):
        w = w - ((w[:, None] @ V.mT) @ V)[:, 0]
    return w


def ritz(a: Tensor, b: Tensor, ridge: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues ``(batch, m)``, largest first, and coordinates Y ``(batch, m, m)`` with ``Y (b + εI) Yᵀ = I``.

    Solves ``a y = θ (b + εI) y`` in float64 through the Cholesky factor of ``b + εI``; rows of Y are vectors.
    """
    L = torch.linalg.cholesky(b + ridge[:, None, None] * torch.eye(b.shape[-1], dtype=b.dtype, device=b.device))
    inner = torch.linalg.solve_triangular(L, a, upper=False)
    inner = torch.linalg.solve_triangular(L, inner.mT, upper=False)
    theta, Y = torch.linalg.eigh((inner + inner.mT) / 2)
    Y = torch.linalg.solve_triangular(L.mT, Y, upper=True)
    return theta.flip(-1), Y.flip(-1).mT


def ridge_of(largest: Tensor, a: Tensor, share: float) -> Tensor:
    """ε ``(batch,)``: `share` of B's largest eigenvalue; where B is zero (nothing fixed), of A's trace.

    With nothing fixed the quotient is then A's own, up to a factor.
    """
    trace = a.diagonal(dim1=1, dim2=2).sum(-1)
    return torch.where(largest > 0, share * largest, share * trace).clamp_min(1e-20)
