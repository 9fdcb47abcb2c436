"""The description of a run, as text that repeats it.

    recipe = Recipe.read("recipe.toml")
    Recipe.of(generator="rooms", fix=["rooms.part(sofa)"], vary=["~rooms.part(sofa)"]).write("recipe.toml")

A recipe says what to walk; one that was walked also says with what: the versions of every distribution
and the SHA-256 of every file of weights and of every file of the user.
"""

from __future__ import annotations

import difflib
import hashlib
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from eigenwalk import store
from eigenwalk.errors import OptionError, RecipeError, UnknownName
from eigenwalk.names.expression import Call, Expression, Held, Node, Open, Weighted, parse, parse_generator
from eigenwalk.names.files import sha256
from eigenwalk.names.options import by_keyword
from eigenwalk.names.resolve import check_sets, package, resolve
from eigenwalk.runs.memory.words import in_bytes

if TYPE_CHECKING:
    from eigenwalk.names.registry import Registry

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
SOLVERS = ("outward", "davidson", "dense", "nullspace")
"""Solvers of the core; any other name is a plugin's directions."""
HEAD = "# A walk of eigenwalk; `eigenwalk run` and the name of this file repeat it.\n\n"
IDENTITY = (
    "generator",
    "fix",
    "vary",
    "seeds",
    "steps",
    "paths",
    "stride",
    "solver",
    "tolerance",
    "region",
    "dtype",
    "precision",
)
"""The entries that decide where a walk goes; the others say how it is computed, or with what it was."""


