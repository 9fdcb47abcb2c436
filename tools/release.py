"""A release of all distributions of this repository: versions, changelog, builds, and the order to upload them.

    python tools/release.py                    # build and check the version that stands in every pyproject.toml
    python tools/release.py --version 0.2.0    # first write that version everywhere, and cut the changelog

It writes pyproject.toml files, CHANGELOG.md and ``dist``, and nothing else: committing, tagging and uploading are
printed, for a person to do. Whatever is wrong is said before anything is written.
"""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

ROOT = Path(__file__).resolve().parents[1]
CORE = "eigenwalk"
OPEN = re.compile(r"^## (?:(?P<version>\d\S*), unreleased|Unreleased)$", re.MULTILINE | re.IGNORECASE)
"""The heading of what is to be released; a line that says nothing of a version, or the version that it will be."""
SHARED = ("version", "license", "requires-python")
"""What every distribution has in common."""


@dataclass(frozen=True)
class Project:
    """One distribution of the repository: its folder and its pyproject.toml."""

    folder: Path
    table: dict[str, Any]

    @property
    def name(self) -> str:
        """The distribution's normalised name."""
        return canonicalize_name(self.table["name"])

    @property
    def version(self) -> str:
        """Its version."""
        return self.table["version"]

    @property
    def requires(self) -> list[Requirement]:
        """What it requires."""
        return [Requirement(line) for line in self.table.get("dependencies", [])]


def projects(root: Path) -> list[Project]:
    """Every distribution under `root`, in the order in which they must be uploaded: what is required comes first."""
    files = [root / "core/pyproject.toml", *sorted(root.glob("plugins/*/pyproject.toml"))]
    found = [Project(file.parent, tomllib.loads(file.read_text(encoding="utf-8"))["project"]) for file in files]
    placed: dict[str, Project] = {}
    ours = {project.name for project in found}
    while len(placed) < len(found):
        for project in found:
            needs = {canonicalize_name(one.name) for one in project.requires} & ours
            if project.name not in placed and needs <= placed.keys():
                placed[project.name] = project
                break
        else:
            sys.exit(f"distributions require each other in a circle: {', '.join(sorted(ours - placed.keys()))}")
    return list(placed.values())


def faults(every: Sequence[Project], version: str) -> Iterator[str]:
    """What stands against releasing `every` distribution as `version`."""
    core = next(project for project in every if project.name == CORE)
    licence = (core.folder / "LICENSE").read_bytes()
    for project in every:
        where = project.folder / "pyproject.toml"
        for key in SHARED:
            if project.table.get(key) != core.table.get(key):
                yield f"{where}: {key} is {project.table.get(key)!r}, and {core.table.get(key)!r} in the core"
        for key in ("description", "readme", "license-files"):
            if not project.table.get(key):
                yield f"{where}: {key} is missing"
        if not (project.folder / "LICENSE").is_file() or (project.folder / "LICENSE").read_bytes() != licence:
            yield f"{project.folder / 'LICENSE'} is not the core's"
        for one in project.requires:
            if canonicalize_name(one.name) in {other.name for other in every} and not one.specifier.contains(version):
                yield f"{where}: requires {one}, which {version} is not"
        if project is not core and CORE not in {canonicalize_name(one.name) for one in project.requires}:
            yield f"{where}: does not require {CORE}"


def cut(text: str, version: str, day: date) -> str:
    """The changelog `text` with what is unreleased under `version` and `day`.

    Raises:
        ValueError: nothing is unreleased, or it is announced as another version, or there is no line to it.
    """
    found = OPEN.search(text)
    if found is None:
        raise ValueError("it has no heading '## Unreleased'")
    if found["version"] not in (None, version):
        raise ValueError(f"it announces {found['version']}, and {version} is released")
    if re.search(rf"^## {re.escape(version)}, \d", text, re.MULTILINE):
        raise ValueError(f"it has a heading for {version} already")
    body = text[found.end() :].partition("\n## ")[0]
    if not re.search(r"^- \S", body, re.MULTILINE):
        raise ValueError("nothing is listed as unreleased")
    return f"{text[: found.start()]}## {version}, {day.isoformat()}{text[found.end() :]}"


def rewritten(text: str, before: str, version: str) -> str:
    """A pyproject.toml's `text` with its version raised, and, at a new minor version, what it requires of our own.

    A plugin asks for the core's minor version that it was released with: older ones were not tested with it.
    """
    text = re.sub(rf'^version = "{re.escape(before)}"$', f'version = "{version}"', text, count=1, flags=re.MULTILINE)
    minor = ".".join(version.split(".")[:2])
    return re.sub(r'"(eigenwalk(?:-[\w-]+)?)>=[\d.]+"', rf'"\1>={minor}"', text)


def build(every: Sequence[Project], dist: Path, isolated: bool) -> list[tuple[Project, list[Path]]]:
    """The sdist and the wheel of `every` distribution in `dist`, checked by twine."""
    made = []
    for project in every:
        words = [sys.executable, "-m", "build", *([] if isolated else ["--no-isolation"]), "--outdir", str(dist)]
        run([*words, str(project.folder)])
        stem = f"{project.name.replace('-', '_')}-{project.version}"
        made.append((project, [dist / f"{stem}.tar.gz", dist / f"{stem}-py3-none-any.whl"]))
    files = [str(file) for _, pair in made for file in pair]
    run([sys.executable, "-m", "twine", "check", "--strict", *files])
    return made


def run(command: Sequence[str]) -> None:
    """Runs `command`, which is shown; ends with its words where it fails."""
    print(f"$ {shlex.join(command)}", flush=True)
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(f"{done.stdout}\nit ended with exit code {done.returncode}; nothing was uploaded")


def write(root: Path, every: Sequence[Project], version: str, day: date) -> None:
    """Writes `version` into every pyproject.toml under `root`, and cuts the changelog."""
    log = root / "CHANGELOG.md"
    try:
        text = cut(log.read_text(encoding="utf-8"), version, day)
    except ValueError as error:
        sys.exit(f"{log}: {error}")
    log.write_text(text, encoding="utf-8")
    for project in every:
        file = project.folder / "pyproject.toml"
        file.write_text(rewritten(file.read_text(encoding="utf-8"), project.version, version), encoding="utf-8")


def main(words: Sequence[str] | None = None) -> None:
    """One release, from arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", help="write this version everywhere, and cut the changelog")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository")
    parser.add_argument("--dist", type=Path, help="where to build [default: dist in the repository]")
    parser.add_argument("--no-isolation", action="store_true", help="build with what is installed here")
    given = parser.parse_args(words)
    every = projects(given.root)
    before, version = every[0].version, given.version or every[0].version
    try:
        if given.version and Version(given.version) < Version(before):
            sys.exit(f"--version must not lie before {before}, got {given.version}")
    except InvalidVersion:
        sys.exit(f"--version must be a version such as 0.2.0, got {given.version!r}")
    if found := list(faults(every, version)):
        sys.exit("\n".join(found))
    if given.version:
        write(given.root, every, version, date.today())
        every = projects(given.root)
    dist = given.dist or given.root / "dist"
    if dist.exists() and any(dist.iterdir()):
        sys.exit(f"{dist} has files in it: remove it, so that nothing else is uploaded")
    made = build(every, dist, not given.no_isolation)
    print(f"{len(made)} distributions of version {version}. Upload them in this order, the core first:")
    for _, files in made:
        print(f"  python -m twine upload {shlex.join(map(str, files))}")
    if given.version:
        print("and keep what was written:")
        print(f"  git commit -am 'Version {version}' && git tag v{version} && git push --follow-tags")


if __name__ == "__main__":
    main()
