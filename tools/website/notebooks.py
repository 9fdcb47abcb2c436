"""The pages that notebooks become: text as it is, code in blocks, outputs as they were stored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from website.links import link_pages
from website.pages import ROOT, notebook_pages


def pages() -> dict[str, str]:
    """The Markdown of every notebook's page, by its name."""
    files = {name: Path("docs", name).with_suffix(".ipynb") for name in notebook_pages()}
    return {name: link_pages(page_text(ROOT / file), name, file) for name, file in files.items()}


def page_text(file: Path) -> str:
    """The Markdown of a notebook's page, with a link to the notebook below its title."""
    cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
    parts = [part for cell in cells for part in _parts(cell)]
    parts.insert(1, f'<a href="{file.name}">{file.name}</a> is this page as a notebook.')
    return "\n\n".join(parts) + "\n"


def _parts(cell: dict[str, Any]) -> Iterator[str]:
    source = _text(cell["source"])
    if cell["cell_type"] == "markdown":
        yield source
        return
    yield f"```python\n{source}\n```"
    for output in cell["outputs"]:
        yield from _shown(output)


def _shown(output: dict[str, Any]) -> Iterator[str]:
    """An output in the richest form that a page can show."""
    data = output.get("data", {})
    if "text/html" in data:
        yield f'<div class="ew-output">{_text(data["text/html"])}</div>'
    elif "image/jpeg" in data:
        picture = _text(data["image/jpeg"]).replace("\n", "")
        yield f'<div class="ew-output"><img src="data:image/jpeg;base64,{picture}" alt="{_alt(data)}"></div>'
    else:
        yield f"```text\n{_text(output['text'] if 'text' in output else data['text/plain']).rstrip()}\n```"


def _alt(data: dict[str, Any]) -> str:
    return escape(_text(data.get("text/plain", "picture")).strip("<>"))


def _text(lines: str | list[str]) -> str:
    return lines if isinstance(lines, str) else "".join(lines)
