"""ONNX files with the layers of dlib's networks of age and gender, and weights of our own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Array = NDArray[np.float32]
BLOCKS = ((64, 64), (64, 128), (128, 128), (128, 256), (256, 256))


def numbers(*shape: int, seed: int) -> Array:
    """Numbers around 0 with a standard deviation of 1, the same everywhere."""
    k = np.arange(1, np.prod(shape) + 1)
    return (np.fmod(np.sin(12.9898 * k + seed) * 43758.5453, 1).reshape(shape) * 3**0.5).astype(np.float32)


def convolution(before: int, after: int, size: int, seed: int) -> Iterator[dict[str, Array]]:
    """Yield the tensors of a convolution, and of the affine layer after it."""
    kernel = numbers(after, before, size, size, seed=seed) * (2 / (before * size**2)) ** 0.5
    yield {"weights": kernel.astype(np.float32), "bias": numbers(after, seed=seed + 1) * np.float32(0.1)}
    scale = 0.7 + numbers(1, after, 1, 1, seed=seed + 2) * 0.1
    yield {"scale": scale.astype(np.float32), "offset": numbers(1, after, 1, 1, seed=seed + 3) * np.float32(0.1)}


def dense(before: int, after: int, seed: int) -> dict[str, Array]:
    """Return the tensors of a linear layer, large enough that two images differ."""
    matrix = numbers(before, after, seed=seed) * (100 / before) ** 0.5
    return {"weights": matrix.astype(np.float32), "bias": numbers(after, seed=seed + 1) * np.float32(0.1)}


def age_layers() -> list[dict[str, Array]]:
    """Return the tensors of every layer of the network of ages, as an image passes them."""
    found = [*convolution(3, 64, 7, 0)]
    for n, (before, after) in enumerate(BLOCKS, 1):
        found += [*convolution(before, after, 3, 10 * n), *convolution(after, after, 3, 10 * n + 5)]
    return [*found, dense(256, 81, 90)]


def gender_layers() -> list[dict[str, Array]]:
    """Return the tensors of every layer of the network of genders, as an image passes them."""
    sizes = ((3, 32), (32, 32), (32, 64), (64, 64))
    found = [one for n, (before, after) in enumerate(sizes) for one in convolution(before, after, 3, 10 * n)]
    half = {"scalar": np.array([0.5], np.float32)}
    return [*found, half, dense(4096, 16, 50), half, dense(16, 2, 60)]


def write(path: Path, layers: list[dict[str, Array]]) -> None:
    """Write the tensors by the names that dlib's networks have in their ONNX files, without a graph that uses them."""
    named = {f"layer_{len(layers) - n}_{part}": rows for n, one in enumerate(layers) for part, rows in one.items()}
    tensors = [numpy_helper.from_array(rows, name) for name, rows in named.items()]
    value = helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, ["N", 3, 64, 64])
    graph = helper.make_graph([], "made", [value], [value], tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), path)


def prepare(folder: Path) -> None:
    """Write ``age.onnx`` and ``gender.onnx``."""
    write(folder / "age.onnx", age_layers())
    write(folder / "gender.onnx", gender_layers())
