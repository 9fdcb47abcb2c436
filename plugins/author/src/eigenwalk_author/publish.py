"""``eigenwalk publish``: a package checked, built, tried as a stranger would, and proposed. Uploads nothing."""

from __future__ import annotations

import importlib.util
import shlex
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from eigenwalk.cli.errors import console, warn
from eigenwalk.errors import ContractError, EigenwalkError, FileError, InputError

if TYPE_CHECKING:
    from eigenwalk_author.trial import Told
    from eigenwalk_author.wheel import Wheel

CASES = Path("tests/cases.py")
ENTRY = "registry-entry.toml"
CALL = "from eigenwalk.cli import main; main()"
TOOLS = ("build", "twine")


def publish(
    folder: Annotated[Path, typer.Argument(help="The folder of the package: where its pyproject.toml is.")] = Path(),
    borrow: Annotated[
        bool, typer.Option("--borrow", help="Build and try with what is installed here: nothing is downloaded.")
    ] = False,
    find_links: Annotated[
        Path | None, typer.Option(help="A folder of wheels to install from, besides the index of packages.")
    ] = None,
) -> None:
    """Check a package, build it, try its wheel in an empty environment, and write what to propose for the index.

    Says every command that it runs, and at the end the one that uploads, which it does not run. Where a step fails,
    what was made before is kept.
    """
    out = console()
    _check_here(folder)
    cases = folder / CASES if (folder / CASES).is_file() else None
    with _step(out, 1, "the conformance kit, here", "correct what it found"):
        _kit(out, folder, cases)
    with _step(out, 2, "sdist and wheel", "correct pyproject.toml"):
        built = _built(out, folder, borrow)
    with _step(out, 3, "what the wheel says of itself", "correct pyproject.toml"):
        wheel = _read(out, built)
    with _step(out, 4, "the wheel in an empty environment", "correct what it found"):
        told = _tried(out, wheel, cases, borrow, find_links)
    with _step(out, 5, f"rows for the index: {ENTRY}", "correct what it found"):
        complete = _propose(out, folder, wheel, told)
    out.print(Text("ready. To upload, which eigenwalk leaves to you:", style="bold"))
    out.print(Text(f"  {shlex.join(['python', '-m', 'twine', 'upload', *map(str, built)])}"))
    then = "" if complete else ", once it is complete"
    out.print(Text(f"then propose {folder / ENTRY} for registry.toml of eigenwalk, or your own index{then}."))


def _check_here(folder: Path) -> None:
    """Nothing, where there is a project and what builds it.

    Raises:
        FileError: there is no pyproject.toml.
        InputError: a program is missing.
    """
    if not (folder / "pyproject.toml").is_file():
        raise FileError(
            f"there is no pyproject.toml in {folder}: name the folder of a package, such as `eigenwalk new` makes"
        )
    missing = [name for name in TOOLS if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(f"eigenwalk publish needs {' and '.join(missing)}: pip install 'eigenwalk[author]'")


@contextmanager
def _step(out: Console, number: int, what: str, remedy: str) -> Iterator[None]:
    """One step under its heading; an error also says how to go on."""
    out.print(Text(f"{number}. {what}", style="bold"))
    try:
        yield
    except EigenwalkError as error:
        text = f"step {number}, {what}: {error}\n{remedy}, then run the same command again; what was made is kept"
        raise type(error)(text) from error


def _say(out: Console) -> Any:
    return lambda line: out.print(Text(f"   {line}", style="dim"))


def _kit(out: Console, folder: Path, cases: Path | None) -> None:
    """The kit on the package as it is installed here, where it is; the wheel is asked again later.

    Raises:
        StepError: a check fails.
    """
    from eigenwalk_author.trial import run

    try:
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8")).get("project", {})
    except ValueError as error:
        raise FileError(f"{folder / 'pyproject.toml'} is not TOML: {error}") from error
    name = project.get("name", "")
    if cases is None:
        out.print(f"   there is no {CASES}: names that need no option are checked in step 4")
        return
    try:
        metadata.distribution(name)
    except (metadata.PackageNotFoundError, ValueError):
        out.print(f"   {name or 'it'} is not installed here, so its wheel alone is checked, in step 4")
        return
    run([sys.executable, "-c", CALL, "check", "--cases", cases], _say(out))


def _built(out: Console, folder: Path, borrow: bool) -> list[Path]:
    """The wheel and the sdist in ``dist``, checked by twine; older ones stay beside them.

    Raises:
        StepError: the build or twine fails.
    """
    from eigenwalk_author.trial import run

    dist = folder / "dist"
    dist.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="eigenwalk-build-") as fresh:
        isolation = ["--no-isolation"] if borrow else []
        run([sys.executable, "-m", "build", *isolation, "--outdir", fresh, folder], _say(out))
        built = [dist / file.name for file in sorted(Path(fresh).iterdir())]
        for file in built:
            shutil.move(Path(fresh) / file.name, file)
    run([sys.executable, "-m", "twine", "check", "--strict", *built], _say(out))
    for file in built:
        out.print(f"   {file}, {file.stat().st_size:,} bytes")
    return built


