"""LaTeX in pages, turned into MathML while the site is built: browsers draw it, and nothing is fetched for it."""

from __future__ import annotations

import html
import re

from latex2mathml.converter import convert

MARKED = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)
SPELT = {r"{aligned}": r"{align*}", r"\operatorname*": r"\operatorname", r"\arg\max": r"\argmax"}
"""What pages may write, and how the converter knows it."""
LEFT = re.compile(r"<mi>(\\\w+|&)</mi>")
"""What the converter leaves of a command that it does not know."""


def draw_formulas(page: str) -> str:
    """Return the HTML `page` with MathML in place of the LaTeX that arithmatex marked.

    Raises:
        ValueError: a command of LaTeX that is not known.
    """
    return MARKED.sub(_mathml, page)


def _mathml(found: re.Match[str]) -> str:
    latex, display = html.unescape(found[3]).strip(), found[2] == "["
    spelt = latex
    for written, known in SPELT.items():
        spelt = spelt.replace(written, known)
    mathml = convert(spelt, display="block" if display else "inline")
    unknown = LEFT.search(mathml)
    if unknown:
        raise ValueError(f"{unknown[1]} of the formula {latex!r} is not known: write it in other commands of LaTeX")
    return f'<div class="formula">{mathml}</div>' if display else mathml
