"""Make an environment with the oldest versions that the packages of this repository allow.

    python tools/oldest.py .venv-oldest

Every direct dependency is taken at its lower bound (uv's ``--resolution lowest-direct``); what only the tests need is
taken as pinned in constraints.txt, unless an old version of a dependency rules that out.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROJECTS = [ROOT / "core", *sorted(file.parent for file in ROOT.glob("plugins/*/pyproject.toml"))]
RELAXED = {"scipy": "scipy>=1.13"}
"""Test requirements whose pinned versions need newer dependencies than the oldest."""


def name_of(requirement: str) -> str:
    """Return the normalised distribution name at the head of a requirement line."""
    return re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", requirement, maxsplit=1)[0]).lower()


def requirements() -> list[str]:
    """Return what to install beside the packages: direct dependencies as they are bounded, test tools as pinned."""
    pins = {name_of(line): line for line in (ROOT / "constraints.txt").read_text().splitlines() if line[:1] != "#"}
    direct = set[str]()
    for folder in PROJECTS:
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        extras = [line for lines in project.get("optional-dependencies", {}).values() for line in lines]
        direct |= {line for line in [*project["dependencies"], *extras] if not name_of(line).startswith("eigenwalk")}
    known = {name_of(line) for line in direct}
    tools = [line for line in (ROOT / "requirements-test.txt").read_text().splitlines() if line and line[0] != "#"]
    wanted = [name_of(line) for line in tools if name_of(line) not in known]
    return [*sorted(direct), *(RELAXED.get(name, pins[name]) for name in wanted)]


def main() -> None:
    """Make the environment at the given folder, or bring it up to date."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--python", default="3.11", help="the oldest Python that is supported")
    given = parser.parse_args()
    uv = [sys.executable, "-m", "uv"]
    if not (given.folder / "bin/python").exists():
        subprocess.run([*uv, "venv", "--python", given.python, str(given.folder)], check=True)
    target = ["--python", str(given.folder / "bin/python")]
    lowest = ["--resolution", "lowest-direct", *requirements()]
    subprocess.run([*uv, "pip", "install", *target, *lowest], check=True)
    ours = [word for folder in PROJECTS for word in ("-e", str(folder))]
    subprocess.run([*uv, "pip", "install", *target, "--no-deps", *ours], check=True)


if __name__ == "__main__":
    main()
