"""Lists as GitHub reads them, turned into lists as Python-Markdown reads them.

GitHub counts indented text under a list item as part of it. Python-Markdown requires four spaces, and an empty line
before a list.
"""

from __future__ import annotations

import re

ITEM = re.compile(r"^( *)([-*+]|\d+[.)])( +)(?=\S)")
FENCE = re.compile(r"^( *)(```|~~~)")
DEPTH = 4


def indent_lists(text: str) -> str:
    """Return `text` with the contents of every list item indented by four spaces for each level.

    >>> print(indent_lists("So:\\n1. one\\n\\n   more\\n2. two"))
    So:
    <BLANKLINE>
    1. one
    <BLANKLINE>
        more
    2. two
    """
    lines: list[str] = []
    open_items: list[int] = []  # the column at which the text of each open item begins
    fence: tuple[int, int] | None = None  # the column of an open fence, and where it is put
    for line in text.splitlines():
        if fence is not None:
            lines.append(" " * fence[1] + line[min(fence[0], len(line) - len(line.lstrip(" "))) :])
            if re.fullmatch(r" *(```|~~~)", line.rstrip()):
                fence = None
            continue
        if not line.strip():
            lines.append("")
            continue
        column = len(line) - len(line.lstrip(" "))
        after_gap = not lines or not lines[-1]
        item = ITEM.match(line)
        if after_gap or item or FENCE.match(line):
            while open_items and column < open_items[-1]:
                open_items.pop()
        if item and column < DEPTH + (open_items[-1] if open_items else 0):
            if not open_items and not after_gap and not ITEM.match(lines[-1]) and not lines[-1].startswith(" "):
                lines.append("")
            lines.append(" " * DEPTH * len(open_items) + line.lstrip(" "))
            open_items.append(item.end())
            continue
        if not open_items:
            lines.append(line)
        else:
            inside = max(column - open_items[-1], 0)
            lines.append(" " * (DEPTH * len(open_items) + inside) + line.lstrip(" "))
        found = FENCE.match(line)
        if found:
            fence = column, len(lines[-1]) - len(lines[-1].lstrip(" "))
    return "\n".join(lines)
