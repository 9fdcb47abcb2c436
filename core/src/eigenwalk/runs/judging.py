"""After a walk: measure its pictures by features that it did not optimise, and say what moved.

Pictures are measured as people see them, in eight bits, and no generator pass is spent on a path.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from contextvars import copy_context
from dataclasses import asdict, dataclass, replace
from functools import cache
from itertools import chain
from statistics import median
from typing import Any

import torch
from torch import Tensor

from eigenwalk import store
from eigenwalk.errors import EigenwalkError, Undefined, WalkError
from eigenwalk.feature import Feature
from eigenwalk.maths.natural import Natural, copied_values, describe_samples, measure
from eigenwalk.names.expression import parse
from eigenwalk.names.registry import Offer, Registry
from eigenwalk.names.tree import bare, calls
from eigenwalk.objects.build import Used
from eigenwalk.objects.compose import Term, build_feature
from eigenwalk.path import Path, Role, Seen, Tell, Waypoint
from eigenwalk.runs.recipe import Recipe
from eigenwalk.runs.typical_cache import cached
from eigenwalk.shapes import Images
from eigenwalk.spec import FeatureSpec

SECONDS = 30.0
"""After so long no further installed feature is looked at; those named are measured however long it takes."""
LEAST = 0.1
"""Least change of a number, in typical distances, that tells whether it was fooled."""
CLEAR = 0.25
"""Natural share below which blurred and shifted copies say nothing of a number."""
PATHS = 384
"""Paths whose ends are looked at by installed features, as many as a report shows."""
Note = Callable[[str], object]


@dataclass(frozen=True)
class Gauge:
    """A feature that measures pictures; its value has one number for each of several `names`, or anything for one."""

    names: tuple[str, ...]
    feature: Feature
    used: tuple[Used, ...]
    natural: tuple[Natural, ...] = ()


def judge(
    paths: Sequence[Path],
    note: Note = lambda text: None,
    *,
    recipe: Recipe,
    samples: Callable[[], Images],
    used: Sequence[Used],
    judges: Sequence[Term],
    varied: Sequence[Term],
    registry: Registry,
    installed: bool = True,
) -> tuple[Path, ...]:
    """Return the paths, each judge measured at every waypoint, with what moved and whether a number may be fooled.

    Where no judge is named, the installed features that need no download say what moved, at the ends alone.

    Args:
        paths: walked; those without a step are returned as they are.
        note: is told what goes on.
        recipe: of the walk.
        samples: makes the images of random samples; asked for where they have not been measured before.
        used: what the generator was built from; without, nothing is remembered.
        judges: named features; they must have a value at two samples at least.
        varied: of the walk; those of a single number get a `Tell`.
        registry: of the features that say what moved.
        installed: False: installed features that nobody named say nothing, so that time decides nothing.

    Raises:
        EigenwalkError: a judge fails.
    """
    like = torch.empty(0, device=recipe.device, dtype=getattr(torch, recipe.dtype))
    made = cache(lambda: samples().clamp(0, 1))

    def known(gauge: Gauge, copied: bool = False) -> Gauge:
        return _natural(gauge, made, recipe, used, copied)

    tells = [known(Gauge((term.text,), term.feature, term.used), copied=True) for term in varied]
    named = [known(Gauge((term.text,), term.feature, term.used)) for term in judges]
    paths = tuple(_judged(path, named, like) for path in paths)
    if judges:
        note(f"judged by {', '.join(term.text for term in judges)}")
    note("looking at what moved")
    ends = [path for path in paths if len(path) > 1][:PATHS]

    def look(gauge: Gauge) -> list[tuple[str, dict[str, float], bool]]:
        gauge = gauge if gauge.natural else known(gauge)
        return [(path.name, *_moved(path, gauge, like)) for path in ends]

    if judges:
        looks = [look(gauge) for gauge in named]
    else:
        looks, late = _in_time(_installed(recipe, registry) if installed else iter(()), look)
        if late:
            note(f"what moved is said by some features only: {SECONDS:g} s are over")
    seen, numbers = dict[str, dict[str, float]](), dict[str, None]()
    for name, moved, are_numbers in chain.from_iterable(looks):
        seen.setdefault(name, {}).update(moved)
        numbers |= dict.fromkeys(moved if are_numbers else ())
    return tuple(
        replace(path, seen=Seen(seen.get(path.name, {}), _tells(path, tells, like), tuple(numbers)))
        if path.name in seen or tells
        else path
        for path in paths
    )


def _in_time(gauges: Iterator[Gauge], look: Callable[[Gauge], Any]) -> tuple[list[Any], bool]:
    """Return what `look` says of installed features within `SECONDS`, and whether that ended it.

    In a thread of its own, which is left alone then: a feature that nobody named must not keep a walk from its end.
    """
    looks, failures, over = [], [], threading.Event()

    def run() -> None:
        try:
            for gauge in gauges:
                if over.is_set():
                    return
                with suppress(EigenwalkError):  # it may not be made for such images: then it says nothing
                    looks.append(look(gauge))
        except BaseException as error:  # raised again where the walk is
            failures.append(error)

    thread = threading.Thread(target=copy_context().run, args=(run,), name="what moved", daemon=True)
    thread.start()
    thread.join(SECONDS)
    over.set()
    late = thread.is_alive()
    if failures:
        raise failures[0]
    return list(looks), late


def _natural(gauge: Gauge, samples: Callable[[], Images], recipe: Recipe, used: Sequence[Used], copied: bool) -> Gauge:
    """Return the gauge with what it says of random samples, measured once for all walks with this generator."""

    def measured() -> list[dict[str, float]]:
        found = describe_samples(gauge.names[0], gauge.feature, samples(), len(gauge.names), copied)
        return [{key: value for key, value in asdict(one).items() if math.isfinite(value)} for one in found]

    names = (*gauge.names, str(recipe.generator), recipe.dtype, *(["copied"] if copied else []))
    rows = cached("natural", names, (*used, *gauge.used), measured) if used and gauge.used else measured()
    return replace(gauge, natural=tuple(Natural(**row) for row in rows))


def _judged(path: Path, gauges: Sequence[Gauge], like: Tensor) -> Path:
    """Return the path with the changes of named judges at every waypoint, in place of earlier ones."""
    roles, changes = list(path.roles), [dict(waypoint.changes) for waypoint in path]
    for gauge in gauges:
        name, natural = gauge.names[0], gauge.natural
        if not natural:
            raise WalkError(f"{name} has a value at fewer than two random samples: it cannot judge", name)
        roles = [role for role in roles if (role.name, role.part) != (name, "judged")]
        if name in {role.name for role in roles}:
            continue
        roles.append(Role(name, "judged", gauge.feature.unit, natural[0].typical))
        first = _measured(gauge, path.waypoints[0], like)
        for waypoint, known in zip(path, changes, strict=True):
            there = _measured(gauge, waypoint, like) if waypoint.index else first
            known[name] = math.nan if first is None or there is None else _change(gauge, first[1], there)[0]
    waypoints = (replace(waypoint, changes=known) for waypoint, known in zip(path, changes, strict=True))
    return replace(path, roles=tuple(roles), waypoints=tuple(waypoints))


def _moved(path: Path, gauge: Gauge, like: Tensor) -> tuple[dict[str, float], bool]:
    """Return how far the gauge's names moved on a path, in typical distances, and whether each is a single number."""
    first, last = (_measured(gauge, path.waypoints[n], like) for n in (0, -1))
    if first is None or last is None or not gauge.natural:
        return {}, False
    # A number that a network cannot read hardly differs between samples, and its noise would come first.
    least = median(natural.typical for natural in gauge.natural)
    changes = zip(gauge.names, _change(gauge, first[1], last), strict=True)
    typical = {name: max(natural.typical, least) for name, natural in zip(gauge.names, gauge.natural, strict=True)}
    moved = {name: change / typical[name] for name, change in changes if typical[name] > 0}
    return moved, last[1].numel() == len(gauge.names)


