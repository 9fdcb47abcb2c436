"""Start walks from names or objects, for Python code and the command line.

    import eigenwalk

    paths = eigenwalk.run("rooms", fix=["rooms.part(sofa)"], vary=["~rooms.part(sofa)"], seeds=[0, 1])
    paths[0].latents            # (waypoints, latent), numpy
    paths[0].save("somewhere")

Names are turned into objects here; the modules below know only objects.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import torch

from eigenwalk.chart import Chart
from eigenwalk.checkpoint import sharing
from eigenwalk.direction import Method
from eigenwalk.errors import InputError
from eigenwalk.feature import Feature
from eigenwalk.generator import Generator
from eigenwalk.maths.cloud import AVERAGING
from eigenwalk.maths.contract import check_contract
from eigenwalk.maths.linearise import Linearisation, Record
from eigenwalk.maths.linearise.agreement import describe_agreement
from eigenwalk.maths.linearise.precision import half_dtype
from eigenwalk.maths.problem import Problem
from eigenwalk.maths.typical import SAMPLES, latent_scale, reference_images, typical_distance, typical_region
from eigenwalk.names.expression import parse
from eigenwalk.names.registry import Registry
from eigenwalk.names.tree import Held, Weighted, bare
from eigenwalk.objects.build import Used, provenance
from eigenwalk.objects.compose import Built, Composition, Term, build_feature, build_generator, build_method, compose
from eigenwalk.path import Path, Paths, Role
from eigenwalk.runs.judging import judge
from eigenwalk.runs.memory.fitting import Footprint, choose_fit, first_start, free, keep_within
from eigenwalk.runs.memory.words import in_bytes
from eigenwalk.runs.outputs.notebook import shown_progress
from eigenwalk.runs.ready import check_files, usable_device
from eigenwalk.runs.recipe import Recipe
from eigenwalk.runs.starts import (
    files_of,
    gather_starts,
    read_latents,
    settle_space,
    starts_of,
    untypical,
    walked_elsewhere,
)
from eigenwalk.runs.typical_cache import cached_typical
from eigenwalk.runs.watch import Watch
from eigenwalk.walk import Front, WalkOptions, walk
from eigenwalk.walk.propose import passes_ahead
from eigenwalk.walk.start import Start

SILENT = Watch()
Named = str | Feature | Callable[[torch.Tensor], torch.Tensor]
"""A feature by its expression, as an object, or as a function of images."""


@dataclass(frozen=True)
class Run:
    """A walk that is ready to start.

    Attributes:
        recipe: with the versions of all distributions and the hashes of all files that are used.
        problem, options, starts: the arguments of `eigenwalk.walk.walk`.
        judge: measures the pictures of walked paths by the recipe's judges; see `eigenwalk.runs.judging.judge`.
        notes: messages for the user before the walk starts.
    """

    recipe: Recipe
    problem: Problem
    options: WalkOptions
    starts: tuple[Start, ...]
    judge: Callable[..., tuple[Path, ...]] = field(repr=False)
    notes: tuple[str, ...] = ()
    resume: Front | None = field(default=None, repr=False)
    watch: Watch = field(default=SILENT, repr=False)

    def go_on(self, front: Front) -> Run:
        """Return this walk, to go on from a `front` of it."""
        return replace(self, resume=replace(front, arrived=None))

    def fronts(self) -> Iterator[Front]:
        """Yield all paths after every waypoint; the starts first, unless the run goes on from later ones."""
        self.watch.stage(*(self.ahead(self.resume) if self.resume else ("looking at the starts", 0.0)))
        for front in walk(self.problem, self.starts, self.options, self.recipe.device, self.resume):
            yield front
            if front.walking:
                self.watch.stage(*self.ahead(front))

    def ahead(self, front: Front) -> tuple[str, float]:
        """Say what comes after `front`, and about how many passes it takes."""
        passes = passes_ahead(self.problem, front, self.options)
        if front.index:
            return f"on to waypoint {front.index + 1}", passes
        starts, k = len({front.paths[i].origin for i in front.walking}), max(path.rank for path in front.paths)
        return f"looking for {k} direction{'s' * (k > 1)} at {starts} start{'s' * (starts > 1)}", passes


def start(
    recipe: Recipe,
    *,
    paths: tuple[Path, ...] | None = None,
    arrays: Mapping[str, Any] | None = None,
    typical: Mapping[str, float] | None = None,
    registry: Registry | None = None,
    watch: Watch = SILENT,
    built: Built | None = None,
) -> Run:
    """Prepare the walk that `recipe` describes, or resume it from `paths` and `arrays` that were saved of a `Front`.

    `typical` are typical distances, by the features' canonical text, that need not be measured again. `watch` is told
    what is being done; an exception that it raises stops the walk where it is. Several walks of one process share the
    objects in `built`.

    Raises:
        InputError, PluginError, FileError: as `compose` and `build_generator`.
        WalkError: a feature has no value at the generator's samples, or never changes.
    """
    watch.stage("loading the generator and the features")
    registry = registry or Registry.discover()
    device = usable_device(recipe.device)
    with sharing() as opened:  # a generator's file is opened once, to recognise it and to build it
        recipe = recipe.canonical(registry)
        check_files(recipe)
        latents = [read_latents(one) for one in recipe.starts] if not paths else []
        recipe, settled = settle_space(recipe, latents, registry, built) if latents else (recipe, "")
        composition = compose(recipe.fix, recipe.vary, registry, built)
        judges = compose((), recipe.judges, registry, built).varied if recipe.judges else ()
        generator, used = build_generator(recipe.generator, registry, built)
        method, brought = build_method(recipe.solver, registry)
        opened.clear()
    starts = starts_of(paths) if paths else gather_starts(recipe, latents, generator)
    brought = (*brought, files_of(recipe)) if recipe.starts else brought
    brought = (*brought, *(one for term in judges for one in term.used))
    judging = partial(judge, judges=judges, varied=composition.varied, registry=registry)
    known = {role.name: role.typical for role in (paths[0].roles if paths else ()) if role.part != "judged"}
    known = known or dict(typical or {})
    footprints = {} if built is None else built.setdefault(_footprints(recipe, device), ({}, ()))[0]
    prepared = _prepare(
        recipe, device, generator, used, composition, method, brought, starts, watch, judging, known, footprints
    )
    said = filter(None, (settled, walked_elsewhere(latents, str(recipe.generator))))
    prepared = replace(prepared, notes=(*said, *prepared.notes))
    if not (paths and arrays):
        return prepared
    return replace(prepared, resume=Front.restore(paths, arrays, recipe.device))


def run(
    generator: str | Generator,
    *,
    fix: Sequence[Named] = (),
    vary: Sequence[Named],
    seeds: Sequence[int] | None = None,
    starts: Sequence[Any] = (),
    solver: str | Method = "outward",
    progress: Callable[[Front], object] | None = None,
    registry: Registry | None = None,
    **options: Any,
) -> Paths:
    """Walk, and return the paths; those of a seed stand together.

    Args:
        generator: expression, or a `Generator`.
        fix, vary: expressions, `Feature` objects, or functions from images to values.
        seeds: seeds of the starts, one start for each; seed 0 if no other start is given.
        starts: latents ``(n, latent)`` as arrays or tensors, or files of latents, as `Recipe` takes them.
        solver: outward, davidson, dense, nullspace, a plugin's method by its expression, or a `Method` object.
        progress: called with the front after every waypoint. Without it, a notebook shows how far the walk is.
        registry: the plugins to use; by default, all that are installed.
        **options: of `eigenwalk.runs.recipe.Recipe`: steps, paths, stride, tolerance, region, batch, device, memory …

    Raises:
        EigenwalkError: see `start`.

    An exception that ends the walk under way, KeyboardInterrupt too, has the paths so far as its `paths`.
    """
    options |= {} if seeds is None else {"seeds": seeds}
    recipe = Recipe.of(generator=generator, fix=fix, vary=vary, starts=starts, solver=solver, **options)
    paths = Paths()
    with _keep_paths(lambda: paths), shown_progress(recipe.most_steps, progress) as shown:
        prepared = start(recipe, registry=registry, watch=shown)
        for front in prepared.fronts():
            paths = Paths(front.paths)
            shown.front(front)
        return Paths(prepared.judge(paths)) if recipe.judges else paths


@contextmanager
def _keep_paths(walked: Callable[[], Paths]) -> Iterator[None]:
    """Give an exception the paths that were walked before it, if any."""
    try:
        yield
    except BaseException as error:
        if paths := walked():
            error.paths = paths  # type: ignore[attr-defined]
            error.add_note("the paths so far are this exception's paths: import sys; sys.last_value.paths")
        raise


def load_generator(text: str, registry: Registry | None = None) -> Generator:
    """Return the generator that `text` names: ``rooms``, ``./my_generator.py:build``, a checkpoint's path."""
    return build_generator(text, registry or Registry.discover())[0]


