"""The kit: every check, in the order in which faults explain each other, and the functions that run them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from eigenwalk.direction import Method
from eigenwalk.errors import InputError
from eigenwalk.feature import Feature
from eigenwalk.generator import Generator
from eigenwalk.maths.linearise.derivative import load_forward_mode
from eigenwalk.names.expression import parse, parse_generator
from eigenwalk.names.registry import Kind, Registry
from eigenwalk.names.tree import calls
from eigenwalk.spec import DirectionSpec, FeatureSpec, GeneratorSpec
from eigenwalk_testing import declared, derivatives, direction, frozen, latent, measure, precision, step, values
from eigenwalk_testing.build import feature_subject, generator_subject, kind_of
from eigenwalk_testing.case import Case
from eigenwalk_testing.checks import Check, run_checks
from eigenwalk_testing.golden import golden, save
from eigenwalk_testing.images import smooth_images
from eigenwalk_testing.report import Report
from eigenwalk_testing.sight import DirectionSubject, direction_subject
from eigenwalk_testing.subject import Named, Subject

DECLARED = (Check("spec", declared.spec), Check("options", declared.options), Check("import", declared.light))
FEATURE = (
    *DECLARED,
    Check("declared", declared.declared),
    Check("shape", measure.shape),
    Check("finite", values.finite, ("shape",)),
    Check("dtype", precision.dtype, ("finite",)),
    Check("device", precision.device, ("finite",)),
    Check("parameters", values.parameters, ("shape",)),
    Check("determinism", values.determinism, ("finite",)),
    Check("pure", values.pure, ("determinism",)),
    Check("frozen", frozen.frozen, ("determinism",)),
    Check("order", values.order, ("determinism", "frozen")),
    Check("independence", values.independence, ("determinism", "frozen", "order")),
    Check("rows", frozen.rows, ("independence",)),
    Check("reference", frozen.reference, ("determinism", "frozen", "rows")),
    Check("follow", frozen.follow, ("determinism", "rows")),
    Check("undefined", frozen.undefined, ("finite",)),
    Check("size", frozen.size, ("finite",)),
    Check("gradient", derivatives.gradient, ("finite", "pure")),
    Check("modes", values.modes, ("determinism", "size", "gradient")),
    Check("clip", frozen.clip, ("gradient",)),
    Check("continuity", frozen.continuity, ("gradient", "determinism")),
    Check("pullback", derivatives.pullback, ("gradient", "determinism", "follow", "continuity")),
    Check("pushforward", derivatives.pushforward, ("gradient", "determinism", "follow")),
    Check("step", derivatives.step, ("finite", "determinism")),
    Check("distance", measure.distance, ("determinism", "independence")),
    Check("radius", measure.radius, ("distance",)),
    Check("projection", measure.projection, ("shape",)),
    Check("complement", measure.complement, ("projection", "determinism")),
    Check("coverage", measure.coverage, ("projection",)),
    Check("half", precision.half, ("dtype", "determinism")),
    Check("golden", golden, ("determinism",)),
)
"""The checks of a feature; each stands after those that it needs."""
GENERATOR = (
    *DECLARED,
    Check("declared", declared.declared),
    Check("sample", latent.sample),
    Check("prefix", latent.prefix, ("sample",)),
    Check("shape", latent.image, ("sample",)),
    Check("finite", values.finite, ("shape",)),
    Check("dtype", precision.dtype, ("finite",)),
    Check("device", precision.device, ("finite",)),
    Check("range", latent.typical, ("finite",)),
    Check("clip", latent.clip, ("range",)),
    Check("parameters", values.parameters, ("shape",)),
    Check("determinism", values.determinism, ("finite",)),
    Check("pure", values.pure, ("determinism",)),
    Check("order", values.order, ("determinism",)),
    Check("independence", values.independence, ("determinism", "order")),
    Check("gradient", derivatives.gradient, ("finite", "pure")),
    Check("modes", values.modes, ("determinism", "gradient")),
    Check("pullback", derivatives.pullback, ("gradient", "determinism")),
    Check("pushforward", derivatives.pushforward, ("gradient", "determinism")),
    Check("spaces", latent.spaces, ("options", "sample", "shape")),
    Check("half", precision.half, ("dtype", "determinism")),
    Check("golden", golden, ("determinism",)),
)
"""The checks of a generator."""
DIRECTION = (
    *DECLARED,
    Check("shape", direction.shape),
    Check("finite", direction.finite, ("shape",)),
    Check("unit", direction.unit, ("finite",)),
    Check("distinct", direction.distinct, ("unit",)),
    Check("many", direction.many, ("finite",)),
    Check("unheld", direction.unheld, ("finite",)),
    Check("dtype", direction.dtype, ("finite",)),
    Check("determinism", direction.determinism, ("finite",)),
    Check("pure", direction.pure, ("determinism",)),
    Check("order", direction.order, ("determinism",)),
    Check("independence", direction.independence, ("determinism", "order")),
    Check("curved", direction.curved, ("unit", "determinism")),
    Check("start", step.start, ("unit",)),
    Check("step", step.step, ("start",)),
    Check("state", step.state, ("step", "determinism", "independence")),
    Check("golden", golden, ("determinism",)),
)
"""The checks of a method: of its directions, and, where it owns its step, of the step."""
CHECKS: Mapping[Kind, tuple[Check, ...]] = {"feature": FEATURE, "generator": GENERATOR, "direction": DIRECTION}


def check(case: Case, registry: Registry | None = None) -> Report:
    """Check a case, a feature's, a generator's or a direction's.

    Raises:
        EigenwalkError: it cannot be built: weights are missing, an option is wrong.
    """
    registry = registry or Registry.discover()
    return _check(_kind(case, registry), case, None, None, registry)


def check_feature(
    feature: str | Case | Feature | FeatureSpec | Callable[[Tensor], Tensor],
    images: Tensor | None = None,
    *,
    golden: Path | None = None,
    expected: Mapping[str, str] | None = None,
    registry: Registry | None = None,
) -> Report:
    """Check a feature.

    Args:
        feature: its expression, a case, an object, a spec whose factory needs no options, or a function of images.
        images: ``(batch, 3, height, width)``, two or more, at which it has a value; smooth random ones by default.
        golden: a file that `eigenwalk check --save-golden` wrote.
        expected: a check's name and the reason why it is expected to fail.
        registry: of plugins; those installed, by default.

    Raises:
        EigenwalkError: it cannot be built: weights are missing, an option is wrong.
        InputError: `images` are of another shape, or fewer than two.
    """
    return _check("feature", feature, golden, expected, registry, images)


def check_generator(
    generator: str | Case | Generator | GeneratorSpec,
    *,
    golden: Path | None = None,
    expected: Mapping[str, str] | None = None,
    registry: Registry | None = None,
) -> Report:
    """Check a generator; arguments and errors as of `check_feature`."""
    return _check("generator", generator, golden, expected, registry)


def check_direction(
    method: str | Case | Method | DirectionSpec,
    *,
    golden: Path | None = None,
    expected: Mapping[str, str] | None = None,
    registry: Registry | None = None,
) -> Report:
    """Check a method, be it `Directions` or a whole `Method`; arguments and errors as of `check_feature`."""
    return _check("direction", method, golden, expected, registry)


def check_declarations(registry: Registry | None = None) -> Iterator[Report]:
    """Check what every installed plugin declares; nothing is opened that needs weights."""
    registry = registry or Registry.discover()
    for kind in CHECKS:
        for offer in getattr(registry, f"{kind}s"):
            yield Report(offer.name, kind, tuple(run_checks(DECLARED, Named(offer.name, (offer,)), {})))


def save_golden(case: Case, path: Path | None = None, registry: Registry | None = None) -> None:
    """Write the values that `case` gives to `path`, by default to its own golden file.

    Raises:
        EigenwalkError: it cannot be built, or the file cannot be written.
    """
    registry, path = registry or Registry.discover(), path or case.golden
    if path is None:
        raise InputError(f"the case {case.expression} names no golden file: Case(…, golden=Path('golden/x.json'))")
    with prepared(case) as ready, _quiet():
        save(_subject(_kind(ready, registry), ready.expression, ready, None, registry), path, case.expression)


def names(case: Case, registry: Registry | None = None) -> frozenset[str]:
    """Return the names of features, generators and directions in a case's expression."""
    registry = registry or Registry.discover()
    node = parse_generator(case.expression) if _kind(case, registry) == "generator" else parse(case.expression)
    return frozenset(call.name for call in calls(node))


