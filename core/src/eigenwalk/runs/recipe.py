"""The description of a run, as text that repeats it.

    recipe = Recipe.read("recipe.toml")
    Recipe.of(generator="rooms", fix=["rooms.part(sofa)"], vary=["~rooms.part(sofa)"]).write("recipe.toml")

A recipe says what to walk; one that was walked also says with what: the versions of every distribution
and the SHA-256 of every file of weights and of every file of the user.
"""

from __future__ import annotations

import hashlib
import math
import os.path
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import tomli_w
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from eigenwalk.errors import FileError, OptionError, RecipeError, UnknownName
from eigenwalk.names.entries import complaints
from eigenwalk.names.expression import as_tree, parse_generator
from eigenwalk.names.methods import METHODS
from eigenwalk.names.resolve import is_resolved, resolve_directions, resolve_generator, resolve_sets
from eigenwalk.names.tree import Call, Expression, Instance, Open
from eigenwalk.runs.memory.words import in_bytes
from eigenwalk.textfile import parse_toml, read_text

if TYPE_CHECKING:
    from eigenwalk.names.registry import Registry

HEAD = "# A walk of eigenwalk; `eigenwalk run` and the name of this file repeat it.\n\n"
IDENTITY = (
    *("generator", "fix", "vary", "seeds", "steps", "to", "paths"),
    *("stride", "solver", "tolerance", "region", "smooth", "averaging", "dtype", "precision"),
    "starts",
)
"""The entries that decide where a walk goes; the others say how it is computed, or record what it was made with."""
DETOUR = 4
"""Times the straight way, in strides, that a path may take to the varied change asked for."""
EARLIER: Mapping[str, Any] = {"smooth": 0.0, "averaging": 1}
"""What walks did before these entries existed, oldest first. A walked recipe that lacks one was walked so."""
EXAMPLES = {"generator": 'generator = "rooms"', "vary": 'vary = ["pixels"]'}


def _generator(what: Any) -> Any:
    return as_tree(what, parse_generator)


def _directions(what: Any) -> Any:
    """Return the one call that names directions, such as ``sefa`` or ``ganspace(components=20)``; or an object."""
    node = as_tree(what)
    if isinstance(node, Instance) or (isinstance(node, Call) and node.name != "file"):
        return node
    raise ValueError(f"should be {_or(tuple(METHODS))} or the name of a plugin's directions, such as sefa")


def _start(what: Any) -> str | Instance:
    """Return a file's name, with the number of a latent in it, or an array of latents that Python code gives."""
    if isinstance(what, (str, os.PathLike)):
        if text := str(os.fspath(what)).strip():
            return text
    elif isinstance(what, Instance):
        return what
    elif hasattr(what, "shape"):
        return Instance(f"latents {tuple(what.shape)}", what)
    raise ValueError("should be a file of latents such as projected_w.npz, or one of them, such as me.pt:3")


