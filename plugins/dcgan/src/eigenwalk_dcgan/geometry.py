"""Find the size of the image after each layer from kernels, names and statistics, or ask for it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from eigenwalk.errors import OptionError
from eigenwalk_dcgan.layout import Layer, Layout

FIRM = (2, 4, 8, 16)
"""Kernels of transposed convolutions for which nearly all code has one stride and padding: they double, or more."""
WAYS = 50_000
"""Combinations of strides and paddings that are compared at most."""


@dataclass(frozen=True)
class Sizing:
    """How a convolution changes the side of an image of n pixels.

    A transposed one makes ``(n - 1) * stride + kernel - excess``: the excess is twice its padding, less the output
    padding. A plain one makes ``n * stride - excess``, with an upsampling by `stride` before it.
    """

    kind: str
    stride: int
    excess: int

    @property
    def upsamples(self) -> bool:
        """Whether an upsampling, or a pixel shuffle, makes the image larger, and not the kernel."""
        return self.kind == "conv" and self.stride > 1

    def side(self, n: int, kernel: int) -> int:
        """Pixels that it makes of `n`."""
        return n * self.stride - self.excess + (kernel - self.stride if self.kind == "deconv" else 0)


@dataclass(frozen=True)
class Wanted:
    """The options about sizes that a user gave."""

    resolution: int | None = None
    scales: Sequence[float] | None = None
    sizes: Sequence[float] | None = None
    square: str | None = None

    def __bool__(self) -> bool:
        """Whether sizes were given."""
        return not self.resolution is self.scales is self.sizes is None


def start_side(layout: Layout, start: Sequence[float] | None = None) -> tuple[int, int]:
    """(height, width) of the first image of channels.

    Raises:
        OptionError: the numbers of a linear layer make no square, or `start` contradicts the tensors.
    """
    first = layout.layers[0]
    if first.kind == "deconv":
        if start is not None and tuple(start) != (first.kernel, first.kernel):
            raise OptionError(f"start must be left out: {first.module.name} makes {first.kernel} x {first.kernel}")
        return first.kernel, first.kernel
    convolution = next(layer for layer in layout.layers if layer.is_convolution)
    linear = [layer for layer in layout.layers if layer.kind == "linear"][-1]
    area = linear.outputs // convolution.inputs
    channels = f"{linear.module.name} makes {linear.outputs} numbers, {convolution.inputs} channels of {area}"
    if start is None:
        side = math.isqrt(area)
        if side * side != area:
            raise OptionError(
                f"start must be given: {channels}, which is no square; write start=(height, width) with "
                f"height · width = {area}"
            )
        return side, side
    sides = tuple(int(side) for side in start)
    if len(sides) != 2 or sides != tuple(start) or math.prod(sides) != area:
        raise OptionError(f"start must be (height, width) with height · width = {area}: {channels}; got {show(start)}")
    return sides[0], sides[1]


def readings(layout: Layout, wanted: Wanted, keras: bool) -> dict[int, list[Sizing]]:
    """Return the possible sizings of each convolution, by its index, the usual one first; `wanted` rules some out.

    Raises:
        OptionError: `wanted` does not fit the layers.
    """
    convolutions = layout.convolutions
    scales, sizes = _per_layer("scales", wanted.scales, layout), _per_layer("sizes", wanted.sizes, layout)
    result = {}
    before: int | None = None if sizes is None else start_side(layout)[0]
    for order, at in enumerate(convolutions):
        layer = layout.layers[at]
        options = []
        for kind in _kinds(layout, at, wanted.square):
            options += _transposed(layer, keras) if kind == "deconv" else _plain(layout, at)
        if scales is not None:
            options = _scaled(layer, options, scales[order], exact=not (wanted.resolution or sizes))
        if sizes is not None and before is not None:
            options = _sized(layer, options, before, sizes[order])
            before = sizes[order]
        result[at] = options
    return result


def _kinds(layout: Layout, at: int, square: str | None) -> list[str]:
    """Return the possible kinds of the convolution `at`, the likelier first."""
    layer = layout.layers[at]
    if not layer.either:
        return [layer.kind]
    if square is not None:
        return ["deconv" if square == "transposed" else "conv"]
    if layer.kernel % 2 == 0:
        return ["deconv"]
    return [layer.kind, "conv" if layer.kind == "deconv" else "deconv"]


def _kind_by_name(layout: Layout, at: int) -> str | None:
    """Return the common kind of all layers before the last whose names equal that of layer `at` except for numbers."""
    stem = layout.layers[at].module.stem
    others = (one for one in layout.layers[:-1] if one.is_convolution and not one.either)
    kinds = {one.kind for one in others if one.module.stem == stem}
    return kinds.pop() if len(kinds) == 1 else None


def _per_layer(name: str, values: Sequence[float] | None, layout: Layout) -> list[int] | None:
    """Return `values` as whole numbers, one for each convolution."""
    if values is None:
        return None
    numbers = [int(value) for value in values]
    names = [layout.layers[at].module.name for at in layout.convolutions]
    if len(numbers) != len(names) or numbers != list(values) or min(numbers, default=1) < 1:
        meaning = "how many times larger it makes the image" if name == "scales" else "the side of the image after it"
        raise OptionError(
            f"{name} must be {len(names)} whole numbers, one for each of {', '.join(names)}: {meaning}; got "
            f"{show(values)}"
        )
    return numbers


def _transposed(layer: Layer, keras: bool) -> list[Sizing]:
    kernel = layer.kernel
    usual = 1 if kernel in (1, 7, 9) else kernel // 2 if kernel in (8, 16) else 2
    result = []
    for stride in dict.fromkeys((usual, 2, 1)):
        same = kernel - stride
        if same < 0:
            continue
        excesses = [same] if stride > 1 or same % 2 == 0 or keras else []
        excesses += [same + 1] if stride > 1 and same % 2 else []  # the padding of `same`, without an output padding
        excesses += [0, *range(2, same, 2), *([2, 4] if kernel == 1 else [])]
        result += [Sizing("deconv", stride, excess) for excess in dict.fromkeys(excesses)]
    return result


def _plain(layout: Layout, at: int) -> list[Sizing]:
    layer, gap = layout.layers[at], layout.layers[at - 1].gap
    if layer.shuffled:
        return [Sizing("conv", 2, 0)]
    kernel = layer.kernel
    scales = (1,) if gap == 0 else (2, 1) if gap is not None and gap > 1 and not _has_deconv(layout) else (1, 2)
    same = (0,) if kernel % 2 else (1, -1)
    return [
        Sizing("conv", scale, excess) for excess in (*same, *([kernel - 1] if kernel > 2 else [])) for scale in scales
    ]


def _has_deconv(layout: Layout) -> bool:
    return any(layer.kind == "deconv" and not layer.either for layer in layout.layers)


def _scaled(layer: Layer, options: list[Sizing], scale: int, exact: bool) -> list[Sizing]:
    if layer.shuffled and scale != 2:
        raise OptionError(f"scales must have 2 for {layer.module.name}, whose channels become pixels (pixel shuffle)")
    kinds = list(dict.fromkeys(one.kind for one in options))
    times = [Sizing(kind, scale, layer.kernel - scale if kind == "deconv" else 0) for kind in kinds]
    return times if exact else [*times, *(one for one in options if one.stride == scale and one not in times)]


def _sized(layer: Layer, options: list[Sizing], before: int, after: int) -> list[Sizing]:
    fitting = [one for one in options if one.side(before, layer.kernel) == after]
    if fitting:
        return fitting
    # Any crop or padding that PyTorch allows, under the strides that are usual.
    cropped = [Sizing(one.kind, one.stride, one.excess + one.side(before, layer.kernel) - after) for one in options]
    cropped = [one for one in cropped if -one.stride < one.excess <= max(2 * layer.kernel, 6)]
    if not cropped:
        raise OptionError(f"sizes must fit: {layer.module.name} cannot make {after} x {after} of {before} x {before}")
    return list(dict.fromkeys(cropped))


def settle(
    layout: Layout, open_: Mapping[int, list[Sizing]], proven: frozenset[int], start: tuple[int, int], wanted: Wanted
) -> dict[int, Sizing]:
    """Choose one sizing for each convolution from `open_`; those in `proven` are confirmed by running statistics.

    Convolutions with one kernel have one stride and padding, the last one apart and those that are `proven`.

    Raises:
        OptionError: more than one size of the image is possible, or none; it names the option to write.
    """
    choices = {at: list(options) for at, options in open_.items()}
    for at, options in choices.items():
        kind = _kind_by_name(layout, at) if at not in proven else None
        choices[at] = [one for one in options if one.kind == kind] or options
    unclear = [at for at, options in choices.items() if len({one.kind for one in options}) > 1]
    if unclear:
        names = ", ".join(layout.layers[at].module.name for at in unclear)
        raise OptionError(
            f"square must be given: the kernels of {names} have as many inputs as outputs, and nothing shows whether "
            "they are those of transposed convolutions; write square=transposed or square=plain"
        )
    if not wanted:
        for at in choices:
            choices[at] = _conventional(layout, at, choices, proven)
    ways = _ways(layout, choices, proven, start)
    if not wanted and [way[0] for way in ways] == [32] and layout.layers[-1].outputs == 1:
        ways += _cropped(layout, ways, 28)  # digits of 28 pixels come out of networks for 32
    if wanted.resolution is not None:
        ways = [way for way in ways if way[0] == wanted.resolution] or _cropped(layout, ways, wanted.resolution)
    if not ways:
        names = [layout.layers[at].module.name for at in choices]
        raise OptionError(
            f"scales must be given: no way was found from {start[0]} x {start[1]} to {wanted.resolution} in "
            f"{len(names)} layers ({', '.join(names)}); write how many times larger each makes the image, such as "
            f"scales={show([2] * len(names))}, or the side after each, sizes={show(_sides(layout, start, {}))}"
        )
    sides = sorted({side for side, _, _ in ways})
    side, cost, best = min(ways, key=lambda way: way[1])
    if len(sides) > 1:
        loose = [layout.layers[at].module.name for at in choices if len({way[at] for _, _, way in ways}) > 1]
        raise OptionError(
            f"resolution must be given: {len(choices)} convolutions follow {start[0]} x {start[1]}, and the file does "
            f"not tell the stride, padding or upsampling of {', '.join(loose[:6])}: its images may have "
            f"{_listed(sides)} pixels; write resolution=… (the images' side), or sizes=… (the side after each "
            f"convolution) and scales=… (how many times larger each makes it), as in resolution={side}, "
            f"sizes={show(_sides(layout, start, best))}, scales={show([one.stride for one in best.values()])}"
        )
    others = [way for way in ways if way[1] == cost and way[2] != best]
    if others:
        shown = " or ".join(
            f"sizes={show(_sides(layout, start, way))} and scales={show([one.stride for one in way.values()])}"
            for way in (best, others[0][2])
        )
        raise OptionError(f"scales must be given: several ways lead to {side} x {side}; write {shown}")
    return best


def _conventional(layout: Layout, at: int, choices: Mapping[int, list[Sizing]], proven: frozenset[int]) -> list[Sizing]:
    """Return the sizings of the convolution `at` that a firm convention allows."""
    layer, options = layout.layers[at], choices[at]
    alike = [choices[i] for i in proven if layout.layers[i].kernel == layer.kernel and len(choices[i]) == 1]
    shown = list(dict.fromkeys(one for each in alike for one in each if one in options))
    usual = options[0]
    if at in proven:
        doubling = _transposed(layer, keras=False)[0]
        return [doubling] if doubling in options and layer.kernel in FIRM else options
    if usual.kind == "conv":
        gap, before = layout.layers[at - 1].gap, layout.layers[at - 1 : at]
        first = before[0].kind == "linear" or (before[0].kind == "norm" and layout.layers[at - 2].kind == "linear")
        odd = layer.kernel % 2 == 1
        firm = odd and (_has_deconv(layout) or (gap is not None and not (first and gap == 1)))
        return [usual] if firm or layer.shuffled else [one for one in options if one.excess in (0, 1, -1)]
    if layer.kernel in FIRM and (not shown or shown == [usual]):
        return [usual]
    if shown and layer.kernel % 2 == 0:
        return shown if len(shown) == 1 and layer.kernel not in FIRM else options
    return shown if len(shown) == 1 and at != layout.convolutions[-1] else options


def _ways(
    layout: Layout, choices: Mapping[int, list[Sizing]], proven: frozenset[int], start: tuple[int, int]
) -> list[tuple[int, int, dict[int, Sizing]]]:
    """Return (side, cost, sizings) of all combinations; the usual ones cost least."""
    groups: dict[object, list[int]] = {}
    for at, options in choices.items():
        own = at in proven or at == layout.convolutions[-1]
        groups.setdefault(at if own else (layout.layers[at].kernel, *options), []).append(at)
    ranked = [list(enumerate(choices[group[0]])) for group in groups.values()]
    while math.prod(len(one) for one in ranked) > WAYS:
        ranked = [one[: max(1, len(one) - 1)] for one in ranked]
    ways = []
    for combination in product(*ranked):
        chosen = {at: sizing for group, (_, sizing) in zip(groups.values(), combination, strict=True) for at in group}
        way = {at: chosen[at] for at in choices}
        side = _sides(layout, start, way)[-1] if way else start[0]
        if side >= 2:
            ways.append((side, sum(rank for rank, _ in combination), way))
    return ways


def _cropped(
    layout: Layout, ways: Sequence[tuple[int, int, dict[int, Sizing]]], resolution: int
) -> list[tuple[int, int, dict[int, Sizing]]]:
    """Return the usual `ways` whose last transposed convolution crops the image to `resolution` by a larger padding."""
    result = []
    for side, cost, way in ways:
        at, last = list(way.items())[-1]
        excess = last.excess + side - resolution
        if last.kind == "deconv" and cost == 0 and 0 < excess <= 2 * layout.layers[at].kernel:
            result.append((resolution, cost, way | {at: Sizing("deconv", last.stride, excess)}))
    return result


def image_size(layout: Layout, start: tuple[int, int], sizings: Mapping[int, Sizing]) -> list[tuple[int, int]]:
    """(height, width) of the first image and after each convolution."""
    result = [start]
    for at, sizing in sizings.items():
        height, width = (sizing.side(side, layout.layers[at].kernel) for side in result[-1])
        result.append((height, width))
    return result


def _sides(layout: Layout, start: tuple[int, int], sizings: Mapping[int, Sizing]) -> list[int]:
    sides = [height for height, _ in image_size(layout, start, sizings)[1:]]
    return sides or [start[0] * 2 ** (i + 1) for i in range(len(layout.convolutions))]


def _listed(numbers: Sequence[int]) -> str:
    shown = [str(number) for number in numbers]
    if len(shown) > 8:
        shown = [*shown[:3], "…", *shown[-3:]]
    return f"{', '.join(shown[:-1])} or {shown[-1]}"


def show(numbers: Sequence[float]) -> str:
    """Format numbers as an option is written: ``(2, 2, 1)``."""
    inside = ", ".join(f"{number:g}" for number in numbers)
    return f"({inside},)" if len(numbers) == 1 else f"({inside})"