def _tells(path: Path, gauges: Sequence[Gauge], like: Tensor) -> dict[str, Tell]:
    """Return what tells whether a varied number was fooled, by name; nothing of features with several numbers."""
    found = {}
    a, b = (_as_images(torch.from_numpy(path.waypoints[n].image)[None], like) for n in (0, -1))
    pixels = float((a - b).square().mean().sqrt())
    for gauge in gauges:
        first, last = (_measured(gauge, path.waypoints[n], like) for n in (0, -1))
        if first is None or last is None or first[1].numel() != 1 or not gauge.natural:
            continue
        natural, change = gauge.natural[0], float(last[1] - first[1])
        if abs(change) < LEAST * natural.typical:
            continue
        try:
            one, other = (float(copied_values(gauge.names[0], gauge.feature, image)) for image in (a, b))
        except Undefined:
            continue
        kept = (other - one) / change / natural.kept if natural.kept > CLEAR else math.nan
        found[gauge.names[0]] = Tell(kept, pixels * natural.typical / natural.pixels / abs(change))
    return found


def _measured(gauge: Gauge, waypoint: Waypoint, like: Tensor) -> tuple[Feature, Tensor] | None:
    """Return the feature near the waypoint's picture and its value ``(1, ...)``; None where it has none."""
    try:
        return measure(gauge.names[0], gauge.feature, _as_images(torch.from_numpy(waypoint.image)[None], like))
    except Undefined:
        return None


