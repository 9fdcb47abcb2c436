"""Exported networks of many kinds of layers give their original images; ONNX operations equal ONNX's reference."""

from __future__ import annotations

import math
import warnings

import numpy as np
import onnx
import onnx.reference
import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn
from torch.nn import functional

from eigenwalk.checkpoint.protobuf import Message
from eigenwalk_module import generator
from eigenwalk_module.graph import read_node
from eigenwalk_module.onnx_node import Node
from eigenwalk_module.onnx_operations import OPERATIONS


class Modulated(nn.Module):
    """A convolution whose weights depend on the latent, and noise, as StyleGAN2 has it; inside a profiler's mark."""

    def __init__(self, out: int = 8) -> None:
        super().__init__()
        self.weight, self.style = nn.Parameter(torch.randn(out, 8, 3, 3) / 9), nn.Linear(16, 8)
        self.register_buffer("noise", torch.randn(8, 8))
        self.register_buffer(
            "filter", torch.tensor([1.0, 3.0, 3.0, 1.0]).outer(torch.tensor([1.0, 3.0, 3.0, 1.0])) / 64
        )

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        with torch.autograd.profiler.record_function("modulated"):
            n, c, h, v = x.shape
            weight = self.weight[None] * self.style(w).reshape(n, 1, -1, 1, 1)
            weight = weight * (weight.square().sum(dim=[2, 3, 4], keepdim=True) + 1e-8).rsqrt()
            x = x.reshape(1, n * c, h, v)
            x = functional.conv2d(x, weight.reshape(-1, c, 3, 3), padding=1, groups=n).reshape(n, -1, h, v)
        x = x.reshape(n, -1, h, 1, v, 1)
        x = functional.pad(x, [0, 1, 0, 0, 0, 1]).reshape(n, -1, h * 2, v * 2)
        kernel = (self.filter * 4)[None, None].repeat([x.shape[1], 1, 1, 1])
        x = functional.conv2d(functional.pad(x, [2, 1, 2, 1]), kernel, groups=x.shape[1])
        return x + self.noise.mul(0.1)[None, None].expand(n, 1, 8, 8)


class Styled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("constant", torch.randn(8, 4, 4))
        self.first, self.average = nn.Linear(16, 16), nn.Parameter(torch.randn(16))
        self.layer, self.colour = Modulated(), nn.Conv2d(8, 3, 1)

    def forward(self, z: Tensor) -> Tensor:
        z = z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()
        w = self.average.lerp(functional.leaky_relu(torch.addmm(self.first.bias, z, self.first.weight.t()), 0.2), 0.7)
        x = self.layer(self.constant.unsqueeze(0).repeat([z.shape[0], 1, 1, 1]), w)
        return torch.tanh(self.colour((x * math.sqrt(2)).clamp(-256, 256)))


