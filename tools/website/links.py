"""Links between files of the repository, turned into links between pages."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from website.pages import LINK, ROOT, file_at, is_address, page_of, prose


def link_pages(text: str, name: str, source: Path) -> str:
    """Return `text`, of the file `source`, with its links rewritten to lead from the page `name`.

    A link that leads nowhere stays unchanged, and mkdocs reports it.
    """

    def moved(link: re.Match[str]) -> str:
        target, hash_, anchor = link[2].partition("#")
        if not target or is_address(target):
            return link[0]
        file = file_at(source, target)
        page = page_of(file)
        if page is None and (ROOT / file).is_file():
            page = file.removeprefix("docs/") if file.startswith("docs/") else f"files/{file}"
        if page is None:
            return link[0]
        return f"{link[1]}{posixpath.relpath(page, posixpath.dirname(name) or '.')}{hash_}{anchor}{link[3]}"

    return "\n".join(LINK.sub(moved, line) if is_text else line for line, is_text in prose(text))
