"""TensorFlow Lite's files: each operation against the original runtime, every derivative, and damaged files."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.func import jvp, vmap
from torch.nn import functional as F

from eigenwalk.errors import FileError
from eigenwalk_face.tflite import load
from eigenwalk_face.tflite.writer import Graph

SAME, VALID = ("b", 0), ("b", 1)
GOLDEN = (
    *(3.949494, 1.166414, 0.0, 0.0, 1.565868, 0.0),
    *(0.678563, 1.34297, 1.089483, 0.0, 0.998798, 1.314125),
    *(0.366107, 0.0, 1.469919, 4.600509, 1.742636, 0.0),
    *(0.002791, 1.581447, 0.0, 0.706201, 1.43732, 1.184937),
    *(0.0, 1.11493, 1.358794, 0.253913, 0.0, 0.699056),
    *(6.93543, 3.036128, 4.575907, 2.854739, 7.766974, 2.662938),
    *(4.960792, 2.311835, 0.0, 0.0, 0.0, 0.0),
)
"""Both outputs for `wave(1, 3, 8, 8, step=0.9)`, by ai-edge-litert 2.3.0 on the file that `write_everything` writes."""


def wave(*shape: int, step: float = 1.0) -> Tensor:
    """Numbers in [-1, 1] that are the same on every machine."""
    return torch.sin(step * torch.arange(1, 1 + torch.Size(shape).numel(), dtype=torch.float64)).float().view(shape)


def convolution(graph: Graph, source: int, shape: Sequence[int], kernel: Tensor, stride: int, half: bool = True) -> int:
    """Append a convolution with `kernel` ``(out, h, w, in)`` and SAME padding."""
    weight, bias = 0.5 * kernel, 0.1 * wave(kernel.shape[0], step=3)
    constants = [graph.constant(one.half() if half else one) for one in (weight, bias)]
    options = {0: SAME, 1: ("i", stride), 2: ("i", stride)}
    return graph.operation("CONV_2D", [source, *constants], shape, options)


def write_everything(path: Path) -> Path:
    """Write a network with every operation of the schema that is known, for images of 8 x 8 pixels."""
    graph = Graph()
    source = graph.tensor(1, 8, 8, 3)
    x = convolution(graph, source, (1, 4, 4, 2), wave(2, 3, 3, 3, step=0.7), 2)
    x = graph.operation("PRELU", [x, graph.constant(wave(1, 1, 2))], (1, 4, 4, 2))
    deep = [graph.constant(wave(1, 5, 5, 2, step=0.3)), graph.constant(wave(2))]
    y = graph.operation("DEPTHWISE_CONV_2D", [x, *deep], (1, 4, 4, 2), {0: SAME, 1: ("i", 1), 2: ("i", 1), 3: ("i", 1)})
    y = graph.operation("HARD_SWISH", [y], (1, 4, 4, 2))
    x = graph.operation("ADD", [x, y], (1, 4, 4, 2), {})
    pool = {0: VALID, 1: ("i", 2), 2: ("i", 2), 3: ("i", 2), 4: ("i", 2)}
    z = graph.operation("MAX_POOL_2D", [x], (1, 2, 2, 2), pool)
    paddings = graph.constant(torch.tensor([[0, 0], [0, 0], [0, 0], [0, 1]], dtype=torch.int32))
    z = graph.operation("PAD", [z, paddings], (1, 2, 2, 3))
    whole = {0: VALID, 1: ("i", 4), 2: ("i", 4), 3: ("i", 4), 4: ("i", 4)}
    mean = graph.operation("AVERAGE_POOL_2D", [y], (1, 1, 1, 2), whole)
    gate = graph.operation("LOGISTIC", [mean], (1, 1, 1, 2))
    x = graph.operation("MUL", [x, gate], (1, 4, 4, 2), {})
    size = graph.constant(torch.tensor([3, 5], dtype=torch.int32))
    x = graph.operation("RESIZE_BILINEAR", [x, size], (1, 3, 5, 2), {3: ("b", 1)})
    x = graph.operation("RELU", [x], (1, 3, 5, 2))
    return graph.write(path, [source], [x, z])


def test_every_operation_gives_what_the_original_runtime_gave(tmp_path):
    network = load(write_everything(tmp_path / "net.tflite"))
    found = network(wave(1, 3, 8, 8, step=0.9))
    assert network.size == (8, 8) and [one.shape for one in found] == [(1, 2, 3, 5), (1, 3, 2, 2)]
    torch.testing.assert_close(torch.cat([one.flatten() for one in found]), torch.tensor(GOLDEN), rtol=0, atol=2e-5)


def test_rows_do_not_mix_and_derivatives_are_exact(tmp_path):
    network = load(write_everything(tmp_path / "net.tflite")).double()
    images, tangents = (wave(2, 3, 8, 8, step=step).double() for step in (0.9, 0.37))
    torch.testing.assert_close(network(images)[0][1:], network(images[1:])[0])

    def first(x):
        return network(x)[0]

    assert torch.autograd.gradcheck(first, images[:1].requires_grad_(), check_forward_ad=True)
    (row,) = images[:1].detach().split(1)
    together = vmap(lambda v: jvp(first, (row,), (v[None],))[1])(tangents)
    torch.testing.assert_close(together[1], jvp(first, (row,), (tangents[1:],))[1])


def test_mediapipe_s_transposed_convolution_lays_tiles(tmp_path):
    graph = Graph()
    source = graph.tensor(1, 2, 3, 4)
    kernel, bias = wave(1, 2, 2, 4), torch.tensor([0.5])
    stride = b"".join(number.to_bytes(4, "little") for number in (1, 2, 2))
    constants = [graph.constant(kernel), graph.constant(bias)]
    out = graph.operation("Convolution2DTransposeBias", [source, *constants], (1, 4, 6, 1), custom=stride)
    images = wave(1, 4, 2, 3)
    (found,) = load(graph.write(tmp_path / "net.tflite", [source], [out]))(images)
    assert found[0, 0, 3, 4] == pytest.approx(float((images[0, :, 1, 2] * kernel[0, 1, 0]).sum() + 0.5), abs=1e-6)
    torch.testing.assert_close(found, F.conv_transpose2d(images, kernel.permute(3, 0, 1, 2), bias, 2))


def test_cut_files_are_refused(tmp_path):
    whole = write_everything(tmp_path / "net.tflite").read_bytes()
    for length in range(8, len(whole), 97):
        (tmp_path / "cut.tflite").write_bytes(whole[:length])
        with pytest.raises(FileError, match=r"cut\.tflite"):
            load(tmp_path / "cut.tflite")


def test_altered_files_are_opened_or_refused_in_words(tmp_path):
    whole, chance = write_everything(tmp_path / "net.tflite").read_bytes(), random.Random(0)
    refused = 0
    for i in range(150):
        altered = bytearray(whole)
        for _ in range(3):
            altered[chance.randrange(8, len(whole))] = chance.randrange(256)
        file = tmp_path / f"{i}.tflite"
        file.write_bytes(altered)
        try:
            load(file)
        except FileError:
            refused += 1
    assert refused > 20


def one_operation(name: str, shape: Sequence[int], options: dict | None = None, constant: Tensor | None = None):
    """Return a graph of one operation on (1, 4, 4, 2), and its tensors that go in and out."""
    graph = Graph()
    source = graph.tensor(1, 4, 4, 2)
    others = [] if constant is None else [graph.constant(constant)]
    return graph, [source], [graph.operation(name, [source, *others], shape, options)]


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (one_operation("FlexErf", (1, 4, 4, 2)), "uses 'FlexErf', which is not known here: only ADD"),
        (one_operation("RELU", (1, 4, 4, 3)), r"declares \[1, 4, 4, 3\] for tensor 1"),
        (one_operation("RELU", (1, 1 << 13, 1 << 13, 2)), "too large"),
        (one_operation("ADD", (1, 4, 4, 2), {0: ("b", 1)}, torch.ones(2)), "an activation is fused"),
        (one_operation("ADD", (1, 4, 4, 2), {}, torch.ones(3)), "do not fit each other"),
        (one_operation("CONV_2D", (1, 4, 4, 1), {}, torch.ones(1, 1, 1, 2)), "its stride is"),
        (
            one_operation(
                "DEPTHWISE_CONV_2D", (1, 4, 4, 2), {1: ("i", 1), 2: ("i", 1), 3: ("i", 4)}, torch.ones(1, 1, 1, 2)
            ),
            "its 2 channels are not 4",
        ),
        (one_operation("RELU6", (1, 4, 4, 2)), "uses 'RELU6'"),
        (one_operation("RESIZE_BILINEAR", (1, 4, 4, 2), {}, torch.ones(2, dtype=torch.int32)), "half-pixel centres"),
        (one_operation("PAD", (1, 4, 4, 2), {}, torch.full((4, 2), -1, dtype=torch.int32)), "its padding is"),
        (one_operation("MAX_POOL_2D", (1, 4, 4, 2), {0: SAME}), "it pads"),
    ],
)
def test_what_is_not_known_is_refused_by_name(graph, message, tmp_path):
    graph, inputs, outputs = graph
    with pytest.raises(FileError, match=message):
        load(graph.write(tmp_path / "net.tflite", inputs, outputs))


def test_other_files_are_refused(tmp_path):
    torch.save({}, tmp_path / "net.pt")
    with pytest.raises(FileError, match="is a PyTorch file, where a TensorFlow Lite network"):
        load(tmp_path / "net.pt")
