"""What is to be inverted, and how: from names to objects, checked before anything long begins."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from eigenwalk import store
from eigenwalk.checkpoint import sharing
from eigenwalk.errors import CompositionError, InputError
from eigenwalk.feature import Projection, chain
from eigenwalk.generator import Generator
from eigenwalk.maths.linearise.calls import freeze_near
from eigenwalk.maths.typical import SAMPLES, reference_images, typical_distance
from eigenwalk.names.expression import as_tree, parse_generator
from eigenwalk.names.files import OwnFile
from eigenwalk.names.registry import Registry
from eigenwalk.names.resolve import resolve_generator, resolve_whole
from eigenwalk.names.tree import Call, Held, Instance, Open, Weighted, bare
from eigenwalk.objects.build import Used
from eigenwalk.objects.compose import build_feature, build_generator
from eigenwalk.runs.ready import usable_device
from eigenwalk.runs.typical_cache import cached_typical
from eigenwalk.runs.watch import Watch
from eigenwalk_invert.objective import Match
from eigenwalk_invert.photo import Photo, read_photos

SPACES = ("w+", "w")
"""To search in, the first of them that a generator has and unless its expression names one."""
IDENTITY = "identity(model=dlib, box=ffhq)"
"""Matched by default where faces are aligned and its weights are fetched."""
ALIGN = ("ffhq",)


@dataclass(frozen=True)
class Options:
    """How photographs are inverted.

    Attributes:
        match: expressions of the features to match, with weights where given: ``0.5 * pixels``. Empty: `pixels`, and
            the identity where faces are aligned and its weights are fetched.
        judge: expressions of features that are only measured.
        region: expression of a mask; only what it keeps of each photograph is matched. None: everything.
        align: ``ffhq``: a face is found and cut out as those of FFHQ; None: the middle of the photograph.
        face: which face, the largest first, counted from 1.
        passes: generator passes in each space, for one start of one photograph.
        restarts: starts of each photograph; the best goes on after the first steps.
        prior: weight of the distance from typical latents.
        tune: steps in which the generator itself is fitted; 0: not at all.
        rate: of those steps: how much of its size a number may change in one.
        seed: of the starts, and of the samples that tuning leaves as they are.
    """

    match: tuple[str, ...] = ()
    judge: tuple[str, ...] = ()
    region: str | None = None
    align: str | None = None
    face: int = 1
    passes: int = 300
    restarts: int = 4
    prior: float = 0.01
    tune: int = 0
    rate: float = 1e-3
    seed: int = 0

    def __post_init__(self) -> None:
        if self.align is not None and self.align not in ALIGN:
            raise InputError(f"align must be {' or '.join(ALIGN)}, got {self.align!r}")
        for name, least in (("face", 1), ("passes", 1), ("restarts", 1), ("prior", 0), ("tune", 0), ("seed", 0)):
            if not getattr(self, name) >= least:
                raise InputError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if not self.prior < math.inf:
            raise InputError(f"prior must be finite, got {self.prior}")
        if not self.seed < 2**63:
            raise InputError(f"seed must be less than 2^63, got {self.seed}")
        if not 0 < self.rate < 1:
            raise InputError(f"rate must be between 0 and 1, got {self.rate}")


@dataclass(frozen=True)
class Task:
    """Photographs to invert, with everything that is needed for it.

    Attributes:
        text: the generator's canonical expression, paths in it absolute; "" for one that Python code gives.
        generator: itself.
        photos: as the generator could give them.
        matches: features to match, the region taken, with their weights.
        weights: of each match.
        judges: features that are only measured.
        spread: typical distance of two samples' pixels, as RMS.
        used: what generator and features were built from.
        notes: messages for the user.
    """

    text: str
    generator: Generator
    photos: tuple[Photo, ...]
    matches: tuple[Match, ...]
    weights: tuple[float, ...]
    judges: tuple[Match, ...]
    options: Options
    device: torch.device
    spread: float
    used: tuple[Used, ...] = ()
    notes: tuple[str, ...] = ()
    region: Projection | None = field(default=None, repr=False)

    @property
    def photographs(self) -> Tensor:
        """The photographs ``(photos, 3, height, width)``."""
        return torch.stack([photo.image for photo in self.photos]).to(self.device)

    def matched(self, rows: Sequence[int]) -> tuple[Match, ...]:
        """Return the features to match in `rows`, photographs by place: what the region keeps of each is frozen."""
        if self.region is None:
            return self.matches
        kept = freeze_near("region", self.region, self.photographs[list(rows)], ())
        assert isinstance(kept, Projection)
        return tuple(replace(one, feature=chain(kept, one.feature)) for one in self.matches)

    @property
    def key(self) -> str:
        """SHA-256 of all that decides which latents are found; tuning comes after them, and counts apart."""
        options = {k: v for k, v in vars(self.options).items() if k not in ("tune", "rate", "judge")}
        files = sorted({file for one in self.used for file in (*one.weights, *one.files)})
        matches = [[one.name, weight] for one, weight in zip(self.matches, self.weights, strict=True)]
        content = [self.text, [photo.sha256 for photo in self.photos], matches, options, files]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def prepare(
    generator: str | Generator,
    photos: Sequence[Any],
    options: Options,
    registry: Registry,
    device: str = "cpu",
    watch: Watch | None = None,
) -> Task:
    """Return the task of inverting `photos`, files or images ``(3, height, width)``, in `generator`.

    Raises:
        InputError: a name or an option is wrong, or a feature cannot be matched.
        FileError: a photograph cannot be read, or shows no face where one is needed.
    """
    watch = watch or Watch()
    if not photos:
        raise InputError("invert takes at least one photograph")
    trees, judges = ([resolve_whole(as_tree(one), registry) for one in some] for some in (options.match, options.judge))
    region = None if options.region is None else resolve_whole(as_tree(options.region), registry)
    for tree in (*trees, *judges):
        if isinstance(tree, Held):
            raise CompositionError(f"'{tree}' is to be matched, as well as can be: leave '< …' out")
    watch.stage("opening the generator")
    with sharing():
        text, built, used = _open(generator, registry)
    where = usable_device(device)
    built = built.to(where, torch.float32)
    notes = list(built.notes)
    watch.stage("reading the photographs")
    read = read_photos(photos, built.resolution, options.align, options.face)
    notes += [f"{photo.label}: {photo.note}" for photo in read if photo.note]
    if not trees:
        trees = [resolve_whole(as_tree(one), registry) for one in _default(options, registry)]
        notes.append(f"matched: {', '.join(map(str, trees))}")
    watch.stage("making samples to measure typical distances at", SAMPLES)
    images = reference_images(built, where, watch=watch.passed)

    def of(tree: Any) -> Match:
        nonlocal used
        node, name = bare(tree), str(bare(tree))
        feature, own = build_feature(node, registry)
        feature.to(where, torch.float32)
        watch.stage(f"measuring how far samples differ in {name}")
        used = (*used, *own)
        if not text or not own:  # an object without a name may be another one next time
            return Match(name, feature, typical_distance((name, feature), images))
        names, by = (name, text, "torch.float32"), (*opened, *own)
        return Match(name, feature, cached_typical(names, by, lambda: typical_distance((name, feature), images)))

    opened = used
    matches = tuple(of(tree) for tree in trees)
    for one in matches:
        if not one.feature.differentiable:
            raise InputError(f"{one.name} has no gradient, and cannot be matched: it can judge")
    weights = tuple(tree.weight if isinstance(tree, Weighted) else 1.0 for tree in trees)
    measured = tuple(of(tree) for tree in judges)
    kept = None
    if region is not None:
        kept, own = build_feature(bare(region), registry)
        used = (*used, *own)
        if not isinstance(kept, Projection):
            raise CompositionError(f"region must be a mask, such as mask(box=(0, 0, 1, 0.5)), got {region}")
        kept.to(where, torch.float32)
    every = tuple(dict.fromkeys(used))
    spread = float((images - images.roll(1, 0)).square().flatten(1).mean(1).sqrt().median())
    return Task(text, built, read, matches, weights, measured, options, where, spread, every, tuple(notes), kept)


def _open(generator: str | Generator, registry: Registry) -> tuple[str, Generator, tuple[Used, ...]]:
    """Return the canonical expression, the generator and what it was built from, in the best space to search."""
    if isinstance(generator, Generator):
        return "", generator, ()
    node = absolute(resolve_generator(as_tree(generator, parse_generator), registry))
    for one in _in_best_space(node):
        built, used = build_generator(one, registry)
        return str(one), built, used
    raise AssertionError("a generator has a space")


def absolute(node: Call | Open | Instance) -> Call | Open | Instance:
    """Return a resolved `node` whose files have absolute paths, so that it opens from any working folder."""
    if isinstance(node, Open):
        return replace(node, path=os.path.abspath(os.path.expanduser(node.path)))
    if isinstance(node, Call) and isinstance(node.offer, OwnFile):
        file, colon, name = str(node.args[0]).rpartition(":")
        return replace(node, args=(f"{os.path.abspath(os.path.expanduser(file))}{colon}{name}", *node.args[1:]))
    return node


def _in_best_space(node: Call | Open | Instance) -> Iterator[Call | Open | Instance]:
    spec = getattr(getattr(node, "offer", None), "spec", None)
    option = next((one for one in spec.options if one.name == "space"), None) if spec else None
    if isinstance(node, (Call, Open)) and option and "space" not in dict(node.options):
        for space in SPACES:
            if space in option.choices:
                yield replace(node, options=tuple(sorted({**dict(node.options), "space": space}.items())))
    yield node


def _default(options: Options, registry: Registry) -> list[str]:
    """Return what is matched where nobody says: pixels, and a face's identity if it can be read."""
    found = ["pixels"]
    offer = next((one for one in registry.features if one.name == "identity"), None)
    if options.align == "ffhq" and offer and options.region is None:
        needed = offer.spec.needed({"model": "dlib", "box": (0.2, 0.2, 0.8, 0.8)})
        if all(one.source is None or store.place(one).is_file() for one in needed):
            found.append(IDENTITY)
    return found
