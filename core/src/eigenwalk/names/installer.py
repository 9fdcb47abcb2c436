"""What installs into the Python environment that eigenwalk runs in: pip or uv, with the user's own configuration."""

from __future__ import annotations

import importlib.util
import json
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from eigenwalk.errors import EigenwalkError, InputError
from eigenwalk.names.index import DISTRIBUTION

ELSEWHERE = ("3.11", "manylinux2014_x86_64", "x86_64-manylinux2014")
"""The Python and the system, as pip and as uv call it, that most wheels with compiled code are made for."""


class InstallerError(EigenwalkError):
    """pip or uv failed; its own words stand above."""


@dataclass(frozen=True)
class Installer:
    """The program that installs into this environment: its `name`, pip or uv, and the words that call it."""

    name: str
    words: tuple[str, ...]

    def install(self, packages: Sequence[str], upgrade: bool = False) -> list[str]:
        """Return the command that installs `packages`, names of distributions or absolute folders.

        Raises:
            InputError: one is neither: an option or an address, say.
        """
        for package in packages:
            if not Path(package).is_absolute():
                _check_name(package)
        return [*self.words, "install", *self._python(), *(["--upgrade"] if upgrade else []), *packages]

    def uninstall(self, distributions: Sequence[str]) -> list[str]:
        """Return the command that removes `distributions`; raises as `install` does."""
        for distribution in distributions:
            _check_name(distribution)
        yes = ["--yes"] if self.name == "pip" else []
        return [*self.words, "uninstall", *self._python(), *yes, *distributions]

    def download(self, requirement: str, folder: Path, elsewhere: bool = False) -> list[str]:
        """Return the command that gets the wheel of ``name==version``, without dependencies, into `folder`.

        pip leaves the wheel there; uv, which downloads no wheels, leaves what is in it. With `elsewhere` it is a wheel
        for `ELSEWHERE`: nothing of it is run, so that any will do where there is none for this Python and system.
        """
        version, pip_platform, uv_platform = ELSEWHERE
        platform = pip_platform if self.name == "pip" else uv_platform
        for_other = ["--python-version", version, f"--{'' if self.name == 'pip' else 'python-'}platform", platform]
        options = ["--no-deps", *(for_other if elsewhere else [])]
        if self.name == "pip":
            return [*self.words, "download", *options, "--only-binary", ":all:", "--dest", str(folder), requirement]
        return [*self.words, "install", *self._python(), *options, "--no-build", "--target", str(folder), requirement]

    def outdated(self) -> list[str]:
        """Return the command that lists, as JSON, what has a later version."""
        return [*self.words, "list", *self._python(), "--outdated", "--format", "json"]

    def check(self) -> list[str]:
        """Return the command that says which requirements are not met."""
        return [*self.words, "check", *self._python()]

    def _python(self) -> list[str]:
        return ["--python", sys.executable] if self.name == "uv" else []


def _check_name(distribution: str) -> None:
    if not DISTRIBUTION.fullmatch(distribution):
        raise InputError(f"only the name of a distribution is installed or removed, got {distribution!r:.80}")


def installer() -> Installer:
    """Return what made this environment: uv where its ``pyvenv.cfg`` or the core's own record says so, else pip.

    Raises:
        InputError: neither is here, or the system's own package manager rules over this Python.
    """
    if sys.prefix == sys.base_prefix and Path(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED").is_file():
        raise InputError(
            f"{sys.executable} belongs to the system's package manager: make an environment, "
            "python3 -m venv .venv, and install eigenwalk into it"
        )
    has_pip = importlib.util.find_spec("pip") is not None
    uv = _uv()
    if uv and (_made_by_uv() or not has_pip):
        return Installer("uv", (*uv, "pip"))
    if has_pip:
        return Installer("pip", (sys.executable, "-m", "pip"))
    raise InputError(
        f"neither pip nor uv is here to install into {sys.prefix}: {shlex.join([sys.executable, '-m', 'ensurepip'])}"
    )


def _made_by_uv() -> bool:
    with suppress(OSError):
        lines = Path(sys.prefix, "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
        return any(line.partition("=")[0].strip() == "uv" for line in lines)
    with suppress(metadata.PackageNotFoundError):
        return (metadata.distribution("eigenwalk").read_text("INSTALLER") or "").strip() == "uv"
    return False


def _uv() -> list[str]:
    found = shutil.which("uv")
    if found:
        return [found]
    return [sys.executable, "-m", "uv"] if importlib.util.find_spec("uv") is not None else []


def run(command: Sequence[str]) -> None:
    """Run `command`, with its output where ours goes.

    Raises:
        InstallerError: it ends with another code than 0.
    """
    code = subprocess.run(command, check=False).returncode
    if code:
        raise InstallerError(f"{shlex.join(command)} ended with exit code {code}")


def run_json(command: Sequence[str]) -> list[dict[str, str]]:
    """Run `command` and return the JSON that it writes.

    Raises:
        InstallerError: it fails, or writes something else.
    """
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    try:
        if done.returncode == 0:
            return json.loads(done.stdout)
    except ValueError:
        pass  # told below, with what it wrote
    raise InstallerError(f"{shlex.join(command)} ended with exit code {done.returncode}, and {done.stdout!r:.80}")
