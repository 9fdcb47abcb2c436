"""ONNX's operations in torch, as its Operators.md describes them: what networks that make images are exported to.

Each is a function of its node and inputs. Inputs that say sizes or axes are read as numbers, so that everything else
has derivatives of every order. The list is closed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from eigenwalk_module.opened import Refusal

DTYPES = {
    1: torch.float32, 2: torch.uint8, 3: torch.int8, 4: torch.uint16, 5: torch.int16, 6: torch.int32, 7: torch.int64,
    9: torch.bool, 10: torch.float16, 11: torch.float64, 12: torch.uint32, 13: torch.uint64, 16: torch.bfloat16,
}  # fmt: skip
SIZES = 64
"""Numbers of a shape, or of axes."""
RANDOM = ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli")


class Node:
    """One operation of a graph.

    Attributes:
        kind: its name in ONNX.
        inputs, outputs: names of values; an empty one is left out.
        attributes: numbers, texts, lists of them, and tensors.
        opset: version of the operations.
        floats: dtype of the network.
    """

    def __init__(
        self, kind: str, inputs: list[str], outputs: list[str], attributes: dict[str, Any], opset: int
    ) -> None:
        self.kind, self.inputs, self.outputs, self.attributes, self.opset = kind, inputs, outputs, attributes, opset
        self.floats = torch.float32

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute."""
        return self.attributes.get(name, default)

    def sizes(self, name: str, given: Tensor | None) -> list[int] | None:
        """Axes or sizes, which older versions have as an attribute and newer ones as an input."""
        return self.get(name) if given is None else numbers(given)

    def dtype(self, number: int) -> torch.dtype:
        """A dtype by ONNX's number; float32 is that of the network."""
        if number not in DTYPES:
            raise Refusal(f"{self.kind} makes numbers of the kind {number}, which is not known here")
        return self.floats if number == 1 else DTYPES[number]


def numbers(tensor: Tensor) -> list[Any]:
    """A short row of numbers, such as a shape."""
    if tensor.numel() > SIZES:
        raise Refusal(f"it has a shape of {tensor.numel()} numbers")
    return tensor.reshape(-1).tolist()


def _all(name: str) -> Callable[..., Tensor]:
    """An operation on any number of tensors, two by two."""
    function = getattr(torch, name)

    def every(node: Node, *values: Tensor) -> Tensor:
        result = values[0]
        for one in values[1:]:
            result = function(result, one)
        return result

    return every


def _div(node: Node, a: Tensor, b: Tensor) -> Tensor:
    whole = not (a.is_floating_point() or b.is_floating_point())
    return torch.div(a, b, rounding_mode="trunc" if whole else None)


def _mod(node: Node, a: Tensor, b: Tensor) -> Tensor:
    return torch.fmod(a, b) if node.get("fmod") else torch.remainder(a, b)


def _gelu(node: Node, x: Tensor) -> Tensor:
    return functional.gelu(x, approximate=node.get("approximate", "none"))


def _prelu(node: Node, x: Tensor, slope: Tensor) -> Tensor:
    return torch.where(x < 0, slope * x, x)


