"""Every command and every piece of Python in the README and the guides runs as it stands there.

Blocks of a page run in order, in one empty folder. Only the length of walks is changed: one step, two paths. ``make``
is left to those who run it, and ``pip install`` of a package that a page builds goes into a folder beside it.
"""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import eigenwalk

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
SHORT = {"steps": 1, "paths": 2}

EIGENWALK = f"""#!{sys.executable}
import sys
from eigenwalk.cli import main
words = sys.argv[1:]
main(words + ["--steps", "{SHORT["steps"]}", "--paths", "{SHORT["paths"]}"] * (words[:1] == ["walk"]))
"""
PIP = f"""#!/bin/sh
# pip install of folders that lie here, without a network; of others nothing, as they are installed.
shift
for folder in "$@"; do
  [ -d "$folder" ] || continue
  {sys.executable} -m pip install --quiet --no-deps --no-build-isolation --no-index --target site "$folder"
done
"""
MAKE = "#!/bin/sh\n"


@dataclass(frozen=True)
class Block:
    """A fenced block: what follows the fence, its text, and the line that it begins at."""

    language: str
    text: str
    line: int


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(r"^( *)```(\w+)\n(.*?)^\1```$", text, re.MULTILINE | re.DOTALL):
        yield Block(found[2], found[3], text[: found.start()].count("\n") + 2)


def test_pages_hold_no_block_of_another_kind():
    kinds = {block.language for page in PAGES for block in blocks(page)}
    assert kinds <= {"sh", "python", "toml", "text", "bibtex"}
    assert {"sh", "python"} <= kinds


def test_links_lead_somewhere():
    for page in [*PAGES, ROOT / "core/README.md", *ROOT.glob("plugins/*/README.md"), ROOT / "CHANGELOG.md"]:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if not target.startswith("https://"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder in which the programs that the pages name are found."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in (("eigenwalk", EIGENWALK), ("pip", PIP), ("make", MAKE)):
        (programs / name).write_text(text)
        (programs / name).chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", "site")
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    run: Any = eigenwalk.run
    monkeypatch.setattr(eigenwalk, "run", lambda *given, **named: run(*given, **(named | SHORT)), raising=False)
    return folder


@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_says_runs(page, place):
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(page):
        where = f"{page.name}, line {block.line}"
        file = re.match(r"# ([\w./-]+\.(?:py|toml))\n", block.text)
        if file:
            (place / file[1]).parent.mkdir(parents=True, exist_ok=True)
            (place / file[1]).write_text(block.text)
        elif block.language == "python":
            exec(compile("\n" * (block.line - 1) + block.text, str(page), "exec"), names)
        elif block.language == "sh":
            done = subprocess.run(["bash", "-euc", block.text], check=False, capture_output=True, text=True)
            assert done.returncode == 0, f"{where}:\n{done.stderr}"