def load_feature(text: str, registry: Registry | None = None) -> Feature:
    """Return the feature that `text` names: ``fourier.low(cycles=8)``, ``~mask(box=(0, 0, 1, 0.5))``."""
    node = parse(text)
    if isinstance(node, (Held, Weighted)):
        raise InputError(
            f"{text!r} has a tolerance or a weight, which a feature by itself does not have: load {node.inner}"
        )
    return build_feature(node, registry or Registry.discover())[0]


def _prepare(
    recipe: Recipe,
    device: torch.device,
    generator: Generator,
    used: Sequence[Used],
    composition: Composition,
    method: Method,
    brought: Sequence[Used],
    starts: tuple[Start, ...],
    watch: Watch,
    judging: Callable[..., tuple[Path, ...]],
    typical: dict[str, float],
    footprints: dict[Record, Footprint],
) -> Run:
    """Return the run of these objects; typical distances that are not in `typical` are measured.

    `used` is what the generator was built from, `brought` the method and the judges; `judging` is to judge paths, and
    `footprints` are those of earlier walks of the same objects.
    """
    dtype, terms = getattr(torch, recipe.dtype), composition.terms
    generator = generator.to(device, dtype)
    for term in terms:
        term.feature.to(device, dtype)
    budget = None if recipe.memory is None else in_bytes(recipe.memory)
    named, scale = tuple((term.text, term.feature) for term in terms), latent_scale(generator)
    h = None if method.differences is None else method.differences * scale / math.sqrt(2 * generator.latent_dim)
    check_memory = keep_within(budget, device)

    def passed(passes: float) -> None:
        check_memory()
        watch.passed(passes)

    look = Linearisation(generator, named, differences=h, dtype=dtype, watch=passed)
    watch.stage("checking generator and features at the first start")
    # Before typical distances, which take long: an unsuitable function or budget is refused at once.
    first = first_start(look, [one.latent for one in starts], device)
    region = typical_region(generator)
    outside = untypical(starts, region)
    notes = [*generator.notes, *check_contract(look, first)]
    watch.stage("finding out what fits into memory")
    fit = choose_fit(look, first, len(starts) * recipe.paths, budget, recipe.batch, footprints)
    measured = _Typical(recipe, generator, used, device, watch)
    for term in terms:
        if term.text not in typical:
            typical[term.text] = measured.of(term)
            notes.append(f"two random samples differ by {typical[term.text]:.4g} {term.feature.unit} in {term.text}")
    roles = tuple(
        _role(term, i < len(composition.fixed), typical[term.text], recipe.tolerance) for i, term in enumerate(terms)
    )
    precision = half_dtype(recipe.precision, device, dtype)
    look = replace(fit.linearisation, precision=precision)
    chart = Chart.natural(generator, first) if AVERAGING[recipe.averaging].natural else None
    problem = Problem(look, roles, str(recipe.generator), scale, region, chart)
    notes += [*fit.notes, *filter(None, [outside])]
    if precision is not None:
        notes.append(describe_agreement(look, fit.start))
    everything = tuple(dict.fromkeys([*used, *brought, *(one for term in terms for one in term.used)]))
    recipe = recipe.model_copy(update={"batch": fit.batch, **provenance(everything)})
    judging = partial(judging, recipe=recipe, used=used, samples=partial(reference_images, generator, device, dtype))
    return Run(recipe, problem, _options(recipe, method), starts, judging, tuple(notes), watch=watch)


