"""Facts under labels, as ``describe`` and ``weights fetch`` print them."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

NARROWEST = 20


def facts(out: Console, rows: Sequence[tuple[str, str]]) -> None:
    """Print `rows` of label and value, breaking values only between words: addresses and sums can be copied."""
    indent = max(len(label) for label, _ in rows) + 2
    width = max(out.width - indent, NARROWEST)
    for label, value in rows:
        lines = textwrap.wrap(value, width, break_long_words=False, break_on_hyphens=False) or [""]
        for head, line in zip([label, *[""] * (len(lines) - 1)], lines, strict=True):
            out.print(Text.assemble((f"{head:<{indent}}", "dim"), line))
