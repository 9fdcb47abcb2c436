"""The walk or the samples that the picture of each name in the catalogue shows, as examples.toml writes them."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from dataclasses import dataclass
from pathlib import Path

from website.pages import ROOT

PICTURES = ROOT / "docs/pictures/catalogue"
FIGURES = PICTURES / "figures.json"
STRIDE, STEPS = 0.1, 8
SEEDS = (0, 3)


@dataclass(frozen=True)
class Example:
    """What a picture of `name` shows.

    Attributes:
        name: of the catalogue, or one with options: ``mask(person=true)`` is a further picture of ``mask``.
        generator, fix, vary, solver, seeds, steps, stride: of a walk of the leading direction, in both senses.
        samples: a generator, where the picture shows its samples.
        shows: in words.
        credit: whose weights they are, where they do not ship with a package of this repository.
        prepare: the file that must be made first.
        why_not: why there is no picture.
    """

    name: str
    generator: str = ""
    fix: tuple[str, ...] = ()
    vary: tuple[str, ...] = ()
    solver: str = ""
    seeds: tuple[int, ...] = SEEDS
    steps: int = STEPS
    stride: float = STRIDE
    samples: str = ""
    shows: str = ""
    credit: str = ""
    prepare: str = ""
    why_not: str = ""

    @property
    def picture(self) -> Path:
        """Where its picture lies, or would lie."""
        return PICTURES / (re.sub(r"[^\w.]+", "-", self.name).strip("-") + ".webp")

    @property
    def words(self) -> list[str]:
        """The command that walks the same, in words; none where there is no walk."""
        if not self.generator:
            return []
        words = ["eigenwalk", "walk", self.generator]
        words += [word for one in self.fix for word in ("--fix", one)]
        words += [word for one in self.vary for word in ("--vary", one)]
        words += ["--solver", self.solver] if self.solver else []
        words += [word for seed in self.seeds for word in ("--seed", str(seed))]
        return [*words, "--paths", "2", "--steps", str(self.steps), "--stride", str(self.stride)]

    @property
    def command(self) -> str:
        """The command as it is typed."""
        return " ".join(word if word == shlex.quote(word) else f'"{word}"' for word in self.words)


def examples() -> dict[str, Example]:
    """Every example by name."""
    tables = tomllib.loads((PICTURES / "examples.toml").read_text(encoding="utf-8"))
    return {name: _example(name, row) for name, row in tables.items()}


def examples_of(name: str) -> list[Example]:
    """The examples of one name of the catalogue, that of its defaults first; none where nobody wrote one."""
    return [one for one in examples().values() if one.name.partition("(")[0] == name]


def figures() -> dict[str, dict[str, float]]:
    """How far each picture's walks went at their ends, by name: means over the walks, in shares of typical."""
    return json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}


def _example(name: str, row: dict[str, object]) -> Example:
    return Example(name, **{key: tuple(value) if isinstance(value, list) else value for key, value in row.items()})  # type: ignore[arg-type]