@contextmanager
def prepared(case: Case) -> Iterator[Case]:
    """Write the case's files and fill in ``{folder}``; meanwhile weights are looked for in that folder."""
    if case.prepare is None and "{folder}" not in case.expression:
        yield case
        return
    with (
        tempfile.TemporaryDirectory(prefix="eigenwalk-check-") as folder,
        mock.patch.dict(os.environ, {"EIGENWALK_WEIGHTS": str(Path(folder) / "weights")}),
    ):
        if case.prepare is not None:
            case.prepare(Path(folder))
        yield replace(case, expression=case.expression.replace("{folder}", folder))


def _kind(case: Case, registry: Registry) -> Kind:
    if case.kind:
        return case.kind
    with prepared(case) as ready:
        return kind_of(ready.expression, registry)


def _check(
    kind: Kind,
    what: Any,
    golden: Path | None,
    expected: Mapping[str, str] | None,
    registry: Registry | None,
    images: Tensor | None = None,
) -> Report:
    case = what if isinstance(what, Case) else Case(what if isinstance(what, str) else "")
    case = replace(case, golden=golden or case.golden, expected=expected or case.expected)
    with prepared(case) as ready, _quiet():
        what = ready.expression if isinstance(what, (str, Case)) else what
        subject = _subject(kind, what, ready, images, registry)
        subject.golden = case.golden
        found = tuple(run_checks(CHECKS[kind], subject, case.expected))
        return Report(case.expression or subject.name, kind, found)


def _subject(
    kind: Kind, what: Any, case: Case, images: Tensor | None, registry: Registry | None
) -> Subject | DirectionSubject:
    if kind == "generator":
        return generator_subject(what, registry)
    if kind == "direction":
        return direction_subject(what, case, registry)
    if images is None:
        images = smooth_images(3, case.resolution) if case.images is None else case.images()
    return feature_subject(what, images, registry)


@contextmanager
def _quiet() -> Iterator[None]:
    """Enable gradients, restore torch's random state afterwards, and load forward mode without torch's warning."""
    load_forward_mode()
    with torch.random.fork_rng(devices=[]), torch.inference_mode(False), torch.enable_grad():
        yield
