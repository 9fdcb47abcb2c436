"""Writes a folder that Hugging Face Spaces runs as the studio, with the packages of this repository in it.

    python tools/space.py FOLDER
    hf upload USER/studio FOLDER --repo-type space

Once the packages are on the index, `plugins/studio/space` is such a folder as it is. Until then a Space's builder
cannot install them, and reads requirements.txt before it has any other file of the folder: here they lie, unpacked,
in `packages`, and requirements.txt names what they need of others.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from release import ROOT, Project, projects, run

SPACE = ROOT / "plugins/studio/space"


def ours(every: Sequence[Project]) -> list[Project]:
    """The distributions that the Space's requirements name, and what these require of ours."""
    known = {project.name: project for project in every}
    wanted = [canonicalize_name(line) for line in (SPACE / "requirements.txt").read_text(encoding="utf-8").split()]
    found: dict[str, Project] = {}
    while wanted:
        project = known[wanted.pop()]
        if project.name not in found:
            found[project.name] = project
            wanted += [name for one in project.requires if (name := canonicalize_name(one.name)) in known]
    return sorted(found.values(), key=lambda project: project.name)


def theirs(mine: Sequence[Project]) -> list[str]:
    """What `mine` require of others, a line for each distribution."""
    lines: dict[str, Requirement] = {}
    for one in (one for project in mine for one in project.requires):
        name = canonicalize_name(one.name)
        if name not in {project.name for project in mine}:
            lines[name] = known = lines.get(name, one)
            known.specifier &= one.specifier
            known.extras |= one.extras
    return [str(lines[name]) for name in sorted(lines)]


def main(words: Sequence[str] | None = None) -> None:
    """One folder, from arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where to write; it must not be there")
    parser.add_argument("--no-isolation", action="store_true", help="build with what is installed here")
    given = parser.parse_args(words)
    if given.folder.exists():
        sys.exit(f"{given.folder} is there already: remove it, or name another")
    mine = ours(projects(ROOT))
    shutil.copytree(SPACE, given.folder)
    (given.folder / "requirements.txt").write_text("\n".join(theirs(mine)) + "\n", encoding="utf-8")
    target = ["--target", str(given.folder / "packages"), "--no-deps", "--no-compile", "--quiet"]
    isolated = ["--no-build-isolation"] if given.no_isolation else []
    run([sys.executable, "-m", "pip", "install", *target, *isolated, *(str(project.folder) for project in mine)])
    shutil.rmtree(given.folder / "packages/bin", ignore_errors=True)  # commands that name this machine's Python
    size = sum(file.stat().st_size for file in given.folder.rglob("*") if file.is_file())
    print(f"{given.folder} has {size / 1e6:.0f} MB. To make a Space of it:")
    print(f"  hf upload USER/studio {given.folder} --repo-type space")


if __name__ == "__main__":
    main()
