"""``eigenwalk distil``: one direction for many images, from a run of many seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eigenwalk.errors import FileError, OutputError, reason


def distil(
    run: Annotated[Path, typer.Argument(help="The folder of a finished run, of several seeds.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File of safetensors to write.")],
) -> None:
    """Average what the paths of a run did into directions that a walk follows from other seeds.

    eigenwalk distil runs/hair -o hair.safetensors
    eigenwalk walk faces --vary "faces.part(hair)" --seed 100-107 --paths 2 --solver 'distilled("hair.safetensors")'
    """
    from eigenwalk.path import Path as Walked
    from eigenwalk_baselines.distilled import distil as write

    files = sorted((run / "paths").glob("*.json"))
    if not files:
        raise FileError(f"{run} holds no finished run: expected saved paths in {run / 'paths'}")
    if out.suffix != ".safetensors":
        raise OutputError(f"--out must end in .safetensors, got {out}")
    paths = [Walked.load(file, hold_images=False) for file in files]
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        found = write(paths, out)
    except OSError as error:
        raise OutputError(f"cannot write {out}: {reason(error)}; give another file with --out") from error
    for rank, one in enumerate(found, 1):
        turned = f", seeds {', '.join(map(str, one.turned))} turned round" if one.turned else ""
        typer.echo(
            f"direction {rank}: {len(one.seeds)} seeds, mean cosine {one.agreement:.2f} with it{turned}", err=True
        )
    typer.echo(str(out))
