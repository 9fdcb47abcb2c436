"""``eigenwalk invert``: find photographs in a generator."""

from __future__ import annotations

import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eigenwalk.runs.watch import Watch

if TYPE_CHECKING:
    from rich.console import Console

    from eigenwalk_invert.api import Event, Found

SHOW = 2.0
"""Seconds between two pictures so far; without a terminal, five times as many between two lines."""
SO_FAR = "progress.png"


def invert(
    generator: Annotated[str, typer.Argument(help="A generator: a name, a checkpoint, or ./my_generator.py:build.")],
    photo: Annotated[list[Path], typer.Argument(help="Photographs: PNG, JPEG or WebP.")],
    match: Annotated[
        list[str] | None,
        typer.Option(
            "--match",
            help="A feature to match, with a weight where wanted, '0.5 * identity'; repeatable [default: pixels; with "
            "--align, the identity too if its weights are fetched]",
        ),
    ] = None,
    judge: Annotated[
        list[str] | None, typer.Option("--judge", help="A feature that only measures; repeatable.")
    ] = None,
    region: Annotated[
        str | None, typer.Option(help="Match only what this mask keeps, such as 'mask(box=(0, 0, 1, 0.5))'")
    ] = None,
    align: Annotated[
        str | None, typer.Option(help="ffhq: find a face and cut it out as FFHQ's are [default: the middle]")
    ] = None,
    face: Annotated[int, typer.Option(min=1, help="Which face, the largest first, for --align")] = 1,
    tune: Annotated[
        int, typer.Option(min=0, help="Steps in which the generator itself is fitted to the photographs, such as 200")
    ] = 0,
    passes: Annotated[int, typer.Option(min=1, help="Generator passes in each space, for one start")] = 300,
    restarts: Annotated[int, typer.Option(min=1, help="Starts of each photograph, of which the best goes on")] = 4,
    prior: Annotated[
        float, typer.Option(min=0, help="Weight of the distance from typical latents; larger: easier to walk from")
    ] = 0.01,
    rate: Annotated[
        float, typer.Option(help="Change of the generator's numbers in a step of --tune, of their size")
    ] = 1e-3,
    seed: Annotated[int, typer.Option(min=0, help="Of the starts")] = 0,
    device: Annotated[str, typer.Option(help="Where to compute: cpu, cuda, cuda:1, mps")] = "cpu",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder [default: found/ and the first photograph's name]")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the inversion in the folder.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no summary: the folder alone.")] = False,
) -> None:
    """Find the latents of photographs; goes on where it was stopped.

    The folder opens as a generator and a start: eigenwalk walk found/me --fix identity --vary pixels

    eigenwalk invert faces me.png -o found/me
    """
    from eigenwalk.cli.errors import console
    from eigenwalk.runs.memory.allocator import keep_freed
    from eigenwalk.runs.ready import check_device

    if not sys.warnoptions:  # libraries' warnings about themselves would break up the lines
        warnings.simplefilter("ignore")
    check_device(device)
    out = out or Path("found") / photo[0].stem
    options: dict[str, Any] = {
        "match": match or (), "judge": judge or (), "region": region, "align": align, "face": face, "tune": tune,
        "passes": passes, "restarts": restarts, "prior": prior, "rate": rate, "seed": seed,
    }  # fmt: skip
    display = Display(out, quiet, console(stderr=True))
    display.stage(f"opening {generator}")  # before torch is loaded, which takes seconds
    keep_freed()
    found = _run(generator, [str(one) for one in photo], out, overwrite, device, options, display)
    (out / SO_FAR).unlink(missing_ok=True)
    if quiet:
        typer.echo(str(out))
        return
    display.summary(found)


def _run(
    generator: str,
    photos: list[str],
    out: Path,
    overwrite: bool,
    device: str,
    options: dict[str, Any],
    display: Display,
) -> Found:
    from eigenwalk.cli import INTERRUPTED
    from eigenwalk.cli.perform import TERMINATED, Terminated, sigterm_stops
    from eigenwalk_invert.api import invert as search

    event: Event | None = None
    try:
        with sigterm_stops():
            named = {"out": out, "overwrite": overwrite, "device": device, "watch": display, "notes": display.note}
            for event in search(generator, photos, **named, **options):
                display.update(event)
    except KeyboardInterrupt as stop:
        display.clear()
        display.out.print(f"stopped: the same command goes on in {out}")
        raise typer.Exit(TERMINATED if isinstance(stop, Terminated) else INTERRUPTED) from None
    assert event is not None and event.found is not None
    return event.found


class Display(Watch):
    """Says on standard error what is being done, and keeps the picture so far in the folder."""

    def __init__(self, folder: Path, quiet: bool, out: Console):
        self.folder, self.quiet, self.out = folder, quiet, out
        self.began, self.shown, self.last, self.live = time.monotonic(), 0.0, "", out.is_terminal and not quiet
        self.text, self.passes, self.of = "", 0.0, 0.0

    def stage(self, text: str, passes: float = 0.0) -> None:
        """Say what begins."""
        self.text, self.passes, self.of, self.said = text, 0.0, passes, time.monotonic()
        self._line(text)

    def passed(self, passes: float) -> None:
        """Say how far what began has come, now and then."""
        self.passes += passes
        if self.of and self._is_due(self.said):
            self.said = time.monotonic()
            self._line(f"{self.text}: {self.passes:.0f} of about {self.of:.0f} passes")

    def note(self, text: str) -> None:
        """Say something that stays."""
        self.clear()
        if not self.quiet:
            self.out.print(text)

    def update(self, event: Event) -> None:
        """Show where the inversion stands, and its picture, now and then."""
        if event.found is not None or event.images is None:
            return
        self.of, now = 0.0, time.monotonic()
        if self.shown and not self._is_due(self.shown) and event.done < 1:
            return
        self.shown = now
        self._picture(event)
        value = ", ".join(f"{one:.4f}" for one in event.value[:6]) + ("…" if len(event.value) > 6 else "")
        self._line(f"{event.stage}  {event.done:4.0%}  E {value}  {now - self.began:.0f} s  {self.folder / SO_FAR}")

    def clear(self) -> None:
        """End the line that is written over."""
        if self.live and self.last:
            self.out.file.write("\r\x1b[2K")
            self.last = ""

    def summary(self, found: Found) -> None:
        """Print distances, and where the files are."""
        from rich.table import Table
        from rich.text import Text

        from eigenwalk_invert.pictures import TITLES, percent, walk_command

        self.clear()
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        for heading in ("photograph", "% of typical in", *(TITLES.get(one.name, one.name) for one in found.results)):
            table.add_column(heading)
        for i, photo in enumerate(found.task.photos):
            for name in found.results[-1].distances:
                shares = [percent(one.distances[name][i]) for one in found.results]
                table.add_row(Text(Path(photo.label).name), Text(name), *shares)
        self.out.print(table)
        for name in ("strip.png", "report.html"):
            self.out.print(str(self.folder / name))
        self.out.print(f"walk from there:  {walk_command(self.folder)}")

    def _is_due(self, before: float) -> bool:
        """Whether it is time for another line after the one at `before`."""
        return time.monotonic() - before >= SHOW * (1 if self.live else 5)

    def _picture(self, event: Event) -> None:
        import numpy as np

        from eigenwalk.store import write_output
        from eigenwalk.walk.start import picture
        from eigenwalk_invert.pictures import png

        assert event.images is not None
        write_output(self.folder / SO_FAR, png(np.concatenate(picture(event.images), 1)))

    def _line(self, text: str) -> None:
        if self.quiet:
            return
        if self.live:
            self.out.file.write(f"\r\x1b[2K{text[: self.out.width - 1]}")
            self.out.file.flush()
            self.last = text
        else:
            self.out.print(text)
