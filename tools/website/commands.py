"""The page of the command line, made from the ``--help`` of every command."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

from eigenwalk.cli.app import command

PROGRAM = "eigenwalk"


def page_text() -> str:
    """Return the page in Markdown: every command with its usage, description, arguments and options."""
    return "\n\n".join(_said(*one) for one in every())


def every() -> Iterator[tuple[Any, Any, int]]:
    """Every command, those of plugins and of groups too, with its context and its depth, from 0 for the root."""
    root = command()
    yield from _below(root, root.make_context(PROGRAM, [], resilient_parsing=True), 0)


def _below(found: Any, context: Any, depth: int) -> Iterator[tuple[Any, Any, int]]:
    yield found, context, depth
    for name in found.list_commands(context) if hasattr(found, "list_commands") else ():
        _, inner, _ = found.resolve_command(context, [name])  # imports a plugin's
        yield from _below(inner, inner.make_context(name, [], parent=context, resilient_parsing=True), depth + 1)


def _said(found: Any, context: Any, depth: int) -> str:
    usage = " ".join(found.get_usage(context).removeprefix("Usage:").split())
    parts = [f"{'#' * (depth + 1)} {context.command_path}" if depth else "", f"```sh\n{usage}\n```"]
    parts += [_paragraph(text) for text in re.split(r"\n\s*\n", (found.help or "").strip())]
    records = [param.get_help_record(context) for param in found.get_params(context)]
    rows = [_row(record) for record in records if record and not record[0].endswith("--help")]
    parts += ["| | |\n|---|---|\n" + "\n".join(rows)] if rows else []
    return "\n\n".join(part for part in parts if part)


def _paragraph(text: str) -> str:
    text = " ".join(text.split())
    return f"```sh\n{text}\n```" if text.startswith(f"{PROGRAM} ") else html.escape(text, quote=False)


def _row(record: tuple[str, str]) -> str:
    """A table row: a parameter, its description and its default."""
    name, said = (html.escape(" ".join(text.split()), quote=False).replace("|", "&#124;") for text in record)
    said = re.sub(r"\[(default: .*?|required|x.?[<>&].*?|.*?[<=;]x)\](?= *(\[|$))", r"<small>\1</small>", said)
    return f"| <code>{name}</code> | {said} |"
