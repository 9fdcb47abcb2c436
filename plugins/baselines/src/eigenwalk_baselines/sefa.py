"""SeFa: Shen & Zhou, "Closed-Form Factorization of Latent Semantics in GANs", CVPR 2021 (arXiv 2007.06600).

With ``y = A z + b`` the first thing that a generator makes of its latent, the directions are the eigenvectors of
``AᵀA`` with the largest eigenvalues (equation 9). If several layers read the latent, their A are stacked
(section 3.3: StyleGAN's affine maps from w to styles). In w+ every layer reads a w of its own: as in the paper one
direction in w is taken for all chosen layers, and moves the w of each.

The authors' code divides every row of A by its length first; the paper does not: `normalised`.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor

from eigenwalk.direction import Directions, Sight
from eigenwalk.errors import CompositionError, OptionError
from eigenwalk.shapes import Basis
from eigenwalk_baselines.reading import Reader, readers
from eigenwalk_baselines.vectors import everywhere, signed, unit


class SeFa(Directions):
    """The leading eigenvectors of the weights that read the latent.

    Attributes:
        layers: which of these layers, numbered from 0 in the order of computation; None for all of them.
        normalised: every row of the weights has unit length first, as in the authors' code.
    """

    def __init__(self, layers: str | None = None, normalised: bool = False):
        self.layers, self.normalised = layers, normalised

    def find(self, sight: Sight, k: int, previous: Tensor | None = None) -> Basis:
        """Return the first `k` eigenvectors ``(batch, k, latent)``, the same at every latent.

        Raises:
            CompositionError: no layer of the generator reads its latent, or they read fewer than `k` coordinates.
            OptionError: there is no such layer.
        """
        found = self._chosen(readers(sight.generator, sight.like), sight)
        n = found[0].width
        if k > n:
            raise CompositionError(f"sefa finds {n} directions in this generator, {k} are asked for: take fewer paths")
        A = torch.cat([reader.matrix().double() for reader in found])
        A = unit(A) if self.normalised else A
        v = signed(torch.linalg.eigh(A.T @ A)[1].T.flip(0)[:k])
        placed = v.new_zeros(k, sight.dim)
        for start in sorted({reader.start for reader in found}):
            placed[:, start : start + n] = v
        return everywhere(placed, sight)

    def _chosen(self, found: list[Reader], sight: Sight) -> list[Reader]:
        """Return the chosen layers, which must all read equally many coordinates."""
        name = type(sight.generator).__name__
        if not found:
            raise CompositionError(
                f"sefa needs layers that read the latent by weights alone, and in space {sight.generator.space} of "
                f"{name} none is a torch module that does: take another space, such as z or w, or another method"
            )
        some = found if self.layers is None else [found[i] for i in chosen(self.layers, len(found))]
        if len({reader.width for reader in some}) > 1:
            widths = ", ".join(f"{i}: {reader.width}" for i, reader in enumerate(found))
            raise CompositionError(
                f"sefa stacks layers that read equally many coordinates, and those of {name} read, by number, "
                f"{widths}: choose some with layers="
            )
        return some


def chosen(text: str, count: int) -> list[int]:
    """Parse the numbers, below `count`, that `text` names: ``4-7``, ``0-3,8``.

    Raises:
        OptionError: it names none, or one that does not exist.

    >>> chosen("0-2,5", 8)
    [0, 1, 2, 5]
    """
    found: set[int] = set()
    for part in text.replace(" ", "").split(","):
        match = re.fullmatch(r"(\d{1,4})(?:-(\d{1,4}))?", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not first <= last < count:
            raise OptionError(
                f'layers of sefa must be such as "4-7" or "0-3,8", from 0 to {count - 1}, of the {count} that read the '
                f"latent, got {text!r}"
            )
        found |= set(range(first, last + 1))
    return sorted(found)
