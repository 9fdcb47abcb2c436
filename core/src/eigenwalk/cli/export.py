"""``eigenwalk export``: a run's pictures, films and latents for other programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from eigenwalk.cli.trust import Consent


def export(
    run: Annotated[Path, typer.Argument(help="The folder of a run, finished or stopped.")],
    kinds: Annotated[
        list[str] | None,
        typer.Argument(
            help="What to write: png, sheet, mp4, gif, webp, npz, npy, pt, or all [default: png sheet mp4 npz]",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder to write in [default: export in the run's folder]")
    ] = None,
    path: Annotated[
        list[str] | None, typer.Option("--path", help="A path, such as seed0-1+; repeatable [default: all]")
    ] = None,
    between: Annotated[
        int, typer.Option("--between", min=0, max=1000, help="Frames between two waypoints of a film; 0: none.")
    ] = 8,
    generator: Annotated[
        str | None, typer.Option("--generator", help="The generator, where its file has moved since.")
    ] = None,
    device: Annotated[str, typer.Option("--device", help="Where to compute: cpu, cuda, cuda:1, mps.")] = "cpu",
    trust: Annotated[bool, typer.Option("--trust", help="Run a generator in a Python file, unasked.")] = False,
) -> None:
    """Write pictures without labels, films and latents of a run, for other programs.

    eigenwalk export runs/hair

    eigenwalk export runs/hair mp4 gif --path seed0-1+ --between 16 -o slides

    Every waypoint becomes a PNG that holds its numbers; every path a film with frames between its waypoints, and a
    file of latents in the generator's own shape, any of which is a start: --start export/seed0-1+.npz:8.
    """
    from eigenwalk.cli.trust import Consent
    from eigenwalk.runs.export import DEFAULT

    consent = None if trust else Consent()
    typer.echo(str(export_run(run, kinds or DEFAULT, out, path or (), between, generator, device, consent)))


def export_run(
    run: Path,
    kinds: Sequence[str],
    out: Path | None = None,
    names: Sequence[str] = (),
    between: int = 8,
    generator: str | None = None,
    device: str = "cpu",
    consent: Consent | None = None,
) -> Path:
    """Export, showing on a terminal what is being made; return the folder.

    Before a generator in a Python file is run that the run names, which may be a stranger's, `consent` asks.
    """
    from eigenwalk.cli.errors import console
    from eigenwalk.names.expression import parse_generator
    from eigenwalk.names.registry import Registry
    from eigenwalk.names.resolve import resolve_generator
    from eigenwalk.runs.export import FOLDER, export, named_generator, opens_generator
    from eigenwalk.runs.ready import check_device

    check_device(device)
    if generator is None and opens_generator(kinds, between):
        generator = named_generator(run, names)
        if consent is not None:
            consent.ask(resolve_generator(parse_generator(generator), Registry.discover()), source=str(run))
    with console(stderr=True, soft_wrap=False).status("exporting …") as status:
        export(
            run,
            out,
            kinds,
            names=names,
            between=between,
            generator=generator,
            device=device,
            progress=status.update,
        )
    return out or run / FOLDER
