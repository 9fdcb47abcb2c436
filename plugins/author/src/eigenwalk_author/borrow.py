"""Let another environment use what is installed here: the distributions that some requirements reach, no others.

They are linked: nothing is downloaded or copied. What was never declared is missing, as on a stranger's machine.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from eigenwalk.errors import FileError, InputError, reason
from eigenwalk.names.index import normal_name


def closure(requirements: Iterable[Requirement]) -> dict[str, metadata.Distribution]:
    """Return the installed distributions that `requirements` reach, by normal name.

    Raises:
        InputError: one is not installed here, or in a version that is not allowed.
    """
    found: dict[str, metadata.Distribution] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    queue = list(requirements)
    while queue:
        wanted = queue.pop()
        name, extras = normal_name(wanted.name), frozenset(wanted.extras)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            distribution = metadata.distribution(wanted.name)
        except metadata.PackageNotFoundError:
            raise InputError(
                f"{wanted} is required and not installed here, so it cannot be borrowed: pip install '{wanted}', or "
                "leave out --borrow"
            ) from None
        if not wanted.specifier.contains(distribution.version, prereleases=True):
            raise InputError(f"{wanted} is required, and {distribution.version} is installed here: leave out --borrow")
        found[name] = distribution
        for line in distribution.requires or ():
            inner = Requirement(line)
            if inner.marker is None or any(inner.marker.evaluate({"extra": extra}) for extra in (*extras, "")):
                queue.append(inner)
    return found


def link(distributions: Iterable[metadata.Distribution], folder: Path) -> list[str]:
    """Link `distributions` into `folder`, and return the lines of a ``.pth`` file that let an environment see them.

    Raises:
        FileError: this system makes no links.
        InputError: a distribution has no record of its files.
    """
    folder.mkdir(parents=True)
    lines = [str(folder)]
    for distribution in distributions:
        if distribution.files is None:
            raise InputError(
                f"{distribution.name} has no record of its files, so it cannot be borrowed: leave out --borrow"
            )
        for file in distribution.files:
            top = file.parts[0]
            source, link = Path(str(distribution.locate_file(top))), folder / top
            if top in ("..", "__pycache__", "bin") or link.is_symlink() or not source.exists():
                continue
            if source.suffix == ".pth":  # of an editable install: its lines say where the code is
                lines += [line for line in source.read_text(encoding="utf-8").splitlines() if line.strip()]
                continue
            try:
                link.symlink_to(source)
            except OSError as error:
                raise FileError(f"no link can be made in {folder} ({reason(error)}): leave out --borrow") from error
    return list(dict.fromkeys(lines))
