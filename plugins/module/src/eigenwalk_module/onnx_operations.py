"""The operations of ONNX that image generators use, in torch, as its Operators.md describes them.

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

from eigenwalk_module.onnx_layers import LAYERS
from eigenwalk_module.onnx_node import Node, numbers
from eigenwalk_module.opened import Refusal

RANDOM = ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli")


def _all(name: str) -> Callable[..., Tensor]:
    """Return an operation that combines any number of tensors, two at a time."""
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
    """Return a reduction over axes; over all if none are given."""

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
    "Identity": lambda node, x: x, "Shape": _shape,
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
    **LAYERS,
}  # fmt: skip
