"""The pixels that a word names, as a semantic segmentation network finds them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from eigenwalk.errors import OptionError
from eigenwalk.feature import move_like
from eigenwalk.shapes import Images
from eigenwalk_masks.presets import indices
from eigenwalk_masks.segformer import Segmenter
from eigenwalk_masks.soft import FrozenMask, SoftMask


class LabelMask(SoftMask):
    """The image times the probability of some labels at each pixel.

    A label covers everything that bears it, so no object needs to be matched from one waypoint to the next. With
    `follow` false, the masks at the first waypoint are kept.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        words: Sequence[str],
        erode: float = 0.0,
        feather: float = 0.0,
        follow: bool = True,
    ):
        super().__init__(f"mask(label={', '.join(words)}) of {segmenter.name}", erode, feather, follow)
        self.segmenter = segmenter
        self.labels = indices(words, segmenter.vocabulary, segmenter.name)
        if len(self.labels) == len({i for every in segmenter.vocabulary.values() for i in every}):
            raise OptionError(f"{', '.join(words)} are all the labels of {segmenter.name}: nothing is left outside")
        self.memories = 0 if follow else 1

    def coverage(self, images: Images) -> Images:
        """The probability of the labels ``(batch, 1, height, width)``, differentiable."""
        return self.edged(self.segmenter.masks(images, self.labels))

    def at(self, images: Images) -> FrozenMask:
        """The masks of these images, frozen.

        Raises:
            Undefined: some images show hardly anything of the labels.
        """
        move_like(self.segmenter.network, images)
        with torch.no_grad():
            masks = self.coverage(images.detach())
        return self.freeze(masks, () if self.follows else (masks,))

    def follow(self, images: Images, remembered: tuple[Tensor, ...]) -> FrozenMask:
        """The masks of these images; with `follow` false, those at the first waypoint."""
        return self.at(images) if self.follows else FrozenMask(remembered[0].to(images), remembered)
