"""Plan an evaluation: resolve every name of a grid, and list a cell for each generator, pair and method."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from eigenwalk.errors import CompositionError, InputError
from eigenwalk.names.expression import parse_generator
from eigenwalk.names.files import OwnFile
from eigenwalk.names.near import nearest
from eigenwalk.names.registry import Registry
from eigenwalk.names.resolve import resolve_generator, resolve_sets
from eigenwalk.objects.build import Used, provenance
from eigenwalk.objects.compose import build_generator, compose
from eigenwalk.runs.ready import own_files
from eigenwalk.runs.recipe import Recipe
from eigenwalk_evaluate.grid import AttributesEntry, GeneratorEntry, Grid, Methods, PairEntry, ReadingsEntry
from eigenwalk_evaluate.method import Method, resolve_method

ANY = ("maths/linearise", "maths/problem", "maths/typical", "generator", "feature", "objects/compose", "path")
SOURCES = {
    "lines": {"eigenwalk": (*ANY, "direction", "walk/start"), "eigenwalk_evaluate": ("lines", "paths")},
    "walk": {
        "eigenwalk": (*ANY, "direction", "walk", "maths/methods", "maths/cloud", "chart", "maths/natural"),
        "eigenwalk_evaluate": ("paths",),
    },
    "limit": {"eigenwalk": ANY, "eigenwalk_evaluate": ("limit",)},
    "judge": {"eigenwalk": ANY, "eigenwalk_evaluate": ("judge",)},
    "read": {"eigenwalk": (*ANY, "maths/natural"), "eigenwalk_evaluate": ("judge", "reading")},
}
"""Files by package on which a cell of each kind depends; if one changes, the cell is computed again."""
LIMIT = "limit"
Kind = Literal["walk", "lines", "judge", "read", "limit"]


@dataclass(frozen=True)
class Pair:
    """A pair of fixed and varied features of a generator.

    Attributes:
        generator, name: what tables call the generator and the pair.
        recipe: of the walk, but for solver and paths, which are the method's.
        levels: shares of varied change at which drift is reported.
        judges: features that no method was asked about.
        attributes: scalar features, of which the one at `target` varies; empty for an ordinary pair.
        scores: features that measure how far each attribute moved.
        move: how far the target moves, in its standard deviations.
        shown: seeds whose pictures are kept.
        reader: the judge that reads the one varied scalar again; empty for an ordinary pair.
        table: the heading under which pairs with a reader stand together.
    """

    generator: str
    name: str
    recipe: Recipe
    levels: tuple[float, ...]
    judges: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    scores: tuple[str, ...] = ()
    target: int | None = None
    move: float = 0.0
    shown: int = 0
    reader: str = ""
    table: str = ""

    @property
    def is_ordinary(self) -> bool:
        """Whether the pair has a section of its own, neither edited as an attribute nor read again."""
        return not self.attributes and not self.reader


@dataclass(frozen=True)
class Cell:
    """One thing to compute and save.

    Attributes:
        kind: ``walk`` or ``lines`` of a method, ``judge`` or ``read`` of a walk, or ``limit`` of a pair.
        identity: everything that its result depends on.
        seeds: of its starts.
        after: the cells whose results it needs.
    """

    kind: Kind
    pair: Pair
    method: Method | None
    identity: str
    seeds: tuple[int, ...]
    after: tuple[Cell, ...] = ()

    @property
    def key(self) -> str:
        """Name of the cell's file."""
        return hashlib.sha256(self.identity.encode()).hexdigest()[:20]

    @property
    def label(self) -> str:
        """Generator, pair and method, as ``--only`` takes them."""
        what = LIMIT if self.method is None else self.method.label
        return f"{self.pair.generator}/{self.pair.name}/{what}"


@dataclass(frozen=True)
class Plan:
    """All cells of a grid, walks before their judges and limits, and the versions, weights and files that take part."""

    grid: Grid
    pairs: tuple[Pair, ...]
    cells: tuple[Cell, ...]
    provenance: dict[str, dict[str, str]]

    def select(self, only: Sequence[str]) -> tuple[Cell, ...]:
        """Return the cells whose label contains one of the patterns `only`, or all if there is none.

        Raises:
            InputError: one of them matches nothing.
        """
        for pattern in only:
            if not any(_matches(cell.label, pattern) for cell in self.cells):
                labels = list(dict.fromkeys(cell.label for cell in self.cells))
                near = nearest(pattern, labels, 3, 0.0)
                raise InputError(f"--only {pattern!r} matches none of {len(labels)} cells, such as {'; '.join(near)}")
        return tuple(cell for cell in self.cells if not only or any(_matches(cell.label, one) for one in only))


