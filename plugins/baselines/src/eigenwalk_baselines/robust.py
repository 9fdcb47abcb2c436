"""Robust principal component analysis by alternating directions."""

from __future__ import annotations

import torch
from torch import Tensor

CLOSE = 1e-7
"""``|L + S - M| / |M|`` at which the factorisation stops (Frobenius norms)."""


def low_rank(M: Tensor, lam: float, iterations: int) -> Tensor:
    """Return the low-rank part L of a symmetric M ``(n, n)`` = L + S, S sparse: ``argmin |L|_* + λ |S|_1``.

    Principal component pursuit (Candès, Li, Ma, Wright: "Robust principal component analysis?", J. ACM 2011, algorithm
    1) with the penalty ``μ = n² / (4 |M|)`` of LowRankGAN's authors, whose norm is the largest absolute column sum. L
    is symmetric as M is, so its eigenvalues are shrunk in place of singular values.
    """
    size = M.norm()
    if float(size) == 0.0:
        return M
    mu = M.numel() / (4 * M.abs().sum(0).max())
    S, Y, L = torch.zeros_like(M), torch.zeros_like(M), M
    for _ in range(iterations):
        s, U = torch.linalg.eigh(M - S - Y / mu)
        L = (U * _shrink(s, 1 / mu)) @ U.T
        S = _shrink(M - L - Y / mu, lam / mu)
        Y = Y + mu * (L + S - M)
        if float((L + S - M).norm()) <= CLOSE * float(size):
            break
    return L


def _shrink(x: Tensor, by: Tensor | float) -> Tensor:
    return x.sign() * (x.abs() - by).clamp_min(0)
