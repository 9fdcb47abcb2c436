"""The closed list of what a pickle of networks may name, and what of ours stands for it.

Seen in the published files of StyleGAN2, StyleGAN2-ADA and StyleGAN3, of TensorFlow and of PyTorch; for R3GAN, in files
that its public code wrote. A name that is
not here is an error, wherever in the file it stands.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eigenwalk.errors import FileError
from eigenwalk_stylegan.arrays import NUMPY
from eigenwalk_stylegan.inert import Items, Machine, Make, Record, shown
from eigenwalk_stylegan.torchfile import rebuilt, storage


def _persistent(machine: Machine, arguments: tuple[Any, ...]) -> Record:
    """A module of NVIDIA's: name and state of its class. The source that comes with it is neither run nor kept."""
    (saved,) = arguments
    return Record(shown(saved["class_name"]), saved["state"])


def _encode(machine: Machine, arguments: tuple[Any, ...]) -> memoryview:
    """Bytes, which older protocols write as text."""
    text, code = arguments
    if code != "latin1":
        raise ValueError("another code than latin1")
    machine.charge(len(text))
    return memoryview(text.encode("latin1"))


def _items(machine: Machine, arguments: tuple[Any, ...]) -> Items:
    if arguments:
        raise ValueError("a dictionary's items come after it")
    return Items()


def _set(machine: Machine, arguments: tuple[Any, ...]) -> set[Any]:
    (values,) = arguments
    machine.charge(8 * len(values))
    return {machine.key(value) for value in values}


R3GAN = (
    *("training.networks.Generator", "training.networks.Discriminator"),
    *(f"R3GAN.Networks.{part}" for part in ("Generator", "GeneratorStage", "GenerativeBasis", "UpsampleLayer")),
    *(f"R3GAN.Networks.{part}" for part in ("Discriminator", "DiscriminatorStage", "DiscriminativeBasis")),
    *(f"R3GAN.Networks.{part}" for part in ("DownsampleLayer", "ResidualBlock", "Convolution")),
    *(f"R3GAN.Resamplers.Interpolative{part}CUDA" for part in ("Upsampler", "Downsampler")),
    "R3GAN.FusedOperators.BiasedActivationCUDA",
    *("torch.nn.modules.container.ModuleList", "torch.nn.modules.conv.Conv2d", "torch.nn.modules.linear.Linear"),
)
"""Modules that R3GAN's pickles name by their classes; each becomes a record."""


def _named(kind: str) -> Make:
    def made(machine: Machine, arguments: tuple[Any, ...]) -> Record:
        if arguments:
            raise ValueError("a module's attributes come after it")
        return Record(kind)

    return made


LISTED: dict[str, Make | None] = {
    **NUMPY,
    "_codecs.encode": _encode,
    "__builtin__.set": _set,
    "builtins.set": _set,
    "collections.OrderedDict": _items,
    "dnnlib.util.EasyDict": _items,
    "dnnlib.tflib.network.Network": lambda machine, arguments: Record("Network"),
    "torch._utils._rebuild_parameter": lambda machine, arguments: arguments[0],
    "torch._utils._rebuild_tensor_v2": rebuilt,
    "torch.storage._load_from_bytes": storage,
    "torch_utils.persistence._reconstruct_persistent_obj": _persistent,
    "torch.bfloat16": None,
    "torch.float32": None,
    **{name: _named(name) for name in R3GAN},
}
"""What stands for each global."""


def unpickled(path: Path) -> Any:
    """What the pickle at `path` holds, as inert data: dictionaries, records, arrays, tensors.

    Raises:
        FileError: it names what is not listed, claims more than it has, is truncated or no pickle; nothing was run.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}") from error
    return Machine(memoryview(data), LISTED, str(path), len(data)).load()


def averaged(path: Path) -> Record:
    """The generator ``G_ema``, whose weights are averages over its training, of the pickle at `path`.

    Raises:
        FileError: the pickle is not opened (see `unpickled`), or has none.
    """
    found = unpickled(path)
    generator = found.get("G_ema") if isinstance(found, dict) else None
    if not isinstance(generator, Record):
        holds = ", ".join(map(str, found))[:200] if isinstance(found, dict) else type(found).__name__
        raise FileError(f"{path} has no generator G_ema: it holds {holds}")
    return generator
