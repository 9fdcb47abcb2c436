"""What a plugin declares about what it offers: frozen data, and no torch.

A plugin's entry point names a module that holds these specs and the hooks that return them. Nothing
heavier is imported until a name is used: then `load`, text of the form ``package.module:factory``, is
imported and called with the options that the user wrote.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

API = 1
"""The version of the contracts that this core speaks."""

_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_LOAD = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")

OptionType = Literal["str", "int", "float", "bool", "numbers", "words", "path"]


@dataclass(frozen=True)
class Option:
    """One option of a feature or generator.

    `type` is one of ``str``, ``int``, ``float``, ``bool``, ``path``, ``numbers`` (a tuple of numbers) and
    ``words`` (a tuple of strings). A `default` of None with `required=False` means: not given, and the factory is
    then called without it. Options may be written by position, in the order in which the spec lists them.
    """

    name: str
    type: OptionType = "str"
    default: Any = None
    summary: str = ""
    choices: tuple[str, ...] = ()
    required: bool = False

    def __post_init__(self) -> None:
        if not self.name.isidentifier() or self.name == "package":
            raise ValueError(f"Option.name must be an identifier other than 'package', got {self.name!r}")


@dataclass(frozen=True)
class Weights:
    """One file of weights. `url` None: the file ships inside the package, `file` is its name there.

    `sha256` is hexadecimal, `size` in bytes.
    """

    file: str
    sha256: str
    size: int
    licence: str
    url: str | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ValueError(f"Weights.sha256 of {self.file!r} must be 64 lowercase hex digits, got {self.sha256!r}")


@dataclass(frozen=True)
class _Spec:
    name: str
    load: str
    summary: str
    options: tuple[Option, ...] = ()
    weights: tuple[Weights, ...] = ()
    licence: str = ""
    cites: tuple[str, ...] = ()
    api: int = API

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"name must be dotted words such as 'fourier.low', got {self.name!r}")
        if not _LOAD.fullmatch(self.load):
            raise ValueError(f"load of {self.name!r} must be 'package.module:factory', got {self.load!r}")
        names = [option.name for option in self.options]
        if len(set(names)) < len(names):
            raise ValueError(f"options of {self.name!r} repeat a name: {names}")

    def factory(self) -> Callable[..., Any]:
        """The factory that `load` names, imported now.

        Raises:
            ImportError, AttributeError: as the plugin's module raises them; the registry names the plugin.
        """
        module, _, attribute = self.load.partition(":")
        found: Any = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
        return found


@dataclass(frozen=True)
class FeatureSpec(_Spec):
    """A feature that a plugin offers by name.

    `kind` is ``projection`` for a feature whose value is again an image, so that another feature can
    follow it (``mask(box=…) | fourier.low``). `unit` names what `Feature.distance` returns, in words.
    """

    kind: Literal["feature", "projection"] = "feature"
    unit: str = "RMS pixel"
    differentiable: bool = True


@dataclass(frozen=True)
class GeneratorSpec(_Spec):
    """An image generator that a plugin offers by name; `spaces` are the latent spaces it can walk in."""

    spaces: tuple[str, ...] = ("z",)


@dataclass(frozen=True)
class DirectionSpec(_Spec):
    """A way to choose directions other than the Rayleigh quotient, offered by name for comparison."""


@dataclass(frozen=True)
class CommandSpec:
    """A command for the shell that a plugin adds: ``eigenwalk NAME``; `load` gives a typer application."""

    name: str
    load: str
    summary: str
