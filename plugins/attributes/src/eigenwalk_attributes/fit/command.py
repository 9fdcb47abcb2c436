"""``eigenwalk attributes fit``: from arguments to a fitted network, its plot, and a summary."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eigenwalk.errors import InputError, OutputError

if TYPE_CHECKING:
    from eigenwalk_attributes.fit.examples import Examples
    from eigenwalk_attributes.fit.fitting import Fitted, Progress

app = typer.Typer(
    add_completion=False, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_show_locals=False
)


@app.callback()
def attributes() -> None:
    """Networks for labels of your own."""


@app.command()
def fit(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is called from now on: attributes(NAME).")],
    positive: Annotated[Path | None, typer.Option(help="Folder of images that have it.")] = None,
    negative: Annotated[Path | None, typer.Option(help="Folder of images that do not.")] = None,
    csv: Annotated[
        Path | None, typer.Option(help="In place of folders: a file with the columns image,value or image,label,….")
    ] = None,
    backbone: Annotated[
        str, typer.Option(help="A network of timm whose frozen features are used, or scratch: a small one is trained.")
    ] = "scratch",
    weights: Annotated[
        Path | None, typer.Option(help="The backbone's weights [default: the published ones, fetched before]")
    ] = None,
    size: Annotated[
        int | None, typer.Option(help="Pixels of the side that it sees [default: the backbone's; scratch: 64 to 128]")
    ] = None,
    mirror: Annotated[
        bool, typer.Option("--mirror", help="From scratch: a mirrored image has the same label, so learn from it too.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 0,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of network and plot [default: where attributes() looks]")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what was fitted under this name.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Fit a network that says how strongly an image has a label, in minutes on a CPU.

    eigenwalk attributes fit smile --positive smiling/ --negative serious/

    eigenwalk walk GENERATOR --vary "attributes(smile)"
    """
    from eigenwalk_attributes.attributes import folder

    if not name.isidentifier():
        raise InputError(f"NAME must be a word of letters, digits and _, which an expression can name, got {name!r}")
    file = (out or folder()) / f"{name}.safetensors"
    if file.exists() and not force:
        raise OutputError(f"{file} is there already: choose another name, or replace it with --force")
    if weights is not None and backbone == "scratch":
        raise InputError("--weights are a backbone's: name it, such as --backbone resnet18")
    if mirror and backbone != "scratch":
        raise InputError("--mirror is for training from scratch: a frozen backbone sees every image once")
    examples = _examples(name, positive, negative, csv)

    from eigenwalk_attributes.fit import fitting, plot

    with _progress_bars(quiet) as progress:
        fitted = fitting.fit(examples, backbone, weights, size, seed, mirror, progress)
    fitting.save(fitted, file)
    picture = file.with_suffix(".png")
    plot.save(picture, fitted.labels.labels, fitted.outputs, fitted.truth, fitted.scores)
    typer.echo("\n".join([*_summary(fitted), f"saved  {file}", f"plot   {picture}", _usage(fitted, out, file)]))


def _examples(name: str, positive: Path | None, negative: Path | None, csv: Path | None) -> Examples:
    from eigenwalk_attributes.fit.examples import from_csv, from_folders

    if csv is not None and positive is None and negative is None:
        return from_csv(name, csv)
    if csv is not None or positive is None or negative is None:
        raise InputError("give both --positive FOLDER and --negative FOLDER, or --csv FILE in their place")
    return from_folders(name, positive, negative)


def _summary(fitted: Fitted) -> list[str]:
    """Lines on what was fitted, to which images, and how well."""
    labels, report = fitted.labels, fitted.labels.report
    parameters = sum(one.numel() for one in fitted.model.parameters()) / 1e6
    how = "trained from scratch" if report["backbone"] == "scratch" else "frozen, with a linear head"
    side = labels.preprocessing["input_size"][1]
    lines = [
        f"{report['images']:,} images" + (f"; left out: {fitted.skipped}" if str(fitted.skipped) else ""),
        f"{labels.architecture}, {parameters:.1f} million parameters, {how}, sees {side} x {side} pixels",
        f"judged on {report['held_out']} of the images, which it was not fitted to; {fitted.seconds:.0f} s",
    ]
    for column, (label, unit, score) in enumerate(zip(labels.labels, labels.units, fitted.scores, strict=True)):
        values = fitted.examples.values[:, column]
        share = float(values.mean())
        spread = f"{int(values.sum()):,} have it ({share:.0%})" if unit == "logit" else ""
        lines.append(f"{label}: {spread or f'from {float(values.min()):g} to {float(values.max()):g} ({unit})'}")
        lines += [f"  {line}" for line in score.lines(unit)]
        lines.append(f"  standard deviation over the images: {labels.scale[column]:.4g} ({unit})")
    return lines


def _usage(fitted: Fitted, out: Path | None, file: Path) -> str:
    label = fitted.labels.labels[0]
    expression = f"attributes({label})" if out is None else f"attributes({label}, model='{file}')"
    return f'use it  eigenwalk walk GENERATOR --vary "{expression}"'


@contextmanager
def _progress_bars(quiet: bool) -> Iterator[Progress]:
    """Show what is being done on standard error, if that is a terminal and not `quiet`."""
    from rich import progress
    from rich.console import Console

    bars = progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.TextColumn("{task.percentage:>3.0f} %"),
        progress.TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=quiet or not sys.stderr.isatty(),
    )
    tasks: dict[str, progress.TaskID] = {}

    def update(what: str, share: float) -> None:
        if what not in tasks:
            tasks[what] = bars.add_task(what, total=1.0)
        bars.update(tasks[what], completed=share)

    with bars:
        yield update
