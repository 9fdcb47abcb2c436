"""How an error looks on the command line: one message, the place in an expression underlined, no traceback."""

from __future__ import annotations

import traceback

from rich.console import Console
from rich.text import Text

from eigenwalk.errors import EigenwalkError, ExpressionError


def console() -> Console:
    """Standard error, never broken into lines of our own."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def show(error: EigenwalkError, where: bool = False) -> None:
    """Prints `error` on standard error; with its traceback where `where` asks for it."""
    if where:
        traceback.print_exception(error)
        return
    out = console()
    if isinstance(error, ExpressionError):
        out.print(Text.assemble(("error: ", "bold red"), error.message))
        line = Text(f"  {error.text}")
        line.stylize("bold red", 2 + error.start, 2 + error.end)
        out.print(line)
        out.print(Text(f"  {' ' * error.start}{'^' * (error.end - error.start)}", style="red"))
        return
    out.print(Text.assemble(("error: ", "bold red"), str(error)))


def warn(message: str) -> None:
    """Prints a warning on standard error."""
    console().print(Text.assemble(("warning: ", "bold yellow"), message))
