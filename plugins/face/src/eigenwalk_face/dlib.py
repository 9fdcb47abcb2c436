"""The networks of dlib that look at faces: their input, their residual blocks, and their weights, layer by layer.

A layer's weights come as a `Convolution`, an `Affine` that scales and shifts what the convolution before it gave, or a
`Dense`; where a file keeps them is its reader's business. An affine layer is multiplied into its convolution:

    γ (W x + b) + β = (γ W) x + (γ b + β)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch.nn.functional as F
from torch import Tensor, nn

from eigenwalk.errors import WeightsError
from eigenwalk.shapes import Images, Values
from eigenwalk_face.chip import Chip, ffhq_chip
from eigenwalk_face.detector import detector_unless
from eigenwalk_face.faces import FaceFeature, fixed_box

MEAN = (122.782, 117.001, 104.298)
"""Subtracted from red, green and blue in 0 to 255, before they are divided by 256."""

Network = TypeVar("Network", bound=nn.Module)


class ChipFeature(FaceFeature):
    """The values that one of dlib's networks gives for the chips of faces.

    `size` and `padding` are the chip's; `box` and `least` are those of the user, see `fixed_box` and `Detector`.
    """

    def __init__(
        self,
        name: str,
        network: nn.Module,
        size: int,
        padding: float,
        box: Sequence[float] | str | None = None,
        least: float = 0.7,
    ):
        place = fixed_box(box, ffhq_chip(padding))
        super().__init__(name, network, size, place, detector_unless(place, least))
        self.padding = padding

    def values(self, crops: Images) -> Values:
        """The network's values ``(batch, ...)`` of `crops` ``(batch, 3, size, size)``, nominally in [0, 1]."""
        return self.network((crops * 255 - crops.new_tensor(MEAN)[:, None, None]) / 256)

    def cut(self, boxes: Tensor, points: Tensor, images: Images) -> Chip:
        """Return the upright chips that `points` ``(batch, 5, 2)`` give, in pixels."""
        return Chip(points, images, self.size, self.padding)


class Residual(nn.Module):
    """ReLU of two 3 x 3 convolutions plus the input; `down` halves the side, and averages the input over 2 x 2.

    Where the sum's parts differ in size, dlib takes zeros for the channels, rows and columns that one lacks at its end.
    """

    def __init__(self, before: int, after: int, down: bool = False):
        super().__init__()
        self.first = (
            nn.Conv2d(before, after, 3, stride=2, padding=0) if down else nn.Conv2d(before, after, 3, padding=1)
        )
        self.second = nn.Conv2d(after, after, 3, padding=1)
        self.down = down

    def forward(self, x: Tensor) -> Tensor:
        """Return activations ``(batch, after, …, …)``."""
        y = self.second(F.relu(self.first(x)))
        x = F.avg_pool2d(x, 2) if self.down else x
        sizes = [max(pair) for pair in zip(x.shape[1:], y.shape[1:], strict=True)]
        return F.relu(_filled(x, sizes) + _filled(y, sizes))


def _filled(x: Tensor, sizes: Sequence[int]) -> Tensor:
    missing = [size - own for size, own in zip(sizes, x.shape[1:], strict=True)]
    return F.pad(x, [one for size in reversed(missing) for one in (0, size)]) if any(missing) else x


def resnet(groups: Sequence[tuple[int, int]], outputs: int, bias: bool) -> nn.Sequential:
    """Return dlib's residual network from images ``(batch, 3, side, side)`` to ``(batch, outputs)``.

    `groups` are channels and number of blocks. The first block of every group but the first halves the side.
    """
    width = groups[0][0]
    layers: list[Any] = [nn.Conv2d(3, width, 7, stride=2), nn.ReLU(), nn.MaxPool2d(3, stride=2)]
    before = width
    for group, (channels, blocks) in enumerate(groups):
        for block in range(blocks):
            layers.append(Residual(before, channels, down=group > 0 and block == 0))
            before = channels
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, outputs, bias))


@dataclass(frozen=True)
class Convolution:
    """Kernel ``(after, before, height, width)`` and bias ``(after,)``."""

    weight: Tensor
    bias: Tensor


@dataclass(frozen=True)
class Affine:
    """Scale and shift of the channels, of any shape with so many numbers."""

    scale: Tensor
    shift: Tensor


@dataclass(frozen=True)
class Dense:
    """Matrix ``(before, after)`` and bias ``(after,)``, or none."""

    weight: Tensor
    bias: Tensor | None


def fill(network: Network, layers: Iterable[Convolution | Affine | Dense], file: str) -> Network:
    """Fill the convolutions and linear layers of `network`, in their order, with `layers`; return it frozen.

    Raises:
        WeightsError: they are another network's; the message names the first layer that does not fit.
    """
    folded: list[tuple[Tensor, Tensor | None]] = []
    for layer in layers:
        if isinstance(layer, Dense):
            folded.append((layer.weight.T, layer.bias))
        elif isinstance(layer, Convolution):
            folded.append((layer.weight, layer.bias))
        else:
            folded.append(_folded(folded.pop() if folded else None, layer, file))
    places = [one for one in network.modules() if isinstance(one, (nn.Conv2d, nn.Linear))]
    if len(places) != len(folded):
        raise WeightsError(f"{file} has {len(folded)} layers with weights, where {len(places)} are expected")
    for number, (place, found) in enumerate(zip(places, folded, strict=True), 1):
        for own, given in zip((place.weight, place.bias), found, strict=True):
            sizes, expected = (None if one is None else tuple(one.shape) for one in (given, own))
            if sizes != expected:
                raise WeightsError(
                    f"{file} is another network's: layer {number} has shape {sizes}, expected {expected}"
                )
            if own is not None and given is not None:
                own.data.copy_(given)
    if not all(bool(one.isfinite().all()) for one in network.parameters()):
        raise WeightsError(f"{file} holds NaN or infinity: it is damaged")
    return network.eval().requires_grad_(False)


def _folded(before: tuple[Tensor, Tensor | None] | None, affine: Affine, file: str) -> tuple[Tensor, Tensor]:
    """Return weight and bias of a convolution with the `affine` layer after it."""
    weight, bias = before or (None, None)
    scale, shift = affine.scale.flatten(), affine.shift.flatten()
    if weight is None or bias is None or weight.ndim != 4 or not len(weight) == len(scale) == len(shift):
        raise WeightsError(f"{file} is another network's: an affine layer does not fit what stands before it")
    return weight * scale[:, None, None, None], bias * scale + shift
