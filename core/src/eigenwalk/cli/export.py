"""``eigenwalk export``: a run's pictures, films and latents for other programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer


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
    from eigenwalk.runs.export import DEFAULT, named_generator, opens_generator

    wanted = kinds or DEFAULT
    if not trust and opens_generator(wanted, between):
        _ask_to_open_generator(generator or named_generator(run, path or ()))
    typer.echo(str(export_run(run, wanted, out, path or (), between, generator, device)))


def export_run(
    run: Path,
    kinds: Sequence[str],
    out: Path | None = None,
    names: Sequence[str] = (),
    between: int = 8,
    generator: str | None = None,
    device: str = "cpu",
) -> Path:
    """Export, showing on a terminal what is being made; return the folder."""
    from eigenwalk.cli.errors import console
    from eigenwalk.runs.export import FOLDER, export
    from eigenwalk.runs.ready import check_device

    check_device(device)
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


def _ask_to_open_generator(text: str) -> None:
    """Ask before a generator in a Python file is run, which a stranger's run may name."""
    from eigenwalk.cli.trust import ask_to_run
    from eigenwalk.names.expression import parse_generator
    from eigenwalk.names.registry import Registry
    from eigenwalk.names.resolve import resolve_generator
    from eigenwalk.names.tree import Call
    from eigenwalk.runs.ready import own_files

    generator = parse_generator(text)
    if isinstance(generator, Call) and generator.name == "file":
        ask_to_run(own_files(resolve_generator(generator, Registry.discover())), text)
