"""A subspace with its pushforwards, and the Rayleigh-Ritz step inside it.

With a basis of orthonormal rows V ``(batch, basis, latent)`` and their pushforwards ``C V`` and ``F V``, both Gram
matrices are known exactly inside the subspace, whatever the latent's dimension:

    a = V A Vᵀ = (CV)(CV)ᵀ        b = V B Vᵀ = (FV)(FV)ᵀ

so the eigenproblem there is small and dense, solved in float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

RIDGE = 1e-2
"""ε as a share of B's largest eigenvalue: at this share the quotient held more than the published rule did."""


@dataclass(frozen=True)
class Subspace:
    """A basis and what is known inside it.

    Attributes:
        V: orthonormal ``(batch, basis, latent)``; zeros where a row needs fewer vectors than others.
        CV, FV: its pushforwards ``(batch, basis, p)`` and ``(batch, basis, q)``.
        ridge: ε ``(batch,)``.
    """

    V: Tensor
    CV: Tensor
    FV: Tensor
    ridge: Tensor


def gram(X: Tensor) -> Tensor:
    """``X Xᵀ`` ``(batch, basis, basis)`` in float64 for X ``(batch, basis, p)``."""
    return (X @ X.mT).double()


def times(X: Tensor, x: Tensor) -> Tensor:
    """``X x`` ``(batch, basis)`` in float64 for X ``(batch, basis, p)`` and x ``(batch, p)``."""
    return (X @ x[:, :, None])[:, :, 0].double()


def identity(dim: int, batch: int, like: Tensor) -> Tensor:
    """The whole space as a basis, ``(batch, dim, dim)``."""
    return torch.eye(dim).to(like).expand(batch, -1, -1)


def without_zeros(a: Tensor, V: Tensor) -> Tensor:
    """a, where a zero that stands in V for a vector comes behind all others: its quotient is -1 over ε."""
    return a - torch.diag_embed((V.square().sum(-1) < 0.5).to(a))


def orthonormal(V: Tensor) -> Tensor:
    """An orthonormal basis of the rows of V ``(batch, basis, latent)``, in their order."""
    Q, R = torch.linalg.qr(V.double().mT)
    # QR leaves signs free; those of R's diagonal make the first vector point where it pointed.
    return (Q * torch.where(R.diagonal(dim1=1, dim2=2) < 0, -1.0, 1.0)[:, None]).mT.to(V.dtype)


def extend(V: Tensor, w: Tensor, generator: torch.Generator) -> Tensor:
    """A unit vector ``(batch, 1, latent)`` along the part of w ``(batch, latent)`` outside the rows of V.

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
    """Eigenvalues ``(batch, basis)``, largest first, and coordinates Y, as rows, with ``Y (b + εI) Yᵀ = I``.

    Solves ``a y = θ (b + εI) y`` in float64 through the Cholesky factor of ``b + εI``.
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
