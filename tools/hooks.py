"""What mkdocs calls while it builds the site: pages from other folders, links, lists, mathematics, generated parts."""

from __future__ import annotations

import re
from typing import Any

from mkdocs.structure.files import File

from eigenwalk.names.index import shipped_index
from website import cards, commands, notebooks
from website.links import link_pages
from website.lists import indent_lists
from website.mathematics import draw_formulas
from website.pages import ROOT, attached_files, sources

MARKERS = {"<!-- commands -->": commands.page_text, "<!-- cards -->": cards.page_text}
"""What a page asks for, and what is put in its place."""
ALONE = re.compile(r'<p>(<img [^>]*?src="([^"]+)"[^>]*>)</p>')
"""A picture that is a paragraph."""
PACKAGES = "packages/index.md"
EVALUATION = "evaluation/index.md"


def on_config(config: Any) -> Any:
    """The configuration with the pages of a folder where its navigation names one: ``packages/``."""
    config.nav = _spread(config.nav, [*sources(), PACKAGES, EVALUATION])
    return config


def on_files(files: Any, config: Any) -> Any:
    """The files of docs, with the pages and the files that other folders hold."""
    outside = {name: source for name, source in sources().items() if not source.is_relative_to("docs")}
    contents: dict[str, str | bytes] = {
        name: (ROOT / source).read_text(encoding="utf-8") for name, source in outside.items()
    }
    contents |= {name: file.read_bytes() for name, file in attached_files().items()}
    contents |= notebooks.pages()
    contents[PACKAGES] = _packages()
    if files.get_file_from_path(EVALUATION) is None:
        contents[EVALUATION] = _grids()
    for name, content in contents.items():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """A page's Markdown as Python-Markdown and mkdocs want it, with its generated part."""
    name = page.file.src_uri
    page.meta.setdefault("hide", _hidden(page))
    if name in sources():
        markdown = link_pages(markdown, name, sources()[name])
    markdown = indent_lists(markdown)
    for marker, page_text in MARKERS.items():
        if marker in markdown:
            markdown = markdown.replace(marker, page_text())
    return markdown


def on_page_content(html: str, page: Any, config: Any, files: Any) -> str:
    """Return the HTML of a page with its formulas drawn, and each picture linked to its file."""
    return ALONE.sub(r'<p class="ew-picture"><a href="\2">\1</a></p>', draw_formulas(html))


def _hidden(page: Any) -> list[str]:
    """The sides of a page that would be empty: its section's pages, where it has none; its contents, where short."""
    alone = [] if page.ancestors else ["navigation"]
    return [*alone, "toc"] if page.file.src_uri in ("index.md", "catalogue.md") else alone


def _spread(nav: Any, names: list[str]) -> Any:
    """`nav` with the pages below a folder in place of the folder's name, its index first."""
    if isinstance(nav, dict):
        return {title: _spread(inner, names) for title, inner in nav.items()}
    if isinstance(nav, list):
        return [_spread(inner, names) for inner in nav]
    if isinstance(nav, str) and nav.endswith("/"):
        below = sorted({name for name in names if name.startswith(nav)})
        return sorted(below, key=lambda name: not name.endswith("/index.md"))
    return nav


def _packages() -> str:
    """The page that lists the packages and what they offer."""
    rows = []
    for name, source in sources().items():
        if name.startswith("packages/") and source.name == "README.md":
            title = (ROOT / source).read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ").strip()
            rows.append(f"| [{title}]({name.removeprefix('packages/')}) | {_names_of(title)} |")
    return "\n".join(["# Packages", "", "| distribution | names |", "|---|---|", *sorted(rows), ""])


def _names_of(distribution: str) -> str:
    return " ".join(f"`{name}`" for name in shipped_index().names_of(distribution)) or "the core and the command line"


def _grids() -> str:
    """The page of the grids of evaluations that lie in docs/evaluation, and of what came out."""
    parts = ["# Results and grids", "What was evaluated, and as what: [the guide](../evaluate.md) says how."]
    results = [name.removeprefix("evaluation/") for name in sources() if name.startswith("evaluation/")]
    parts.append("\n".join(f"- [{name.removesuffix('.md').capitalize()}]({name})" for name in results))
    for file in sorted((ROOT / "docs/evaluation").glob("*.toml")):
        parts += [f"## {file.name}", f"```toml\n{file.read_text(encoding='utf-8').rstrip()}\n```"]
    return "\n\n".join(part for part in parts if part) + "\n"
