"""Doctests in docstrings, put into fenced blocks: Markdown would read ``>>>`` as nested quotations."""

from __future__ import annotations

import re
from typing import Any

import griffe

DOCTEST = re.compile(r"^( *)>>> .*\n?(?:^\1\S.*\n?)*", re.MULTILINE)


def fence_doctests(text: str) -> str:
    """Return `text` with every doctest in a fenced block; an empty line ends a doctest.

    >>> print(fence_doctests("Of two:\\n\\n    >>> 1 + 1\\n    2\\n\\nMore.").replace("`", "'").replace(">>>", ">"))
    Of two:
    <BLANKLINE>
    '''pycon
    > 1 + 1
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
    """A griffe extension that fences doctests for Markdown."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Fence the doctests of the docstring of `obj`."""
        if obj.docstring:
            obj.docstring.value = fence_doctests(obj.docstring.value)