class Recipe(BaseModel):
    """What to walk. Expressions are kept in canonical form; paths in them are relative to the working folder.

    Attributes:
        generator: expression of the generator.
        fix, vary: expressions of the features; a tolerance or a weight stands in them.
        seeds: of the starts.
        steps: waypoints after the start.
        paths: per seed, the two senses of a direction counted apart.
        stride: varied change that a step is to bring, as a share of the typical distance.
        solver: how directions are found: one of `SOLVERS`, or the expression of a plugin's directions.
        tolerance: of a fixed feature that names none, as a share of its typical distance.
        region: how far from the mean latent a path may go, where 1 is as far as 99 of 100 samples; 0: anywhere.
        batch: rows per generator call; None lets the walk choose.
        device, dtype: where and in which precision.
        precision: of the generator's derivatives: ``full``, or half of it; images and latents keep `dtype`.
        memory: that the walk may take in all, such as ``4GB``; None: a share of the machine's.
        installed: versions by distribution.
        weights, files: SHA-256 by file name, of plugins' weights and of the user's own files.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)

    generator: Text
    fix: tuple[Text, ...] = ()
    vary: tuple[Text, ...] = Field(min_length=1)
    seeds: tuple[Annotated[int, Field(ge=0, lt=2**63)], ...] = Field(default=(0,), min_length=1)
    steps: int = Field(default=12, ge=1)
    paths: int = Field(default=6, ge=1)
    stride: float = Field(default=0.08, gt=0, le=1)
    solver: Text = "outward"
    tolerance: float = Field(default=0.35, gt=0, allow_inf_nan=False)
    region: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    batch: int | None = Field(default=None, ge=1)
    device: Text = "cpu"
    dtype: Literal["float32", "float64"] = "float32"
    precision: Literal["full", "bf16", "fp16"] = "full"
    memory: Text | None = None
    installed: dict[str, str] = Field(default_factory=dict)
    weights: dict[str, str] = Field(default_factory=dict)
    files: dict[str, str] = Field(default_factory=dict)

    @field_validator("generator")
    @classmethod
    def _generator(cls, text: str) -> str:
        return str(parse_generator(text))

    @field_validator("fix", "vary")
    @classmethod
    def _features(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(parse(text)) for text in texts)

    @field_validator("solver")
    @classmethod
    def _solver(cls, text: str) -> str:
        return str(_directions(text))

    @field_validator("seeds")
    @classmethod
    def _seeds(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds):
            raise ValueError("should name every seed once")
        return seeds

    @field_validator("memory")
    @classmethod
    def _memory(cls, text: str | None) -> str | None:
        if text is not None:
            in_bytes(text)
        return text

    @classmethod
    def of(cls, **entries: Any) -> Self:
        """The recipe with these entries.

        Raises:
            RecipeError: an entry is missing, unknown or out of range.
            ExpressionError: an expression does not parse; it shows the place.
        """
        return cls._checked(entries, "", lambda key: "")

    @classmethod
    def parse(cls, text: str, source: str = "recipe") -> Self:
        """The recipe in TOML `text`; `source` names it in messages.

        Raises:
            RecipeError: the text is not TOML, or an entry is missing, unknown or out of range.
            ExpressionError: an expression does not parse; it shows the place.
        """
        try:
            entries = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise RecipeError(f"{source} is not TOML: {error}") from None
        return cls._checked(entries, source, lambda key: _line(text, key))

    @classmethod
    def read(cls, file: str | Path) -> Self:
        """The recipe in `file`; raises as `parse`, and where the file cannot be read."""
        try:
            text = Path(file).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise RecipeError(f'{file} is not a recipe: expected TOML in UTF-8, such as generator = "rooms"') from None
        except OSError as error:
            raise RecipeError(f"cannot read the recipe {file}: {error.strerror or error}") from error
        return cls.parse(text, str(file))

    @classmethod
    def _checked(cls, entries: Mapping[str, Any], source: str, line: Callable[[str], str]) -> Self:
        try:
            return cls(**entries)
        except ValidationError as error:
            complaints = [_complaint(cls, dict(found), source, line) for found in error.errors()]
            raise RecipeError("\n".join(dict.fromkeys(complaints))) from None

    def text(self) -> str:
        """The recipe in TOML."""
        entries = {key: value for key, value in self.model_dump(mode="json").items() if value not in (None, {})}
        return HEAD + re.sub(r"\[\n(?:    .*,\n)+\]", _in_one_line, tomli_w.dumps(entries))

    def write(self, file: str | Path) -> None:
        """Writes the recipe to `file`; raises OSError as the file system gives it."""
        Path(file).write_text(self.text(), encoding="utf-8")

    def identity(self) -> dict[str, Any]:
        """The entries that decide where the walk goes, as they stand in the TOML."""
        return {key: value for key, value in self.model_dump(mode="json").items() if key in IDENTITY}

    def slug(self) -> str:
        """A folder's name for this run, the same for the same identity: ``rooms-1f0c52ab``."""
        node = parse_generator(self.generator)
        name = node.path if isinstance(node, Open) else str(node.args[0]) if node.name == "file" else node.name
        if isinstance(node, Open) or node.name == "file":
            name = Path(re.sub(r":[^:/\\]*$", "", name)).stem
        digest = hashlib.sha256(repr(sorted(self.identity().items())).encode()).hexdigest()[:8]
        return f"{re.sub(r'[^A-Za-z0-9_.]+', '-', name).strip('-.') or 'walk'}-{digest}"

    def canonical(self, registry: Registry) -> Self:
        """The recipe with every option of every expression by keyword, as `registry` knows them.

        Raises:
            UnknownName, AmbiguousName, OptionError: a name or an option is wrong. Nothing is imported to find
                out but the plugins' hook modules.
            CompositionError: a feature is both fixed and varied, or a set is not one.
        """
        generator = parse_generator(self.generator)
        if isinstance(generator, Call) and generator.name != "file":
            generator = by_keyword(generator, registry.generator(generator.name, package(generator)).spec)
        fix, vary = ([_resolved(parse(text), registry) for text in texts] for texts in (self.fix, self.vary))
        check_sets([_bare(node) for node in fix], [_bare(node) for node in vary], registry)
        sets = {"fix": tuple(map(str, fix)), "vary": tuple(map(str, vary))}
        return self.model_copy(
            update={"generator": str(generator), "solver": _canonical_solver(self.solver, registry), **sets}
        )

    def check_installed(self, registry: Registry) -> list[str]:
        """Warnings about versions that differ from those of the run that wrote this recipe.

        Raises:
            RecipeError: weights or a file of the user are not the ones that were walked with, so that the
                walk cannot be repeated.
        """
        self._check_weights(registry)
        self._check_files()
        warnings = []
        for name, version in self.installed.items():
            have = _version(name)
            if have is None:
                warnings.append(
                    f"{name} {version} was installed for this walk and is not now: pip install {name}=={version}"
                )
            elif have != version:
                warnings.append(f"{name} is {have}, and this walk was made with {version}: its latents may differ")
        return warnings

    def _check_weights(self, registry: Registry) -> None:
        brought: dict[str, dict[str, str]] = {}
        for offer in (*registry.features, *registry.generators):
            if offer.distribution in self.installed:
                for weights in offer.spec.weights:
                    if sha := store.sum_of(weights):
                        brought.setdefault(weights.file, {})[sha] = f"{offer.distribution} {offer.version}"
        for file, recorded in self.weights.items():
            have = brought.get(file, {recorded: ""})
            if recorded not in have:
                sha, who = next(iter(have.items()))
                distribution = who.split()[0]
                raise RecipeError(
                    f"weights {file} are not those of this walk: it used SHA-256 {recorded[:12]}…, {who} "
                    f"brings {sha[:12]}…. Install {distribution}=={self.installed[distribution]} to repeat it"
                )

    def _check_files(self) -> None:
        for name, recorded in self.files.items():
            file = Path(name).expanduser()
            if not file.is_file():
                raise RecipeError(
                    f"{name} is missing, and this walk used it: looked in {Path.cwd()}, where paths begin"
                )
            have = sha256(file)
            if have != recorded:
                raise RecipeError(
                    f"{name} has changed since this walk: its SHA-256 was {recorded[:12]}…, and is {have[:12]}…. Bring "
                    "the old file back to repeat the walk, or walk anew"
                )


