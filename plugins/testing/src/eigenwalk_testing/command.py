"""``eigenwalk check``: the conformance kit from a shell."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from eigenwalk.cli.errors import console
from eigenwalk.errors import FileError, InputError

if TYPE_CHECKING:
    from torch import Tensor

    from eigenwalk.names.registry import Registry
    from eigenwalk_testing.case import Case
    from eigenwalk_testing.report import Report

FAILED = 1
STYLES = {"passed": "green", "failed": "bold red", "expected": "yellow", "skipped": "dim"}
PICTURES = 3
"""Images that a feature is checked on: one against two others."""
SEED = 0
"""Of the generator's samples, and of what bytes have lost."""


def check(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help='Features, generators or directions: "mask(box=(0, 0, 1, 0.5))", ./my_feature.py:fn, rooms.'
        ),
    ] = None,
    cases: Annotated[
        Path | None, typer.Option(help="Check the CASES of this Python file: tests/cases.py of a package.")
    ] = None,
    generator: Annotated[
        str | None,
        typer.Option(help="Check features on samples of this generator, directions in it, instead of the kit's own."),
    ] = None,
    images: Annotated[
        list[Path] | None, typer.Option(help="Check features on these: image files, or a folder of them; repeatable.")
    ] = None,
    golden: Annotated[Path | None, typer.Option(help="Values that must come out again.")] = None,
    save_golden: Annotated[Path | None, typer.Option(help="Write the values that come out to this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Check whether features, generators and directions keep the contract, and say what to do where they do not.

    Without a name, what every installed plugin declares is checked. Exits with 1 where a check fails.
    """
    from eigenwalk.names.registry import Registry
    from eigenwalk_testing import kit
    from eigenwalk_testing.case import Case

    if cases and (names or generator or images or golden or save_golden):
        raise InputError("--cases says by itself what is checked, and on what: give nothing else with it")
    if (golden or save_golden) and len(names or ()) != 1:
        raise InputError("a golden file holds the values of one feature or generator: name one")
    registry = Registry.discover()
    reports: Iterable[Report]
    if cases:
        reports = (kit.check(case, registry) for case in _cases(cases))
    elif names:
        given = _images(generator, images or [], registry)
        asked = [Case(name, golden=golden or save_golden, images=given, generator=generator) for name in names]
        if save_golden:
            kit.save_golden(asked[0], save_golden, registry)
            typer.echo(f"values written to {save_golden}", err=True)
        reports = (kit.check(case, registry) for case in asked)
    else:
        reports = kit.check_declarations(registry)
    if not _print_all(reports, as_json, whole=bool(names or cases)):
        raise typer.Exit(FAILED)


def _cases(file: Path) -> list[Case]:
    """Return CASES of the Python file.

    Raises:
        FileError, PluginError, UnknownName: there is none, it fails, or it has no CASES.
        InputError: CASES is no list of cases.
    """
    from eigenwalk.names.files import OwnFile
    from eigenwalk_testing.case import Case

    if not file.is_file():
        raise FileError(f"there is no file {file}: --cases names a Python file with CASES = [Case(…), …]")
    found = OwnFile(file, "CASES").load()
    if not isinstance(found, (list, tuple)) or not found or not all(isinstance(case, Case) for case in found):
        raise InputError(f"CASES of {file} must be a list of eigenwalk.testing.Case, one at least")
    return list(found)


def _print_all(reports: Iterable[Report], as_json: bool, whole: bool) -> bool:
    """Print every report as it is made, `whole` or its failures alone, or all as JSON; return whether all are well."""
    out, done = console(), []
    for report in reports:
        if not as_json:
            if whole and done:
                out.print()
            _print(out, report, whole)
        done.append(report)
    if as_json:
        typer.echo(json.dumps([report.as_dict() for report in done], indent=2, ensure_ascii=False))
    elif len(done) > 1:
        bad = [report.name for report in done if not report.ok]
        said = f"{len(bad)} of {len(done)} do not keep the contract: {', '.join(bad)}" if bad else "all is well"
        out.print(Text(f"{len(done)} checked, {said}", style="bold"))
    return all(report.ok for report in done)


def _print(out: Console, report: Report, whole: bool) -> None:
    out.print(Text(report.summary(), style="bold"))
    for finding in report.readable() if whole else report.failures:
        head, *rest = report.lines(finding)
        line = Text(head)
        line.stylize(STYLES[finding.outcome], 0, 2 + len(head[2:].split()[0]))
        out.print(line)
        for more in rest:
            out.print(Text(more))


def _images(generator: str | None, files: list[Path], registry: Registry) -> Callable[[], Tensor] | None:
    """Return what gives images ``(3, 3, height, width)``, of a generator or from files; None where neither is given."""
    if generator and files:
        raise InputError("--generator and --images both say where images come from: give one of them")
    if generator:
        import torch

        from eigenwalk.objects.compose import build_generator

        built = build_generator(generator, registry)[0]
        with torch.no_grad():
            sampled = built(built.sample(PICTURES, SEED))
        return lambda: sampled
    if not files:
        return None
    found = _read(files)
    return lambda: found


def _read(files: list[Path]) -> Tensor:
    """Return the first images among `files` and in the folders among them, ``(n, 3, height, width)`` in [0, 1].

    Each pixel is moved within the half grey level that its byte was rounded by: bytes are equal where a generator's
    pixels are not, and where they are, a max pool has no derivative.

    Raises:
        FileError: there is none, or one cannot be read.
        InputError: they are of several sizes.
    """
    import numpy as np
    import torch

    from eigenwalk.images import find_pictures, read

    named = [one for file in files for one in (find_pictures(file) if file.is_dir() else [file])][:PICTURES]
    if not named:
        raise FileError(f"there is no image in {', '.join(map(str, files))}")
    pictures = [read(file) for file in named]
    sizes = {f"{picture.shape[2]} x {picture.shape[1]}" for picture in pictures}
    if len(sizes) > 1:
        raise InputError(f"images must be of one size, got {' and '.join(sorted(sizes))}: resize them, or name others")
    found = torch.stack(pictures)
    rounding = np.random.default_rng(SEED).uniform(-0.5, 0.5, found.permute(0, 2, 3, 1).shape) / 255
    return found + torch.from_numpy(rounding.astype(np.float32)).permute(0, 3, 1, 2)