def _change(gauge: Gauge, start: Tensor, there: tuple[Feature, Tensor]) -> list[float]:
    """Return the signed change of each number since `start`, or the distance where the value has more of them."""
    feature, value = there
    if value.numel() == len(gauge.names):
        return (value - start).flatten().tolist()
    return [float(feature.distance(start, value))]


def _installed(recipe: Recipe, registry: Registry) -> Iterator[Gauge]:
    """Yield the installed features that need no download and fit the generator, but for those fixed or varied.

    First those that name things, such as ``faces.factor(smile)``; where there are none, the others.
    """
    taken = {call.name for tree in (*recipe.fix, *recipe.vary) for call in calls(tree)}
    others = {offer.name for offer in registry.generators} - {getattr(recipe.generator, "name", "")}
    offers = [one for one in registry.features if one.name not in taken and one.name.partition(".")[0] not in others]
    words: set[str] = set()
    for offer in offers:
        yield from _by_word(offer, words, registry)
    for offer in offers:
        if not offer.spec.options or (not words and not any(option.required for option in offer.spec.options)):
            yield from _gauges(offer, "", (offer.name,), registry)


def _by_word(offer: Offer[FeatureSpec], words: set[str], registry: Registry) -> Iterator[Gauge]:
    """Yield the gauges of a feature whose one required option is a choice of words; each word counts once."""
    required = [option for option in offer.spec.options if option.required]
    if len(required) != 1 or required[0].type != "words" or not required[0].choices:
        return
    new = [word for word in required[0].choices if word not in words]
    names = tuple(f"{offer.name}({word})" for word in new)
    if offer.spec.kind == "projection":
        gauges = [gauge for name in names for gauge in _gauges(offer, name, (name,), registry)]
    else:
        gauges = list(_gauges(offer, f"{offer.name}(({', '.join(new)},))", names, registry)) if new else []
    words |= {*new} if gauges else set()
    yield from gauges


def _gauges(offer: Offer[FeatureSpec], text: str, names: tuple[str, ...], registry: Registry) -> Iterator[Gauge]:
    """Yield the gauge of an expression, unless it lacks a file or more options."""
    with suppress(EigenwalkError):
        if any(one.source is not None and not store.place(one).is_file() for one in offer.spec.needed({})):
            return
        feature, used = build_feature(bare(parse(text or offer.name)), registry)
        yield Gauge(names, feature, used)


def _as_images(pictures: Tensor, like: Tensor) -> Tensor:
    """Return pictures ``(batch, height, width, 3)`` of eight bits as images."""
    return pictures.permute(0, 3, 1, 2).to(like) / 255