def _footprints(recipe: Recipe, device: torch.device) -> tuple[Any, ...]:
    """Return the key under which the footprints of this recipe's objects stand in `Built`."""
    fixed, varied = (tuple(str(bare(node)) for node in nodes) for nodes in (recipe.fix, recipe.vary))
    return "footprints", str(recipe.generator), fixed, varied, str(recipe.solver), recipe.dtype, str(device)


def _options(recipe: Recipe, method: Method) -> WalkOptions:
    return WalkOptions(
        steps=recipe.most_steps,
        until=recipe.to,
        paths=recipe.paths,
        stride=recipe.stride,
        method=method,
        batch=recipe.batch,
        region=recipe.region or None,
        smooth=recipe.smooth,
        averaging=AVERAGING[recipe.averaging],
    )


def _role(term: Term, fixed: bool, typical: float, share: float) -> Role:
    if not fixed:
        return Role(term.text, "varied", term.feature.unit, typical, weight=term.weight)
    tolerance = share * typical if term.tolerance is None else term.tolerance
    return Role(term.text, "fixed", term.feature.unit, typical, tolerance)


class _Typical:
    """Typical distances of a generator's features: known from before, or measured at one set of samples."""

    def __init__(self, recipe: Recipe, generator: Generator, used: Sequence[Used], device: torch.device, watch: Watch):
        self.generator, self.used, self.device, self.watch = generator, used, device, watch
        self.budget = None if recipe.memory is None else in_bytes(recipe.memory)
        self.named, self.dtype = str(recipe.generator), getattr(torch, recipe.dtype)

    def of(self, term: Term) -> float:
        """Return the typical distance of a feature."""
        # An object without a name may be a different one next time, so its distance is not cached.
        if not self.used or not term.used:
            return self._measure(term)
        names = term.text, self.named, str(self.dtype)
        return cached_typical(names, (*self.used, *term.used), lambda: self._measure(term))

    def _measure(self, term: Term) -> float:
        images = self._images
        self.watch.stage(f"measuring how far {SAMPLES} samples differ in {term.text}")
        return typical_distance((term.text, term.feature), images, self._room)

    @cached_property
    def _images(self) -> torch.Tensor:
        self.watch.stage(f"making {SAMPLES} samples to measure typical distances at", SAMPLES)
        return reference_images(self.generator, self.device, self.dtype, self._room, self.watch.passed)

    @cached_property
    def _room(self) -> int:
        return free(self.device, self.budget)
