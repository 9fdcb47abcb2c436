"""Read a built wheel without importing it, and say what is wrong with its metadata."""

from __future__ import annotations

import configparser
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_string
from email.message import Message
from pathlib import Path

from packaging.requirements import Requirement

from eigenwalk.errors import FileError
from eigenwalk.hookspecs import GROUP
from eigenwalk.names.index import normal_name

HOMES = ("homepage", "home", "home-page", "repository", "source", "source code", "documentation")
"""Labels of the project's address in pyproject.toml, the best first."""

EXAMPLE = "<!-- of the example: replace it with the code -->"
"""Stands in a new package's README above the text about the example code."""


@dataclass(frozen=True)
class Wheel:
    """A wheel, read: where it lies, its metadata, its plugins by entry point, and the files in it."""

    path: Path
    metadata: Message
    plugins: tuple[tuple[str, str], ...]
    files: tuple[str, ...]

    @property
    def distribution(self) -> str:
        """Its distribution's name."""
        return str(self.metadata["Name"])

    @property
    def version(self) -> str:
        """Its version."""
        return str(self.metadata["Version"])

    @property
    def licence(self) -> str:
        """The SPDX expression of its licence, or an empty string."""
        return str(self.metadata["License-Expression"] or "")

    @property
    def requires(self) -> tuple[Requirement, ...]:
        """What it requires on this machine, extras left out."""
        lines = self.metadata.get_all("Requires-Dist") or []
        every = [Requirement(line) for line in lines]
        return tuple(one for one in every if one.marker is None or one.marker.evaluate({"extra": ""}))

    @property
    def page(self) -> str:
        """Its README, or an empty string."""
        return str(self.metadata.get_payload() or self.metadata["Description"] or "")

    @property
    def homepage(self) -> str:
        """The project's address, or an empty string."""
        lines = [line.partition(",") for line in self.metadata.get_all("Project-URL") or []]
        urls = {label.strip().lower(): url.strip() for label, _, url in lines}
        best = next((urls[label] for label in HOMES if label in urls), "")
        return best or next(iter(urls.values()), str(self.metadata["Home-page"] or ""))


def read(path: Path) -> Wheel:
    """Read the wheel at `path`.

    Raises:
        FileError: it is not a wheel.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            files = tuple(archive.namelist())
            texts = {name.rpartition("/")[2]: name for name in files if ".dist-info/" in name}
            metadata = message_from_string(archive.read(texts["METADATA"]).decode())
            points = archive.read(texts["entry_points.txt"]).decode() if "entry_points.txt" in texts else ""
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise FileError(f"{path} is not a wheel: {error}") from error
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(points)
    plugins = tuple(parser.items(GROUP)) if parser.has_section(GROUP) else ()
    return Wheel(path, metadata, plugins, files)


def faults(wheel: Wheel) -> Iterator[str]:
    """Yield why a wheel is not a plugin of eigenwalk, each with what to write in pyproject.toml."""
    if not wheel.plugins:
        yield (
            f"it has no entry point of group {GROUP}, so nobody would find it: write [project.entry-points.{GROUP}] "
            'with NAME = "PACKAGE.plugin"'
        )
    if normal_name("eigenwalk") not in {normal_name(one.name) for one in wheel.requires}:
        yield "it does not require eigenwalk: add eigenwalk>=0.1 to dependencies"


def gaps(wheel: Wheel) -> Iterator[str]:
    """Yield what a stranger would miss in the wheel, each with what to write."""
    metadata = wheel.metadata
    if not wheel.licence:
        yield 'it gives no licence as an SPDX expression: license = "MIT", and license-files = ["LICENSE"]'
    elif not metadata.get_all("License-File"):
        yield 'the text of its licence is not in it: license-files = ["LICENSE"]'
    if not metadata["Summary"]:
        yield 'it has no summary: description = "…"'
    if not wheel.page.strip():
        yield 'it has no page: readme = "README.md"'
    elif EXAMPLE in wheel.page:
        yield f"its page still tells of the example that eigenwalk new makes: rewrite what stands under {EXAMPLE}"
    if not wheel.homepage:
        yield 'it names no homepage, which the index needs: [project.urls] with Homepage = "https://…"'
    if not metadata["Requires-Python"]:
        yield 'it does not say which Python it needs: requires-python = ">=3.11"'
    tops = {name.split("/")[0] for name in wheel.files if "/" in name} & {"tests", "test", "docs", "examples"}
    for top in sorted(tops):
        yield f"{top}/ would be installed beside everyone's packages: leave it out of the wheel"
