"""InterFaceGAN: Shen et al., "Interpreting the Latent Space of GANs for Semantic Face Editing", CVPR 2020.

arXiv 1907.10786. A linear support vector machine separates the samples with the highest values of an attribute from
those with the lowest; the unit normal of its hyperplane is the direction (section 3.1). Conditional
manipulation (equation 7) removes what the normals of other attributes span, here those of the fixed numbers. What
varies are numbers too: the first gives the first direction, and so on.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.svm import SVC
from torch import Tensor

from eigenwalk.direction import Directions, Sight
from eigenwalk.errors import CompositionError, OptionError, Undefined
from eigenwalk.shapes import Basis, Latents
from eigenwalk_baselines.plugin import SEED
from eigenwalk_baselines.vectors import count_together, everywhere

MOST = 40
"""Most numbers that get a hyperplane each: more are no attributes (CelebA labels 40) but an image or an embedding."""
Array = NDArray[np.float64]


class InterFaceGAN(Directions):
    """The normals of varied numbers' hyperplanes, the same for all images, in the sense in which the number grows.

    Attributes:
        samples, seed: latents whose images are measured.
        share: of the samples, at the top and as many at the bottom, that are separated.
    """

    def __init__(self, samples: int = 10_000, share: float = 0.1, seed: int = SEED):
        if not 0 < share <= 0.5:
            raise OptionError(f"share of interfacegan must be above 0 and at most 0.5, got {share}")
        if int(samples * share) < 1:
            raise OptionError(
                f"samples of interfacegan must be {int(np.ceil(1 / share))} or more for share={share}, got {samples}"
            )
        self.samples, self.share, self.seed = samples, share, seed

    def find(self, sight: Sight, k: int, previous: Tensor | None = None) -> Basis:
        """Return the directions of the first `k` varied numbers ``(batch, k, latent)``, the same at every latent.

        Raises:
            CompositionError: fewer than `k` numbers vary, what varies or is fixed are no numbers but an image, or the
                samples do not differ.
        """
        z, c, f = self._measured(sight, k)
        held = np.array([boundary(z, column, self.share) for column in f.T])
        normals = [conditional(boundary(z, column, self.share), held) for column in c.T[:k]]
        return everywhere(torch.from_numpy(np.array(normals)), sight)

    def _measured(self, sight: Sight, k: int) -> tuple[Array, Array, Array]:
        """Latents with what varies ``(n, p)`` and what is fixed ``(n, q)`` in their images, where that is defined."""
        rows, samples = [], sight.generator.sample(self.samples, self.seed).to(sight.like)
        for some in samples.split(count_together(sight.generator)):
            measured = _defined(sight, some)
            if measured is not None:
                _check_numbers(*measured[1:], k)
                rows.append([part.double().cpu().numpy() for part in measured])
        found = sum(len(z) for z, _, _ in rows)
        if int(found * self.share) < 1:
            raise CompositionError(
                f"interfacegan needs images in which every feature has a value, and {found} of {self.samples} have: "
                "take other features, or more samples="
            )
        z, c, f = (np.concatenate(parts) for parts in zip(*rows, strict=True))
        return z, c, f


def boundary(z: Array, values: Array, share: float) -> Array:
    """The unit normal ``(latent,)`` of the hyperplane between low and high `values` ``(n,)`` at latents `z` ``(n, d)``.

    Raises:
        CompositionError: the values do not differ.
    """
    order = np.argsort(values, kind="stable")
    n = int(len(order) * share)
    if values[order[-n]] <= values[order[n - 1]]:
        raise CompositionError(
            f"interfacegan tells images with high values from those with low ones, and the {n} highest of "
            f"{len(values)} samples are none above the {n} lowest: take another feature, or more samples="
        )
    chosen = np.concatenate([order[:n], order[-n:]])
    machine = SVC(kernel="linear").fit(z[chosen], np.repeat([0, 1], n))
    normal = np.asarray(machine.coef_[0], dtype=np.float64)
    return normal / np.linalg.norm(normal)


def conditional(normal: Array, held: Array) -> Array:
    """Remove from `normal` ``(latent,)`` its part in the span of `held` ``(q, latent)``; return a unit vector.

    Raises:
        CompositionError: nothing is left of it.
    """
    if not len(held):
        return normal
    left = normal - np.linalg.lstsq(held.T, normal, rcond=None)[0] @ held
    length = np.linalg.norm(left)
    if length < 1e-6:
        raise CompositionError(
            "interfacegan has no direction left: the varied number's hyperplane is that of the fixed ones"
        )
    return left / length


def _check_numbers(c: Tensor, f: Tensor, k: int) -> None:
    for part, values in (("varied", c), ("fixed", f)):
        if values.shape[1] > MOST:
            raise CompositionError(
                f"interfacegan takes single numbers, {MOST} at most, and the {part} features have {values.shape[1]}: "
                "take attributes or factors, or another method"
            )
    if k > c.shape[1]:
        raise CompositionError(
            f"interfacegan finds a direction for each varied number, and there are {c.shape[1]}; {k} are asked for: "
            f"take paths={2 * c.shape[1]}, two senses of each, or fewer"
        )


def _defined(sight: Sight, z: Latents) -> tuple[Latents, Tensor, Tensor] | None:
    """The latents of `z` at which every feature is defined, with values ``(n, p)`` and ``(n, q)``; None if none are."""
    while len(z):
        try:
            return z, *sight.values(z)
        except Undefined as error:
            bad = set(range(len(z)) if error.rows is None else error.rows)
            z = z[[row for row in range(len(z)) if row not in bad]]
    return None
