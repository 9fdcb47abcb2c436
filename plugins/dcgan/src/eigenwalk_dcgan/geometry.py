"""How large the image is after each layer: what kernels imply, what names show, and what must be asked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from eigenwalk.errors import OptionError
from eigenwalk_dcgan.layout import Layer, Layout

CONVOLUTIONS = ("conv", "deconv")


@dataclass(frozen=True)
class Geometry:
    """Sizes of a stack of layers.

    Attributes:
        start: (height, width) of the first image of channels.
        scales: how many times larger each convolution makes it, without one that takes the latent itself.
        padding: ``torch`` or ``keras``: which side an odd row is cut off.
        told: what was read off where, in words.
    """

    start: tuple[int, int]
    scales: tuple[int, ...]
    padding: str
    told: str

    @property
    def resolution(self) -> tuple[int, int]:
        """(height, width) of the images."""
        factor = math.prod(self.scales)
        return self.start[0] * factor, self.start[1] * factor


def geometry(
    layout: Layout,
    resolution: int | None = None,
    scales: Sequence[float] | None = None,
    start: Sequence[float] | None = None,
    padding: str | None = None,
) -> Geometry:
    """The sizes of `layout`; options that are given decide what kernels and names leave open.

    Raises:
        OptionError: they leave something open, or an option contradicts the tensors; it names the option to write.
    """
    first = _start(layout, start)
    growing = _growing(layout)
    if scales is not None:
        found, told = _given(scales, growing), "as given"
    else:
        found, told = _scales(layout, growing, first, resolution)
    keras = _from_keras(layout)
    chosen = padding or ("keras" if keras else "torch")
    made = Geometry(first, found, chosen, told)
    if resolution is not None and resolution != made.resolution[0]:
        raise OptionError(
            f"resolution={resolution} does not fit: from {first[0]} x {first[1]}, scales {_shown(found)} ({told}) give "
            f"{made.resolution[0]} x {made.resolution[1]}; write scales=(…), how many times larger each of the "
            f"{len(growing)} convolutions makes the image"
        )
    return made


def _from_keras(layout: Layout) -> bool:
    """Whether running statistics stand without torch's count of batches, as weights that came from Keras do."""
    norms = [layer.module.parts for layer in layout.layers if layer.kind == "norm"]
    return any("running_mean" in one for one in norms) and not any("num_batches_tracked" in one for one in norms)


def epsilon(layout: Layout) -> float:
    """What a batch norm adds to the variance where nothing else tells: 1e-3 in Keras, 1e-5 in torch."""
    return 1e-3 if _from_keras(layout) else 1e-5


def _start(layout: Layout, start: Sequence[float] | None) -> tuple[int, int]:
    first = layout.layers[0]
    if first.kind == "deconv":
        if start is not None and tuple(start) != (first.kernel, first.kernel):
            raise OptionError(f"start must be left out: {first.module.name} makes {first.kernel} x {first.kernel}")
        return first.kernel, first.kernel
    convolution = next(layer for layer in layout.layers if layer.kind in CONVOLUTIONS)
    linear = [layer for layer in layout.layers if layer.kind == "linear"][-1]
    area = linear.outputs // convolution.inputs
    if start is None:
        side = math.isqrt(area)
        if side * side != area:
            raise OptionError(
                f"start must be given: {linear.module.name} makes {linear.outputs} numbers, {convolution.inputs} "
                f"channels of {area}, which is no square; write start=(height, width) with height · width = {area}"
            )
        return side, side
    sides = tuple(int(side) for side in start)
    if len(sides) != 2 or sides != tuple(start) or math.prod(sides) != area:
        raise OptionError(
            f"start must be (height, width) with height · width = {area} ({linear.outputs} numbers of "
            f"{linear.module.name} in {convolution.inputs} channels), got {_shown(start)}"
        )
    return sides[0], sides[1]


def _growing(layout: Layout) -> list[Layer]:
    """The convolutions that may make the image larger: all but one that takes the latent."""
    return [layer for layer in layout.layers[1:] if layer.kind in CONVOLUTIONS]


def _given(scales: Sequence[float], growing: Sequence[Layer]) -> tuple[int, ...]:
    found = tuple(int(scale) for scale in scales)
    if len(found) != len(growing) or found != tuple(scales) or min(found, default=1) < 1:
        names = ", ".join(layer.module.name for layer in growing)
        raise OptionError(
            f"scales must be {len(growing)} whole numbers, one for each of {names}: how many times larger it makes the "
            f"image; got {_shown(scales)}"
        )
    for scale, layer in zip(found, growing, strict=True):
        if layer.shuffled and scale != 2:
            raise OptionError(
                f"scales must have 2 for {layer.module.name}, whose channels become pixels (pixel shuffle)"
            )
    return found


def _scales(
    layout: Layout, growing: Sequence[Layer], start: tuple[int, int], resolution: int | None
) -> tuple[tuple[int, ...], str]:
    """The scales that kernels and names imply, or that lead to `resolution`."""
    transposed = any(layer.kind == "deconv" for layer in growing) or layout.layers[0].kind == "deconv"
    found: list[int | None] = []
    for layer in growing:
        if layer.kind == "deconv":
            found.append(_stride(layer.kernel))
        elif layer.shuffled:
            found.append(2)
        elif transposed:
            found.append(1)
        else:
            found.append(_upsampled(layout.layers, layout.layers.index(layer)))
    wanted = None if resolution is None else resolution / start[0]
    if None not in found:
        scales = tuple(scale for scale in found if scale)
        if wanted in (None, math.prod(scales)):
            return scales, "from kernels" if transposed else "from the gaps between names"
    if wanted is None:
        raise OptionError(
            f"resolution must be given: {len(growing)} convolutions follow {start[0]} x {start[1]}, and the file does "
            "not tell which of them come after an upsampling; write resolution=64 (the images' side), or "
            "scales=(2, 2, 1), how many times larger each makes the image"
        )
    return _towards(wanted, found, growing, start, resolution)


def _towards(
    wanted: float, found: Sequence[int | None], growing: Sequence[Layer], start: tuple[int, int], resolution: int | None
) -> tuple[tuple[int, ...], str]:
    """The scales that make the image `wanted` times larger: the last layers alone may leave its size."""
    for kept in range(len(growing) + 1):
        leave = len(growing) - kept
        tried = tuple((scale or 2) if i < leave or growing[i].shuffled else 1 for i, scale in enumerate(found))
        if math.prod(tried) == wanted:
            return tried, f"from resolution={resolution}"
    raise OptionError(
        f"scales must be given: no way was found from {start[0]} x {start[1]} to {resolution} in {len(growing)} layers "
        f"({', '.join(layer.module.name for layer in growing)}); write how many times larger each makes the image, "
        f"such as scales={_shown([2] * len(growing))}"
    )


def _stride(kernel: int) -> int:
    """The usual stride of a transposed convolution: half of an even kernel up to 4, 2 for 3, 5 and 6."""
    if kernel in (1, 7, 9):
        return 1
    return kernel // 2 if kernel in (8, 16) else 2


def _upsampled(layers: Sequence[Layer], at: int) -> int | None:
    """Whether a convolution comes after an upsampling: 2 where the names leave room for it and an activation.

    Behind the norm of what a linear layer made, one module may be either.
    """
    before = layers[at - 1]
    first = before.kind == "linear" or (before.kind == "norm" and layers[at - 2].kind == "linear")
    if before.gap is None or (first and before.gap == 1):
        return None
    return 2 if before.gap >= 2 else 1


def _shown(numbers: Sequence[float]) -> str:
    return f"({', '.join(f'{number:g}' for number in numbers)})"
