"""What a data set is made of: what was asked for, what was measured once for all shards, and the seeds of each shard.

No torch here: a driver plans without it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from itertools import islice, pairwise
from typing import Any, Literal

from eigenwalk.errors import FileError, InputError, OutputError
from eigenwalk.runs.recipe import Recipe
from eigenwalk.runs.seeds import parse_ranges

VERSION = 1
"""Of the folder's layout."""
MOST = 10**12
"""Seeds of a data set."""
Format = Literal["parquet", "webdataset"]
Picture = Literal["png", "webp", "jpeg"]


@dataclass(frozen=True)
class Seeds:
    """The seeds of a data set, as ranges that do not overlap.

    >>> seeds = Seeds.parse(["0-9", "20"])
    >>> len(seeds), seeds.part(8, 11), str(seeds)
    (11, (8, 9, 20), '0-9,20')
    """

    ranges: tuple[tuple[int, int], ...]

    @classmethod
    def parse(cls, texts: Sequence[str]) -> Seeds:
        """Return the seeds of texts such as ``0-999999`` and ``7``; commas may stand between several.

        Raises:
            RecipeError: a text is neither a number nor a range.
            InputError: a seed is named twice.
        """
        found = parse_ranges([one for text in texts for one in text.split(",")], "--seeds", MOST)
        ordered = sorted(found, key=lambda one: one.start)
        for before, after in pairwise(ordered):
            if after.start < before.stop:
                raise InputError(f"--seeds names seed {after.start} twice: give every seed once")
        return cls(tuple((one.start, one.stop - 1) for one in found))

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self.ranges)

    def __str__(self) -> str:
        return ",".join(f"{first}-{last}" if last > first else str(first) for first, last in self.ranges)

    def part(self, begin: int, end: int) -> tuple[int, ...]:
        """Return the seeds from place `begin` up to, and without, place `end`."""
        every: list[int] = []
        for first, last in self.ranges:
            n = last - first + 1
            every += range(first + max(0, min(begin, n)), first + max(0, min(end, n)))
            begin, end = begin - n, end - n
        return tuple(every)


@dataclass(frozen=True)
class Filters:
    """Which paths are kept; all of them by default, but for those that took no step.

    Attributes:
        reached: only those that came as far as ``--to`` or ``--steps`` asks for.
        suspect: False: discard those on which a varied number may have been fooled.
        accept: features and how far each may have moved at a path's end, in its own unit.
        per_seed: at most so many of each seed.
        balance: as many of each direction and sense, in every group of seeds that is walked together.
    """

    reached: bool = False
    suspect: bool = True
    accept: tuple[tuple[str, float], ...] = ()
    per_seed: int | None = None
    balance: bool = False


