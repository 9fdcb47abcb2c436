"""The cards of the catalogue: one for every row of the index, with the picture of its example or why there is none."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from eigenwalk.errors import EigenwalkError
from eigenwalk.names.index import Entry, Index, shipped_index
from eigenwalk.weights import Item, needed_items
from website.examples import Example, examples_of, figures
from website.pages import page_of

SPDX = re.compile(r"\b(Apache-2\.0|MIT|BSD-[23]-Clause|CC-BY[-\w.]*|GPL-[\w.]+|LGPL-[\w.]+|MPL-2\.0)\b")
OF_A_FILE = re.compile(r"no weights of its own: those of the (file|network)")
NONE, YOURS, SOME, NEEDED = "nothing to fetch", "opens a file of yours", "a file for some options", "needs a file"
WEIGHTS = (NONE, SOME, NEEDED, YOURS)
"""What a name needs beside its package."""
HEADS = {
    "feature": ("features", "Features", "What can be fixed or varied."),
    "generator": ("generators", "Generators", "What is walked in."),
    "direction": ("directions", "Directions", "Methods of others, named with `--solver`, to compare with."),
}


def page_text(index: Index | None = None) -> str:
    """The catalogue in HTML: what filters it, then a section of cards for features, generators and directions."""
    entries = (index or shipped_index()).entries()
    cards = [(kind, _Card(kind, entry)) for kind, entry in entries if kind in HEADS]
    parts = [_filters([card for _, card in cards])]
    for kind, (anchor, title, text) in HEADS.items():
        inside = "\n".join(card.html() for of, card in cards if of == kind)
        parts += [f"## {title} {{ #{anchor} }}", text, f'<div class="ew-cards">\n{inside}\n</div>']
    return "\n\n".join(parts)


class _Card:
    """What the card of one row says."""

    def __init__(self, kind: str, entry: Entry):
        self.entry = entry
        self.kind = entry.kind or kind
        self.examples = examples_of(entry.name) or [Example(entry.name, why_not="has no example")]
        self.files = _files(entry.name, whole=True) if kind != "direction" else ()
        self.weights = self._weights()
        said: list[str] = SPDX.findall(f"{entry.licence} {entry.weights_licence}")
        said += ["not commercial"] if "not commercial" in entry.weights_licence else []
        self.licences = list(dict.fromkeys(said))

    def _weights(self) -> str:
        if self.entry.reads or OF_A_FILE.match(self.entry.weights_licence):
            return YOURS
        if not any(item.fetchable for item in self.files):
            return NONE
        return NEEDED if any(item.fetchable for item in _files(self.entry.name)) else SOME

    def html(self) -> str:
        """The card."""
        entry = self.entry
        first = {
            "package": _package(entry),
            "unit": escape(entry.unit),
            "licence": escape(entry.licence),
            "weights": escape(entry.weights_licence),
        }
        more = {
            "reads": escape("; ".join(entry.reads)),
            "needs": escape("" if self.weights in (NONE, YOURS) else self.weights),
            "contracts": f"version {entry.api}",
            "checked": f"{escape(entry.checked)}, {entry.checked_on}",
            "findings": escape("; ".join(entry.findings)) or "none",
        }
        licences = escape(", ".join(self.licences))
        data = f'data-kind="{self.kind}" data-weights="{self.weights}" data-licences="{licences}"'
        return (
            f'<article class="ew-card" id="{escape(entry.name)}" {data}>\n'
            f"<header><h3><code>{escape(entry.name)}</code></h3><span>{self.kind}</span></header>\n"
            f"<p>{_code(entry.summary)}</p>\n{self._pictures()}\n{_rows(first)}\n"
            f"<details><summary>listed, not audited</summary>{_rows(more)}</details>\n</article>"
        )

    def _pictures(self) -> str:
        made = [_picture(one) for one in self.examples if not one.why_not and one.picture.exists()]
        return "\n".join(made) or f'<p class="ew-none">{escape(self._why_not())}: no example picture made.</p>'

    def _why_not(self) -> str:
        if self.weights == YOURS:
            return "Opens a file or folder of yours, and none ships with it"
        lacking = [item for item in self.files if item.fetchable][:1]
        if not lacking:
            reason = self.examples[0].why_not
            return reason[:1].upper() + reason[1:]
        return f"Needs weights {lacking[0].weights.file} ({lacking[0].weights.licence})"


def _picture(one: Example) -> str:
    """The picture of an example, what it shows, and the command that walks the same."""
    said = one.shows or f"samples of {one.name}"
    measured = figures().get(one.name, {})
    shares = " and ".join(f"{part} {share:.2f}" for part, share in measured.items())
    text = [f"{_code(said[:1].upper() + said[1:])}."]
    text += [f"Moved at the ends, as shares of typical: {shares}."] if shares else []
    text += [_code(one.credit)] if one.credit else []
    command = f"<pre><code>{escape(one.command)}</code></pre>" if one.command else ""
    source = f"pictures/catalogue/{one.picture.name}"
    image = f'<img src="{source}" alt="{escape(said)}" loading="lazy" width="696" height="196">'
    return f'<figure><a href="{source}">{image}</a><figcaption>{" ".join(text)}</figcaption></figure>{command}'


def _files(name: str, whole: bool = False) -> Sequence[Item]:
    """The files that `name` needs, `whole`: with any of its options; none where it is not installed here."""
    try:
        return needed_items(name, whole=whole)
    except EigenwalkError:
        return ()


def _rows(facts: Mapping[str, str]) -> str:
    """A list of those that say something."""
    return f"<dl>{''.join(f'<dt>{name}</dt><dd>{said}</dd>' for name, said in facts.items() if said)}</dl>"


def _package(entry: Entry) -> str:
    page = page_of(entry.homepage)
    where = page.replace(".md", ".html") if page else entry.homepage
    return f'<a href="{escape(where)}">{escape(entry.distribution)}</a>'


def _code(text: str) -> str:
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(text, quote=False))


def _filters(cards: Iterable[_Card]) -> str:
    """What narrows the catalogue; without JavaScript all cards are there, and this is not."""
    cards = list(cards)
    kinds = dict.fromkeys(card.kind for card in cards)
    licences = dict.fromkeys(sorted(licence for card in cards for licence in card.licences))
    selects = "".join(
        f'<label>{name}<select name="{name}"><option value="">any</option>'
        + "".join(f"<option>{escape(choice)}</option>" for choice in choices)
        + "</select></label>"
        for name, choices in (("kind", kinds), ("licence", licences), ("weights", WEIGHTS))
    )
    return (
        '<form class="ew-filters" id="filters" hidden><label>search'
        '<input type="search" name="words" placeholder="hair, cosine, SeFa …" autocomplete="off"></label>'
        f'{selects}<output></output><button type="reset">Show all</button></form>'
    )