def plan(grid: Grid, registry: Registry) -> Plan:
    """Plan `grid`: resolve every name, and build every object once.

    Raises:
        InputError, PluginError, FileError: a name, an option, a file or a plugin's factory is wrong.
    """
    pairs: list[Pair] = []
    cells: list[Cell] = []
    everything: list[Used] = []
    for entry in grid.generators:
        found = list(_pairs(grid, entry, registry))
        used = build_generator(entry.generator, registry)[1]
        for pair, methods in found:
            terms = compose(pair.recipe.fix, pair.recipe.vary, registry)
            taken = (*used, *(one for term in (*terms.fixed, *terms.varied) for one in term.used))
            seen = _build_features(pair.scores or pair.judges or (pair.reader and [pair.reader]), registry)
            cells += _cells(grid, pair, [resolve_method(one, grid, registry) for one in methods], taken, seen, registry)
            everything += [*taken, *seen]
        pairs += [pair for pair, _ in found]
    names = [(pair.generator, pair.name) for pair in pairs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise CompositionError(f"two pairs of {twice[0]} are called {twice[1]!r}: give each a name of its own")
    everything += [one for cell in cells if cell.method for one in cell.method.used]
    return Plan(grid, tuple(pairs), tuple(cells), provenance(everything))


def own_code(grid: Grid, registry: Registry) -> list[OwnFile]:
    """Return the functions in Python files whose code `plan` runs; nothing is built."""
    found: list[OwnFile] = []
    for entry in grid.generators:
        for pair, _ in _pairs(grid, entry, registry):
            judges = (
                resolve_sets([], [text], registry)[1][0]
                for text in (*pair.judges, *pair.scores, *filter(None, [pair.reader]))
            )
            found += own_files(pair.recipe.generator, *pair.recipe.fix, *pair.recipe.vary, *judges)
    return found


def _pairs(grid: Grid, entry: GeneratorEntry, registry: Registry) -> Iterator[tuple[Pair, Methods]]:
    """Yield the pairs of one generator, those of its attributes included, with the methods for each."""
    generator = resolve_generator(parse_generator(entry.generator), registry)
    name = entry.name or Recipe.of(generator=generator, vary=["pixels"]).slug().rpartition("-")[0]

    def recipe(pair: PairEntry | AttributesEntry | ReadingsEntry, fix: Sequence[Any], vary: Sequence[Any]) -> Recipe:
        given = Recipe.of(
            generator=generator,
            fix=fix,
            vary=vary,
            seeds=pair.seeds or entry.seeds or grid.seeds,
            steps=grid.steps,
            stride=grid.stride,
            tolerance=grid.tolerance,
            device=grid.device,
            memory=grid.memory,
        )
        return given.canonical(registry)

    def canonical(texts: Sequence[str]) -> tuple[str, ...]:
        return tuple(str(resolve_sets([], [text], registry)[1][0]) for text in texts)

    for pair in entry.pairs:
        label = pair.name or f"{', '.join(pair.fix) or 'nothing'} held, {', '.join(pair.vary)} varied"
        judges = canonical(entry.judges if pair.judges is None else pair.judges)
        found = recipe(pair, pair.fix, pair.vary)
        methods = pair.methods or entry.methods or grid.methods
        yield Pair(name, label, found, grid.levels, judges, shown=grid.shown), methods
    for read in entry.readings:
        again = list(zip(canonical(read.features), canonical(read.judges), strict=True))
        for fix in read.fix:
            held = f"{', '.join(fix) or 'nothing'} held"
            for text, reader in again:
                label, table = f"{held}, {text} read again", f"{name}, {held}"
                pair = Pair(
                    name, label, recipe(read, fix, [text]), grid.levels, shown=grid.shown, reader=reader, table=table
                )
                yield pair, read.methods or entry.methods or grid.methods
    if edited := entry.attributes:
        features = canonical(edited.features)
        scores = canonical(edited.scores) or features
        for i, text in enumerate(features):
            found = recipe(edited, [one for one in features if one != text], [text])
            pair = Pair(name, f"edit {text}", found, (), (), features, scores, i, edited.move, grid.shown)
            yield pair, edited.methods or entry.methods or grid.methods


def _cells(
    grid: Grid, pair: Pair, methods: Sequence[Method], taken: Iterable[Used], seen: Iterable[Used], registry: Registry
) -> list[Cell]:
    """Return the cells of one pair: each method's walk and its judges, then the limit."""
    labels = [method.label for method in methods]
    twice = next((label for label in labels if labels.count(label) > 1), None)
    if twice:
        raise InputError(f"two methods are called {twice!r}: give one of them a label")
    cells = []
    for method in methods:
        seeds = pair.recipe.seeds[: method.starts]
        walked = _identity(method.kind, pair, seeds, (*taken, *method.used), registry, method=_facts(method))
        walk = Cell(method.kind, pair, method, walked, seeds)
        cells.append(walk)
        if pair.scores or pair.judges:
            judges = [*pair.judges, *pair.scores]
            judged = _identity("judge", pair, seeds, seen, registry, walk=walk.key, judges=judges)
            cells.append(Cell("judge", pair, method, judged, seeds, (walk,)))
        if pair.reader:
            read = _identity("read", pair, seeds, (*seen, *taken), registry, walk=walk.key, reader=pair.reader)
            cells.append(Cell("read", pair, method, read, seeds, (walk,)))
    if grid.limit and pair.recipe.fix and pair.is_ordinary:
        starts = tuple(cell for cell in cells if cell.kind == "walk" and cell.method and not cell.method.several)
        seeds = pair.recipe.seeds[: None if grid.limit is True else grid.limit]
        found = _identity(LIMIT, pair, seeds, taken, registry, starts=[cell.key for cell in starts])
        cells.append(Cell("limit", pair, None, found, seeds, starts))
    return cells


def _facts(method: Method) -> dict[str, Any]:
    return {key: value for key, value in asdict(method).items() if key not in ("label", "used", "starts")}


def _identity(
    kind: Kind,
    pair: Pair,
    seeds: tuple[int, ...],
    used: Iterable[Used],
    registry: Registry,
    **more: Any,
) -> str:
    """Return everything that the result of a cell depends on, as text."""
    recipe = {key: value for key, value in pair.recipe.identity().items() if key not in ("solver", "paths")}
    return json.dumps(
        {
            "kind": kind,
            "recipe": recipe | {"seeds": seeds},
            "levels": pair.levels,
            "attributes": pair.attributes,
            "move": pair.move,
            "shown": pair.shown,
            "used": sorted({json.dumps(asdict(one)) for one in used}),
            "plugins": sorted({root: _digest(root) for one in used for root in _packages(one, registry)}.items()),
            "code": [_digest(package, parts) for package, parts in SOURCES[kind].items()],
            "torch": version("torch"),
            **more,
        },
        sort_keys=True,
    )


def _build_features(features: Sequence[str], registry: Registry) -> tuple[Used, ...]:
    if not features:
        return ()
    terms = compose([], features, registry).varied
    return tuple(dict.fromkeys(one for term in terms for one in term.used))


def _packages(used: Used, registry: Registry) -> set[str]:
    """Return the packages that hold a name's code."""
    offers = (*registry.features, *registry.generators, *registry.directions)
    mine = [offer for offer in offers if offer.name == used.name and offer.distribution == used.distribution]
    return {offer.spec.load.partition(":")[0].partition(".")[0] for offer in mine}


@cache
def _digest(package: str, parts: tuple[str, ...] = ("",)) -> str:
    """Return SHA-256 of a package's Python files, or of `parts` of it: its version stays while one works on it."""
    spec = importlib.util.find_spec(package)
    folders = [Path(one) for one in (spec.submodule_search_locations if spec else None) or ()]
    sha = hashlib.sha256()
    for file in sorted(file for folder in folders for part in parts for file in _files(folder, part)):
        sha.update(file.name.encode() + b"\0" + file.read_bytes())
    return sha.hexdigest()


def _files(folder: Path, part: str) -> list[Path]:
    """Return the Python files of a module or package inside `folder`, or all if `part` is empty."""
    module = folder / f"{part}.py"
    return [module] if part and module.is_file() else list((folder / part).rglob("*.py"))


def _matches(label: str, pattern: str) -> bool:
    # Brackets belong to expressions: only * and ? are wildcards.
    return fnmatch(label, f"*{pattern.replace('[', '[[]')}*")
