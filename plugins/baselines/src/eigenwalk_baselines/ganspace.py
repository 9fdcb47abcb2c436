"""GANSpace: Härkönen et al., "GANSpace: Discovering Interpretable GAN Controls", NeurIPS 2020 (arXiv 2004.02546).

If latents are not isotropic (StyleGAN's w), the directions are their principal components over many samples. In z, the
principal components ``v_j`` of an early activation ``y(z)``, transferred by regression (equation 2): with
``x = Vᵀ (y(z) - mean)`` the coordinates of the samples, ``U = argmin Σ |U x - z|²``, and the columns of U are the
directions. The activation is w if the generator has one, else the output of the first layer that reads z, as in the
paper for BigGAN.

PCA is incremental, in the batches of the authors' code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import IncrementalPCA
from torch import Tensor

from eigenwalk.direction import Directions, Sight
from eigenwalk.errors import CompositionError, OptionError
from eigenwalk.generator import Generator
from eigenwalk.shapes import Basis, Latents
from eigenwalk_baselines.plugin import SEED
from eigenwalk_baselines.reading import given_to, intermediate, output_of, readers
from eigenwalk_baselines.vectors import count_together, everywhere, signed

BATCH = 2_000
"""Samples of one batch of the incremental PCA, or three times the components if that is more."""
Activation = Callable[[Tensor], Tensor]


class GANSpace(Directions):
    """Principal components, the same for all images.

    Attributes:
        components: the most components that are computed.
        samples, seed: of the latents from which they are computed.
    """

    def __init__(self, components: int = 80, samples: int = 10_000, seed: int = SEED):
        if components < 1:
            raise OptionError(f"components of ganspace must be 1 or more, got {components}")
        if samples < 2:
            raise OptionError(f"samples of ganspace must be 2 or more, got {samples}")
        self.components, self.samples, self.seed = components, samples, seed

    def find(self, sight: Sight, k: int, previous: Tensor | None = None) -> Basis:
        """Return the first `k` components ``(batch, k, latent)``, the same at every latent.

        Raises:
            CompositionError: there are fewer than `k`, or in z no layer reads the latent.
        """
        generator = sight.generator
        activation = _activation(generator, sight.like) if generator.space == "z" else None
        together = count_together(generator)
        size = max(BATCH, 3 * self.components)
        parts = generator.sample(self.samples, self.seed).to(sight.like).tensor_split(max(1, self.samples // size))
        pca = IncrementalPCA()
        for z in parts:
            y = _array(z, activation, together)
            pca.set_params(n_components=min(self.components, len(parts[-1]), y.shape[1]))
            pca.partial_fit(y)
        components = np.asarray(pca.components_)
        found = components if activation is None else _transferred(pca, activation, parts, together)
        if len(found) < k:
            raise CompositionError(
                f"ganspace has {len(found)} components here, {k} are asked for: take fewer paths, or more components= "
                "or samples="
            )
        return everywhere(signed(torch.from_numpy(found[:k].copy())), sight)


def _activation(generator: Generator, like: Tensor) -> Activation:
    """Return the map from latents in z to the activation whose components are taken."""
    if (shared := intermediate(generator, like)) is not None:
        module, place = shared
        return lambda z: given_to(generator, module, place, z)
    for reader in readers(generator, like):
        return lambda z: output_of(generator, reader.call.module, z)
    raise CompositionError(
        f"ganspace needs in space z a layer whose activations it factorises, and no torch module of "
        f"{type(generator).__name__} reads the latent: take a generator made of modules, or another method"
    )


def _array(z: Latents, activation: Activation | None, together: int) -> NDArray[np.float64]:
    """Return the numbers to factorise ``(samples, numbers)``: activations of `z` ``(samples, latent)``, or z itself."""
    if activation is None:
        return z.double().cpu().numpy()
    with torch.no_grad():
        return np.concatenate([activation(some).flatten(1).double().cpu().numpy() for some in z.split(together)])


def _transferred(
    pca: IncrementalPCA, activation: Activation, parts: Sequence[Latents], together: int
) -> NDArray[np.float64]:
    """The columns of U ``(components, latent)``, which map the samples' coordinates x among the components to z."""
    XX, XZ = 0.0, 0.0
    for z in parts:
        x = np.asarray(pca.transform(_array(z, activation, together)))
        XX, XZ = XX + x.T @ x, XZ + x.T @ z.double().cpu().numpy()
    return np.linalg.pinv(XX) @ XZ