def _clip(node: Node, x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    for bound, name, limit in ((low, "min", torch.maximum), (high, "max", torch.minimum)):
        bound = torch.as_tensor(node.get(name), dtype=x.dtype) if bound is None and name in node.attributes else bound
        x = x if bound is None else limit(x, bound.to(x))
    return x


def _cast(node: Node, x: Tensor) -> Tensor:
    return x.to(node.dtype(node.get("to")))


def _constant_of_shape(node: Node, shape: Tensor) -> Tensor:
    value = node.get("value")
    if value is None or value.dtype == torch.float32:
        return torch.full(numbers(shape), 0.0 if value is None else value.item(), dtype=node.floats)
    return torch.full(numbers(shape), value.item(), dtype=value.dtype)


def _range(node: Node, start: Tensor, end: Tensor, step: Tensor) -> Tensor:
    return torch.arange(start.item(), end.item(), step.item(), dtype=start.dtype)


def _shape(node: Node, x: Tensor) -> Tensor:
    return torch.tensor(list(x.shape)[node.get("start", 0) : node.get("end")], dtype=torch.int64)


def _reshape(node: Node, x: Tensor, shape: Tensor | None = None) -> Tensor:
    wanted = node.sizes("shape", shape) or []
    if not node.get("allowzero"):
        wanted = [x.shape[i] if side == 0 else side for i, side in enumerate(wanted)]
    return x.reshape(wanted)


def _flatten(node: Node, x: Tensor) -> Tensor:
    axis = node.get("axis", 1)
    return x.reshape(math.prod(x.shape[:axis]), -1)


def _transpose(node: Node, x: Tensor) -> Tensor:
    return x.permute(node.get("perm", list(range(x.ndim))[::-1]))


def _squeeze(node: Node, x: Tensor, axes: Tensor | None = None) -> Tensor:
    wanted = node.sizes("axes", axes)
    return x.squeeze() if wanted is None else x.squeeze(wanted)


def _unsqueeze(node: Node, x: Tensor, axes: Tensor | None = None) -> Tensor:
    wanted = node.sizes("axes", axes) or []
    for axis in sorted(axis % (x.ndim + len(wanted)) for axis in wanted):
        x = x.unsqueeze(axis)
    return x


def _split(node: Node, x: Tensor, split: Tensor | None = None) -> tuple[Tensor, ...]:
    axis, sizes = node.get("axis", 0), node.sizes("split", split)
    return x.split(sizes or -(-x.shape[axis] // len(node.outputs)), axis)


def _slice(
    node: Node,
    x: Tensor,
    starts: Tensor | None = None,
    ends: Tensor | None = None,
    axes: Tensor | None = None,
    steps: Tensor | None = None,
) -> Tensor:
    first, last = node.sizes("starts", starts) or [], node.sizes("ends", ends) or []
    along = node.sizes("axes", axes) or range(len(first))
    for start, end, axis, step in zip(first, last, along, node.sizes("steps", steps) or [1] * len(first), strict=True):
        places = range(x.shape[axis])[start:end:step]
        if step > 0:
            x = x[(slice(None),) * (axis % x.ndim) + (slice(start, end, step),)]
        else:
            x = x.index_select(axis, torch.tensor(list(places), dtype=torch.int64, device=x.device))
    return x


def _gather(node: Node, x: Tensor, places: Tensor) -> Tensor:
    axis = node.get("axis", 0) % x.ndim
    places = torch.where(places < 0, places + x.shape[axis], places).long()
    found = x.index_select(axis, places.reshape(-1))
    return found.reshape(*x.shape[:axis], *places.shape, *x.shape[axis + 1 :])


def _gather_elements(node: Node, x: Tensor, places: Tensor) -> Tensor:
    axis = node.get("axis", 0)
    return x.gather(axis, torch.where(places < 0, places + x.shape[axis], places).long())


def _gather_nd(node: Node, x: Tensor, places: Tensor) -> Tensor:
    if node.get("batch_dims"):
        raise Refusal("it uses GatherND with batch_dims, which is not carried out")
    return x[tuple(places.long().movedim(-1, 0))]


def _scatter_nd(node: Node, x: Tensor, places: Tensor, updates: Tensor) -> Tensor:
    how = node.get("reduction", "none")
    if how not in ("none", "add"):
        raise Refusal(f"it uses ScatterND with {how}, which is not carried out")
    return torch.index_put(x, tuple(places.long().movedim(-1, 0)), updates, accumulate=how == "add")


def _scatter_elements(node: Node, x: Tensor, places: Tensor, updates: Tensor) -> Tensor:
    how, axis = node.get("reduction", "none"), node.get("axis", 0)
    places = torch.where(places < 0, places + x.shape[axis], places).long()
    if how not in ("none", "add"):
        raise Refusal(f"it uses ScatterElements with {how}, which is not carried out")
    return x.scatter_add(axis, places, updates) if how == "add" else x.scatter(axis, places, updates)


def _expand(node: Node, x: Tensor, shape: Tensor) -> Tensor:
    return x.expand(torch.broadcast_shapes(x.shape, numbers(shape)))


def _pad(
    node: Node, x: Tensor, pads: Tensor | None = None, value: Tensor | None = None, axes: Tensor | None = None
) -> Tensor:
    sides = node.sizes("pads", pads) or []
    half = len(sides) // 2
    along = [axis % x.ndim for axis in numbers(axes)] if axes is not None else list(range(half))
    given = {axis: (sides[i], sides[i + half]) for i, axis in enumerate(along)}
    flat = [side for axis in reversed(range(x.ndim)) for side in given.get(axis, (0, 0))]
    mode = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}[
        node.get("mode", "constant")
    ]
    if mode == "constant":
        return functional.pad(x, flat, value=node.get("value", 0.0) if value is None else value.item())
    while flat[-2:] == [0, 0] and len(flat) > 2 * max(1, x.ndim - 2):
        flat = flat[:-2]
    return functional.pad(x, flat, mode=mode)


def _depth_to_space(node: Node, x: Tensor) -> Tensor:
    side = node.get("blocksize")
    if node.get("mode", "DCR") == "CRD":
        return functional.pixel_shuffle(x, side)
    n, c, h, w = x.shape
    x = x.reshape(n, side, side, c // side**2, h, w).permute(0, 3, 4, 1, 5, 2)
    return x.reshape(n, c // side**2, h * side, w * side)


def _space_to_depth(node: Node, x: Tensor) -> Tensor:
    side = node.get("blocksize")
    n, c, h, w = x.shape
    x = x.reshape(n, c, h // side, side, w // side, side).permute(0, 3, 5, 1, 2, 4)
    return x.reshape(n, c * side**2, h // side, w // side)


def _trilu(node: Node, x: Tensor, k: Tensor | None = None) -> Tensor:
    return (torch.triu if node.get("upper", 1) else torch.tril)(x, 0 if k is None else int(k))


def _one_hot(node: Node, places: Tensor, depth: Tensor, values: Tensor) -> Tensor:
    size = int(depth)
    row = torch.arange(size, device=places.device)
    hot = (places[..., None] % size) == row
    return torch.where(hot, values[1], values[0]).movedim(-1, node.get("axis", -1))


def _cumsum(node: Node, x: Tensor, axis: Tensor) -> Tensor:
    if node.get("exclusive") or node.get("reverse"):
        raise Refusal("it uses CumSum backwards, which is not carried out")
    return x.cumsum(int(axis))


def _top_k(node: Node, x: Tensor, k: Tensor | None = None) -> tuple[Tensor, Tensor]:
    count: Any = node.sizes("k", k)
    return tuple(
        x.topk(count if isinstance(count, int) else count[0], node.get("axis", -1), bool(node.get("largest", 1)))
    )  # type: ignore


def _arg(name: str) -> Callable[..., Tensor]:
    return lambda node, x: getattr(torch, name)(x, node.get("axis", 0), bool(node.get("keepdims", 1)))


def _reduce(function: Callable[[Tensor, list[int], bool], Tensor]) -> Callable[..., Tensor]:
    """A reduction over axes, all of them where none are given."""

    def reduce(node: Node, x: Tensor, axes: Tensor | None = None) -> Tensor:
        wanted = node.sizes("axes", axes)
        if not wanted and node.get("noop_with_empty_axes"):
            return x
        return function(x, wanted or list(range(x.ndim)), bool(node.get("keepdims", 1)))

    return reduce


def _product(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    for axis in sorted((axis % x.ndim for axis in axes), reverse=True):
        x = x.prod(axis, keep)
    return x


def _gemm(node: Node, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    a, b = a.T if node.get("transA") else a, b.T if node.get("transB") else b
    result = node.get("alpha", 1.0) * (a @ b)
    return result if c is None else result + node.get("beta", 1.0) * c


def _pads(node: Node, x: Tensor, kernel: list[int]) -> list[tuple[int, int]]:
    """Numbers to add before and after each axis."""
    count = len(kernel)
    steps, spread = node.get("strides", [1] * count), node.get("dilations", [1] * count)
    automatic = node.get("auto_pad", "NOTSET")
    if automatic in ("SAME_UPPER", "SAME_LOWER"):
        made = []
        for side, k, step, wide in zip(x.shape[2:], kernel, steps, spread, strict=True):
            all_of = max(0, (-(-side // step) - 1) * step + (k - 1) * wide + 1 - side)
            made.append((all_of // 2, all_of - all_of // 2)[:: 1 if automatic == "SAME_UPPER" else -1])
        return made
    sides = node.get("pads", [0] * 2 * count) if automatic == "NOTSET" else [0] * 2 * count
    return list(zip(sides[:count], sides[count:], strict=True))


def _conv(node: Node, x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
    count = w.ndim - 2
    pads = _pads(node, x, list(w.shape[2:]))
    even = all(low == high for low, high in pads)
    if not even:
        x = functional.pad(x, [side for pair in reversed(pads) for side in pair])
    padding = [low for low, _ in pads] if even else [0] * count
    function = (functional.conv1d, functional.conv2d, functional.conv3d)[count - 1]
    steps, spread = node.get("strides", [1] * count), node.get("dilations", [1] * count)
    return function(x, w, b, steps, padding, spread, node.get("group", 1))


def _conv_transpose(node: Node, x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
    count = w.ndim - 2
    if node.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID") or "output_shape" in node.attributes:
        raise Refusal("it uses ConvTranspose with auto_pad or output_shape, which are not carried out")
    function = (functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d)[count - 1]
    steps, spread = node.get("strides", [1] * count), node.get("dilations", [1] * count)
    pads, more = _pads(node, x, list(w.shape[2:])), node.get("output_padding", [0] * count)
    if all(low == high for low, high in pads):
        return function(x, w, b, steps, [low for low, _ in pads], more, node.get("group", 1), spread)
    whole = function(x, w, b, steps, 0, 0, node.get("group", 1), spread)
    cut = [(-low, extra - high) for (low, high), extra in zip(pads, more, strict=True)]
    return functional.pad(whole, [side for pair in reversed(cut) for side in pair])


def _pool(node: Node, x: Tensor) -> Tensor:
    kernel = node.get("kernel_shape")
    count, highest = len(kernel), node.kind == "MaxPool"
    pads, steps = _pads(node, x, kernel), node.get("strides", [1] * count)
    if len(node.outputs) > 1 or any(low != high for low, high in pads) or (not highest and node.get("dilations")):
        raise Refusal(f"it uses {node.kind} with uneven pads, dilations or places, which are not carried out")
    padding, ceil = [low for low, _ in pads], bool(node.get("ceil_mode"))
    if highest:
        function = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)[count - 1]
        return function(x, kernel, steps, padding, node.get("dilations", [1] * count), ceil)
    function = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)[count - 1]
    return function(x, kernel, steps, padding, ceil, bool(node.get("count_include_pad", 0)))


def _global(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda node, x: function(x, list(range(2, x.ndim)), True)


def _batch_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, var: Tensor) -> Tensor:
    if node.get("training_mode"):
        raise Refusal("BatchNormalization is in training mode: export the network after .eval()")
    return functional.batch_norm(x, mean, var, scale, bias, False, 0.0, node.get("epsilon", 1e-5))


def _instance_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    return functional.instance_norm(x, None, None, scale, bias, True, 0.0, node.get("epsilon", 1e-5))


def _layer_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor | None = None) -> Tensor:
    axis = node.get("axis", -1) % x.ndim
    normal = functional.layer_norm(x, x.shape[axis:], None, None, node.get("epsilon", 1e-5)) * scale
    return normal if bias is None else normal + bias


def _rms_norm(node: Node, x: Tensor, scale: Tensor) -> Tensor:
    return functional.rms_norm(x, x.shape[node.get("axis", -1) % x.ndim :], None, node.get("epsilon", 1e-5)) * scale


def _group_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    groups = node.get("num_groups")
    if node.opset < 21:  # one number for each group
        scale, bias = (one.repeat_interleave(x.shape[1] // groups) for one in (scale, bias))
    return functional.group_norm(x, groups, scale, bias, node.get("epsilon", 1e-5))


def _lp_norm(node: Node, x: Tensor) -> Tensor:
    return x / torch.linalg.vector_norm(x, node.get("p", 2), node.get("axis", -1), keepdim=True)


def _softmax(node: Node, x: Tensor) -> Tensor:
    function = torch.log_softmax if node.kind == "LogSoftmax" else torch.softmax
    if node.opset >= 13:
        return function(x, node.get("axis", -1))
    return function(x.flatten(node.get("axis", 1)), -1).reshape(x.shape)


def _dropout(node: Node, x: Tensor, ratio: Tensor | None = None, training: Tensor | None = None) -> Tensor:
    if training is not None and bool(training):
        raise Refusal("Dropout is in training mode: export the network after .eval()")
    return x


def _resize(node: Node, x: Tensor, *given: Tensor | None) -> Tensor:
    if node.kind == "Upsample":
        given = (None, given[0] if given else torch.tensor(node.get("scales")))
    elif node.opset < 11:
        given = (None, *given)
    _, scales, sizes = (*given, None, None, None)[:3]
    factors = numbers(scales) if scales is not None and scales.numel() else None
    wanted = numbers(sizes) if sizes is not None else None
    along = [axis % x.ndim for axis in node.get("axes", range(x.ndim))]
    if factors is None:
        factors = [side / x.shape[axis] for side, axis in zip(wanted or [], along, strict=True)]
    if node.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise Refusal("it uses Resize that keeps the aspect ratio, which is not carried out")
    mode = node.get("mode", "nearest")
    place = node.get("coordinate_transformation_mode", "asymmetric" if node.opset < 11 else "half_pixel")
    outs = wanted or [math.floor(x.shape[axis] * factor) for axis, factor in zip(along, factors, strict=True)]
    todo = [(a, out, s) for a, out, s in zip(along, outs, factors, strict=True) if out != x.shape[a] or s != 1]
    if mode != "nearest" and [axis for axis, _, _ in todo] == [2, 3] and x.ndim == 4 and place != "asymmetric":
        exact = {"size": [out for _, out, _ in todo]} if wanted else {"scale_factor": [s for _, _, s in todo]}
        return functional.interpolate(
            x,
            mode={"linear": "bilinear", "cubic": "bicubic"}[mode],
            align_corners=place == "align_corners",
            antialias=bool(node.get("antialias", 0)),
            **exact,  # type: ignore
        )
    if mode == "cubic" or node.get("antialias"):
        raise Refusal(f"it uses Resize, {mode}, in {place} coordinates, which is not carried out")
    for axis, out, scale in todo:
        x = _resize_axis(node, x, axis, out, scale, mode, place)
    return x


def _resize_axis(node: Node, x: Tensor, axis: int, out: int, scale: float, mode: str, place: str) -> Tensor:
    """`x` with `out` values along `axis`, each taken from where ONNX's formula of the coordinates says."""
    side, at = x.shape[axis], torch.arange(out, dtype=torch.float64)
    if place == "align_corners":
        at = at * (side - 1) / max(1, out - 1)
    elif place == "asymmetric":
        at = at / scale
    elif place in ("half_pixel", "pytorch_half_pixel"):
        at = (at + 0.5) / scale - 0.5 if out > 1 or place == "half_pixel" else at * 0
    else:
        raise Refusal(f"it uses Resize in {place} coordinates, which is not carried out")
    if mode == "nearest":
        rounding = {
            "floor": torch.floor,
            "ceil": torch.ceil,
            "round_prefer_floor": lambda x: torch.ceil(x - 0.5),
            "round_prefer_ceil": lambda x: torch.floor(x + 0.5),
        }[node.get("nearest_mode", "floor" if node.opset < 11 else "round_prefer_floor")]
        return x.index_select(axis, rounding(at).clamp(0, side - 1).long().to(x.device))
    at = at.clamp(0, side - 1)
    low = at.floor().clamp(max=max(0, side - 2))
    share = (at - low).to(x).reshape(-1, *[1] * (x.ndim - 1 - axis))
    below = low.long().to(x.device)
    return x.index_select(axis, below) * (1 - share) + x.index_select(axis, (below + 1).clamp(max=side - 1)) * share


def _grid_sample(node: Node, x: Tensor, grid: Tensor) -> Tensor:
    mode = str(node.get("mode", "bilinear"))
    mode = {"linear": "bilinear", "cubic": "bicubic"}.get(mode, mode)
    corners = bool(node.get("align_corners", 0))
    return functional.grid_sample(x, grid, mode, node.get("padding_mode", "zeros"), corners)


def _einsum(node: Node, *values: Tensor) -> Tensor:
    return torch.einsum(node.get("equation"), *values)


def _unary(name: str) -> Callable[..., Tensor]:
    function = getattr(torch, name, None) or getattr(functional, name)
    return lambda node, x: function(x)


def _binary(name: str) -> Callable[..., Tensor]:
    function = getattr(torch, name)
    return lambda node, a, b: function(a, b)


OPERATIONS: dict[str, Callable[..., Any]] = {
    **{name: _unary(name.lower()) for name in (
        "Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Ceil", "Cos", "Cosh", "Erf", "Exp", "Floor", "Log",
        "Neg", "Reciprocal", "Relu", "Round", "Sigmoid", "Sign", "Sin", "Sinh", "Softplus", "Softsign", "Sqrt", "Tan",
        "Tanh", "Mish", "IsNaN", "IsInf", "HardSwish", "Det",
    )},
    **{name: _binary(torch_name) for name, torch_name in {
        "Sub": "sub", "Pow": "pow", "Equal": "eq", "Greater": "gt", "GreaterOrEqual": "ge", "Less": "lt",
        "LessOrEqual": "le", "And": "logical_and", "Or": "logical_or", "Xor": "logical_xor", "MatMul": "matmul",
    }.items()},
    "Add": _binary("add"), "Mul": _binary("mul"), "Not": _unary("logical_not"), "Div": _div, "Mod": _mod,
    "Sum": _all("add"), "Min": _all("minimum"), "Max": _all("maximum"),
    "Mean": lambda node, *values: _all("add")(node, *values) / len(values),
    "Where": lambda node, test, a, b: torch.where(test, a, b),
    "LeakyRelu": lambda node, x: functional.leaky_relu(x, node.get("alpha", 0.01)),
    "Elu": lambda node, x: functional.elu(x, node.get("alpha", 1.0)),
    "Celu": lambda node, x: functional.celu(x, node.get("alpha", 1.0)),
    "Selu": lambda node, x: functional.selu(x),
    "Swish": lambda node, x: x * torch.sigmoid(node.get("alpha", 1.0) * x),
    "ThresholdedRelu": lambda node, x: torch.where(x > node.get("alpha", 1.0), x, torch.zeros_like(x)),
    "HardSigmoid": lambda node, x: (node.get("alpha", 0.2) * x + node.get("beta", 0.5)).clamp(0, 1),
    "Gelu": _gelu, "PRelu": _prelu, "Clip": _clip, "Cast": _cast, "CastLike": lambda node, x, like: x.to(like.dtype),
    "Identity": lambda node, x: x, "Dropout": _dropout, "Shape": _shape,
    "Size": lambda node, x: torch.tensor(x.numel()), "ConstantOfShape": _constant_of_shape, "Range": _range,
    "Reshape": _reshape, "Flatten": _flatten, "Transpose": _transpose, "Squeeze": _squeeze, "Unsqueeze": _unsqueeze,
    "Concat": lambda node, *values: torch.cat(values, node.get("axis", 1)), "Split": _split, "Slice": _slice,
    "Gather": _gather, "GatherElements": _gather_elements, "GatherND": _gather_nd, "ScatterND": _scatter_nd,
    "ScatterElements": _scatter_elements, "Expand": _expand,
    "Tile": lambda node, x, repeats: x.repeat(numbers(repeats)),
    "Pad": _pad, "DepthToSpace": _depth_to_space, "SpaceToDepth": _space_to_depth, "Trilu": _trilu, "OneHot": _one_hot,
    "CumSum": _cumsum, "TopK": _top_k, "ArgMax": _arg("argmax"), "ArgMin": _arg("argmin"),
    "ReduceMean": _reduce(torch.mean), "ReduceSum": _reduce(torch.sum), "ReduceMax": _reduce(torch.amax),
    "ReduceMin": _reduce(torch.amin), "ReduceProd": _reduce(_product), "ReduceLogSumExp": _reduce(torch.logsumexp),
    "ReduceL1": _reduce(lambda x, axes, keep: x.abs().sum(axes, keep)),
    "ReduceL2": _reduce(lambda x, axes, keep: torch.linalg.vector_norm(x, 2, axes, keep)),
    "ReduceSumSquare": _reduce(lambda x, axes, keep: x.square().sum(axes, keep)),
    "ReduceLogSum": _reduce(lambda x, axes, keep: x.sum(axes, keep).log()),
    "Gemm": _gemm, "Einsum": _einsum, "Conv": _conv, "ConvTranspose": _conv_transpose, "AveragePool": _pool,
    "MaxPool": _pool, "GlobalAveragePool": _global(torch.mean), "GlobalMaxPool": _global(torch.amax),
    "BatchNormalization": _batch_norm, "InstanceNormalization": _instance_norm, "LayerNormalization": _layer_norm,
    "RMSNormalization": _rms_norm, "GroupNormalization": _group_norm, "LpNormalization": _lp_norm,
    "Softmax": _softmax, "LogSoftmax": _softmax, "Resize": _resize, "Upsample": _resize, "GridSample": _grid_sample,
}  # fmt: skip
