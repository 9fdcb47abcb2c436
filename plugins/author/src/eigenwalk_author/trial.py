"""A wheel in an environment that has nothing else, and what it offers there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from eigenwalk_author import probe
from eigenwalk_author.borrow import closure, link
from eigenwalk_author.environment import Environment, Say, StepError
from eigenwalk_author.wheel import Wheel

KIT = "eigenwalk-testing"
"""Installed beside the wheel, to check it."""


@dataclass(frozen=True)
class Answer:
    """What a wheel offered where it was tried; see `probe.main`.

    Attributes:
        core: version of eigenwalk there.
        inside: whether it was the wheel that answered, and no other installation.
        offers: rows for the index, with ``table``, ``name`` and ``weights``.
        failures: of the plugin.
        unchecked: names that need an option, and that no case covers.
        reports: of the conformance kit, as data, with the ``names`` that each is about.
    """

    core: str
    inside: bool
    offers: list[dict[str, Any]]
    failures: list[str]
    unchecked: list[str]
    reports: list[dict[str, Any]]


def install(folder: Path, wheel: Wheel, say: Say, borrow: bool = False, find_links: Path | None = None) -> Environment:
    """Return a new environment in `folder` with `wheel` and the conformance kit installed.

    With `borrow` it sees what the wheel requires of what is installed here; otherwise that is downloaded.

    Raises:
        StepError: a program fails.
        InputError: what is required is not here to be borrowed, or neither pip nor uv is here.
    """
    environment = Environment(folder / "environment", say, borrow, find_links)
    if borrow:
        needed = closure((*wheel.requires, Requirement(KIT)))
        environment.see(link(needed.values(), folder / "borrowed"))
        environment.install("--no-index", wheel.path)
        return environment
    say("downloads what the wheel requires: PyTorch with CUDA is several GB; --borrow uses what is installed here")
    try:
        environment.install(wheel.path)
        environment.install(KIT)
    except StepError as error:
        raise StepError(
            f"{error}\nthe wheel, or what it requires, cannot be installed: where an index lacks it, "
            "--find-links FOLDER adds a folder of wheels; --borrow uses what is installed here"
        ) from error
    return environment


def ask(environment: Environment, wheel: Wheel, cases: Path | None) -> Answer:
    """Return what `wheel` offers in `environment`, and what the kit finds there on the `cases` file.

    Raises:
        StepError: it cannot be asked.
    """
    answer = environment.home / "answer.json"
    environment.run("-I", probe.__file__, wheel.distribution, str(cases.resolve()) if cases else "", answer)
    return Answer(**json.loads(answer.read_text(encoding="utf-8")))
