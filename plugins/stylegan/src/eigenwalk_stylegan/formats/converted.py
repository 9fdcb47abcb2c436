"""What ``eigenwalk convert`` writes: the tensors in safetensors, the configuration in its metadata. No pickle."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save

from eigenwalk.checkpoint import Checkpoint, StateDict
from eigenwalk.errors import FileError, OutputError, reason
from eigenwalk.store import write_whole
from eigenwalk_stylegan.configuration import as_data, from_data
from eigenwalk_stylegan.description import Description, Network
from eigenwalk_stylegan.recognise import CONVERTED

VERSION = "1"
"""Of this layout: the names of tensors and of the configuration's parts."""


def read(checkpoint: Checkpoint) -> Description:
    """The generator in the file.

    Raises:
        FileError: truncated, written by a later version, or not what it claims.
    """
    metadata = checkpoint.metadata
    try:
        if (version := metadata["version"]) != VERSION:
            raise ValueError(f"its layout has version {version[:20]}: a newer eigenwalk-stylegan opens it")
        configuration = from_data(json.loads(metadata["configuration"]))
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise FileError(f"{checkpoint} cannot be opened as a converted generator: {error}") from error
    state = StateDict(checkpoint.tensors, str(checkpoint), checkpoint.size).load()
    return Description(configuration, state, metadata.get("source", "StyleGAN")[:200])


def write(network: Network, source: str, path: Path) -> None:
    """Write `network` to `path`, whole or not at all.

    Raises:
        OutputError: the folder is missing, or cannot be written to.
    """
    metadata = {
        "format": CONVERTED,
        "version": VERSION,
        "configuration": json.dumps(as_data(network.sizes)),
        "source": source,
    }
    try:
        tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
        write_whole(path, save(tensors, metadata))
    except (OSError, SafetensorError) as error:
        raise OutputError(f"{path} cannot be written: {reason(error)}") from error
