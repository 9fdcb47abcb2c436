"""Masks that a network finds in the image, and what stands still of them near one."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor

from eigenwalk.errors import Undefined
from eigenwalk.feature import Projection
from eigenwalk.shapes import Images
from eigenwalk_masks.edges import check_edge, edged
from eigenwalk_masks.masked import LEAST, Masked, little
from eigenwalk_masks.plugin import MASK


class Frozen(Masked):
    """Images times the mask that was found in each of the images that it was frozen near.

    Attributes:
        frozen: the masks ``(batch, 1, height, width)`` in [0, 1].
        live: from images to their own masks, found in the way that these were, which `coverage` then gives. None: it
            gives the frozen ones.
    """

    def __init__(
        self, frozen: Tensor, remembered: tuple[Tensor, ...] = (), live: Callable[[Images], Images] | None = None
    ):
        self.frozen, self.live = frozen, live
        self.memories, self.remembered = len(remembered), remembered

    def masks(self, images: Images) -> Tensor:
        """The frozen masks ``(batch, 1, height, width)``."""
        return self.frozen.to(images)

    def coverage(self, images: Images) -> Images:
        """The frozen masks, or those of these images, found anew."""
        return self.masks(images) if self.live is None else self.live(images)

    def complement(self) -> Frozen:
        """The pixels outside."""
        live = self.live
        return Frozen(1 - self.frozen, self.remembered, None if live is None else lambda images: 1 - live(images))


class Found(Projection):
    """The image times a soft mask that a network finds in it; `at` freezes the mask.

    Called without `at`, it holds the mask that it finds constant for derivatives too.
    """

    unit = MASK

    def __init__(self, name: str, erode: float = 0.0, feather: float = 0.0, follow: bool = True):
        check_edge(erode, feather)
        self.name, self.erode, self.feather, self.following, self.outside = name, erode, feather, follow, False

    @abstractmethod
    def coverage(self, images: Images) -> Images:
        """The soft masks ``(batch, 1, height, width)`` of these images."""

    @abstractmethod
    def at(self, images: Images) -> Frozen:
        """The masks of these images, frozen.

        Raises:
            Undefined: nothing of it is in some of them; `rows` says which.
        """

    def __call__(self, images: Images) -> Images:
        """The images ``(batch, 3, height, width)``, black outside the mask that is found in each."""
        with torch.no_grad():
            masks = self.coverage(images.detach())
        return images * masks

    def complement(self) -> Self:
        """The pixels outside; it shares the network."""
        other = copy.copy(self)
        other.outside = not self.outside
        return other

    def edged(self, masks: Tensor) -> Tensor:
        """The sharp masks of what was found, ``(batch, 1, height, width)``, with their edges."""
        masks = edged(masks, self.erode, self.feather)
        return 1 - masks if self.outside else masks

    def freeze(
        self, masks: Tensor, remembered: tuple[Tensor, ...] = (), live: Callable[[Images], Images] | None = None
    ) -> Frozen:
        """The edged `masks`, frozen.

        Raises:
            Undefined: they cover too little of some images.
        """
        rows = little(masks)
        if rows:
            raise Undefined(f"{self} covers less than {LEAST:.1%} of the image", rows=rows)
        return Frozen(masks, remembered, live)

    def __repr__(self) -> str:
        return "~" * self.outside + self.name
