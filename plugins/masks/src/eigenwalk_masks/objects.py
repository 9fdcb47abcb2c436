"""The pixels of one object, found by Segment Anything and followed from waypoint to waypoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from eigenwalk.errors import OptionError, Undefined
from eigenwalk.feature import check_box
from eigenwalk.shapes import Images
from eigenwalk_masks.sam import SegmentAnything
from eigenwalk_masks.soft import FrozenMask, SoftMask

MIN_OVERLAP = 0.25
"""IoU with the object at the previous waypoint below which every candidate is another object."""


@dataclass(frozen=True)
class Prompt:
    """Which object: the one at a point (x, y), in a box, or by its number among all, the largest first.

    Points and boxes are shares of width and height, from the top left.
    """

    point: Sequence[float] | None = None
    box: Sequence[float] | None = None
    everything: int | None = None

    def __post_init__(self) -> None:
        given = [name for name, value in vars(self).items() if value is not None]
        if len(given) != 1:
            raise OptionError(
                "mask(sam=…) needs one prompt, point=(x, y), box=(x0, y0, x1, y1) or everything=0, "
                f"got {' and '.join(given) or 'none'}"
            )
        if self.point is not None and (len(self.point) != 2 or not all(0 <= share <= 1 for share in self.point)):
            raise OptionError(f"point must be two numbers (x, y) from 0 to 1, got {tuple(self.point)}")
        if self.box is not None:
            check_box(self.box)
        if self.everything is not None and self.everything < 0:
            raise OptionError(f"everything counts objects from 0, the largest, got {self.everything}")

    def __str__(self) -> str:
        ((name, value),) = ((name, value) for name, value in vars(self).items() if value is not None)
        return f"{name}={value}"


class ObjectMask(SoftMask):
    """The image times the soft mask of one object.

    At the first image the prompt picks it: of the network's candidates, the one with the highest predicted IoU. At
    each later waypoint, with `follow`, the object as it was is the prompt (a point inside it, its box and its mask),
    and the candidate that overlaps it most is taken. With `follow` false, the first mask is kept.

    Masks carry no gradient.
    """

    memories = 1

    def __init__(
        self,
        network: SegmentAnything,
        prompt: Prompt,
        erode: float = 0.0,
        feather: float = 0.0,
        follow: bool = True,
    ):
        super().__init__(f"mask(sam, {prompt})", erode, feather, follow)
        self.network, self.prompt = network, prompt

    def coverage(self, images: Images) -> Images:
        """The soft masks of the objects ``(batch, 1, height, width)``, without gradient."""
        return self._coverage(images, None)

    def at(self, images: Images) -> FrozenMask:
        """The masks of the objects in these images, frozen.

        Raises:
            Undefined: some of them show no such object.
        """
        return self._frozen(images, None)

    def follow(self, images: Images, remembered: tuple[Tensor, ...]) -> FrozenMask:
        """The masks of the remembered objects in these images, frozen.

        Raises:
            Undefined: an object is lost.
        """
        if self.follows:
            return self._frozen(images, remembered[0])
        return self.freeze(self._soft(remembered[0], images), remembered)

    def _frozen(self, images: Images, before: Tensor | None) -> FrozenMask:
        logits = self._logits(images, before)
        live = partial(self._coverage, before=before) if self.follows else None
        return self.freeze(self._soft(logits, images), (logits,), live)

    def _coverage(self, images: Images, before: Tensor | None) -> Images:
        return self._soft(self._logits(images, before), images)

    def _soft(self, logits: Tensor, images: Images) -> Tensor:
        return self.edged(self.network.soft(logits, images)[:, None])

    def _logits(self, images: Images, before: Tensor | None) -> Tensor:
        """The objects' logits ``(batch, side, side)``: those that the prompt picks, or that had the logits `before`."""
        found, errors = [], {}
        for row, image in enumerate(images.detach()):
            try:
                found.append(self._first(image) if before is None else self._again(image, before[row].to(image.device)))
            except Undefined as error:
                errors[row] = str(error)
        if errors:
            raise Undefined(f"{self}: {next(iter(errors.values()))}", rows=tuple(errors))
        return torch.stack(found)

    def _first(self, image: Tensor) -> Tensor:
        """The logits ``(side, side)`` of the object that the prompt picks in one image."""
        prompt = self.prompt
        if prompt.everything is not None:
            every = self.network.everything(image).logits
            if prompt.everything >= len(every):
                raise Undefined(f"everything in the image is {len(every)} objects, none of number {prompt.everything}")
            return every[prompt.everything]
        point = None if prompt.point is None else torch.tensor([list(prompt.point)])
        found = self.network.masks(image, point, None if prompt.box is None else torch.tensor([list(prompt.box)]))
        return found.logits[found.quality.argmax()]

    def _again(self, image: Tensor, before: Tensor) -> Tensor:
        """The logits ``(side, side)`` of the object that had the logits `before`, in the next image."""
        there = self.network.cropped(before, image).sigmoid()
        point, box = prompt_of(there)
        found = self.network.masks(image, point[None], box[None], before[None])
        shares = overlaps(self.network.cropped(found.logits, image).sigmoid(), there)
        best = int(shares.argmax())
        if shares[best] < MIN_OVERLAP:
            raise Undefined(f"the object is lost: nothing overlaps where it was by more than {float(shares[best]):.0%}")
        return found.logits[best]


def prompt_of(mask: Tensor) -> tuple[Tensor, Tensor]:
    """A point deep inside a soft mask ``(height, width)`` and the mask's box, as shares of width and height."""
    height, width = mask.shape
    inside = mask > 0.5
    if not inside.any():
        raise Undefined("the object had faded where it was")
    # Deepest where the mean over a neighbourhood as large as the object is highest.
    reach = max(1, round(float(inside.sum().sqrt()) / 2))
    depth = F.avg_pool2d(mask[None, None], 2 * reach + 1, 1, reach)[0, 0].where(inside, mask.new_tensor(-1.0))
    y, x = divmod(int(depth.argmax()), width)
    ys, xs = inside.any(1).nonzero(), inside.any(0).nonzero()
    box = mask.new_tensor([xs.min() / width, ys.min() / height, (xs.max() + 1) / width, (ys.max() + 1) / height])
    return mask.new_tensor([(x + 0.5) / width, (y + 0.5) / height]), box


def overlaps(masks: Tensor, other: Tensor) -> Tensor:
    """Soft IoU ``(n,)`` of masks ``(n, height, width)`` with another: Σ min / Σ max."""
    least, most = torch.minimum(masks, other), torch.maximum(masks, other)
    return least.sum((1, 2)) / most.sum((1, 2))
