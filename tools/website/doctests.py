"""Doctests in docstrings, fenced for Markdown, which takes ``>>>`` for a quotation of a quotation of a quotation."""

from __future__ import annotations

import re
from typing import Any

import griffe

DOCTEST = re.compile(r"^( *)>>> .*\n?(?:^\1\S.*\n?)*", re.MULTILINE)


def fenced(text: str) -> str:
    """`text` with every doctest, which an empty line ends, in a fenced block.

    >>> print(fenced("Of two:\\n\\n    >>> 1 + 1\\n    2\\n\\nMore.").replace("`", "'"))
    Of two:
    <BLANKLINE>
    '''pycon
    >>> 1 + 1
    2
    '''
    <BLANKLINE>
    More.
    """

    def block(found: re.Match[str]) -> str:
        lines = [line.removeprefix(found[1]) for line in found[0].rstrip("\n").split("\n")]
        return "\n".join(["```pycon", *lines, "```", ""])

    return DOCTEST.sub(block, text)


class Doctests(griffe.Extension):
    """What griffe calls for every object that it has read."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Fences the doctests of the object's docstring."""
        if obj.docstring:
            obj.docstring.value = fenced(obj.docstring.value)
