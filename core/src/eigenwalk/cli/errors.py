"""How texts look on the command line: one console for all, facts under labels, errors without a traceback."""

from __future__ import annotations

import sys
import textwrap
import traceback
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.segment import Segment
from rich.text import Text

from eigenwalk.cli.terminal import clean, raw
from eigenwalk.errors import EigenwalkError, ExpressionError

NARROWEST = 20


class CleanConsole(Console):
    """A console that cleans every text that it renders, styles and layout aside."""

    def render(self, *arguments: Any, **named: Any) -> Iterable[Segment]:
        """Render as rich does, then clean each segment."""
        for segment in super().render(*arguments, **named):
            yield segment if segment.control else Segment(clean(segment.text), segment.style)


def console(stderr: bool = False, soft_wrap: bool = True) -> Console:
    """Return the console of standard output, or of standard error; lines are broken only without `soft_wrap`."""
    stream = raw(sys.stderr if stderr else sys.stdout)
    return CleanConsole(file=stream, stderr=stderr, markup=False, highlight=False, soft_wrap=soft_wrap)


def print_facts(out: Console, rows: Sequence[tuple[str, str]]) -> None:
    """Print `rows` of label and value, breaking values only between words: addresses and sums can be copied."""
    indent = max(len(label) for label, _ in rows) + 2
    width = max(out.width - indent, NARROWEST)
    for label, value in rows:
        lines = textwrap.wrap(value, width, break_long_words=False, break_on_hyphens=False) or [""]
        for head, line in zip([label, *[""] * (len(lines) - 1)], lines, strict=True):
            out.print(Text.assemble((f"{head:<{indent}}", "dim"), line))


def show(error: EigenwalkError, where: bool = False) -> None:
    """Print `error` on standard error, with its traceback if `where`."""
    if where:
        print("".join(traceback.format_exception(error)), file=sys.stderr)
        return
    out = console(stderr=True)
    if not isinstance(error, ExpressionError):
        out.print(Text.assemble(("error: ", "bold red"), str(error)))
    else:
        out.print(Text.assemble(("error: ", "bold red"), error.message))
        text, start, end = error.shown
        line = Text(f"  {text}")
        line.stylize("bold red", 2 + start, 2 + end)
        out.print(line)
        out.print(Text(f"  {' ' * start}{'^' * (end - start)}", style="red"))


def warn(message: str) -> None:
    """Print a warning on standard error."""
    console(stderr=True).print(Text.assemble(("warning: ", "bold yellow"), message))
