"""The site as mkdocs builds it: complete, self-contained, with every command, name and formula."""

from __future__ import annotations

import importlib
import os
import posixpath
import re
import shlex
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from eigenwalk import weights
from eigenwalk.names.index import Index, shipped_index

pytestmark = pytest.mark.docs

ROOT = Path(__file__).parents[1]
REAL = ROOT.parent / "shared/real"
LARGEST = 40_000


def tool(name: str) -> Any:
    """A module of tools."""
    if str(ROOT / "tools") not in sys.path:
        sys.path.insert(0, str(ROOT / "tools"))
    return importlib.import_module(name)


class Page(HTMLParser):
    """What a page of the site leads to (attribute, address), the anchors that it has, and its text."""

    def __init__(self, file: Path):
        super().__init__()
        self.links: list[tuple[str, str, str]] = []
        self.anchors: set[str] = set()
        self.words: list[str] = []
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("id", "name") and value:
                self.anchors.add(value)
            elif name in ("href", "src", "srcset", "data", "poster") and value:
                self.links.append((tag, name, value))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site and return its folder; a warning fails the build."""
    folder = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    quiet = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, env=quiet)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Page]:
    """Every page by its path."""
    return {file.relative_to(site).as_posix(): Page(file) for file in site.rglob("*.html")}


@pytest.mark.timeout(600)
def test_every_link_and_anchor_has_a_target(site, pages):
    lost = []
    for name, page in pages.items():
        for _, _, address in page.links:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc or name == "404.html":
                continue
            target = posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(parts.path)))
            target = target if parts.path else name
            target = f"{target}/index.html" if (site / target).is_dir() else target
            anchor = unquote(parts.fragment)
            if not (site / target).is_file():
                lost.append(f"{name}: {address}")
            elif anchor and target in pages and anchor not in pages[target].anchors:
                lost.append(f"{name}: {address} has no such anchor")
    assert not lost


def test_the_tools_that_build_the_site_are_pinned():
    lines = (ROOT / "requirements-docs.txt").read_text(encoding="utf-8").splitlines()
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines if not line.startswith("#"))


def test_the_site_fetches_nothing_from_elsewhere(site, pages):
    for name, page in pages.items():
        for tag, _, address in page.links:
            assert tag == "a" or not urlsplit(address).netloc, f"{name}: {tag} {address}"
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\(\s*['\"]?https?:|@import", sheet.read_text(encoding="utf-8")), sheet.name


def test_the_site_shows_no_path_of_the_building_machine(site):
    for file in [*site.rglob("*.html"), *site.rglob("search/*")]:
        assert str(ROOT) not in file.read_text(encoding="utf-8"), file.name


def test_every_command_is_on_the_page_of_the_command_line(site, pages):
    commands = tool("website.commands")
    paths = [context.command_path for _, context, _ in commands.every()]
    assert {"eigenwalk walk", "eigenwalk weights fetch", "eigenwalk attributes fit"} <= set(paths)
    text = (site / "cli.html").read_text(encoding="utf-8")
    heads = {re.sub(r"<[^>]*>|¶", "", head).strip() for head in re.findall(r"<h[23][^>]*>(.*?)</h[23]>", text, re.S)}
    assert set(paths) - {"eigenwalk"} <= {head.replace("&para;", "").strip() for head in heads}
    assert {"--fix", "--tolerance", "--borrow"} <= set(re.findall(r"--[a-z]+", "".join(pages["cli.html"].words)))


def test_every_name_of_the_index_has_a_card_with_a_picture_or_the_reason(site, pages):
    examples = tool("website.examples").examples()
    text = (site / "catalogue.html").read_text(encoding="utf-8")
    cards = dict(re.findall(r'<article class="ew-card" id="([^"]+)"(.*?)</article>', text, re.S))
    entries = [entry for kind, entry in shipped_index().entries() if kind != "command"]
    assert set(cards) == {entry.name for entry in entries} == {name.partition("(")[0] for name in examples}
    for entry in entries:
        card = cards[entry.name]
        for said in (entry.distribution, entry.licence, entry.weights_licence, entry.unit, "not audited"):
            assert said.replace("'", "&#x27;") in card or said in card, (entry.name, said)
        pictures = [one.picture for one in tool("website.examples").examples_of(entry.name) if not one.why_not]
        assert all(picture.is_file() for picture in pictures), f"python tools/pictures.py {entry.name}"
        assert card.count("<img") == len(pictures)
        assert ("no example picture made" in card) == (not pictures)
        assert all(picture.stat().st_size < LARGEST for picture in pictures)


def test_a_card_can_be_made_without_package_or_example(tmp_path):
    row = 'distribution = "acme-hair"\nsummary = "how <long> it is"\nkind = "feature"\nunit = "logit"\n'
    (tmp_path / "index.toml").write_text(f'[features."acme.hair"]\n{row}homepage = "https://acme.example/hair"\n')
    text = tool("website.cards").page_text(Index.read(tmp_path / "index.toml"))
    assert 'id="acme.hair"' in text and "how &lt;long&gt; it is" in text
    assert 'href="https://acme.example/hair"' in text and "no example picture made" in text


def test_formulas_need_no_script(site, pages):
    draw = tool("website.mathematics").draw_formulas
    inline = draw(r'<p>of <span class="arithmatex">\(v^\top A v &lt; \lambda\)</span></p>')
    block = draw(r'<div class="arithmatex">\[\frac{a}{b}\]</div>')
    assert inline.startswith("<p>of <math") and "&#x0003C;" in inline and "arithmatex" not in inline
    assert block.startswith('<div class="formula"><math') and "<mfrac>" in block and 'display="block"' in block
    lines = draw(r'<div class="arithmatex">\[\begin{aligned} a &amp;= b \\ c &amp;= d \end{aligned}\]</div>')
    assert lines.count("<mtr>") == 2
    with pytest.raises(ValueError, match=r"\\foo of the formula"):
        draw(r'<span class="arithmatex">\(\foo\)</span>')
    assert not [name for name in pages if 'class="arithmatex"' in (site / name).read_text(encoding="utf-8")]


LISTS = [
    ("So:\n1. one\n2. two", "So:\n\n1. one\n2. two"),
    (
        "1. one\n\n   more\n\n   ```text\n   a\n     b\n   ```\n2. two",
        "1. one\n\n    more\n\n    ```text\n    a\n      b\n    ```\n2. two",
    ),
    ("- one\n  goes on\n  - inner\n- two", "- one\n    goes on\n    - inner\n- two"),
    ("- one\n\nText.\n\n    code", "- one\n\nText.\n\n    code"),
    ("```text\n- not a list\n  x\n```", "```text\n- not a list\n  x\n```"),
    ("Text:\n- item\n\nText.", "Text:\n\n- item\n\nText."),
]


@pytest.mark.parametrize(("given", "wanted"), LISTS)
def test_lists_are_indented_as_the_site_needs_them(given, wanted):
    assert tool("website.lists").indent_lists(given) == wanted


def test_links_between_files_become_links_between_pages():
    between = tool("website.links").link_pages
    readme = Path("plugins/masks/README.md")
    text = "[core](../../core) [guide](../../docs/masks.md#by-word) [licence](LICENSE) [out](https://a.example)\n```\n[a](b)\n```"
    assert between(text, "packages/masks.md", readme) == (
        "[core](core.md) [guide](../masks.md#by-word) [licence](../files/plugins/masks/LICENSE) "
        "[out](https://a.example)\n```\n[a](b)\n```"
    )
    picture = "![](../../docs/pictures/start/hair-strip.webp)"
    assert between(picture, "packages/masks.md", readme) == "![](../pictures/start/hair-strip.webp)"
    assert between("[nowhere](none.md)", "packages/masks.md", readme) == "[nowhere](none.md)"


def test_every_picture_of_a_run_has_one_command():
    shown, commands = tool("pictures").shown_runs()
    assert {name for name, _ in shown} == set(commands)
    files = {file.stem for file in (ROOT / "docs/pictures/start").iterdir()}
    assert files == {f"{name}-{kind}" for name, kind in shown}, "python tools/pictures.py NAME"
    assert {len(set(texts)) for texts in commands.values()} == {1}, commands


def walks() -> list[Any]:
    """The examples of the catalogue that walk."""
    return [pytest.param(one, id=one.name) for one in tool("website.examples").examples().values() if one.generator]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("example", walks())
def test_walks_shown_in_the_catalogue_run(example, tmp_path, monkeypatch):
    if example.prepare in ("faces_vae.pt", "anime_dcgan.safetensors") and not REAL.exists():
        pytest.skip("the weights of others are not here")
    names = [name for name in (example.generator, *example.fix, *example.vary) if not name.startswith("./")]
    if any(item.state() == "missing" for item in weights.needed_items(names)):
        pytest.skip("weights that must be fetched are not here")
    monkeypatch.chdir(tmp_path)
    pictures = tool("pictures")
    pictures.prepared(example, REAL, portraits=80)
    paths = pictures.walked(example, steps=1)
    assert len(paths) == 2 * len(example.seeds)
    assert any(path.moved > 0 for path in paths)
    assert shlex.split(example.command) == example.words
