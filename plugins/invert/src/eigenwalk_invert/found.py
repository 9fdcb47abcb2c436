"""The folder of an inversion: a generator, and latents in it to start from.

found.json              what was inverted and how, distances, and the sums of the files; sealed
latents.safetensors     the latents ``(photos, latent)``, or ``(photos, layers, w)``
tuned.safetensors       the tensors that tuning changed, whole, and no others
me.png, me-photo.png    reconstruction, and the photograph as it was matched
strip.png, report.html  both side by side, with distances
state.safetensors       where a search that was stopped goes on

It names the generator by its expression and the sums of its files, and opens nothing else: a folder from elsewhere runs
no code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from eigenwalk.checkpoint import Checkpoint
from eigenwalk.errors import FileError, InputError, OutputError, reason
from eigenwalk.generator import Generator
from eigenwalk.names.expression import parse_generator
from eigenwalk.names.registry import Registry
from eigenwalk.names.resolve import resolve_generator
from eigenwalk.objects.compose import build_generator
from eigenwalk.runs.outputs.lock import NAME as LOCK
from eigenwalk.runs.outputs.lock import Lock
from eigenwalk.runs.ready import own_files
from eigenwalk.runs.starts import IN_FOLDER as LATENTS
from eigenwalk.sealed import json_text, open_sealed, read_checked, read_whole, seal, sum_of
from eigenwalk.store import write_output
from eigenwalk_invert.plugin import FOUND
from eigenwalk_invert.tune import apply

TUNED, STATE = "tuned.safetensors", "state.safetensors"


@dataclass(frozen=True)
class Saved:
    """Where a search, or tuning, stood, and for how many seconds it had gone on."""

    kind: str
    tensors: dict[str, Tensor]
    facts: str
    seconds: float
    tune: str


class Folder:
    """The folder `path`, which only this process writes in until `release`.

    Raises:
        OutputError: it holds something else, another inversion, or another process writes in it.
    """

    def __init__(self, path: Path, key: str, overwrite: bool = False):
        self.path, self.key = path, key
        try:
            path.mkdir(parents=True, exist_ok=True)
            others = check_folder(path)
            self._lock = Lock(path)
        except OSError as error:
            raise OutputError(f"cannot write in {path}: {reason(error)}; give another folder with --out") from error
        try:
            self.document = open_sealed(path / FOUND) if FOUND in others else None
            if self.document is not None and self.document.get("key") != key and not overwrite:
                raise OutputError(
                    f"{path} holds another inversion, of {_inverted(self.document)}: give another folder with --out, "
                    "or --overwrite"
                )
            if overwrite:
                for name in (
                    *_pictures(others, self.document),
                    STATE,
                    TUNED,
                    LATENTS,
                    "strip.png",
                    "report.html",
                    FOUND,
                ):
                    (path / name).unlink(missing_ok=True)
                self.document = None
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Let others write."""
        self._lock.release()

    def write(self, entries: Mapping[str, Any]) -> None:
        """Write what is known of the inversion, sealed."""
        self.document = seal({"key": self.key, **entries})
        self.write_file(FOUND, json_text(self.document))

    def save_state(self, kind: str, tensors: Mapping[str, Tensor], facts: str, seconds: float, tune: str = "") -> None:
        """Save where a search (`kind` is "search") or tuning ("tune", with its options as text) stands, whole."""
        metadata = {"key": self.key, "kind": kind, "facts": facts, "seconds": repr(seconds), "tune": tune}
        self.write_file(STATE, save(dict(tensors), metadata))

    def load_state(self) -> Saved | None:
        """Return what `save_state` saved; None where there is nothing, or it is damaged or of another inversion."""
        if not (self.path / STATE).is_file():
            return None
        try:
            told = Checkpoint(self.path / STATE).metadata
            if told.get("key") != self.key:
                return None
            tensors = load(read_whole(self.path / STATE))
            return Saved(told["kind"], tensors, told["facts"], float(told["seconds"]), told["tune"])
        except (FileError, SafetensorError, KeyError, ValueError):
            return None

    def save_tensors(self, name: str, tensors: Mapping[str, Tensor]) -> str:
        """Write tensors to a file, and return its SHA-256."""
        data = save({key: one.detach().cpu().contiguous() for key, one in tensors.items()})
        self.write_file(name, data)
        return sum_of(data)

    def write_file(self, name: str, data: bytes | str) -> None:
        """Write a file, whole or not at all; raises OutputError."""
        write_output(self.path / name, data)

    def remove_state(self) -> None:
        """Forget where the search stood."""
        (self.path / STATE).unlink(missing_ok=True)


