"""The kit: every check, in the order in which faults explain each other, and the calls that run them."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from eigenwalk.direction import Directions
from eigenwalk.errors import InputError
from eigenwalk.feature import Feature
from eigenwalk.generator import Generator
from eigenwalk.names.expression import calls, parse, parse_generator
from eigenwalk.names.registry import Registry
from eigenwalk.spec import DirectionSpec, FeatureSpec, GeneratorSpec
from eigenwalk.testing import declared, derivatives, direction, frozen, latent, measure, precision, values
from eigenwalk.testing.build import feature_subject, generator_subject, is_direction, is_generator
from eigenwalk.testing.case import Case
from eigenwalk.testing.checks import Check, findings
from eigenwalk.testing.golden import golden, save
from eigenwalk.testing.images import smooth_images
from eigenwalk.testing.report import Report
from eigenwalk.testing.sight import DirectionSubject, direction_subject
from eigenwalk.testing.subject import Declaration, Subject

DECLARED = (
    Check("spec", declared.spec),
    Check("options", declared.options),
    Check("import", declared.light),
)
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
"""What a feature is asked. A check stands after those that it needs."""
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
"""What a generator is asked."""
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
    Check("golden", golden, ("determinism",)),
)
"""What a way to choose directions is asked."""


def check(case: Case, registry: Registry | None = None) -> Report:
    """The report on a case, be it a feature's, a generator's or a direction's.

    Raises:
        EigenwalkError: it cannot be built: weights are missing, an option is wrong.
    """
    registry = registry or Registry.discover()
    with prepared(case) as ready:
        kind = _kind(ready, registry)
    asked = {"generator": check_generator, "direction": check_direction, "feature": check_feature}
    return asked[kind](case, registry=registry)


def check_feature(
    feature: str | Case | Feature | FeatureSpec | Callable[[Tensor], Tensor],
    images: Tensor | None = None,
    *,
    golden: Path | None = None,
    expected: Mapping[str, str] | None = None,
    registry: Registry | None = None,
) -> Report:
    """The report on a feature.

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
    case = _case(feature, golden, expected)
    with prepared(case) as ready, _quiet():
        named = isinstance(feature, (str, Case))
        subject = feature_subject(ready.expression if named else feature, _images(ready, images), registry)
        return _report("feature", FEATURE, subject, case)


def check_generator(
    generator: str | Case | Generator | GeneratorSpec,
    *,
    golden: Path | None = None,
    expected: Mapping[str, str] | None = None,
    registry: Registry | None = None,
) -> Report:
    """The report on a generator; arguments and errors as of `check_feature`."""
    case = _case(generator, golden, expected)
    with prepared(case) as ready, _quiet():
        named = isinstance(generator, (str, Case))
        subject = generator_subject(ready.expression if named else generator, registry)
        return _report("generator", GENERATOR, subject, case)


def check_direction(
    directions: str | Case | Directions | DirectionSpec,
    *,
    golden: Path | None = None,
    expected: Mapping[str, str] | None = None,
    registry: Registry | None = None,
) -> Report:
    """The report on a way to choose directions; arguments and errors as of `check_feature`."""
    case = _case(directions, golden, expected)
    with prepared(case) as ready, _quiet():
        named = isinstance(directions, (str, Case))
        subject = direction_subject(ready.expression if named else directions, ready, registry)  # type: ignore[arg-type]
        return _report("direction", DIRECTION, subject, case)


@contextmanager
def prepared(case: Case) -> Iterator[Case]:
    """The case with its files written and ``{folder}`` filled in; meanwhile weights are looked for in that folder."""
    if case.prepare is None and "{folder}" not in case.expression:
        yield case
        return
    with tempfile.TemporaryDirectory(prefix="eigenwalk-check-") as folder:
        before = os.environ.get("EIGENWALK_WEIGHTS")
        os.environ["EIGENWALK_WEIGHTS"] = str(Path(folder) / "weights")
        try:
            if case.prepare is not None:
                case.prepare(Path(folder))
            yield replace(case, expression=case.expression.replace("{folder}", folder))
        finally:
            os.environ.pop("EIGENWALK_WEIGHTS")
            if before is not None:
                os.environ["EIGENWALK_WEIGHTS"] = before


def check_declarations(registry: Registry | None = None) -> Iterator[Report]:
    """The reports on what every installed plugin declares; nothing is opened that needs weights."""
    registry = registry or Registry.discover()
    offers: list[tuple[Any, Any]] = [("feature", offer) for offer in registry.features]
    offers += [("generator", offer) for offer in registry.generators]
    offers += [("direction", offer) for offer in registry.directions]
    for kind, offer in offers:
        yield Report(offer.name, kind, tuple(findings(DECLARED, Declaration((offer,)), {})))


def save_golden(case: Case, path: Path | None = None, registry: Registry | None = None) -> None:
    """Writes the values that `case` gives to `path`, by default to its own golden file.

    Raises:
        EigenwalkError: it cannot be built, or the file cannot be written.
    """
    registry, path = registry or Registry.discover(), path or case.golden
    if path is None:
        raise InputError(f"the case {case.expression} names no golden file: Case(…, golden=Path('golden/x.json'))")
    with prepared(case) as ready, _quiet():
        kind = _kind(ready, registry)
        if kind == "generator":
            subject: Subject | DirectionSubject = generator_subject(ready.expression, registry)
        elif kind == "direction":
            subject = direction_subject(ready.expression, ready, registry)
        else:
            subject = feature_subject(ready.expression, _images(ready, None), registry)
        save(subject, path, case.expression)


def names(case: Case, registry: Registry | None = None) -> frozenset[str]:
    """The names of features, generators and directions in a case's expression."""
    registry = registry or Registry.discover()
    node = parse_generator(case.expression) if _kind(case, registry) == "generator" else parse(case.expression)
    return frozenset(call.name for call in calls(node))


def _kind(case: Case, registry: Registry) -> str:
    if case.kind:
        return case.kind
    if is_direction(case.expression, registry):
        return "direction"
    return "generator" if is_generator(case.expression, registry) else "feature"


def _case(what: Any, golden: Path | None, expected: Mapping[str, str] | None) -> Case:
    case = what if isinstance(what, Case) else Case(what if isinstance(what, str) else "")
    return replace(case, golden=golden or case.golden, expected=expected or case.expected)


def _images(case: Case, given: Tensor | None) -> Tensor:
    if given is not None:
        return given
    return smooth_images(3, case.resolution) if case.images is None else case.images()


def _report(
    kind: Literal["feature", "generator", "direction"],
    checks: tuple[Check, ...],
    subject: Subject | DirectionSubject,
    case: Case,
) -> Report:
    subject.golden = case.golden
    found = tuple(findings(checks, subject, case.expected))
    return Report(case.expression or subject.name, kind, found)


@contextmanager
def _quiet() -> Iterator[None]:
    """Gradients are on, torch's random state is afterwards as it was, and torch does not complain of itself."""
    with (
        torch.random.fork_rng(devices=[]),
        torch.inference_mode(False),
        torch.enable_grad(),
        warnings.catch_warnings(),
    ):
        # What torch imports for its first forward mode calls what torch deprecates: the feature's maker cannot help it.
        warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is deprecated", FutureWarning)
        yield
