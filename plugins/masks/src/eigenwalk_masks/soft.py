"""Masks that a network finds in the image, and the frozen masks that they leave near one image."""

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
from eigenwalk_masks.edges import apply_edge, check_edge
from eigenwalk_masks.masked import MIN_COVER, Masked, uncovered_rows
from eigenwalk_masks.plugin import MASK


class FrozenMask(Masked):
    """Images times the masks that were found in the images that it was frozen near.

    Attributes:
        frozen: the masks ``(batch, 1, height, width)`` in [0, 1].
        live: a function from images to their own masks, found as these were; `coverage` calls it. None: `coverage`
            gives the frozen masks.
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
        """The masks of these images, found anew, or the frozen ones."""
        return self.masks(images) if self.live is None else self.live(images)

    def complement(self) -> FrozenMask:
        """The pixels outside."""
        live = self.live
        return FrozenMask(1 - self.frozen, self.remembered, None if live is None else lambda images: 1 - live(images))


class SoftMask(Projection):
    """The image times a soft mask that a network finds in it; `at` freezes the mask.

    Called without `at`, it treats the mask that it finds as constant, for derivatives too.
    """

    unit = MASK

    def __init__(self, name: str, erode: float = 0.0, feather: float = 0.0, follow: bool = True):
        check_edge(erode, feather)
        self.name, self.erode, self.feather, self.follows, self.outside = name, erode, feather, follow, False

    @abstractmethod
    def coverage(self, images: Images) -> Images:
        """The soft masks ``(batch, 1, height, width)`` of these images."""

    @abstractmethod
    def at(self, images: Images) -> FrozenMask:
        """The masks of these images, frozen.

        Raises:
            Undefined: some images, at `rows`, show nothing of it.
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
        """The sharp `masks` ``(batch, 1, height, width)`` with their edges, or what lies outside them."""
        masks = apply_edge(masks, self.erode, self.feather)
        return 1 - masks if self.outside else masks

    def freeze(
        self, masks: Tensor, remembered: tuple[Tensor, ...] = (), live: Callable[[Images], Images] | None = None
    ) -> FrozenMask:
        """Freeze edged `masks`.

        Raises:
            Undefined: they cover too little of some images.
        """
        rows = uncovered_rows(masks)
        if rows:
            raise Undefined(f"{self} covers less than {MIN_COVER:.1%} of the image", rows=rows)
        return FrozenMask(masks, remembered, live)

    def __repr__(self) -> str:
        return "~" * self.outside + self.name
