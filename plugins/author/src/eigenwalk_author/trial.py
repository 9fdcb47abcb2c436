"""A wheel in an environment that has nothing else, and what it offers there."""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eigenwalk.errors import EigenwalkError, InputError
from eigenwalk_author import asked
from eigenwalk_author.lent import closure, lend
from eigenwalk_author.wheel import Wheel

Say = Callable[[str], None]
LAST = 30
"""Lines of a failed program's output that are shown."""


class StepError(EigenwalkError):
    """A program that a step ran failed; the message has its last words."""


@dataclass(frozen=True)
class Told:
    """What a wheel offered where it was tried; see `asked.main`.

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


def run(command: Sequence[str | Path], say: Say, **given: Any) -> str:
    """The output of `command`, which is shown before it runs.

    Raises:
        StepError: it cannot be started, or fails.
    """
    words = [str(word) for word in command]
    say(f"$ {shlex.join(words)}")
    try:
        done = subprocess.run(words, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **given)
    except OSError as error:
        raise StepError(f"{words[0]} cannot be run: {error.strerror}") from error
    if done.returncode:
        last = "\n".join(done.stdout.strip().splitlines()[-LAST:])
        raise StepError(f"{words[0]} ended with exit code {done.returncode}; its last words:\n{last}")
    return done.stdout


def environment(folder: Path, wheel: Wheel, say: Say, borrow: bool = False, find_links: Path | None = None) -> Path:
    """The Python of a new environment in `folder` that `wheel` is installed in.

    With `borrow` it is lent what the wheel requires of what is installed here; otherwise that is downloaded.

    Raises:
        StepError: a program fails.
        InputError: what is required is not here to be lent, or neither pip nor uv is here.
    """
    uv = shutil.which("uv")
    home = folder / "environment"
    run(
        [uv, "venv", "--python", sys.executable, home] if uv else [sys.executable, "-m", "venv", "--without-pip", home],
        say,
    )
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    options: list[str | Path] = ["--find-links", find_links] if find_links else []
    if not borrow:
        say("downloads what the wheel requires: PyTorch with CUDA is several GB; --borrow lends what is installed here")
    else:
        options += ["--no-deps", "--no-index"]
        lines = lend(closure(wheel.requires).values(), folder / "lent")
        site = run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], say).strip()
        Path(site, "lent.pth").write_text("\n".join(lines) + "\n", encoding="utf-8")
    if not uv and importlib.util.find_spec("pip") is None:
        raise InputError(f"neither uv nor pip is here to install the wheel with: {sys.executable} -m ensurepip")
    pip = (
        [uv, "pip", "install", "--python", python]
        if uv
        else [sys.executable, "-m", "pip", "--python", python, "install"]
    )
    try:
        run([*pip, *options, wheel.path], say)
    except StepError as error:
        if borrow:
            raise
        raise StepError(
            f"{error}\nthe wheel, or what it requires, cannot be installed: where an index lacks it, "
            "--find-links FOLDER adds a folder of wheels; --borrow lends what is installed here"
        ) from error
    return python


def ask(python: Path, wheel: Wheel, cases: Path | None, folder: Path, say: Say) -> Told:
    """What `wheel` offers in the environment of `python`; the kit runs on the `cases` file there.

    Raises:
        StepError: that fails.
    """
    answer = folder / "answer.json"
    ours = ("PYTHONPATH", "PYTHONHOME", "EIGENWALK_PLUGINS", "EIGENWALK_WITHOUT", "EIGENWALK_INDEX")
    clean = {key: value for key, value in os.environ.items() if key not in ours}
    script = [python, "-I", asked.__file__, wheel.distribution, str(cases.resolve()) if cases else "", answer]
    run(script, say, env=clean, cwd=folder)
    return Told(**json.loads(answer.read_text(encoding="utf-8")))
