"""The projection onto named parts of a miniature's scene: `rooms.part(sofa)`, `faces.part(hair)`."""

from __future__ import annotations

import torch
from torch import Tensor

from eigenwalk.errors import OptionError, Undefined
from eigenwalk.feature import Projection, move_like
from eigenwalk_miniatures import load
from eigenwalk_miniatures.miniature import Miniature, miniature
from eigenwalk_miniatures.segmenter import Segmenter

MIN_COVER = 0.002
"""Smallest share of the image that a part must cover, where its mask is above 1/2: 8 pixels of 64 x 64."""
MIN_CONFIDENCE = 0.93
"""Mean probability of the likeliest part at a pixel below which the segmenter does not know such images: it is at
least 0.947 on 400 samples of its own miniature, at most 0.932 on 400 of the other, and 0.90 on noise."""

UNIT = "RMS pixel inside the mask"


class Masked(Projection):
    """Images times one frozen soft mask each, `masks (batch, 1, height, width)` in [0, 1].

    `distance` is the RMS difference inside the mask, √(Σ (m Δ)² / (3 Σ m²)): a tolerance means the same for a
    small part as for a large one.
    """

    unit = UNIT

    def __init__(self, masks: Tensor) -> None:
        self.masks = masks

    def __call__(self, images: Tensor) -> Tensor:
        """The projected images `(batch, 3, height, width)`; row i under mask i."""
        return images * self.masks.to(images)

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """RMS pixel inside the mask, `(batch,)`, between projected images `a` and `b`."""
        return (a - b).flatten(1).norm(dim=1) / self._root(a)

    def radius(self, distance: float, values: Tensor) -> Tensor:
        """The Euclidean length `(batch,)` of `distance`: times the root of 3 Σ m²."""
        return distance * self._root(values).expand(values.shape[0])

    def complement(self) -> Masked:
        """Everything outside: the masks turned over."""
        return Masked(1 - self.masks)

    def coverage(self, images: Tensor) -> Tensor:
        """The frozen masks `(batch, 1, height, width)`."""
        return self.masks.to(images)

    def _root(self, like: Tensor) -> Tensor:
        return (3 * self.masks.to(like).square().flatten(1).sum(1)).clamp(min=1.0).sqrt()


class Parts(Projection):
    """What an image shows of the named parts (with `outside`: of all but them), the rest black.

    The soft mask is the segmenter's, summed over the parts. `at` computes it at the reference images and freezes it.
    Called without `at`, the projection segments the images that it is given, and treats that mask as constant, for
    derivatives too.
    """

    unit = UNIT

    def __init__(self, world: Miniature, names: tuple[str, ...], outside: bool = False) -> None:
        unknown = [name for name in names if name not in world.parts]
        if unknown or not names:
            wrong = f"part {unknown[0]!r} is unknown" if unknown else "no part is named"
            raise OptionError(f"{world.name}.part: {wrong}; known parts: {', '.join(world.parts)}")
        self.world, self.names, self.outside = world, names, outside
        self.segmenter: Segmenter = load.segmenter(world)

    def complement(self) -> Parts:
        """The same parts, turned over."""
        return Parts(self.world, self.names, not self.outside)

    def masks(self, images: Tensor) -> Tensor:
        """Soft masks `(batch, 1, height, width)` of the named parts together, or of all but them."""
        with torch.no_grad():
            return self._chosen(self._segmented(images.detach()))

    def coverage(self, images: Tensor) -> Tensor:
        """The same masks, differentiable with respect to the images: where the parts are, and how large."""
        return self._chosen(self._segmented(images))

    def _segmented(self, images: Tensor) -> Tensor:
        """Soft masks `(batch, parts, height, width)` of all parts."""
        return move_like(self.segmenter, images).masks(images)

    def _chosen(self, segmented: Tensor) -> Tensor:
        inside = segmented[:, [self.world.parts.index(name) for name in self.names]].sum(1, keepdim=True)
        return 1 - inside if self.outside else inside

    def at(self, images: Tensor) -> Masked:
        """The projection with the masks of `images` frozen.

        Raises:
            Undefined: some images, at `rows`, show too little of the parts, or are nothing that the segmenter knows.
        """
        with torch.no_grad():
            segmented = self._segmented(images.detach())
        masks, text = self._chosen(segmented), "~" * self.outside + f"{self.world.name}.part({', '.join(self.names)})"
        confidence = segmented.amax(1).mean((1, 2))
        foreign = tuple((confidence < MIN_CONFIDENCE).nonzero().flatten().tolist())
        if foreign:
            raise Undefined(
                f"{text}: the segmenter of {self.world.name} does not know such an image (mean confidence "
                f"{float(confidence.min()):.2f}, at least {MIN_CONFIDENCE} on its own images): take a feature made for "
                "this generator",
                feature=text,
                rows=foreign,
            )
        empty = tuple(((masks > 0.5).float().mean((1, 2, 3)) < MIN_COVER).nonzero().flatten().tolist())
        if empty:
            raise Undefined(f"{text}: the segmenter finds none of it in the image", feature=text, rows=empty)
        return Masked(masks)

    def __call__(self, images: Tensor) -> Tensor:
        """The projected images `(batch, 3, height, width)`, each under its own mask."""
        return images * self.masks(images)


def rooms(part: tuple[str, ...]) -> Parts:
    """Parts of the living rooms."""
    return Parts(miniature("rooms"), (part,) if isinstance(part, str) else tuple(part))


def faces(part: tuple[str, ...]) -> Parts:
    """Parts of the portraits."""
    return Parts(miniature("faces"), (part,) if isinstance(part, str) else tuple(part))