def _directions(text: str) -> Call:
    """The one call that names directions: ``sefa``, ``ganspace(components=20)``."""
    node = parse(text)
    if not isinstance(node, Call) or node.name == "file":
        raise ValueError(f"should be {_or(SOLVERS)} or the name of a plugin's directions, such as sefa")
    return node


def _canonical_solver(text: str, registry: Registry) -> str:
    node = _directions(text)
    if node.name in SOLVERS:
        if node.args or node.options:
            raise OptionError(f"the solver {node.name} takes no options, got {node}")
        return node.name
    try:
        return str(by_keyword(node, registry.direction(node.name, package(node)).spec))
    except UnknownName as error:
        raise UnknownName(f"{error}; or one of the solvers {_or(SOLVERS)}") from None


def _or(words: tuple[str, ...]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


def _resolved(node: Expression, registry: Registry) -> Expression:
    """The tree with its options by keyword, its tolerance or weight as it was."""
    if isinstance(node, (Held, Weighted)):
        return replace(node, inner=resolve(node.inner, registry))
    return resolve(node, registry)


def _bare(node: Expression) -> Node:
    """The tree without tolerance or weight."""
    return node.inner if isinstance(node, (Held, Weighted)) else node


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _in_one_line(found: re.Match[str]) -> str:
    """A TOML array in one line, where that is short enough to read."""
    line = f"[{', '.join(row.strip().rstrip(',') for row in found[0].splitlines()[1:-1])}]"
    return line if len(line) <= 100 else found[0]


def _line(text: str, key: str) -> str:
    """Where `key` stands in the TOML, in words; nothing where it is not found."""
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", line) or re.match(rf"\s*\[{re.escape(key)}\]", line):
            return f", line {number}"
    return ""


def _complaint(model: type[BaseModel], found: dict[str, Any], source: str, line: Callable[[str], str]) -> str:
    """One error of pydantic as one line: where, which key, what was expected, what was given, the remedy."""
    key, *rest = (str(part) for part in found["loc"]) if found["loc"] else ("recipe",)
    where = f"{source}{line(key)}: " if source else ""
    if found["type"] == "missing":
        example = {"generator": 'generator = "rooms"', "vary": 'vary = ["pixels"]'}.get(key, f"{key} = …")
        return f"{where}{key} is missing: add {example}"
    if found["type"] == "extra_forbidden":
        near = difflib.get_close_matches(key, model.model_fields, 1, 0.5)
        remedy = f"did you mean {near[0]}?" if near else f"it takes {', '.join(model.model_fields)}"
        return f"{where}there is no entry {key!r}: {remedy}"
    if key == "vary" and found["type"] == "too_short":
        return f"{where}nothing varies: name at least one feature to vary, such as pixels"
    if found["type"] == "tuple_type":
        return f"{where}{key} must be a list, got {found['input']!r}: write {key} = [{found['input']!r}]"
    message = re.sub(r"^(Value error, |Input |Tuple |String )", "", found["msg"])
    at = "".join(f"[{part}]" for part in rest)
    return f"{where}{key}{at} {message[:1].lower() + message[1:]}, got {found['input']!r}"
