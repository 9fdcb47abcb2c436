"""Opening the networks that ship inside the package."""

from __future__ import annotations

import hashlib
from os import PathLike
from typing import TypeVar

from safetensors import SafetensorError
from safetensors.torch import load
from torch import nn

from eigenwalk.checkpoint import fill, state_dict
from eigenwalk.errors import WeightsError
from eigenwalk_miniatures.embedder import Embedder
from eigenwalk_miniatures.miniature import Miniature
from eigenwalk_miniatures.network import Generator, Shape
from eigenwalk_miniatures.regressor import Attributes, Regressor
from eigenwalk_miniatures.segmenter import Segmenter
from eigenwalk_miniatures.shipped import listed

Network = TypeVar("Network", bound=nn.Module)


def network(world: Miniature, name: str, built: Network) -> Network:
    """Load the package's weights of network `name` into `built`: float32, eval mode, frozen.

    Raises:
        WeightsError: the package lacks the file, it is not the one that was published, or it does not fit.
    """
    file = world.weights(name)
    try:
        held = file.read_bytes()
        # Checked before it is parsed, in case it was damaged on the way.
        if hashlib.sha256(held).hexdigest() != listed(world, name)["sha256"]:
            raise RuntimeError("its SHA-256 is not the published one")
        built.load_state_dict(load(held))
    except (OSError, KeyError, SafetensorError, RuntimeError) as error:
        raise WeightsError(
            f"{world.name}: cannot read the weights {file.name} of eigenwalk-miniatures ({error}); "
            "install the package again: pip install --force-reinstall eigenwalk-miniatures"
        ) from error
    return built.eval().requires_grad_(False)


def generator(world: Miniature) -> Generator:
    """The miniature's trained generator; its images are in about [-1, 1]."""
    return network(world, "generator", Generator(Shape()))


def trained(path: str | PathLike[str]) -> Generator:
    """Open a `generator.safetensors` that training wrote; its images are in about [-1, 1].

    Raises:
        FileError: the file is truncated, or of another shape than this package's generators.
    """
    return fill(lambda: Generator(Shape()), state_dict(path), str(path))


def segmenter(world: Miniature) -> Segmenter:
    """The miniature's trained part segmenter."""
    return network(world, "segmenter", Segmenter(len(world.parts)))


def regressor(world: Miniature) -> Regressor:
    """The miniature's trained factor regressor."""
    return network(world, "regressor", Regressor(len(world.factors)))


def attributes(world: Miniature) -> Attributes:
    """The miniature's second reader of factors, which walks may optimise."""
    return network(world, "attributes", Attributes(len(world.factors)))


def embedder(world: Miniature) -> Embedder:
    """The miniature's trained identity embedding."""
    return network(world, "embedder", Embedder(len(world.identity)))