def check_folder(path: Path) -> set[str]:
    """Return the names of the files in `path`, none where there is no such folder.

    Raises:
        OutputError: they are not of an inversion, or `path` is no folder.
    """
    if not path.exists():
        return set()
    if not path.is_dir():
        raise OutputError(f"{path} is no folder: give another with --out")
    names = {entry.name for entry in path.iterdir() if not entry.name.endswith(".part")} - {LOCK}
    if names and FOUND not in names:
        raise OutputError(f"{path} holds other files, not an inversion: give another folder with --out")
    return names


def _pictures(names: set[str], document: Mapping[str, Any] | None) -> list[str]:
    """Return those of the files that are pictures of the photographs in `document`."""
    begins = tuple(f"{one['name']}-" for one in document.get("photos", [])) if document else ()
    return [name for name in names if name.startswith(begins) and name.endswith(".png")] if begins else []


def _inverted(document: Mapping[str, Any]) -> str:
    photos = ", ".join(str(one.get("label")) for one in document.get("photos", []))
    return f"{photos} in {document.get('generator')}"[:300]


def opened(path: Any, trust: bool = False) -> Generator:
    """Return the generator of an inversion's folder, with the numbers that tuning gave it.

    Raises:
        FileError: the folder is damaged, or the generator is not the one in which the latents were found.
        InputError: the generator is in a Python file, and nobody says that it may run. Commands ask for the user's
            consent all the same where `trust` is read from a file (`GeneratorSpec.opens`).
    """
    folder = Path(path)
    document = open_sealed(folder / FOUND)
    text = document.get("generator")
    if not isinstance(text, str) or not text:
        raise FileError(f"{folder} was inverted in a generator that Python code gave: it opens as a start alone")
    registry = Registry.discover()
    node = resolve_generator(parse_generator(text), registry)
    if own_files(node) and not trust:
        raise InputError(
            f'{folder} is found in {text}, whose code would run: read it, then write open("{folder}", trust=true)'
            + ("" if document.get("tuned") else f", or walk from it: {text} --start {folder}")
        )
    try:
        generator, used = build_generator(node, registry)
    except FileError as error:
        raise FileError(f"{folder} was found in {text}, which does not open: {error}") from error
    expected = dict(document.get("sums", {}))
    have = {file: digest for one in used for file, digest in (*one.weights, *one.files)}
    differing = next((file for file, digest in have.items() if expected.get(file, digest) != digest), None)
    if differing:
        raise FileError(f"{folder} was found in another {differing}: bring that file back, or invert anew")
    read_tensors(folder, LATENTS, document.get("latents"))
    if document.get("tuned"):
        changed = read_tensors(folder, TUNED, document["tuned"])
        try:
            apply(generator, changed)
        except (KeyError, ValueError) as error:
            raise FileError(f"{folder / TUNED} does not fit {text}: {error}") from None
    names = [name for name in (FOUND, LATENTS, TUNED) if (folder / name).is_file()]
    generator.files = tuple(folder / name for name in names)
    generator.facts = {"found in": text, **generator.facts}
    return generator


def read_tensors(folder: Path, name: str, expected: Any) -> dict[str, Tensor]:
    """Return the tensors in a file of `folder`, whose SHA-256 must be `expected`; raises FileError."""
    data = read_checked(folder / name, expected)
    try:
        return load(data)
    except SafetensorError as error:
        raise FileError(f"{folder / name} is damaged: {error}") from None


def read_latents(folder: Path) -> Tensor:
    """Return the latents in an inversion's folder, flat ``(photos, latent)``, checked."""
    document = open_sealed(folder / FOUND)
    return next(iter(read_tensors(folder, LATENTS, document.get("latents")).values())).flatten(1)
