"""Recognise a file's format by the names of its tensors, and read the network. No torch here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from os import PathLike
from typing import TYPE_CHECKING

from eigenwalk.checkpoint import Checkpoint, Record
from eigenwalk.errors import FileError

if TYPE_CHECKING:
    from eigenwalk_stylegan.description import Description, Network

CONVERTED = "eigenwalk-stylegan"
"""The format's name in the metadata of a safetensors file that `eigenwalk convert` wrote."""


@dataclass(frozen=True)
class Format:
    """One kind of file.

    Attributes:
        name: of the module of `eigenwalk_stylegan.formats` that reads it.
        words: what it is, for people.
        fits: whether a checkpoint is of this kind.
    """

    name: str
    words: str
    fits: Callable[[Checkpoint], bool]


def _has(*names: str) -> Callable[[Checkpoint], bool]:
    return lambda checkpoint: checkpoint.has_all(*names)


def _is_tensorflow(checkpoint: Checkpoint) -> bool:
    tree = {} if checkpoint.trouble else checkpoint.tree
    parts = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, (list, tuple)) else ()
    return any(isinstance(part, Record) and part.kind == "dnnlib.tflib.network.Network" for part in parts)


FORMATS = (
    Format("nvidia", "StyleGAN3 pickle of PyTorch", _has("synthesis.input.freqs", "synthesis.input.phases")),
    Format("nvidia", "StyleGAN2 or StyleGAN2-ADA pickle of PyTorch", _has("synthesis.b4.const")),
    Format("r3gan", "R3GAN pickle of PyTorch", _has("Model.MainLayers.0.Layers.0.Basis")),
    Format("tensorflow", "StyleGAN2 pickle of TensorFlow", _is_tensorflow),
    Format("rosinality", "StyleGAN2 checkpoint of rosinality", _has("convs.0.conv.modulation.weight", "input.input")),
    Format("hammer", "StyleGAN3 checkpoint of Hammer", _has("synthesis.layer0.conv.style.weight")),
    Format("genforce", "StyleGAN2 checkpoint of genforce or Hammer", _has("synthesis.layer0.style.weight")),
)
CONVERSION = Format("converted", "StyleGAN converted to safetensors", lambda checkpoint: True)


def recognise(checkpoint: Checkpoint) -> Format | None:
    """Return the format of the file; None if it is neither one of `FORMATS` nor a converted file."""
    if not checkpoint.kind.holds_tensors:
        return None
    if not checkpoint.trouble and checkpoint.metadata.get("format") == CONVERTED:
        return CONVERSION
    return next((one for one in FORMATS if one.fits(checkpoint)), None)


def describe(checkpoint: Checkpoint) -> Description:
    """Read the generator in the file, as data.

    Raises:
        FileError: it is of no known format, or is not opened; the message says which and why.
    """
    if checkpoint.kind.holds_tensors:
        checkpoint.tensors  # noqa: B018 - what cannot be read says why itself
    found = recognise(checkpoint)
    if found is None:
        known = "; ".join(one.words for one in FORMATS if one.name != "r3gan")
        raise FileError(
            f"{checkpoint} is no StyleGAN that is known here, but {checkpoint.words}. Known: {known}; and what "
            "`eigenwalk convert` wrote"
        )
    if found.name == "r3gan":
        raise FileError(
            f'{checkpoint} is an R3GAN, which has no styles: open it by its path alone, or as r3gan("{checkpoint}")'
        )
    return import_module(f"eigenwalk_stylegan.formats.{found.name}").read(checkpoint)


def load(path: str | PathLike[str], key: str | None = None) -> tuple[Network, Description]:
    """Load the network in the file at `path`, float32, in eval mode and frozen; return it with its description.

    If the file holds several networks, `key` says which.

    Raises:
        FileError: as `describe`, or its tensors do not fit its configuration.
    """
    from eigenwalk_stylegan.description import network

    checkpoint = Checkpoint.of(path, key)
    description = describe(checkpoint)
    return network(description, str(checkpoint)), description
