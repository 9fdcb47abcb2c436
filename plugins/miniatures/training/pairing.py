"""Latents that belong to factors: how a render gets a place in the generator's latent space.

A generator trained only against a discriminator finds its own places for things; with few images to
see, it finds few. So a render with factors of shares s is given the latent z(s, v), with fresh normal
noise v, such that z is standard normal when s is uniform: the generator can be shown what to draw
there while the discriminator judges how. The map is curved, and it uses all dimensions: no straight
line in z changes one factor alone.
"""

from __future__ import annotations

import torch
from torch import Tensor

BEND = 0.5
"""The largest turn of a factor's plane, in radians."""


class Pairing:
    """The measure-preserving map between factor shares with noise, and latents.

    Factor i has the normal score u_i = Φ⁻¹(s_i). The first `latent_dim - factors` factors each turn with
    a noise v_i in a plane, (a_i, b_i) = R(θ_i) (u_i, v_i), by an angle θ_i = BEND tanh(a_{i+1}) of the
    next factor's coordinate. Given the coordinates after it, each turn keeps the normal distribution,
    so by induction all coordinates are independent and normal; a fixed random rotation then mixes them.
    """

    def __init__(self, factors: int, latent_dim: int, seed: int = 0) -> None:
        if not factors < latent_dim <= 2 * factors:
            raise ValueError(f"Pairing: latent_dim must be above {factors} and at most {2 * factors}, got {latent_dim}")
        self.factors, self.planes = factors, latent_dim - factors
        normal = torch.randn(latent_dim, latent_dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        q, r = torch.linalg.qr(normal)
        self.rotation = (q * r.diagonal().sign()).float()

    def latents(self, shares: Tensor, noise: Tensor) -> Tensor:
        """`z (batch, latent_dim)` of `shares (batch, factors)` in [0, 1] and normal `noise (batch, planes)`."""
        u = torch.special.ndtri(shares.double().clamp(1e-5, 1 - 1e-5)).float()
        a, b = list(u.unbind(1)), list(noise.unbind(1))
        for i in reversed(range(self.planes)):
            cos, sin = self._turn(a, i)
            a[i], b[i] = cos * u[:, i] - sin * noise[:, i], sin * u[:, i] + cos * noise[:, i]
        return torch.stack(a + b, dim=1) @ self.rotation.T

    def shares(self, z: Tensor) -> Tensor:
        """`(batch, factors)`: what `latents` was given for `z`."""
        mixed = z @ self.rotation
        a, b = list(mixed[:, : self.factors].unbind(1)), mixed[:, self.factors :]
        u = list(a)
        for i in range(self.planes):
            cos, sin = self._turn(a, i)
            u[i] = cos * a[i] + sin * b[:, i]
        return torch.special.ndtr(torch.stack(u, dim=1))

    def _turn(self, a: list[Tensor], i: int) -> tuple[Tensor, Tensor]:
        angle = BEND * torch.tanh(a[i + 1]) if i + 1 < self.factors else torch.zeros_like(a[i])
        return torch.cos(angle), torch.sin(angle)
