"""LaTeX in pages, turned into MathML while the site is built: browsers draw it, and nothing is fetched for it."""

from __future__ import annotations

import html
import re

from latex2mathml.converter import convert

MARKED = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)


def drawn(page: str) -> str:
    """The HTML `page` with MathML where arithmatex has marked LaTeX."""
    return MARKED.sub(_mathml, page)


def _mathml(found: re.Match[str]) -> str:
    latex, display = html.unescape(found[3]).strip(), found[2] == "["
    mathml = convert(latex, display="block" if display else "inline")
    return f'<div class="formula">{mathml}</div>' if display else mathml