@dataclass(frozen=True)
class Order:
    """What somebody asked for. Everything here decides what a shard holds, but `where`.

    Attributes:
        recipe: entries of the recipe that decide where a walk goes, but for its seeds.
        seeds: of all shards.
        shard: seeds of each.
        format, picture, quality: how shards are written, and the images in them; `quality` is of WebP and JPEG.
        filters: which paths are kept.
        where: entries of the recipe that say how it is computed: the device, the memory of each worker.
    """

    recipe: Mapping[str, Any]
    seeds: Seeds
    shard: int
    format: Format = "parquet"
    picture: Picture = "png"
    quality: int = 90
    filters: Filters = Filters()
    where: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, recipe: Recipe, seeds: Seeds, **options: Any) -> Order:
        """Return the order for a resolved recipe, whose own seeds do not count.

        Raises:
            InputError: the recipe starts from latents in files.
        """
        if recipe.starts:
            raise InputError("a data set starts from seeds: leave the recipe's starts out")
        entries = {**recipe.identity(), "judges": [str(one) for one in recipe.judges]}
        del entries["seeds"]
        where = {key: getattr(recipe, key) for key in ("device", "memory", "batch")}
        return cls(entries, seeds, where={key: value for key, value in where.items() if value is not None}, **options)

    def recipe_for(self, seeds: Sequence[int], **more: Any) -> Recipe:
        """Return the recipe of some of the seeds."""
        return Recipe.of(**{"smooth": 0.0, **self.recipe, **self.where, "seeds": seeds, **more})

    def difference(self, other: Order) -> str:
        """Say in what `other` is another data set; "" if it is the same one."""
        mine, others = self.facts(), other.facts()
        keys = [key for key in {**mine, **others} if mine.get(key) != others.get(key)]
        return "; ".join(f"{key} is {_say(others.get(key))} there and {_say(mine.get(key))} here" for key in keys)

    def facts(self) -> dict[str, Any]:
        """Return everything that decides what a shard holds, by name, as JSON holds it."""
        own = {key: getattr(self, key) for key in ("shard", "format", "picture")}
        own |= {} if self.picture == "png" else {"quality": self.quality}
        facts = {**self.recipe, "seeds": str(self.seeds), **own, **asdict(self.filters)}
        return json.loads(json.dumps(facts))

    @property
    def count(self) -> int:
        """How many shards there are."""
        return -(-len(self.seeds) // self.shard)

    def seeds_of(self, index: int) -> tuple[int, ...]:
        """Return the seeds of a shard."""
        return self.seeds.part(index * self.shard, (index + 1) * self.shard)


@dataclass(frozen=True)
class Measured:
    """What one worker measured, once, so that every worker's shards are the same.

    Attributes:
        batch: rows in one generator call.
        group: seeds that are walked together; those of a shard are split into groups of so many.
        record, tangents: what a point keeps for its derivatives, and how many tangents are pushed at once, None: all
            (`eigenwalk.maths.linearise.Linearisation`).
        typical: typical distances by feature.
        resolution: height and width of the images.
        latent: coordinates of a latent.
        roles: name, part, unit, typical distance and tolerance of every feature, in order; judges last.
        installed, weights, files: what took part, as a recipe records it.
        notes: messages for the user.
    """

    batch: int
    group: int
    record: str
    tangents: int | None
    typical: Mapping[str, float]
    resolution: tuple[int, int]
    latent: int
    roles: tuple[Mapping[str, Any], ...]
    installed: Mapping[str, str]
    weights: Mapping[str, str]
    files: Mapping[str, str]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """A data set that is ready to be made: the order and what was measured."""

    order: Order
    measured: Measured

    def recipe(self) -> Recipe:
        """Return the recipe of the first seed, with everything that took part."""
        provenance = {key: getattr(self.measured, key) for key in ("installed", "weights", "files")}
        recipe = self.order.recipe_for(self.order.seeds.part(0, 1), batch=self.measured.batch)
        return recipe.model_copy(update={**provenance, "memory": None})

    @property
    def digest(self) -> str:
        """Twelve digits that stand for everything that a shard's content depends on."""
        facts = {**self.order.facts(), **asdict(self.measured), "notes": None}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]

    def groups(self, index: int) -> list[tuple[int, ...]]:
        """Return the seeds of a shard, in groups that are walked together."""
        rest, group = iter(self.order.seeds_of(index)), self.measured.group
        return list(iter(lambda: tuple(islice(rest, group)), ()))

    def file(self, index: int, configuration: str = "data") -> str:
        """Return the name of a shard's file, as Hugging Face names them."""
        ending = "parquet" if self.order.format == "parquet" else "tar"
        return f"{configuration}/train-{index:05d}-of-{self.order.count:05d}.{ending}"

    def text(self) -> str:
        """Return the plan as the JSON of ``dataset.json``."""
        entries = {"version": VERSION, "digest": self.digest, **asdict(self)}
        entries["order"]["seeds"] = str(self.order.seeds)
        return json.dumps(entries, indent=1) + "\n"

    @classmethod
    def parse(cls, text: str, source: str) -> Plan:
        """Return the plan in the text of ``dataset.json``; raises FileError if it is none."""
        try:
            entries = json.loads(text)
            order, measured = dict(entries["order"]), dict(entries["measured"])
            accept = tuple((name, float(limit)) for name, limit in order["filters"].pop("accept"))
            order["filters"] = Filters(**order["filters"], accept=accept)
            order["seeds"] = Seeds.parse([order["seeds"]])
            for name in ("resolution", "roles", "notes"):
                measured[name] = tuple(measured[name])
            plan = cls(Order(**order), Measured(**{one.name: measured[one.name] for one in fields(Measured)}))
            if entries["version"] != VERSION or entries["digest"] != plan.digest:
                raise ValueError("its digest is another")
            return plan
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise FileError(f"{source} is not the plan of a data set, or is damaged: {error}") from None

    def check_same(self, order: Order, source: str) -> None:
        """Raise OutputError, naming what differs, unless `order` asks for this data set."""
        if says := order.difference(self.order):
            raise OutputError(
                f"{source} holds another data set: {says}. Give another folder with --out; where a newer eigenwalk has "
                f"other defaults, {source}/recipe.toml in place of the generator's name goes on with the folder's"
            )


def _say(value: Any) -> str:
    return "not given" if value is None else json.dumps(value) if not isinstance(value, str) else repr(value)
