"""``eigenwalk publish``: check a package, build it, try it as a stranger would, and propose it. Uploads nothing."""

from __future__ import annotations

import shlex
import shutil
import sys
import tempfile
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
from eigenwalk.errors import ContractError, EigenwalkError, FileError, reason
from eigenwalk.store import write_whole
from eigenwalk.textfile import read_toml

if TYPE_CHECKING:
    from eigenwalk_author.trial import Answer
    from eigenwalk_author.wheel import Wheel

CASES = Path("tests/cases.py")
ENTRY = "registry-entry.toml"
CALL = "from eigenwalk.cli import main; main()"


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

    Shows every command that it runs, and at the end the one that uploads, which it does not run. What a step has
    made stays if a later one fails.
    """
    out = console()
    if not (folder / "pyproject.toml").is_file():
        raise FileError(
            f"there is no pyproject.toml in {folder}: name the folder of a package, such as `eigenwalk new` makes"
        )
    cases = folder / CASES if (folder / CASES).is_file() else None
    with _step(out, 1, "the conformance kit, here", "correct what it found"):
        _run_kit(out, folder, cases)
    with _step(out, 2, "sdist and wheel", "correct pyproject.toml"):
        built = _build(out, folder, borrow)
    with _step(out, 3, "what the wheel says of itself", "correct pyproject.toml"):
        wheel = _read_wheel(out, built)
    with _step(out, 4, "the wheel in an empty environment", "correct what it found"):
        answer = _try_wheel(out, wheel, cases, borrow, find_links)
    with _step(out, 5, f"rows for the index: {ENTRY}", "correct what it found"):
        complete = _propose(out, folder, wheel, answer)
    out.print(Text("ready. To upload, which eigenwalk leaves to you:", style="bold"))
    out.print(Text(f"  {shlex.join(['python', '-m', 'twine', 'upload', *map(str, built)])}"))
    then = "" if complete else ", once it is complete"
    out.print(Text(f"then propose {folder / ENTRY} for registry.toml of eigenwalk, or your own index{then}."))


@contextmanager
def _step(out: Console, number: int, what: str, remedy: str) -> Iterator[None]:
    """Print the heading of a step; its error also says how to go on."""
    out.print(Text(f"{number}. {what}", style="bold"))
    try:
        yield
    except EigenwalkError as error:
        text = f"step {number}, {what}: {error}\n{remedy}, then run the same command again; what was made is kept"
        raise type(error)(text) from error


def _say(out: Console) -> Any:
    """Return what prints a line of a step."""
    return lambda line: out.print(Text(f"   {line}", style="dim"))


def _run_kit(out: Console, folder: Path, cases: Path | None) -> None:
    """Run the kit on the package, if it is installed here; step 4 runs it on the wheel.

    Raises:
        StepError: a check fails.
    """
    from eigenwalk_author.environment import run

    name = read_toml(folder / "pyproject.toml", "project").get("project", {}).get("name", "")
    if cases is None:
        out.print(f"   there is no {CASES}: names that need no option are checked in step 4")
        return
    try:
        metadata.distribution(name)
    except (metadata.PackageNotFoundError, ValueError):
        out.print(f"   {name or 'it'} is not installed here, so its wheel alone is checked, in step 4")
        return
    run([sys.executable, "-c", CALL, "check", "--cases", cases], _say(out))


def _build(out: Console, folder: Path, borrow: bool) -> list[Path]:
    """Build wheel and sdist into ``dist``, check them with twine, and return them; older ones stay.

    Raises:
        StepError: the build or twine fails.
    """
    from eigenwalk_author.environment import run

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


def _read_wheel(out: Console, built: list[Path]) -> Wheel:
    """Read the wheel among `built`.

    Raises:
        ContractError: it is not a plugin of eigenwalk.
    """
    from eigenwalk_author.wheel import faults, gaps, read

    wheel = read(next(file for file in built if file.suffix == ".whl"))
    if found := list(faults(wheel)):
        raise ContractError("; ".join(found))
    points = ", ".join(f"{name} = {module}" for name, module in wheel.plugins)
    out.print(Text(f"   {wheel.distribution} {wheel.version}, {wheel.licence or 'no licence'}, plugin {points}"))
    for gap in gaps(wheel):
        warn(gap)
    return wheel


def _try_wheel(out: Console, wheel: Wheel, cases: Path | None, borrow: bool, find_links: Path | None) -> Answer:
    """Return what the wheel offers in an environment of its own, which is removed unless this fails.

    Raises:
        StepError: it cannot be installed, or asked.
        ContractError: it fails there, offers nothing, or breaks the contract.
    """
    from eigenwalk_author.trial import ask, install

    place = Path(tempfile.mkdtemp(prefix="eigenwalk-trial-"))
    try:
        answer = ask(install(place, wheel, _say(out), borrow, find_links), wheel, cases)
        _print_answer(out, answer)
    except EigenwalkError as error:
        raise type(error)(f"{error}\nthe environment is kept in {place}") from error
    shutil.rmtree(place, ignore_errors=True)
    return answer


def _print_answer(out: Console, answer: Answer) -> None:
    """Print what the wheel offers and what the kit found.

    Raises:
        ContractError: the plugin fails, offers nothing, or breaks the contract.
    """
    if answer.failures:
        raise ContractError("; ".join(answer.failures))
    if not answer.inside:
        raise ContractError("another installation of it was found before the wheel")
    if not answer.offers:
        raise ContractError("it offers no name: implement eigenwalk_features, eigenwalk_generators or _directions")
    out.print(f"   with eigenwalk {answer.core} it offers {', '.join(offer['name'] for offer in answer.offers)}")
    bad = []
    for report in answer.reports:
        count = {word: sum(one["outcome"] == word for one in report["findings"]) for word in ("passed", "failed")}
        out.print(Text(f"   {report['name']}: {count['passed']} checks passed, {count['failed']} failed"))
        bad += [
            f"{report['name']}: {one['check']}: {one['measured']}\n  → {one['remedy']}"
            for one in report["findings"]
            if one["outcome"] == "failed"
        ]
    for name in answer.unchecked:
        warn(f"{name} needs an option, and no case in {CASES} has it: it was not checked")
    if bad:
        raise ContractError("it does not keep the contract:\n" + "\n".join(bad))


def _propose(out: Console, folder: Path, wheel: Wheel, answer: Answer) -> bool:
    """Write the rows for the index, and return whether the index would take them."""
    from eigenwalk_author.entry import entry, index_faults

    file = folder / ENTRY
    try:
        write_whole(file, entry(wheel, answer, date.today()))
    except OSError as error:
        raise FileError(f"{file} cannot be written: {reason(error)}") from error
    faults = index_faults(file)
    for fault in faults:
        warn(f"{file}, {fault}")
    if not faults:
        out.print(f"   {file} is complete")
    return not faults
