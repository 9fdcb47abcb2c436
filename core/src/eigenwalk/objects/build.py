"""Resolved calls -> objects, by a plugin's factory or a user's Python file, and what was used for each."""

from __future__ import annotations

import functools
import inspect
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar, cast

from torch import nn

from eigenwalk import store
from eigenwalk.checkpoint import Checkpoint, sharing
from eigenwalk.errors import ContractError, EigenwalkError, OptionError, PluginError
from eigenwalk.feature import Feature, FunctionFeature, Projection
from eigenwalk.generator import Generator
from eigenwalk.names.discovery import CALLED, explain
from eigenwalk.names.files import OwnFile, sha256, where
from eigenwalk.names.near import nearest
from eigenwalk.names.options import factory_options
from eigenwalk.names.registry import Offer
from eigenwalk.names.resolve import open_checkpoint
from eigenwalk.names.tree import Call, Open
from eigenwalk.spec import FeatureSpec

T = TypeVar("T")


@dataclass(frozen=True)
class Used:
    """The plugin, weights and files behind one name, so that a run can be repeated.

    `weights` are the files that its factory opened, from the store or from inside its package, and `files` the
    user's own, each with its SHA-256. A function in a user's file has no distribution and no version.
    """

    name: str
    distribution: str | None = None
    version: str | None = None
    weights: tuple[tuple[str, str], ...] = ()
    files: tuple[tuple[str, str], ...] = ()


def provenance(used: Iterable[Used]) -> dict[str, dict[str, str]]:
    """Return the versions, and the SHA-256 of weights and files, that a recipe records."""
    used = tuple(used)
    installed = {name: version(name) for name in ("eigenwalk", "torch", "numpy")}
    return {
        "installed": installed | {one.distribution: one.version for one in used if one.distribution and one.version},
        "weights": {file: digest for one in used for file, digest in one.weights},
        "files": {file: digest for one in used for file, digest in one.files},
    }


def build(offer: Offer[Any], call: Call | None, kind: type[T], /, **options: Any) -> tuple[T, Used]:
    """Return the object of type `kind` that `offer`'s factory makes with `options`, and what was used.

    `call`, with its options by keyword, names files of the user among them; a feature lists others.

    Raises:
        PluginError: the factory cannot be imported, or raises; eigenwalk's own errors pass through.
        ContractError: the factory returns something else.
    """
    spec, who = offer.spec, f"{offer.name!r} of plugin {offer.plugin!r} ({offer.provider})"
    with _silent_libraries():
        factory = _import_factory(offer, who)
    try:
        with sharing() as checkpoints, store.collect_used() as opened, _silent_libraries():
            result = factory(**options)
    except EigenwalkError:
        raise
    except CALLED as error:
        raise PluginError(f"{who}: its factory {spec.load} failed: {explain(error)}") from error
    if not isinstance(result, kind):
        raise ContractError(f"{who}: its factory {spec.load} must return a {kind.__name__}, got {_a(result)}")
    if isinstance(spec, FeatureSpec) and spec.kind == "projection" and not isinstance(result, Projection):
        raise ContractError(f"{who} is declared a projection: {spec.load} must return a Projection, got {_a(result)}")
    paths = [option.name for option in spec.options if option.type == "path"]
    files = [str(value) for name, value in (call.options if call else ()) if name in paths]
    files += [str(file) for file in result.files] if isinstance(result, (Feature, Generator)) else []
    inside = ((one.file, one.sha256) for one in spec.needed(options) if one.source is None and one.sha256)
    return result, Used(
        offer.name,
        offer.distribution,
        offer.version,
        (*inside, *dict.fromkeys(opened)),
        tuple((file, _sum(file, checkpoints)) for file in files if os.path.isfile(os.path.expanduser(file))),
    )


