"""Write an evaluation as a page of documentation: Markdown with all tables, and small plots beside it."""

from __future__ import annotations

from pathlib import Path

from eigenwalk.errors import OutputError, reason
from eigenwalk.store import write_whole
from eigenwalk_evaluate.folder import slug
from eigenwalk_evaluate.plots import summary_png
from eigenwalk_evaluate.summary import Summary
from eigenwalk_evaluate.tables import markdown

DPI = 75
"""Resolution of the plots, enough for a page of text."""


def write_page(summary: Summary, file: Path) -> None:
    """Write `file`, with one plot for each generator beside it.

    Raises:
        OutputError: it cannot be written.
    """
    plots = []
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        for generator in dict.fromkeys(pair.generator for pair in summary.plan.pairs):
            if any(row.pair.generator == generator and row.pair.is_ordinary for row in summary.rows):
                name = f"{file.stem}-{slug(generator)}.png"
                plots.append((f"{generator}: drift and paths that get there, by pair and method", name))
                write_whole(file.with_name(name), summary_png(summary, generator, DPI))
        write_whole(file, markdown(summary, plots))
    except OSError as error:
        raise OutputError(f"cannot write {file}: {reason(error)}; name another with --page") from error
