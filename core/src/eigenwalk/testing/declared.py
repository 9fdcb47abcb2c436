"""Checks of what a plugin declares: the spec, the factory's options, and the module that the entry point names."""

from __future__ import annotations

import functools
import inspect
import json
import os
import subprocess
import sys
from importlib import metadata
from typing import Any

from eigenwalk.feature import Projection
from eigenwalk.hookspecs import GROUP
from eigenwalk.names.registry import Offer
from eigenwalk.spec import FeatureSpec, Option
from eigenwalk.testing.checks import Inapplicable, fail
from eigenwalk.testing.sight import DirectionSubject
from eigenwalk.testing.subject import Declaration, FeatureSubject, GeneratorSubject, Subject

HEAVY = (
    *("torch", "torchvision", "torchaudio", "timm", "transformers", "diffusers", "facenet_pytorch", "segment_anything"),
    *("tensorflow", "jax", "keras", "onnxruntime", "mediapipe", "dlib", "cv2", "PIL", "skimage", "matplotlib"),
    *("numpy", "scipy", "pandas", "sklearn", "pydantic"),
)
"""What no plugin's entry module may bring in: every command would wait for it."""


def _offers(s: Subject | DirectionSubject | Declaration) -> tuple[Offer[Any], ...]:
    if not s.offers:
        raise Inapplicable("it is an object, or a function in a file: nothing is declared")
    return s.offers


def spec(s: Subject | DirectionSubject | Declaration) -> str:
    """The spec says in words what is offered: summary, unit, every option, every weight's licence and source."""
    missing = [f"{offer.name}: {word}" for offer in _offers(s) for word in _missing(offer.spec)]
    if missing:
        fail(
            "; ".join(missing), "write it into the spec: `eigenwalk describe` shows it to whoever wants to use the name"
        )
    options = sum(len(offer.spec.options) for offer in s.offers)
    weights = sum(len(offer.spec.weights) for offer in s.offers)
    return f"summary, options ({options}) and weights ({weights}) are described"


def _missing(spec: Any) -> list[str]:
    """What the spec leaves unsaid."""
    words = [] if spec.summary.strip() else ["summary is empty"]
    words += ["unit is empty"] if isinstance(spec, FeatureSpec) and not spec.unit.strip() else []
    words += [f"option {option.name} has no summary" for option in spec.options if not option.summary.strip()]
    words += [f"the default of option {o.name} is not among its choices" for o in spec.options if _astray(o)]
    words += [f"weights {w.file} have no licence" for w in spec.weights if not w.licence.strip()]
    words += [f"weights {w.file} have size {w.size}" for w in spec.weights if not w.size > 0]
    if any(weights.url for weights in spec.weights) and not spec.cites:
        words.append("cites is empty, though somebody trained the weights")
    return words


def _astray(option: Option) -> bool:
    if not option.choices or option.default is None:
        return False
    words = option.default if isinstance(option.default, tuple) else (option.default,)
    return any(word not in option.choices for word in words)


def options(s: Subject | DirectionSubject | Declaration) -> str:
    """The factory takes exactly the options that are declared, with the same defaults."""
    wrong = [f"{offer.name}: {word}" for offer in _offers(s) for word in _signature(offer.spec)]
    if wrong:
        fail(
            "; ".join(wrong),
            "let spec and signature agree: an option that a user leaves out is left out of the call, so that the "
            "signature's default counts, and the spec's is what the user is told",
        )
    names = [option.name for offer in s.offers for option in offer.spec.options]
    return f"as declared: {', '.join(dict.fromkeys(names)) or 'none'}"


def _signature(spec: Any) -> list[str]:
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
        elif not option.required and option.default is not None and not _alike(one.default, option.default):
            words.append(f"option {option.name} is {one.default!r} by default, and declared {option.default!r}")
    words += [f"{name} is needed and not declared" for name, one in taken.items() if _needed(one)]
    hidden = [name for name, one in taken.items() if not _needed(one) and one.kind is one.POSITIONAL_OR_KEYWORD]
    return words + [f"{name} is taken and not declared" for name in hidden if name != "path"]


def _needed(one: inspect.Parameter) -> bool:
    # An opened file's factory is given its path, which no one writes as an option.
    return one.default is one.empty and one.name != "path" and one.kind is not one.VAR_POSITIONAL


def _alike(a: Any, b: Any) -> bool:
    return tuple(a) == tuple(b) if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)) else a == b


def declared(s: Subject) -> str:
    """Unit, kind and differentiability, or the latent space, are those that the spec declares."""
    offers = _offers(s)
    if isinstance(s, GeneratorSubject):
        if s.generator.space not in offers[0].spec.spaces:
            fail(
                f"its space is {s.generator.space!r}, and declared are {', '.join(offers[0].spec.spaces)}",
                "let the spec's spaces and the generator's `space` agree",
            )
        return f"space {s.generator.space}"
    if not isinstance(s, FeatureSubject) or not s.direct:
        raise Inapplicable("it is composed of several names: each is judged by itself")
    spec, feature = offers[0].spec, s.feature
    pairs = {
        "unit": (feature.unit, spec.unit),
        "differentiable": (feature.differentiable, spec.differentiable),
        "kind": ("projection" if isinstance(feature, Projection) else "feature", spec.kind),
    }
    wrong = [f"{name} is {have!r}, declared {said!r}" for name, (have, said) in pairs.items() if have != said]
    if wrong:
        fail("; ".join(wrong), "let the spec and the feature's attributes agree; the spec is what users are shown")
    return f"{spec.kind}, unit {spec.unit!r}, {'' if spec.differentiable else 'not '}differentiable"


def light(s: Subject | DirectionSubject | Declaration) -> str:
    """The module that the entry point names imports nothing heavy."""
    told = []
    for module in sorted({_module(offer) for offer in _offers(s)} - {""}):
        heavy, count, seconds = _imported(module)
        if heavy:
            fail(
                f"{module} imports {', '.join(heavy)}",
                "keep specs and hooks in a module of their own; `load` names the code, which is imported when used",
            )
        told.append(f"{module}: {count} modules, {1000 * seconds:.0f} ms")
    if not told:
        raise Inapplicable("no entry point names it")
    return "; ".join(told)


def _module(offer: Offer[Any]) -> str:
    """The module of the entry point that `offer` comes from; nothing where no installed plugin offers it."""
    try:
        points = metadata.distribution(offer.distribution).entry_points
    except metadata.PackageNotFoundError:  # a module that a test registers goes by its own name
        return offer.plugin if offer.plugin in sys.modules else ""
    return next((point.module for point in points if point.group == GROUP and point.name == offer.plugin), "")


@functools.cache
def _imported(module: str) -> tuple[list[str], int, float]:
    """Heavy packages, the number of modules and the seconds that importing `module` costs a fresh interpreter."""
    code = (
        "import sys, time, json, eigenwalk.hookspecs\n"
        "before, start = set(sys.modules), time.perf_counter()\n"
        f"import {module}\n"
        "took = time.perf_counter() - start\n"
        "print(json.dumps([took, len(set(sys.modules) - before), sorted({n.split('.')[0] for n in sys.modules})]))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment, timeout=120
    )
    if done.returncode:
        fail(f"{module} cannot be imported: {done.stderr.strip().splitlines()[-1]}", "import it in a fresh Python")
    seconds, count, names = json.loads(done.stdout.splitlines()[-1])
    return [name for name in HEAVY if name in names], count, seconds