@contextmanager
def _silent_libraries() -> Iterator[None]:
    """Ignore what libraries warn of while they load: changes to come in them, and widgets that nobody uses here."""
    with warnings.catch_warnings():
        if not sys.warnoptions:
            warnings.filterwarnings("ignore", category=FutureWarning, module="(?!eigenwalk)")
            warnings.filterwarnings("ignore", "IProgress not found")  # of tqdm, in a notebook without ipywidgets
        yield


def _import_factory(offer: Offer[Any], who: str) -> Callable[..., Any]:
    load = offer.spec.load
    try:
        return offer.spec.factory()
    except EigenwalkError:
        raise
    except CALLED as error:
        remedy = "; eigenwalk doctor says whether versions here break each other"
        if isinstance(error, ModuleNotFoundError):
            other = error.name and error.name.partition(".")[0] != load.partition(":")[0].partition(".")[0]
            remedy = f"; pip install {offer.distribution} brings it" if other else ""
        raise PluginError(f"{who}: its factory {load} cannot be imported: {explain(error)}{remedy}") from error


def _sum(file: str, checkpoints: Mapping[Path, Checkpoint]) -> str:
    """Return the SHA-256 of `file`: of the bytes that the factory read, if it read them as a checkpoint."""
    place = Path(os.path.expanduser(file)).absolute()
    return checkpoints[place].sha256 if place in checkpoints else sha256(place)


def open_generator(node: Open) -> tuple[Generator, Used]:
    """Return the generator in the file of a resolved `node`; raises as `build`."""
    checkpoint = open_checkpoint(node)
    path = checkpoint if node.offer.reads_checkpoints else checkpoint.path
    generator, used = build(node.offer, None, Generator, path=path, **dict(node.options))
    files = () if checkpoint.is_folder else ((node.path, checkpoint.sha256),)
    return generator, replace(used, files=(*files, *used.files))


def feature_from_file(call: Call) -> tuple[Feature, Used]:
    """Return the feature that ``file("./my_feature.py:fn", …)`` names: a `Feature`, its class, or a function of images.

    Raises:
        FileError, UnknownName, OptionError: no such file, no such name in it, options that it does not take.
        PluginError: the file, or its class, raises; the message gives the line.
    """
    found, text = _load(call)
    options = factory_options(call.options)
    if inspect.isclass(found):
        found, options = _call(call.offer.path, found, options, text), {}
    if isinstance(found, Feature):
        _check_no_options(options, text)
        return found, _used(call)
    if isinstance(found, nn.Module):
        found.eval().requires_grad_(False)
    elif not callable(found):
        raise ContractError(
            f"{text} must be a Feature or a function of images (batch, 3, height, width), got {_a(found)}"
        )
    _check_options(found, text, options, None)
    return FunctionFeature(cast(Any, functools.partial(found, **options) if options else found)), _used(call)


def generator_from_file(call: Call) -> tuple[Generator, Used]:
    """Return the generator that ``file("./my_generator.py:build", …)`` names: a `Generator`, or what builds one.

    Raises:
        ContractError: it builds something else; for the rest as `feature_from_file`.
    """
    found, text = _load(call)
    options = factory_options(call.options)
    if isinstance(found, Generator):
        _check_no_options(options, text)
    elif callable(found) and not isinstance(found, nn.Module):
        found = _call(call.offer.path, found, options, text)
    if not isinstance(found, Generator):
        raise ContractError(
            f"{text} must return an eigenwalk.generator.Generator, got {_a(found)}: return "
            "FunctionGenerator(function, latent_dim=…, resolution=(height, width))"
        )
    return found, _used(call)


def check_generator(generator: Generator, text: str) -> Generator:
    """Return `generator` if it has what the contract asks for.

    Raises:
        ContractError: `latent_dim` is no positive number, or `resolution` no pair of them.
    """
    latent_dim, resolution = getattr(generator, "latent_dim", None), getattr(generator, "resolution", None)
    if not isinstance(latent_dim, int) or latent_dim < 1:
        raise ContractError(f"latent_dim of {text} must be a positive whole number, got {latent_dim!r}")
    pair = isinstance(resolution, (tuple, list)) and len(resolution) == 2
    if not pair or not all(isinstance(side, int) and side > 0 for side in resolution):  # type: ignore[union-attr]
        raise ContractError(f"resolution of {text} must be (height, width) in pixels, got {resolution!r}")
    return generator


