"""From a file of any known format to its network."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from eigenwalk.errors import FileError
from eigenwalk_stylegan.description import Description, Network, network
from eigenwalk_stylegan.heads import FORMATS, recognised


def described(path: Path) -> Description:
    """The generator in the file at `path`, as data.

    Raises:
        FileError: missing, of no known format, or one that is not opened; the message says which and why.
    """
    if not path.is_file():
        raise FileError(f"there is no file {path}")
    found = recognised(path)
    if found is None:
        known = "; ".join(one.words for one in FORMATS if one.name != "r3gan")
        raise FileError(f"{path} is no StyleGAN that is known here. Known: {known}; and what `eigenwalk convert` wrote")
    if found.name == "r3gan":
        raise FileError(f'{path} is an R3GAN, which has no styles: open it by its path alone, or as r3gan("{path}")')
    return import_module(f"eigenwalk_stylegan.formats.{found.name}").read(path)


def opened(path: Path) -> tuple[Network, Description]:
    """The network in the file at `path`, float32, in eval mode and frozen, and what it was made from.

    Raises:
        FileError: as `described`, or its tensors do not fit its configuration.
    """
    description = described(path)
    return network(description, path), description
