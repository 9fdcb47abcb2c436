"""An environment made for a trial, what is installed into it, and the programs that run there."""

from __future__ import annotations

import os
import shlex
import subprocess
import sysconfig
import venv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE, STDOUT

from eigenwalk.errors import EigenwalkError, reason
from eigenwalk.names.installer import installer

Say = Callable[[str], None]
LAST = 30
"""Lines of a failed program's output that are shown."""
TIMEOUT = 1800.0
"""Seconds that one program may take."""
OURS = ("PYTHONPATH", "PYTHONHOME", "EIGENWALK_PLUGINS", "EIGENWALK_WITHOUT", "EIGENWALK_INDEX")
"""Variables that would let what is here reach into another environment."""


class StepError(EigenwalkError):
    """A program that a step ran failed; the message has its last words."""


def run(
    command: Sequence[str | Path], say: Say, cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> None:
    """Run `command`, which is shown first.

    Raises:
        StepError: it cannot be started, takes longer than `TIMEOUT`, or fails.
    """
    words = [str(word) for word in command]
    say(f"$ {shlex.join(words)}")
    try:
        done = subprocess.run(words, stdout=PIPE, stderr=STDOUT, text=True, cwd=cwd, env=environment, timeout=TIMEOUT)
    except OSError as error:
        raise StepError(f"{words[0]} cannot be run: {reason(error)}") from error
    except subprocess.TimeoutExpired as error:
        raise StepError(f"{words[0]} was stopped after {TIMEOUT:.0f} seconds") from error
    if done.returncode:
        last = "\n".join(done.stdout.strip().splitlines()[-LAST:])
        raise StepError(f"{words[0]} ended with exit code {done.returncode}; its last words:\n{last}")


@dataclass(frozen=True)
class Environment:
    """A new Python environment in `home`, and how it is filled.

    Attributes:
        say: takes a line for the user, such as the command that is about to run.
        borrow: what the packages require is seen through `see`, and not installed.
        find_links: a folder of wheels besides the index of packages.
    """

    home: Path
    say: Say
    borrow: bool = False
    find_links: Path | None = None

    def __post_init__(self) -> None:
        venv.create(self.home, with_pip=False, symlinks=os.name != "nt")

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    def see(self, lines: Iterable[str]) -> None:
        """Let the environment see packages that lie elsewhere, by these lines of a ``.pth`` file."""
        base = {"base": str(self.home), "platbase": str(self.home)}
        site = Path(sysconfig.get_path("purelib", "venv", base))
        (site / "zz_borrowed.pth").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def install(self, *packages: str | Path) -> None:
        """Install `packages`, requirements or wheels, by what made this environment: pip or uv.

        Raises:
            StepError: that fails.
            InputError: neither pip nor uv is here.
        """
        program = installer()
        links = ["--find-links", str(self.find_links)] if self.find_links else []
        if program.name == "uv":
            words = ["install", "--python", str(self.python), *(["--reinstall", "--no-deps"] if self.borrow else [])]
        else:
            # pip takes what is borrowed for installed, and would leave it.
            alone = ["--ignore-installed", "--no-deps"] if self.borrow else []
            words = ["--python", str(self.python), "install", "--quiet", "--disable-pip-version-check", *alone]
        run([*program.words, *words, *links, *packages], self.say)

    def run(self, *words: str | Path) -> None:
        """Run the environment's Python with `words`, in its folder, and with nothing of this one in reach.

        Raises:
            StepError: as `run` raises it.
        """
        clean = {key: value for key, value in os.environ.items() if key not in OURS}
        run([self.python, *words], self.say, self.home, clean)
