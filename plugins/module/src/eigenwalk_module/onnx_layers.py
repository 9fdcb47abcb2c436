"""ONNX's layers in torch: products, convolutions, pooling, norms, resizing. Each takes its node and its inputs."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from eigenwalk_module.onnx_node import Node, numbers
from eigenwalk_module.opened import Refusal


def gemm(node: Node, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    """Return ``alpha a b + beta c``; the node says which matrices are transposed."""
    a, b = a.T if node.get("transA") else a, b.T if node.get("transB") else b
    result = node.get("alpha", 1.0) * (a @ b)
    return result if c is None else result + node.get("beta", 1.0) * c


def _pads(node: Node, x: Tensor, kernel: list[int]) -> list[tuple[int, int]]:
    """Return the padding before and after each axis."""
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


def conv(node: Node, x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
    """Convolve over one to three axes; the padding may be uneven."""
    count = w.ndim - 2
    pads = _pads(node, x, list(w.shape[2:]))
    even = all(low == high for low, high in pads)
    if not even:
        x = functional.pad(x, [side for pair in reversed(pads) for side in pair])
    padding = [low for low, _ in pads] if even else [0] * count
    function = (functional.conv1d, functional.conv2d, functional.conv3d)[count - 1]
    steps, spread = node.get("strides", [1] * count), node.get("dilations", [1] * count)
    return function(x, w, b, steps, padding, spread, node.get("group", 1))


def conv_transpose(node: Node, x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
    """Convolve transposed; uneven padding is cut off the full result."""
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


def pool(node: Node, x: Tensor) -> Tensor:
    """Return the maximum or mean of each window."""
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


def over_space(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return the operation that reduces every axis after the channels by `function`."""
    return lambda node, x: function(x, list(range(2, x.ndim)), True)


def batch_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, var: Tensor) -> Tensor:
    """Normalise by the stored statistics of training."""
    if node.get("training_mode"):
        raise Refusal("BatchNormalization is in training mode: export the network after .eval()")
    return functional.batch_norm(x, mean, var, scale, bias, False, 0.0, node.get("epsilon", 1e-5))


def instance_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """Normalise each channel of each row."""
    return functional.instance_norm(x, None, None, scale, bias, True, 0.0, node.get("epsilon", 1e-5))


def layer_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor | None = None) -> Tensor:
    """Normalise over `axis` and all axes after it."""
    axis = node.get("axis", -1) % x.ndim
    normal = functional.layer_norm(x, x.shape[axis:], None, None, node.get("epsilon", 1e-5)) * scale
    return normal if bias is None else normal + bias


def rms_norm(node: Node, x: Tensor, scale: Tensor) -> Tensor:
    """Divide by the root mean square over `axis` and all axes after it."""
    return functional.rms_norm(x, x.shape[node.get("axis", -1) % x.ndim :], None, node.get("epsilon", 1e-5)) * scale


def group_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """Normalise groups of channels."""
    groups = node.get("num_groups")
    if node.opset < 21:  # one number for each group
        scale, bias = (one.repeat_interleave(x.shape[1] // groups) for one in (scale, bias))
    return functional.group_norm(x, groups, scale, bias, node.get("epsilon", 1e-5))


def lp_norm(node: Node, x: Tensor) -> Tensor:
    """Return `x` divided by its p-norm along an axis."""
    return x / torch.linalg.vector_norm(x, node.get("p", 2), node.get("axis", -1), keepdim=True)


def softmax(node: Node, x: Tensor) -> Tensor:
    """Return the softmax or its logarithm; before version 13, over all axes from `axis` on."""
    function = torch.log_softmax if node.kind == "LogSoftmax" else torch.softmax
    if node.opset >= 13:
        return function(x, node.get("axis", -1))
    return function(x.flatten(node.get("axis", 1)), -1).reshape(x.shape)


def dropout(node: Node, x: Tensor, ratio: Tensor | None = None, training: Tensor | None = None) -> Tensor:
    """Return `x` itself: dropout is for training."""
    if training is not None and bool(training):
        raise Refusal("Dropout is in training mode: export the network after .eval()")
    return x


def resize(node: Node, x: Tensor, *given: Tensor | None) -> Tensor:
    """Resize `x` by interpolation."""
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
    """Resample `x` to `out` values along `axis`, at the coordinates of ONNX's formula."""
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


def grid_sample(node: Node, x: Tensor, grid: Tensor) -> Tensor:
    """Sample `x` at the points of `grid`."""
    mode = str(node.get("mode", "bilinear"))
    mode = {"linear": "bilinear", "cubic": "bicubic"}.get(mode, mode)
    corners = bool(node.get("align_corners", 0))
    return functional.grid_sample(x, grid, mode, node.get("padding_mode", "zeros"), corners)


def einsum(node: Node, *values: Tensor) -> Tensor:
    """Sum products as the node's equation says."""
    return torch.einsum(node.get("equation"), *values)


LAYERS: dict[str, Callable[..., Tensor]] = {
    "Gemm": gemm, "Einsum": einsum, "Conv": conv, "ConvTranspose": conv_transpose, "AveragePool": pool,
    "MaxPool": pool, "GlobalAveragePool": over_space(torch.mean), "GlobalMaxPool": over_space(torch.amax),
    "BatchNormalization": batch_norm, "InstanceNormalization": instance_norm, "LayerNormalization": layer_norm,
    "RMSNormalization": rms_norm, "GroupNormalization": group_norm, "LpNormalization": lp_norm,
    "Softmax": softmax, "LogSoftmax": softmax, "Resize": resize, "Upsample": resize, "GridSample": grid_sample,
    "Dropout": dropout,
}  # fmt: skip
