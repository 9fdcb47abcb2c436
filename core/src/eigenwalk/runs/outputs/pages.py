"""The pictures, the table and the report of a run, page by page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path as FilePath

from eigenwalk.path import Path
from eigenwalk.store import open_whole, write_whole

PAGE, PAGES = 48, 8
"""Paths on one strip, film and page, and how many of these are made unless all are asked for."""


def draw_pages(folder: FilePath, paths: Sequence[Path], recipe: str, whole: bool) -> tuple[list[str], str]:
    """Write the pictures of `paths`, in this order, into `folder`; return the files' names, and a notice or "".

    Of more than `PAGE` paths they come in pages, and only the first `PAGES` of these unless `whole` asks for all.
    `recipe` is the text of the run's. Raises OSError as the file system gives it.
    """
    from eigenwalk.runs.outputs.plot import plot_png
    from eigenwalk.runs.outputs.report import Page, report, run_facts
    from eigenwalk.runs.outputs.strip import strip
    from eigenwalk.runs.outputs.table import write_table
    from eigenwalk.runs.outputs.video import video

    pages = [paths[first : first + PAGE] for first in range(0, len(paths), PAGE)][: None if whole else PAGES]
    about = (len(pages), run_facts(paths), len(paths), len(paths) - sum(map(len, pages)))
    written, notice = ["changes.csv", "plot.png"], ""
    with open_whole(folder / "changes.csv") as file:
        write_table(paths, file)
    write_whole(folder / "plot.png", plot_png(pages[0]))
    for number, page in enumerate(pages, 1):
        name, film = "" if number == 1 else f"-{number}", video(page)
        notice = notice or film.notice
        html = report(page, recipe, film, Page(number, *about, folder=folder))
        made = {f"strip{name}.png": strip(page), f"walk{name}{film.suffix}": film.data, f"report{name}.html": html}
        for file_name, data in made.items():
            write_whole(folder / file_name, data)
        written += made
    return written, notice