def _load(call: Call) -> tuple[Any, str]:
    """Import the file of a resolved call; what its name stands for, and what to call that in messages."""
    text = str(call.args[0])
    if len(call.args) > 1:
        raise OptionError(f"options of {text} are given by name, got {call}")
    if call.package is not None:
        raise OptionError(f"{text} is a file: it takes no option 'package'")
    assert isinstance(call.offer, OwnFile)
    return call.offer.load(), text


def _call(path: Path, function: Callable[..., Any], options: Mapping[str, Any], text: str) -> Any:
    """Call a function or class of the file at `path`; what it raises becomes a PluginError that names the line."""
    _check_options(function, text, options)
    try:
        return function(**options)
    except EigenwalkError:
        raise
    except CALLED as error:
        raise PluginError(f"{text} failed{where(path, error)}: {type(error).__name__}: {error}") from error


def _check_options(function: Callable[..., Any], text: str, options: Mapping[str, Any], *images: None) -> None:
    """Raise OptionError unless `function`, called `text`, takes exactly `options`, after `images` if given."""
    try:  # as it is called: what it is decorated with may give what is inside all that it asks for
        signature = inspect.signature(function, follow_wrapped=False)
    except (TypeError, ValueError):  # written in C: it tells when it is called
        return
    try:
        signature.bind(*images, **options)
    except TypeError as error:
        given = ", ".join(options) or "none"
        what = _mismatch(signature, text, options, *images) or str(error)
        raise OptionError(f"{text} takes {signature}, and the options given are {given}: {what}") from None


def _mismatch(signature: inspect.Signature, text: str, options: Mapping[str, Any], *images: None) -> str:
    """Return why a function of this `signature` cannot be called so, and what to write; "" if Python says it best."""
    own = list(signature.parameters.values())
    named = [one for one in own if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
    if images:
        takers = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        if not own or own[0].kind not in (*takers, inspect.Parameter.VAR_POSITIONAL):
            return "a feature's function takes images (batch, 3, height, width) first"
        named = [one for one in named if one is not own[0]]
    names = [one.name for one in named]
    takes_all = any(one.kind is one.VAR_KEYWORD for one in own)
    for option in () if takes_all else options:
        if option not in names:
            near = nearest(option, names)
            return f"it has no {option!r}" + (f"; did you mean {near[0]!r}?" if near else "")
    lacks = [one.name for one in named if one.default is one.empty and one.name not in options]
    if not lacks:
        return ""
    given = ", ".join([f"{name}={value!r}" for name, value in options.items()] + [f"{name}=…" for name in lacks])
    written = f"'file(\"{text}\", {given})'" if " " in text else f"'{text}({given})'"
    it = "it" if len(lacks) == 1 else "them"
    return f"{' and '.join(lacks)} must be given: write {written}, or give {it} a default in the file"


def _check_no_options(options: Mapping[str, Any], text: str) -> None:
    if options:
        raise OptionError(
            f"{text} is an object, not a class or function: it takes no options, got {', '.join(options)}"
        )


def _used(call: Call) -> Used:
    """Return the file itself, and every file that an option of it names: weights, most often."""
    texts = [value for _, value in call.options if isinstance(value, str)]
    named = [
        (str(call.args[0]).rpartition(":")[0], call.offer.path),
        *((text, os.path.expanduser(text)) for text in texts),
    ]
    return Used(str(call), files=tuple((name, sha256(file)) for name, file in named if os.path.isfile(file)))


def _a(found: Any) -> str:
    return f"the class {found.__name__}" if inspect.isclass(found) else f"a {type(found).__name__}"
