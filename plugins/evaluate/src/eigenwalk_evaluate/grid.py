"""What to evaluate: generators, pairs of fixed and varied features, methods, seeds, judges.

grid = Grid.read("docs/evaluation/rooms.toml")
Grid.of(generators=[{"generator": "rooms", "pairs": [{"fix": ["rooms.part(sofa)"], "vary": ["~rooms.part(sofa)"]}]}])
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Self

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator, model_validator

from eigenwalk.errors import FileError, RecipeError
from eigenwalk.names.entries import complaints
from eigenwalk.runs.seeds import parse_seeds
from eigenwalk.textfile import parse_toml, read_text

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Seeds = tuple[Annotated[int, Field(ge=0, lt=2**63)], ...]
Share = Annotated[float, Field(gt=0, le=2)]
METHODS = ("rayleigh", "published", "quotient", "ganspace", "sefa", "random")
"""Methods of a grid that names none."""


class Entry(BaseModel):
    """A table of the grid: an entry that it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class MethodEntry(Entry):
    """A method: rayleigh, published, quotient, or the expression of a plugin's directions.

    Attributes:
        method: its name or expression.
        directions: how many leading directions are walked, in both senses.
        starts: number of seeds to walk from, the first ones; for slow methods.
        label: what tables call it.
    """

    method: Text
    directions: int | None = Field(default=None, ge=1)
    starts: int | None = Field(default=None, ge=1)
    label: Text | None = None


Methods = Annotated[tuple[MethodEntry, ...], Field(min_length=1)]


class PairEntry(Entry):
    """A pair of fixed and varied features; `judges`, `methods` and `seeds` replace those of the grid."""

    name: Text | None = None
    fix: tuple[Text, ...] = ()
    vary: tuple[Text, ...] = Field(min_length=1)
    judges: tuple[Text, ...] | None = None
    methods: Methods | None = None
    seeds: Seeds | None = None


class AttributesEntry(Entry):
    """Scalar features that are edited one by one while the others are fixed.

    Attributes:
        features: two at least.
        scores: features that measure how far each moved; by default the features themselves.
        move: how far the edited one moves, in its standard deviations.
    """

    features: tuple[Text, ...] = Field(min_length=2)
    scores: tuple[Text, ...] = ()
    move: float = Field(default=1.0, gt=0)
    methods: Methods | None = None
    seeds: Seeds | None = None

    @model_validator(mode="after")
    def _check_scores(self) -> Self:
        if self.scores and len(self.scores) != len(self.features):
            raise ValueError(f"should name a score for each of {len(self.features)} features, got {len(self.scores)}")
        return self


class ReadingsEntry(Entry):
    """Scalars that vary one by one, each read again by a judge that no method sees.

    Attributes:
        fix: sets of features to hold meanwhile, one set after another.
        features: the scalars.
        judges: one for each of them, which reads the same by other means.
    """

    fix: tuple[tuple[Text, ...], ...] = Field(default=((),), min_length=1)
    features: tuple[Text, ...] = Field(min_length=1)
    judges: tuple[Text, ...] = Field(min_length=1)
    methods: Methods | None = None
    seeds: Seeds | None = None

    @model_validator(mode="after")
    def _check_judges(self) -> Self:
        if len(self.judges) != len(self.features):
            raise ValueError(f"should name a judge for each of {len(self.features)} features, got {len(self.judges)}")
        return self


class GeneratorEntry(Entry):
    """A generator with its pairs, judges and scalars to vary; `methods` and `seeds` replace those of the grid."""

    generator: Text
    name: Text | None = None
    pairs: tuple[PairEntry, ...] = ()
    judges: tuple[Text, ...] = ()
    attributes: AttributesEntry | None = None
    readings: tuple[ReadingsEntry, ...] = ()
    methods: Methods | None = None
    seeds: Seeds | None = None

    @model_validator(mode="after")
    def _check_not_empty(self) -> Self:
        if not self.pairs and not self.readings and self.attributes is None:
            raise ValueError("should have a pair, such as [[generators.pairs]] with fix and vary")
        return self