def _or(words: tuple[str, ...]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
AsText = PlainSerializer(str, return_type=str)
GeneratorTree = Annotated[Call | Open | Instance, PlainValidator(_generator), AsText]
FeatureTree = Annotated[Expression, PlainValidator(as_tree), AsText]
StartText = Annotated[Any, PlainValidator(_start), AsText]
SolverTree = Annotated[Call | Instance, PlainValidator(_directions), AsText]


class Resumed(BaseModel):
    """From which waypoint on a resumed walk had other versions, and which ones, by distribution."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    waypoint: int = Field(ge=0)
    installed: dict[str, str]


class Recipe(BaseModel):
    """What to walk. Expressions are kept as trees, given as text; paths in them are relative to the working folder.

    Python code may also give a generator, features, functions of images and directions as objects: such a recipe is
    walked as any other, but its text does not repeat it.

    Attributes:
        generator: expression of the generator.
        fix, vary: expressions of the features; a tolerance or a weight stands in them.
        judges: expressions of features that are only measured, on the pictures.
        seeds: of the starts; seed 0 if there are no other starts.
        starts: files of latents, or one latent in such a file (``me.pt:3``), or a waypoint of a saved path.
        steps: waypoints after the start.
        to: varied change to walk to, the mean of all varied features, as a share of typical distances; a path takes as
            many steps as that needs, up to `most_steps`. None: `steps` steps.
        paths: per seed, the two senses of a direction counted apart.
        stride: varied change that a step is to bring, as a share of the typical distance.
        solver: the method that chooses steps: one of `eigenwalk.names.methods`, or the expression of a plugin's.
        tolerance: of a fixed feature that names none, as a share of its typical distance.
        region: how far from the mean latent a path may go, where 1 is as far as 99 of 100 samples; 0: anywhere.
        smooth: how far around a path the derivatives of single numbers that vary are averaged, as a share of the spread
            of all latents; 0: not at all.
        averaging: what they are averaged over: one of `eigenwalk.maths.cloud.AVERAGING`, by its number.
        batch: rows per generator call; None lets the walk choose.
        device, dtype: where and in which precision.
        precision: of the generator's derivatives: ``full``, or half of it; images and latents keep `dtype`.
        memory: that the walk may take in all, such as ``4GB``; None: a share of the machine's.
        installed: versions by distribution.
        weights, files: SHA-256 by file name, of plugins' weights and of the user's own files.
        resumed: versions that changed when the walk was stopped and went on, once for each time.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)

    generator: GeneratorTree
    fix: tuple[FeatureTree, ...] = ()
    vary: tuple[FeatureTree, ...] = Field(min_length=1)
    judges: tuple[FeatureTree, ...] = ()
    seeds: tuple[Annotated[int, Field(ge=0, lt=2**63)], ...] = (0,)
    starts: tuple[StartText, ...] = ()
    steps: int = Field(default=12, ge=1, lt=2**31)
    to: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    paths: int = Field(default=6, ge=1, lt=2**31)
    stride: float = Field(default=0.08, gt=0, le=1)
    solver: SolverTree = Call("outward")
    tolerance: float = Field(default=0.35, gt=0, allow_inf_nan=False)
    region: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    smooth: float = Field(default=0.6, ge=0, allow_inf_nan=False)
    averaging: Literal[1, 2, 3] = 3
    batch: int | None = Field(default=None, ge=1, lt=2**31)
    device: Text = "cpu"
    dtype: Literal["float32", "float64"] = "float32"
    precision: Literal["full", "bf16", "fp16"] = "full"
    memory: Text | None = None
    installed: dict[str, str] = Field(default_factory=dict)
    weights: dict[str, str] = Field(default_factory=dict)
    files: dict[str, str] = Field(default_factory=dict)
    resumed: tuple[Resumed, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _need_no_seed(cls, entries: Any) -> Any:
        starts = entries.get("starts")
        if hasattr(starts, "shape"):  # whether an array is true, it does not say
            raise ValueError("starts must be a list: write starts=[latents]")
        return {"seeds": (), **entries} if starts else entries

    @model_validator(mode="before")
    @classmethod
    def _average_nothing(cls, entries: Any) -> Any:
        # So that one walk has one name: without smoothing it is the plain gradient's, in the latent's own coordinates.
        return {**entries, "averaging": EARLIER["averaging"]} if entries.get("smooth") == 0 else entries

    @model_validator(mode="after")
    def _check_starts(self) -> Self:
        if not self.seeds and not self.starts:
            raise ValueError("seeds should name at least one seed, or starts a file of latents")
        return self

    @field_validator("seeds")
    @classmethod
    def _check_seeds(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds):
            raise ValueError("should name every seed once")
        return seeds

    @field_validator("memory")
    @classmethod
    def _check_memory(cls, text: str | None) -> str | None:
        if text is not None:
            in_bytes(text)
        return text

    @classmethod
    def of(cls, **entries: Any) -> Self:
        """Return the recipe with these entries.

        Raises:
            RecipeError: an entry is missing, unknown or out of range.
            ExpressionError: an expression does not parse; it shows the place.
        """
        return cls._check(entries, "", lambda key: "")

    @classmethod
    def parse(cls, text: str, source: str = "recipe") -> Self:
        """Return the recipe in TOML `text`; `source` names it in messages.

        Raises:
            RecipeError: the text is not TOML, or an entry is missing, unknown or out of range.
            ExpressionError: an expression does not parse; it shows the place.
        """
        try:
            entries = parse_toml(text, source)
        except FileError as error:
            raise RecipeError(str(error)) from None
        walked = EARLIER if entries.get("installed") else {}
        return cls._check({**walked, **entries}, source, lambda key: _line(text, key))

    @classmethod
    def read(cls, file: str | Path) -> Self:
        """Return the recipe in `file`; raises as `parse`, and if the file cannot be read."""
        try:
            return cls.parse(read_text(file, "recipe"), str(file))
        except FileError as error:
            raise RecipeError(f"{error}; a recipe is TOML such as {EXAMPLES['generator']}") from None

    @classmethod
    def _check(cls, entries: Mapping[str, Any], source: str, line: Callable[[str], str]) -> Self:
        try:
            return cls(**entries)
        except ValidationError as error:
            lines = []
            for key, text in complaints(error, cls):
                if text.startswith("vary should have at least"):
                    text = "nothing varies: name at least one feature to vary, such as pixels"
                if text.endswith(" is missing"):
                    text += f": add {EXAMPLES.get(key, f'{key} = …')}"
                lines.append(f"{source}{line(key)}: {text}" if source else text)
            raise RecipeError("\n".join(lines)) from None

    def text(self) -> str:
        """Return the recipe in TOML."""
        entries = {key: value for key, value in self.model_dump(mode="json").items() if value not in (None, {})}
        entries = {key: value for key, value in entries.items() if value or key not in ("judges", "starts", "resumed")}
        return HEAD + re.sub(r"\[\n(?:    .*,\n)+\]", _in_one_line, tomli_w.dumps(entries))

    def write(self, file: str | Path) -> None:
        """Write the recipe to `file`; raises OSError as the file system gives it."""
        Path(file).write_text(self.text(), encoding="utf-8")

    def identity(self) -> dict[str, Any]:
        """Return the entries that decide where the walk goes, as in the TOML, without those that equal `EARLIER`."""
        entries = {key: value for key, value in self.model_dump(mode="json").items() if key in IDENTITY}
        for name in ("starts", "to"):  # folders of earlier versions know neither
            if not getattr(self, name):
                del entries[name]
        return {key: value for key, value in entries.items() if value != EARLIER.get(key)}

    def earlier(self, lacking: Collection[str] = tuple(EARLIER)) -> Self:
        """Return what the same arguments meant before some entries of `EARLIER`, where they give none of these."""
        then = {key: then for key, then in EARLIER.items() if key in lacking and key not in self.model_fields_set}
        return self.model_copy(update=then)

    @property
    def trees(self) -> tuple[Any, ...]:
        """The expressions of the generator and of all features."""
        return self.generator, *self.fix, *self.vary, *self.judges

    @property
    def most_steps(self) -> int:
        """How many waypoints a path may have: `steps`, or enough to get to `to` at a quarter of the stride."""
        return self.steps if self.to is None else max(self.steps, math.ceil(DETOUR * self.to / self.stride))

    def slug(self) -> str:
        """Return a folder's name for this run, the same for the same identity: ``rooms-1f0c52ab``."""
        name = self.generator.path if isinstance(self.generator, Open) else self.generator.name
        if isinstance(self.generator, Call) and name == "file":
            name = str(self.generator.args[0])
        if isinstance(self.generator, Open) or name != self.generator.name:
            name = Path(re.sub(r":[^:/\\]*$", "", name)).stem
        digest = hashlib.sha256(repr(sorted(self.identity().items())).encode()).hexdigest()[:8]
        return f"{re.sub(r'[^A-Za-z0-9_.]+', '-', name).strip('-.')[:100] or 'walk'}-{digest}"

    def canonical(self, registry: Registry) -> Self:
        """Return the recipe with every name looked up in `registry`, once, and every option by keyword.

        Nothing is imported but the plugins' hook modules; a generator's file is opened.

        Raises:
            UnknownName, AmbiguousName, OptionError: a name or an option is wrong.
            FileError: a file that an expression names does not exist, or holds no generator.
            CompositionError: a feature is both fixed and varied, or a set is not one.
        """
        if all(is_resolved(tree) for tree in self.trees) and self._solver_is_resolved:
            return self
        fix, vary = resolve_sets(self.fix, self.vary, registry)
        judges = resolve_sets((), self.judges, registry)[1] if self.judges else ()
        solver = _resolve_solver(self.solver, registry)
        generator = resolve_generator(self.generator, registry)  # last: its file may be large
        resolved = {"generator": generator, "fix": fix, "vary": vary, "judges": judges, "solver": solver}
        own = () if isinstance(generator, Instance) else getattr(getattr(generator.offer, "spec", None), "starts", ())
        if own and not self.starts and "seeds" not in self.model_fields_set:
            resolved |= {"starts": own, "seeds": ()}
        return self.model_copy(update=resolved)

    @property
    def _solver_is_resolved(self) -> bool:
        return isinstance(self.solver, Instance) or bool(self.solver.offer) or self.solver.name in METHODS

    def resume(self, waypoint: int, installed: Mapping[str, str]) -> Self | None:
        """The recipe of this walk going on behind `waypoint` with `installed`; None if these are the same versions."""
        changed = {name: version for name, version in installed.items() if self.latest().get(name) != version}
        more = Resumed(waypoint=waypoint + 1, installed=changed)
        return self.model_copy(update={"resumed": (*self.resumed, more)}) if changed else None

    def latest(self) -> dict[str, str]:
        """The versions with which the walk came to its end."""
        latest = dict(self.installed)
        for again in self.resumed:
            latest |= again.installed
        return latest


def _resolve_solver(node: Call | Instance, registry: Registry) -> Call | Instance:
    if node.name in METHODS and isinstance(node, Call):
        if node.args or node.options:
            raise OptionError(f"the solver {node.name} takes no options, got {node}")
        return node
    try:
        return resolve_directions(node, registry)
    except UnknownName as error:
        raise UnknownName(f"{error}; or one of the solvers {_or(tuple(METHODS))}") from None


def _in_one_line(found: re.Match[str]) -> str:
    """Return a TOML array in one line if that is short enough to read."""
    line = f"[{', '.join(row.strip().rstrip(',') for row in found[0].splitlines()[1:-1])}]"
    return line if len(line) <= 100 else found[0]


def _line(text: str, key: str) -> str:
    """Return where `key` stands in the TOML, in words; "" if it is not found."""
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", line) or re.match(rf"\s*\[{re.escape(key)}\]", line):
            return f", line {number}"
    return ""
