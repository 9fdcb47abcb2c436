"""The subject that the checks examine, from an expression, an object or a spec."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import Tensor

from eigenwalk.errors import EigenwalkError, InputError
from eigenwalk.feature import Feature, FunctionFeature
from eigenwalk.generator import Generator
from eigenwalk.names.expression import parse, parse_generator
from eigenwalk.names.files import OwnFile
from eigenwalk.names.options import factory_options
from eigenwalk.names.registry import Kind, Offer, Registry
from eigenwalk.names.tree import Call, Held, Open, Weighted, calls
from eigenwalk.objects.build import check_generator
from eigenwalk.objects.compose import build_feature, build_generator
from eigenwalk.spec import FeatureSpec, GeneratorSpec
from eigenwalk_testing.latent import latents
from eigenwalk_testing.subject import NOBODY, FeatureSubject, GeneratorSubject

LATENTS = 3


def kind_of(text: str, registry: Registry) -> Kind:
    """Return what `text` stands for: by its name, a checkpoint's path, or what a function in a file asks for.

    A function that can be called with the options alone builds a generator; one that needs more wants images. Where a
    name is offered as several kinds, it is a feature's.
    """
    try:
        node = parse_generator(text)
    except EigenwalkError:  # a composed expression
        return "feature"
    if isinstance(node, Open):
        return "generator"
    if node.name != "file":
        return registry.kind_of(node.name) or "feature"
    found = OwnFile.of(str(node.args[0])).load()
    if inspect.isclass(found) or isinstance(found, (Feature, Generator)):
        return "generator" if issubclass(found if inspect.isclass(found) else type(found), Generator) else "feature"
    try:
        inspect.signature(found).bind(**factory_options(node.options))
    except (TypeError, ValueError):
        return "feature"
    return "generator"


def feature_subject(what: Any, images: Tensor, registry: Registry | None = None) -> FeatureSubject:
    """Return the subject of a feature: an expression, an object, a spec or a function.

    Raises:
        InputError: the text says how a feature is used, not which; the images are of another shape, or fewer than two.
        EigenwalkError: as it is built.
    """
    if images.ndim != 4 or images.shape[1] != 3 or len(images) < 2:
        raise InputError(
            f"images must be two or more, (batch, 3, height, width), got {tuple(images.shape)}: one row is checked "
            "against the others"
        )
    images = images.detach().float()
    if isinstance(what, str):
        registry, node = registry or Registry.discover(), parse(what)
        if isinstance(node, (Held, Weighted)):
            raise InputError(f"{what!r} says how a feature is used, not only which: check {node.inner}")
        feature, _ = build_feature(node, registry)
        named = [call for call in calls(node) if call.name != "file"]
        offers = tuple(dict.fromkeys(registry.feature(call.name, call.package) for call in named))
        return FeatureSubject(what, offers, inputs=images, feature=feature, direct=isinstance(node, Call))
    if isinstance(what, FeatureSpec):
        return FeatureSubject(what.name, (Offer(what, NOBODY, "", ""),), inputs=images, feature=what.factory()())
    feature = what if isinstance(what, Feature) else FunctionFeature(what)
    return FeatureSubject(getattr(what, "__name__", type(what).__name__), inputs=images, feature=feature)


def generator_subject(what: Any, registry: Registry | None = None) -> GeneratorSubject:
    """Return the subject of a generator: an expression, an object or a spec.

    Raises:
        EigenwalkError: as it is built.
    """
    offers: tuple[Offer[Any], ...] = ()
    rebuilt: Callable[..., Any] | None = None
    if isinstance(what, str):
        known, node = registry or Registry.discover(), parse_generator(what)
        generator, name = build_generator(what, known)[0], what
        if isinstance(node, Open):
            offers = (known.open(node.path),)
        elif node.name != "file":
            offers = (known.generator(node.name, node.package),)
        rebuilt = functools.partial(_rebuild, node, known)
    elif isinstance(what, GeneratorSpec):
        factory = what.factory()
        generator, name = factory(), what.name
        offers, rebuilt = (Offer(what, NOBODY, "", ""),), factory
    else:
        generator, name = what, type(what).__name__
    generator = check_generator(generator, name)
    return GeneratorSubject(name, offers, inputs=latents(LATENTS, generator), rebuilt=rebuilt, generator=generator)


def _rebuild(node: Call | Open, registry: Registry, **options: Any) -> Generator:
    """Build the generator of `node` with other options."""
    kept = tuple((name, value) for name, value in node.options if name not in options)
    return build_generator(replace(node, options=(*kept, *options.items()), offer=None), registry)[0]
