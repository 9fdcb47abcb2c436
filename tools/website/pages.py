"""Which pages the site has, and which file of the repository each is.

A page is named as mkdocs names it: its path below ``docs``. What other folders hold (the packages' READMEs, the
changelog) has a page too, so that a link between two files of the repository is also one between two pages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
ELSEWHERE = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md", "core/README.md": "packages/core.md"}
LINK = re.compile(r"(?<!`)(!?\[(?:[^\]\\`]|\\.|`[^`]*`)*\]\()([^)\s]+)((?:\s+\"[^\"]*\")?\))")
FENCE = re.compile(r"^ *(```|~~~)")


@cache
def sources() -> dict[str, Path]:
    """The file of every page that has one, relative to the repository; pages by name."""
    found = {file.relative_to(ROOT / "docs").as_posix(): file.relative_to(ROOT) for file in _below("docs", "*.md")}
    found |= {name: Path(file) for file, name in ELSEWHERE.items()}
    for package in sorted((ROOT / "plugins").iterdir()):
        if (package / "README.md").exists():
            found[f"packages/{package.name}.md"] = package.relative_to(ROOT) / "README.md"
            for paper in sorted(package.rglob("src/**/*.md")):
                title = f"{package.name}_{paper.parent.name}_{paper.stem.lower()}"
                found[f"packages/{title}.md"] = paper.relative_to(ROOT)
    return found


@cache
def notebook_pages() -> list[str]:
    """The pages that notebooks become, by name."""
    return [f"notebooks/{file.stem}.md" for file in _below("docs/notebooks", "*.ipynb")]


@cache
def page_of(file: str) -> str | None:
    """The page of a file or folder of the repository; a folder's is that of its README."""
    names = {source.as_posix(): name for name, source in sources().items()}
    names |= {f"docs/{name[:-3]}.ipynb": name for name in notebook_pages()}
    names |= {"README.md": "index.md", "docs/evaluation": "evaluation/index.md", "plugins": "packages/index.md"}
    return names.get(file) or names.get(f"{file}/README.md")


def prose(text: str) -> Iterator[tuple[str, bool]]:
    """Yield each line of `text`, and whether it lies outside fenced blocks."""
    fenced = False
    for line in text.splitlines():
        fence = FENCE.match(line) is not None
        yield line, not fenced and not fence
        fenced ^= fence


def targets(text: str) -> Iterator[str]:
    """What the relative links of `text` lead to, without their anchors."""
    for line, is_text in prose(text):
        for found in LINK.finditer(line) if is_text else ():
            target = found[2].partition("#")[0]
            if target and not is_address(target):
                yield target


def is_address(target: str) -> bool:
    """Whether a link is an address with a scheme, which leads out of the repository."""
    return re.match(r"[a-z]+:", target) is not None


def file_at(page: Path, target: str) -> str:
    """The path in the repository that a relative link of the file `page` leads to.

    >>> file_at(Path("plugins/masks/README.md"), "../../docs/masks.md")
    'docs/masks.md'
    """
    parts: list[str] = []
    for part in (page.parent / target).parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


def attached_files() -> dict[str, Path]:
    """Files outside docs that pages link to and that are not pages, by their path in the site."""
    found = {}
    for source in sources().values():
        for target in targets((ROOT / source).read_text(encoding="utf-8")):
            file = file_at(source, target)
            if page_of(file) is None and not file.startswith("docs/") and (ROOT / file).is_file():
                found[f"files/{file}"] = ROOT / file
    return found


def _below(folder: str, pattern: str) -> list[Path]:
    return sorted((ROOT / folder).rglob(pattern))
