"""Every command and every piece of Python in the README and the guides runs as written.

Blocks of a page run in order, in one empty folder. Walks are shortened to one step and two paths. ``make`` does
nothing, and ``pip install`` of a package that a page builds installs into a folder beside it. Commands that need
others' weights or a network are fenced as text: their names and options are checked, and they are not run.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import stylegan_files
from PIL import Image

import eigenwalk
from eigenwalk import weights
from eigenwalk.cli.app import command

pytestmark = pytest.mark.docs

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
SHOWN = [*PAGES, ROOT / "core/README.md", *sorted(ROOT.glob("plugins/*/README.md"))]
SHORT = {"steps": 1, "paths": 2}

EIGENWALK = f"""#!{sys.executable}
import sys
from eigenwalk.cli import main
words = sys.argv[1:]
if __name__ == "__main__":  # and not again in the processes that a command starts
    main(words + ["--steps", "{SHORT["steps"]}", "--paths", "{SHORT["paths"]}"] * (words[:1] == ["walk"]))
"""
PIP = f"""#!/bin/sh
# Install existing folders without a network. Skip everything else, which is installed already.
shift
for folder in "$@"; do
  [ -d "$folder" ] || continue
  {sys.executable} -m pip install --quiet --no-deps --no-build-isolation --no-index --target site "$folder"
done
"""
MAKE = "#!/bin/sh\n"


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the number of its first line."""

    language: str
    text: str
    line: int


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(r"^( *)```(\w+)\n(.*?)^\1```$", text, re.MULTILINE | re.DOTALL):
        yield Block(found[2], found[3], text[: found.start()].count("\n") + 2)


def test_pages_use_only_known_kinds_of_blocks():
    kinds = {block.language for page in PAGES for block in blocks(page)}
    assert kinds <= {"sh", "python", "toml", "text", "bibtex"}
    assert {"sh", "python"} <= kinds


def test_links_have_targets():
    for page in [*SHOWN, ROOT / "CHANGELOG.md"]:
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


def provide_files(page: Path, folder: Path) -> None:
    """Write into `folder` the files that a page assumes: a StyleGAN of the reader's own."""
    if page.name == "own_stylegan.md":
        stylegan_files.write("ada-16", folder, contrast=0.3).rename(folder / "ffhq.pkl")
    if page.name == "bring_a_photograph.md":
        generator = eigenwalk.load_generator("faces")
        pixels = (generator(generator.sample(1, 5))[0].clamp(0, 1) * 255).byte().permute(1, 2, 0)
        Image.fromarray(pixels.numpy()).resize((240, 200)).save(folder / "me.png")


@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix().removeprefix("docs/"))
def test_the_code_of_a_page_runs(page, place):
    provide_files(page, place)
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


def shown_commands(page: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield each eigenwalk command that a page shows without running it: its line and its words."""
    text = page.read_text(encoding="utf-8")
    lines = [(block.line, block.text) for block in blocks(page) if block.language == "text"]
    without = re.sub(r"^( *)```(\w+)\n(.*?)^\1```$", lambda block: "\n" * block[0].count("\n"), text, flags=re.M | re.S)
    lines += [(i, line) for i, line in enumerate(without.splitlines(), 1) if line.startswith("    ")]
    for line, inside in lines:
        for found in re.finditer(r"^ *(eigenwalk (?:.*\\\n)*.*)$", inside, re.MULTILINE):
            yield line, shlex.split(found[1].replace("\\\n", " "), comments=True)[1:]


def complaint(words: list[str]) -> str:
    """The command line's error message for these words; empty if they are valid or only a file is missing."""
    root: Any = command()
    context = root.make_context("eigenwalk", list(words), resilient_parsing=True)
    try:
        found, rest = root, list(words)
        while hasattr(found, "list_commands"):
            name, found, rest = found.resolve_command(context, rest)
            if hasattr(found, "list_commands"):
                context = found.make_context(name, list(rest), parent=context, resilient_parsing=True)
        found.make_context(name, list(rest), parent=context)
    except Exception as error:  # of typer's own click, whose classes are private
        said = error.format_message() if hasattr(error, "format_message") else str(error)  # type: ignore[attr-defined]
        return "" if "does not exist" in said else said
    return ""


@pytest.mark.parametrize("line", ["walk rooms --fox pixels", "walk rooms --steps few", "weights fetsh identity"])
def test_a_mistake_in_a_shown_command_would_be_found(line):
    assert complaint(line.split())


@pytest.mark.parametrize("page", SHOWN, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_that_are_only_shown_are_valid(page):
    for line, words in shown_commands(page):
        assert not complaint(words), f"{page.name}, line {line}: {shlex.join(words)}"
        for option, expression in pairwise(words):
            if option in ("--fix", "--vary"):
                weights.needed_items(expression)  # raises if a name or an option is unknown