class Grid(Entry):
    """Everything that is evaluated, and how.

    Attributes:
        generators: with their pairs.
        methods: walked for every pair.
        seeds: of the starts.
        levels: shares of varied change at which drift is reported; paths end a little beyond the last.
        directions: leading directions of a method that prefers none for a pair.
        paths: per seed, of a method that prefers one; both senses of a direction count.
        steps, stride, tolerance: of a walk, as in a recipe.
        limit: whether to seek the least drift by optimising the latent; a number: for that many seeds.
        shown: seeds whose pictures are kept.
        device, memory: as in a recipe; several processes that share the work each take `memory`.
    """

    generators: tuple[GeneratorEntry, ...] = Field(min_length=1)
    methods: Methods = tuple(MethodEntry(method=name) for name in METHODS)
    seeds: Seeds = Field(default=tuple(range(8)), min_length=1)
    levels: tuple[Share, ...] = Field(default=(0.3, 0.5), min_length=1)
    directions: int = Field(default=20, ge=1)
    paths: int = Field(default=2, ge=1)
    steps: int = Field(default=60, ge=1)
    stride: float = Field(default=0.08, gt=0, le=1)
    tolerance: float = Field(default=0.35, gt=0, allow_inf_nan=False)
    limit: bool | Annotated[int, Field(ge=1)] = True
    shown: int = Field(default=2, ge=0)
    device: Text = "cpu"
    memory: Text | None = None

    @field_validator("levels")
    @classmethod
    def _check_levels(cls, levels: tuple[float, ...]) -> tuple[float, ...]:
        if list(levels) != sorted(set(levels)):
            raise ValueError("should rise, each level once")
        return levels

    @classmethod
    def of(cls, **entries: Any) -> Self:
        """Return the grid with these entries; a method may be given as text, seeds as a range such as ``"0-3"``.

        Raises:
            RecipeError: an entry is missing, unknown or out of range.
        """
        return cls._validate(entries, "")

    @classmethod
    def parse(cls, text: str, source: str = "grid") -> Self:
        """Return the grid in TOML `text`; `source` names it in messages.

        Raises:
            RecipeError: the text is not TOML, or an entry is missing, unknown or out of range.
        """
        try:
            return cls._validate(parse_toml(text, source), source)
        except FileError as error:
            raise RecipeError(str(error)) from None

    @classmethod
    def read(cls, file: str | Path) -> Self:
        """Return the grid in `file`; raises as `parse`, or if the file cannot be read."""
        try:
            text = read_text(file, "grid")
        except FileError as error:
            raise RecipeError(str(error)) from None
        return cls.parse(text, str(file))

    def text(self) -> str:
        """Return the grid in TOML."""
        return tomli_w.dumps(_without_none(self.model_dump(mode="json")))

    @classmethod
    def _validate(cls, entries: Mapping[str, Any], source: str) -> Self:
        try:
            return cls(**_expand(dict(entries)))
        except ValidationError as error:
            head = f"{source}: " if source else ""
            raise RecipeError("\n".join(f"{head}{text}" for _, text in complaints(error, cls))) from None


def _expand(entries: Any) -> Any:
    """Return the entries with methods as tables, and seeds as numbers."""
    if isinstance(entries, list | tuple):
        return [_expand(one) for one in entries]
    if not isinstance(entries, dict):
        return entries
    out = {key: _expand(value) for key, value in entries.items()}
    if isinstance(out.get("seeds"), str):
        out["seeds"] = parse_seeds(out["seeds"].split(","), "seeds")
    elif isinstance(out.get("seeds"), list) and all(isinstance(one, int) for one in out["seeds"]):
        out["seeds"] = list(dict.fromkeys(out["seeds"]))
    if isinstance(out.get("methods"), list):
        out["methods"] = [{"method": one} if isinstance(one, str) else one for one in out["methods"]]
    return out


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(one) for key, one in value.items() if one is not None}
    return [_without_none(one) for one in value] if isinstance(value, list) else value


def override(grid: Grid, entries: Mapping[str, Any]) -> Grid:
    """Return the grid with `entries` in place of its own, and of those of its generators and pairs.

    Raises:
        RecipeError: one of them is out of range.
    """
    whole = grid.model_dump(mode="json")
    for generator in whole["generators"]:
        for table in (
            generator,
            *generator["pairs"],
            *generator["readings"],
            generator["attributes"] or {},
        ):
            for key in {"seeds", "methods"} & entries.keys():
                table.pop(key, None)
    return Grid.of(**_without_none(whole) | dict(entries))


def combine(grids: Sequence[Grid]) -> Grid:
    """Return one grid with the generators of several; each keeps its methods and seeds.

    Raises:
        RecipeError: they differ in an entry for all generators, such as the levels.
    """
    if len(grids) == 1:
        return grids[0]
    whole = [grid.model_dump(mode="json") for grid in grids]
    shared = set(Grid.model_fields) - {"generators", "methods", "seeds"}
    for other in whole[1:]:
        differing = sorted(key for key in shared if other[key] != whole[0][key])
        if differing:
            key = differing[0]
            raise RecipeError(
                f"grids that are evaluated together have one {key}, got {whole[0][key]!r} and {other[key]!r}: "
                "evaluate them apart"
            )
    generators = []
    for one in whole:
        for generator in one["generators"]:
            mine = {key: one[key] for key in ("methods", "seeds") if generator[key] is None}
            generators.append(generator | mine)
    entries = {key: whole[0][key] for key in (*shared, "methods", "seeds")}
    return Grid.of(**_without_none(entries | {"generators": generators}))
