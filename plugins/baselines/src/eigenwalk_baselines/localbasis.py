"""Local Basis: Choi et al., "Do Not Escape From the Manifold", ICLR 2022 (arXiv 2106.06959).

At one latent the mapping network's Jacobian ``∂w/∂z = Σ σ_i u_i v_iᵀ`` gives the local basis u_i of w, and moving z
along v_i moves w along u_i on the manifold that the mapping makes. The iterative curve-traversal follows v_i by small
steps, and takes at each new latent the basis vector most similar to the previous one, in its sense.

Here the walk is in z, along v_i. If the generator has no intermediate latent, or the walk is in w itself, whose z is
unknown, the map from latents to images is taken. Nothing is held.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from eigenwalk.direction import Directions, Sight
from eigenwalk.generator import Generator
from eigenwalk.shapes import Basis
from eigenwalk_baselines.reading import given_to, intermediate
from eigenwalk_baselines.vectors import jacobian, signed


class LocalBasis(Directions):
    """Right singular vectors of the Jacobian at every waypoint, the largest singular value first."""

    curved = True

    def find(self, sight: Sight, k: int, previous: Tensor | None = None) -> Basis:
        """The first `k` singular vectors ``(batch, k, latent)``; after the start the one most like `previous`."""
        J = jacobian(_mapped(sight.generator, sight.like), sight.like).double()
        if J.shape[2] > J.shape[1]:  # an image has many values, so JᵀJ is smaller than J
            V = torch.stack([torch.linalg.eigh(row @ row.T)[1].T.flip(0) for row in J])
        else:
            V = torch.stack([torch.linalg.svd(row)[0].T for row in J])
        if previous is None:
            return signed(V[:, :k]).to(sight.like)
        cosines = torch.einsum("nkd,nd->nk", V, previous.double())
        nearest = cosines.abs().argmax(1)
        every = torch.arange(len(V), device=V.device)
        sense = torch.where(cosines[every, nearest] < 0, -1.0, 1.0)[:, None]
        return (sense * V[every, nearest])[:, None].to(sight.like)


def _mapped(generator: Generator, like: Tensor) -> Callable[[Tensor], Tensor]:
    """Return the map whose Jacobian is taken: from z to w if there is a w, else from latents to images."""
    shared = intermediate(generator, like) if generator.space == "z" else None
    if shared is None:
        return generator
    module, place = shared
    return lambda z: given_to(generator, module, place, z)