class Layers(nn.Module):
    """Norms, resampling, attention, Fourier transforms, einsum, weight norm, grids, shuffles."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Linear(16, 128), nn.LayerNorm(128), nn.GELU(), nn.Unflatten(1, (8, 4, 4)))
        self.blocks = nn.ModuleList(
            [
                nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect"), nn.BatchNorm2d(8), nn.PReLU(8)),
                nn.Sequential(nn.ConvTranspose2d(8, 8, 4, 2, 1), nn.GroupNorm(2, 8), nn.SiLU(), nn.Dropout(0.5)),
                nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), nn.InstanceNorm2d(8, affine=True)),
            ]
        )
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.normed = nn.utils.parametrizations.weight_norm(nn.Conv2d(8, 12, 1))
        self.mix = nn.Parameter(torch.randn(8, 8))
        self.register_buffer("theta", torch.tensor([[0.9, 0.1, 0.0], [-0.1, 0.9, 0.0]]))

    def forward(self, z: Tensor) -> Tensor:
        x = self.first(z)
        for block in self.blocks:
            x = block(x)
        x = x - x.amax(dim=(2, 3), keepdim=True) + x.std(dim=1, keepdim=True)
        low = functional.avg_pool2d(x, 4).flatten(2).transpose(1, 2)
        low = self.attention(low, low, low, need_weights=False)[0].transpose(1, 2).reshape(-1, 8, 4, 4)
        x = x + functional.interpolate(low, size=[16, 16], mode="nearest")
        x = torch.fft.irfft2(torch.fft.rfft2(x) * 0.9, s=[16, 16])
        x = torch.einsum("nchw,cd->ndhw", x, self.mix)
        x = functional.pixel_shuffle(self.normed(torch.cat([x[:, :4], x[:, 4:].flip(3)], dim=1)), 2)
        theta = self.theta.expand(x.shape[0], 2, 3)
        grid = functional.affine_grid(theta, [x.shape[0], 3, 32, 32], align_corners=False)
        return torch.sigmoid(functional.grid_sample(x, grid, mode="bilinear", align_corners=False))


def seeded(kind: type[nn.Module]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        return kind().eval().requires_grad_(False)


FORMS = ("trace", "export", "decomposed", "script", "frozen")


@pytest.mark.parametrize(
    ("kind", "form"),
    # Scripts have no word for the profiler's mark in Styled.
    [*((Styled, form) for form in FORMS[:3]), *((Layers, form) for form in FORMS)],
)
def test_images_are_those_of_the_network(tmp_path, kind, form):
    network, z = seeded(kind), torch.randn(2, 16, generator=torch.Generator().manual_seed(0))
    if form in ("script", "frozen"):
        torch.nn.utils.parametrize.remove_parametrizations(network.normed, "weight")  # pyright: ignore
    file = tmp_path / ("network.pt2" if form in ("export", "decomposed") else "network.pt")
    with warnings.catch_warnings(action="ignore"):
        if form in ("export", "decomposed"):
            made = torch.export.export(network, (z,), dynamic_shapes=({0: torch.export.Dim.AUTO},))
            torch.export.save(made.run_decompositions() if form == "decomposed" else made, file)
        elif form == "trace":
            torch.jit.trace(network, z, check_trace=False).save(file)
        else:
            scripted = torch.jit.script(network)
            (torch.jit.freeze(scripted) if form == "frozen" else scripted).save(file)
    opened = generator.module(file, **({} if form in ("export", "decomposed") else {"shape": (16,)}))
    latents = opened.sample(3, seed=1)
    scale, shift = (0.5, 0.5) if kind is Styled else (1, 0)
    torch.testing.assert_close(opened(latents), network(latents) * scale + shift, rtol=0, atol=2e-5)
    wide = opened.to("cpu", torch.float64)(latents.double())  # float32 that a trace wrote down follows
    rounded = 1e-6 if form == "frozen" else 1e-10  # freezing folds weights together, in float32
    torch.testing.assert_close(wide, network.double()(latents.double()) * scale + shift, rtol=0, atol=rounded)


def pair(rows: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(rows).standard_normal((rows, *shape)).astype(np.float32)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


X, F = pair(2, 4, 6, 5), np.float32
ONE = [
    ("Add", [X, pair(1, 5)], {}), ("Div", [ints(7, -7, 9), ints(2, 2, -4)], {}),
    ("Mod", [ints(7, -7), ints(3, 3)], {}), ("Mod", [X, pair(1)], {"fmod": 1}), ("Max", [X, X * 0, X - 1], {}),
    ("Mean", [X, X * 3], {}), ("Pow", [np.abs(X), F(1.5)], {}), ("PRelu", [X, pair(4, 1, 1)], {}),
    ("Clip", [X, F(-0.5), F(0.5)], {}), ("Clip", [X, None, F(0.1)], {}), ("LeakyRelu", [X], {"alpha": 0.2}),
    ("Elu", [X], {}), ("Selu", [X], {}), ("Celu", [X], {"alpha": 2.0}), ("HardSigmoid", [X], {}),
    ("HardSwish", [X], {}), ("Mish", [X], {}), ("Gelu", [X], {}), ("Gelu", [X], {"approximate": "tanh"}),
    ("ThresholdedRelu", [X], {"alpha": 0.3}), ("Softsign", [X], {}), ("Softplus", [X], {}), ("Erf", [X], {}),
    ("Not", [X > 0], {}), ("Where", [X > 0, X, -X], {}), ("Cast", [X], {"to": TensorProto.INT64}),
    ("Shape", [X], {"start": 1, "end": -1}), ("Size", [X], {}), ("Reshape", [X, ints(0, -1, 5)], {}),
    ("Reshape", [X, ints(2, 4, 30)], {"allowzero": 1}), ("Flatten", [X], {"axis": 2}),
    ("Transpose", [X], {"perm": [0, 2, 3, 1]}), ("Transpose", [X], {}), ("Squeeze", [X[:1, :1], ints(0)], {}),
    ("Squeeze", [X[:1, :1]], {}), ("Unsqueeze", [X, ints(-1, 0)], {}), ("Split", [X, ints(1, 3)], {"axis": 1}, 2),
    ("Split", [X], {"axis": 3, "num_outputs": 2}, 2), ("Slice", [X, ints(1), ints(9223372036854775807), ints(2)], {}),
    ("Slice", [X, ints(-1, 0), ints(-9223372036854775807, 3), ints(3, 1), ints(-2, 2)], {}),
    ("Gather", [X, ints(-1, 0, 2).reshape(1, 3)], {"axis": 1}), ("Gather", [X, ints(3).reshape(())], {"axis": 2}),
    ("GatherElements", [X[0, 0], ints(0, -1, 2, 3, 1).reshape(1, 5)], {"axis": 0}),
    ("GatherND", [X, ints(0, 1, 1, 3).reshape(2, 2)], {}),
    ("ScatterND", [X, ints(0, 1, 1, 3).reshape(2, 2), pair(2, 6, 5)], {}),
    ("ScatterElements", [X[0, 0], ints(0, 3, 2).reshape(1, 3), pair(1, 3)], {"axis": 1}),
    ("Expand", [X[:, :1], ints(4, 1, 1)], {}), ("Tile", [X, ints(1, 2, 1, 1)], {}),
    ("Trilu", [X, np.int64(1)], {"upper": 0}), ("Pad", [X, ints(0, 0, 1, 2, 0, 0, 3, 0), F(2)], {}),
    ("Pad", [X, ints(0, 0, 1, 2, 0, 0, 3, 0)], {"mode": "reflect"}),
    ("Pad", [X, ints(1, 2, 3, 0), None, ints(2, 3)], {"mode": "edge"}), ("DepthToSpace", [X], {"blocksize": 2}),
    ("DepthToSpace", [X], {"blocksize": 2, "mode": "CRD"}), ("SpaceToDepth", [X[..., :4]], {"blocksize": 2}),
    ("OneHot", [ints(1, 0), np.int64(3), np.array([0, 2], F)], {}), ("CumSum", [X, np.int64(1)], {}),
    ("TopK", [X, ints(2)], {"axis": 2}, 2), ("ArgMax", [X], {"axis": 1, "keepdims": 0}),
    ("Range", [np.int64(2), np.int64(9), np.int64(3)], {}), ("ReduceMean", [X, ints(1)], {}),
    ("ReduceMean", [X], {"keepdims": 0}), ("ReduceSum", [X, ints(2, 3)], {"keepdims": 0}),
    ("ReduceSum", [X], {"noop_with_empty_axes": 1}), ("ReduceMax", [X, ints(-1)], {}),
    ("ReduceProd", [X, ints(1, 2)], {}), ("ReduceL2", [X, ints(1)], {}), ("ReduceL1", [X, ints(1)], {}),
    ("ReduceSumSquare", [X, ints(1)], {}), ("ReduceLogSumExp", [X, ints(1)], {}), ("MatMul", [X, pair(5, 3)], {}),
    ("Einsum", [X, pair(4, 3)], {"equation": "nchw,cd->ndhw"}),
    ("Gemm", [pair(3, 2), pair(3, 4), pair(4)], {"transA": 1, "alpha": 0.5, "beta": 2.0}),
    ("Conv", [X, pair(4, 2, 3, 3), pair(4)], {"pads": [1, 0, 1, 2], "strides": [2, 1], "group": 2}),
    ("Conv", [X, pair(3, 4, 3, 3)], {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    ("Conv", [X[..., 0], pair(3, 4, 3)], {}),
    ("ConvTranspose", [X, pair(4, 3, 3, 3), pair(3)], {"pads": [1] * 4, "strides": [2, 2], "output_padding": [1, 0]}),
    ("ConvTranspose", [X, pair(4, 3, 3, 3)], {"pads": [0, 1, 1, 2], "strides": [2, 1], "dilations": [1, 2]}),
    ("AveragePool", [X], {"kernel_shape": [2, 2], "strides": [2, 1], "pads": [1, 1, 1, 1]}),
    ("MaxPool", [X], {"kernel_shape": [3, 2], "strides": [2, 2]}), ("GlobalAveragePool", [X], {}),
    ("BatchNormalization", [X, pair(4), pair(4), pair(4), np.abs(pair(4))], {}),
    ("InstanceNormalization", [X, pair(4), pair(4)], {"epsilon": 1e-3}),
    ("LayerNormalization", [X, pair(6, 5), pair(6, 5)], {"axis": 2}),
    ("GroupNormalization", [X, pair(4), pair(4)], {"num_groups": 2}), ("LpNormalization", [X], {"axis": 1}),
    ("RMSNormalization", [X, pair(5)], {}), ("Softmax", [X], {"axis": 1}), ("LogSoftmax", [X], {}), ("Swish", [X], {}),
    ("GridSample", [X, np.tanh(pair(2, 3, 4, 2))], {"align_corners": 1}), ("Dropout", [X], {}), ("Identity", [X], {}),
]  # fmt: skip
OLDER = [
    (9, "Upsample", [X, np.array([1, 1, 2, 2], F)], {}), (9, "Slice", [X], {"starts": [1], "ends": [3], "axes": [2]}),
    (6, "Clip", [X], {"min": -0.5, "max": 0.5}), (2, "Pad", [X], {"pads": [0, 0, 1, 2, 0, 0, 3, 0], "value": 2.0}),
    (11, "Squeeze", [X[:1, :1]], {"axes": [0]}), (11, "Unsqueeze", [X], {"axes": [0, -1]}),
    (13, "ReduceMean", [X], {"axes": [1]}), (11, "ReduceSum", [X], {"axes": [1], "keepdims": 0}),
    (11, "Split", [X], {"split": [1, 3], "axis": 1}, 2),
    (18, "GroupNormalization", [X, pair(2), pair(2)], {"num_groups": 2}),
]  # fmt: skip
RESIZED = [
    (sizes, {"mode": mode, "coordinate_transformation_mode": place} | more)
    for sizes in (False, True)
    for mode, place, more in (
        ("nearest", "asymmetric", {"nearest_mode": "floor"}),
        ("nearest", "half_pixel", {}),
        ("nearest", "half_pixel", {"nearest_mode": "ceil"}),
        ("linear", "half_pixel", {}),
        ("linear", "asymmetric", {}),
        ("linear", "align_corners", {}),
        ("cubic", "half_pixel", {}),
    )
]


def compare(opset: int, kind: str, inputs: list, attributes: dict, outputs: int = 1, tolerance: float = 1e-5) -> None:
    """Check one operation against onnx's own reference."""
    names = ["" if one is None else f"x{i}" for i, one in enumerate(inputs)]
    made = [f"y{i}" for i in range(outputs)]
    node = helper.make_node(kind, names, made, **attributes)
    types = {np.dtype(bool): TensorProto.BOOL, np.dtype(np.int64): TensorProto.INT64}
    known = {name: np.asarray(one) for name, one in zip(names, inputs, strict=True) if name}
    ends = [helper.make_tensor_value_info(k, types.get(v.dtype, TensorProto.FLOAT), v.shape) for k, v in known.items()]
    gives = [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in made]
    model = helper.make_model(
        helper.make_graph([node], "g", ends, gives), opset_imports=[helper.make_opsetid("", opset)], ir_version=10
    )
    expected = onnx.reference.ReferenceEvaluator(model).run(None, known)
    read = read_node(None, Message(memoryview(node.SerializeToString())), opset, None)  # pyright: ignore
    result = OPERATIONS[kind](read, *(None if one is None else torch.as_tensor(one) for one in inputs))
    results = result if isinstance(result, (tuple, list)) else (result,)
    for ours, theirs in zip(results, expected, strict=True):
        assert tuple(ours.shape) == theirs.shape
        np.testing.assert_allclose(ours.double().numpy(), theirs.astype(np.float64), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("case", ONE, ids=lambda case: f"{case[0]}-{list(case[2])}")
def test_an_onnx_operation_equals_the_reference(case):
    compare(24, *case)


@pytest.mark.parametrize("case", OLDER, ids=lambda case: f"{case[1]}-{case[0]}")
def test_an_older_onnx_operation_equals_the_reference(case):
    compare(*case)


@pytest.mark.parametrize(("sizes", "attributes"), RESIZED)
def test_resize_equals_the_onnx_reference(sizes, attributes):
    last = [None, ints(2, 4, 9, 7)] if sizes else [np.array([1, 1, 2, 1.6], F)]
    compare(19, "Resize", [X, None, *last], attributes, tolerance=1e-4)


def test_a_softmax_before_version_13_runs_over_all_further_axes():
    result = OPERATIONS["Softmax"](Node("Softmax", ["x"], ["y"], {}, 11), torch.as_tensor(X))
    torch.testing.assert_close(result, torch.as_tensor(X).flatten(1).softmax(1).reshape(X.shape))


def test_every_onnx_operation_is_compared_with_the_reference():
    compared = {case[0] for case in ONE} | {case[1] for case in OLDER} | {"Resize"}
    plain = {"CastLike", "Constant", "ConstantOfShape", "GlobalMaxPool", "Det", "IsInf", "IsNaN", "ReduceMin"}
    simple = {name for name in OPERATIONS if hasattr(torch, name.lower())}
    same = {"Sub", "Mul", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "And", "Or", "Xor"}
    others = {"Sum", "Min", "ArgMin", "ReduceLogSum", "Concat", "Relu"}
    assert OPERATIONS.keys() - compared - plain - simple - same - others == set()
