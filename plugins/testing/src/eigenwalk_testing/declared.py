"""Checks of what a plugin declares: the spec, the factory's options, and the module that the entry point names."""

from __future__ import annotations

import functools
import inspect
import sys
from typing import Any

from eigenwalk.feature import Projection
from eigenwalk.names.discovery import Source, entry_points
from eigenwalk.names.discovery.probe import Probe, ask_apart
from eigenwalk.names.registry import Offer
from eigenwalk.spec import FeatureSpec, Option
from eigenwalk_testing.checks import Inapplicable, fail
from eigenwalk_testing.subject import FeatureSubject, GeneratorSubject, Named, Subject


def _offers(s: Named) -> tuple[Offer[Any], ...]:
    if not s.offers:
        raise Inapplicable("it is an object, or a function in a file: nothing is declared")
    return s.offers


def spec(s: Named) -> str:
    """The spec says in words what is offered: summary, unit, every option, every weight's licence and source."""
    missing = [f"{offer.name}: {word}" for offer in _offers(s) for word in _unsaid(offer.spec)]
    if missing:
        fail("; ".join(missing), "write it into the spec: `eigenwalk describe` shows it to whoever wants the name")
    options = sum(len(offer.spec.options) for offer in s.offers)
    weights = sum(len(offer.spec.weights) for offer in s.offers)
    return f"summary, options ({options}) and weights ({weights}) are described"


def _unsaid(spec: Any) -> list[str]:
    """What the spec leaves unsaid."""
    words = [] if spec.summary.strip() else ["summary is empty"]
    words += ["unit is empty"] if isinstance(spec, FeatureSpec) and not spec.unit.strip() else []
    words += [f"option {option.name} has no summary" for option in spec.options if not option.summary.strip()]
    words += [f"the default of option {o.name} is not among its choices" for o in spec.options if _is_foreign(o)]
    words += [f"weights {w.file} have no licence" for w in spec.weights if not w.licence.strip()]
    words += [f"weights {w.file} have size {w.size}" for w in spec.weights if not w.size > 0]
    if any(weights.source for weights in spec.weights) and not spec.cites:
        words.append("cites is empty, though somebody trained the weights")
    return words


def _is_foreign(option: Option) -> bool:
    if not option.choices or option.default is None:
        return False
    words = option.default if isinstance(option.default, tuple) else (option.default,)
    return any(word not in option.choices for word in words)


def options(s: Named) -> str:
    """The factory takes exactly the options that are declared, with the same defaults."""
    wrong = [f"{offer.name}: {word}" for offer in _offers(s) for word in _mismatches(offer.spec)]
    if wrong:
        fail(
            "; ".join(wrong),
            "let spec and signature agree: an option that a user leaves out is left out of the call, so that the "
            "signature's default counts, and the spec's is what the user is told",
        )
    names = [option.name for offer in s.offers for option in offer.spec.options]
    return f"as declared: {', '.join(dict.fromkeys(names)) or 'none'}"


def _mismatches(spec: Any) -> list[str]:
    try:
        taken = dict(inspect.signature(spec.factory()).parameters)
    except (TypeError, ValueError):  # written in C
        return []
    if any(one.kind is one.VAR_KEYWORD for one in taken.values()):
        return ["the factory takes **options: nothing says which"]
    words = []
    for option in spec.options:
        one = taken.pop(option.name, None)
        if one is None or one.kind in (one.POSITIONAL_ONLY, one.VAR_POSITIONAL):
            words.append(f"option {option.name} is not taken by name")
        elif not option.required and one.default is one.empty:
            words.append(f"option {option.name} is declared optional, and the factory needs it")
        elif not option.required and option.default is not None and not _is_equal(one.default, option.default):
            words.append(f"option {option.name} is {one.default!r} by default, and declared {option.default!r}")
    words += [f"{name} is needed and not declared" for name, one in taken.items() if _is_required(one)]
    hidden = [name for name, one in taken.items() if not _is_required(one) and one.kind is one.POSITIONAL_OR_KEYWORD]
    return words + [f"{name} is taken and not declared" for name in hidden if name != "path"]


def _is_required(one: inspect.Parameter) -> bool:
    # An opened file's factory is given its path, which no one writes as an option.
    return one.default is one.empty and one.name != "path" and one.kind is not one.VAR_POSITIONAL


def _is_equal(a: Any, b: Any) -> bool:
    return tuple(a) == tuple(b) if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)) else a == b


def declared(s: Subject) -> str:
    """Unit, kind and differentiability, or the latent space, are those that the spec declares."""
    offers = _offers(s)
    if isinstance(s, GeneratorSubject):
        if s.generator.space not in offers[0].spec.spaces:
            told = f"its space is {s.generator.space!r}, and declared are {', '.join(offers[0].spec.spaces)}"
            fail(told, "let the spec's spaces and the generator's `space` agree")
        return f"space {s.generator.space}"
    if not isinstance(s, FeatureSubject) or not s.direct:
        raise Inapplicable("it is composed of several names: each is judged by itself")
    spec, feature = offers[0].spec, s.feature
    units = (spec.unit, *spec.other_units)
    pairs = {
        "unit": (feature.unit, feature.unit if feature.unit in units else " or ".join(units)),
        "differentiable": (feature.differentiable, spec.differentiable),
        "kind": ("projection" if isinstance(feature, Projection) else "feature", spec.kind),
    }
    wrong = [f"{name} is {have!r}, declared {said!r}" for name, (have, said) in pairs.items() if have != said]
    if wrong:
        fail("; ".join(wrong), "let the spec and the feature's attributes agree; the spec is what users are shown")
    return f"{spec.kind}, unit {feature.unit!r}, {'' if spec.differentiable else 'not '}differentiable"


def light(s: Named) -> str:
    """The module that the entry point names imports nothing heavy."""
    told = []
    sources = {source for offer in _offers(s) if (source := _source(offer))}
    for source in sorted(sources, key=str):
        probe = _probe(source)
        if probe.plugin is None:
            fail(f"{source.value} cannot be imported: {probe.failures[0].error}", "import it in a fresh Python")
        if probe.heavy:
            fail(
                f"{source.value} imports {', '.join(probe.heavy)}",
                "keep specs and hooks in a module of their own; `load` names the code, which is imported when used",
            )
        told.append(f"{source.value}: {1000 * (probe.seconds or 0):.0f} ms")
    if not told:
        raise Inapplicable("no entry point names it")
    return "; ".join(told)


def _source(offer: Offer[Any]) -> Source | None:
    """The entry point that `offer` comes from; None where no installed plugin offers it."""
    for source in entry_points()[0]:
        if (source.distribution, source.plugin) == (offer.distribution, offer.plugin):
            return source
    # A module that a test registers goes by its own name.
    return Source(offer.plugin, offer.distribution, "", dict, offer.plugin) if offer.plugin in sys.modules else None


@functools.cache
def _probe(source: Source) -> Probe:
    return next(ask_apart([source]))