def _read(out: Console, built: list[Path]) -> Wheel:
    """The wheel, read.

    Raises:
        ContractError: it is no plugin of eigenwalk's.
    """
    from eigenwalk_author.wheel import faults, read, wants

    wheel = read(next(file for file in built if file.suffix == ".whl"))
    if found := list(faults(wheel)):
        raise ContractError("; ".join(found))
    points = ", ".join(f"{name} = {module}" for name, module in wheel.plugins)
    out.print(Text(f"   {wheel.distribution} {wheel.version}, {wheel.licence or 'no licence'}, plugin {points}"))
    for want in wants(wheel):
        warn(want)
    return wheel


def _tried(out: Console, wheel: Wheel, cases: Path | None, borrow: bool, find_links: Path | None) -> Told:
    """What the wheel offers where nothing else is; the environment is removed unless that fails.

    Raises:
        StepError: it cannot be installed, or asked.
        ContractError: it fails there, offers nothing, or breaks the contract.
    """
    from eigenwalk_author.trial import ask, environment

    place = Path(tempfile.mkdtemp(prefix="eigenwalk-trial-"))
    try:
        python = environment(place, wheel, _say(out), borrow, find_links)
        told = ask(python, wheel, cases, place, _say(out))
        _judge(out, told)
    except EigenwalkError as error:
        raise type(error)(f"{error}\nthe environment is kept in {place}") from error
    shutil.rmtree(place, ignore_errors=True)
    return told


def _judge(out: Console, told: Told) -> None:
    """Says what was offered and found.

    Raises:
        ContractError: the plugin fails, offers nothing, or breaks the contract.
    """
    if told.failures:
        raise ContractError("; ".join(told.failures))
    if not told.inside:
        raise ContractError("another installation of it was found before the wheel")
    if not told.offers:
        raise ContractError("it offers no name: implement eigenwalk_features, eigenwalk_generators or _directions")
    out.print(f"   with eigenwalk {told.core} it offers {', '.join(offer['name'] for offer in told.offers)}")
    bad = []
    for report in told.reports:
        count = {word: sum(one["outcome"] == word for one in report["findings"]) for word in ("passed", "failed")}
        out.print(Text(f"   {report['name']}: {count['passed']} checks passed, {count['failed']} failed"))
        bad += [
            f"{report['name']}: {one['check']}: {one['measured']}\n  → {one['remedy']}"
            for one in report["findings"]
            if one["outcome"] == "failed"
        ]
    for name in told.unchecked:
        warn(f"{name} needs an option, and no case in {CASES} has it: it was not checked")
    if bad:
        raise ContractError("it does not keep the contract:\n" + "\n".join(bad))


def _propose(out: Console, folder: Path, wheel: Wheel, told: Told) -> bool:
    """Writes the rows for the index; whether the index would take them."""
    from eigenwalk_author.entry import entry, lacks

    file = folder / ENTRY
    try:
        file.write_text(entry(wheel, told, date.today()), encoding="utf-8")
    except OSError as error:
        raise FileError(f"{file} cannot be written: {error.strerror}") from error
    found = lacks(file)
    for line in found:
        warn(f"{file}, {line}")
    if not found:
        out.print(f"   {file} is complete")
    return not found
