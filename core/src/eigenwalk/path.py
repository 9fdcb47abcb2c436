"""A walked path: data only, which saves and loads itself.

A path is a line of waypoints that begins at a sampled latent (waypoint 0, the start) and says at each of
them where it was, what every feature did, and what finding it cost.

On disk a path is two files: ``NAME.safetensors`` (latents, directions, images) and ``NAME.json`` (the
rest, readable, with the SHA-256 of both). Both are written whole or not at all.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib import import_module
from pathlib import Path as FilePath
from typing import Any, Literal, SupportsIndex, overload

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from eigenwalk.errors import FileError
from eigenwalk.sealed import json_text, open_sealed, read_tensors, seal, sum_of
from eigenwalk.store import write_whole

PUSHFORWARD_PASSES = 1.4
"""A pushforward of one tangent, in generator passes: 1.0 to 2.0 by generator on a CPU (benchmarks/passes.py)."""
PULLBACK_PASSES = 1.2
"""A pullback of one cotangent, in generator passes: 1.0 to 1.3 by generator on a CPU (benchmarks/passes.py)."""


@dataclass(frozen=True)
class Cost:
    """What was spent, counted per latent: generator forwards, pushforwards (jvp) and pullbacks (vjp)."""

    forwards: int = 0
    pushforwards: int = 0
    pullbacks: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.forwards + other.forwards,
            self.pushforwards + other.pushforwards,
            self.pullbacks + other.pullbacks,
        )

    @property
    def passes(self) -> float:
        """The cost in generator-pass equivalents."""
        return self.forwards + PUSHFORWARD_PASSES * self.pushforwards + PULLBACK_PASSES * self.pullbacks


@dataclass(frozen=True)
class Role:
    """One named feature of a path and the part that it plays.

    Attributes:
        name: canonical expression, without tolerance or weight.
        part: ``fixed`` or ``varied``; ``judged`` if it was only measured, on the pictures, after the walk.
        unit: what its distances are measured in.
        typical: its typical distance between two random samples of the generator, in `unit`.
        tolerance: how far a fixed feature may move from the start, in `unit`; None for a varied one.
        weight: of a varied feature.
    """

    name: str
    part: Literal["fixed", "varied", "judged"]
    unit: str
    typical: float
    tolerance: float | None = None
    weight: float = 1.0


@dataclass(frozen=True)
class Waypoint:
    """One accepted point of a path.

    Attributes:
        index: 0 at the start.
        latent: ``(latent,)``.
        image: uint8 RGB, ``(height, width, 3)``, as shown to people.
        changes: distance from the start of every feature, by name, in the feature's unit, measured on the
            real image (the float one); of a judge, on the picture, and signed if it is a single number.
        direction: the unit vector that led here, ``(latent,)``; zeros at the start.
        step_size: how far it was followed, in the latent's own length.
        quotient: the Rayleigh quotient of that direction; nan at the start.
        cost: what finding this waypoint took.
    """

    index: int
    latent: NDArray[np.floating]
    image: NDArray[np.uint8]
    changes: dict[str, float]
    direction: NDArray[np.floating]
    step_size: float
    quotient: float
    cost: Cost


@dataclass(frozen=True)
class StoredImage:
    """The picture in row `row` of a saved file's images, read each time it is called for."""

    file: FilePath
    row: int

    def __call__(self) -> NDArray[np.uint8]:
        """Return the image ``(height, width, 3)``; raises FileError if the file is gone or damaged."""
        try:
            with safe_open(self.file, "numpy") as tensors:
                return tensors.get_slice("images")[self.row : self.row + 1][0]
        except (OSError, SafetensorError) as error:
            raise FileError(f"cannot read a picture from {self.file}: {error}") from error


class _Image:
    """What `Waypoint.image` does: a picture may stay on disk, so that a long run does not hold all of its pictures."""

    def __get__(self, waypoint: Waypoint | None, owner: type[Waypoint]) -> Any:
        held = waypoint.__dict__["image"] if waypoint else self
        return held() if isinstance(held, StoredImage) else held

    def __set__(self, waypoint: Waypoint, held: NDArray[np.uint8] | StoredImage) -> None:
        waypoint.__dict__["image"] = held


Waypoint.image = _Image()  # type: ignore[assignment] - after the decorator, which would take it for a default


def leave_on_disk(waypoints: Sequence[Waypoint], file: FilePath) -> None:
    """Let go of the images of `waypoints`, which are the rows of those saved in `file`."""
    for row, waypoint in enumerate(waypoints):
        waypoint.__dict__["image"] = StoredImage(file, row)


@dataclass(frozen=True)
class Status:
    """Why a path ended. `reason` is a word, `detail` a sentence, `feature` the name concerned, if any.

    ``walking`` marks a path that has not ended; ``length`` is the wished end, ``steps`` says that what was to
    vary has not changed as much as asked for, ``back`` that somebody took it back; the others cut it short.
    """

    reason: Literal[
        "walking", "length", "steps", "back", "tolerance", "nothing to vary", "region", "undefined", "numerical"
    ] = "walking"
    detail: str = ""
    feature: str | None = None


@dataclass(frozen=True)
class Tell:
    """What tells, without a judge, whether the network that reads a varied number was fooled on a path.

    Attributes:
        kept: the share of the number's change that is left in blurred and shifted copies of the pictures, over the
            same share between random samples.
        pixels: how far pixels moved, over what two random samples with such a change differ more than others; NaN if
            samples do not say.
    """

    kept: float
    pixels: float = math.nan

    @property
    def is_suspect(self) -> bool:
        """Whether less than `SUSPECT` of what is natural is left of either."""
        return self.kept < SUSPECT or self.pixels < SUSPECT


SUSPECT = 0.5
"""A number whose tell is below this share of what is natural may have been fooled."""


@dataclass(frozen=True)
class Seen:
    """What was measured on the first and the last picture of a path after the walk.

    Attributes:
        moved: how far features that the walk did not optimise moved, by name, in typical distances; a number's is
            signed.
        tells: for every varied number that moved, by name.
        numbers: the features in `moved` that are a single number each, by name.
    """

    moved: dict[str, float]
    tells: dict[str, Tell]
    numbers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Path:
    """Waypoints from a start, with what was fixed and varied on the way.

    Attributes:
        generator: canonical expression of the generator.
        seed: of the start; of one that was given, its place among those.
        rank: 1 for the direction with the largest quotient at the start, 2 for the next.
        sense: +1 or -1, which way along it; where numbers vary, +1 is more of the one that changes most at the start.
        roles: the fixed and varied features.
        waypoints: index 0 is the start.
        status: how it ended.
        alike: share of its varied change in common with each other path of its start, by name: the cosine of the two,
            -1 for opposite changes.
        given: where a start that is no seed comes from: ``me.pt:3``.
        seen: what was measured on its pictures after the walk; None if nothing was.
        since: at the end of a chain of walks, how far features have moved since its very first picture, by name, in
            typical distances.
    """

    generator: str
    seed: int
    rank: int
    sense: int
    roles: tuple[Role, ...]
    waypoints: tuple[Waypoint, ...] = ()
    status: Status = Status()
    alike: Mapping[str, float] = field(default_factory=dict)
    given: str = ""
    seen: Seen | None = None
    since: Mapping[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """A file-name for this path: ``seed0-1+``, or ``start0-1+`` from a start that was given."""
        return f"{'start' if self.given else 'seed'}{self.seed}-{self.rank}{'+' if self.sense > 0 else '-'}"

    @property
    def origin(self) -> str:
        """Where it starts, in words: ``seed 0``, or ``me.pt:3``; the same for all paths of a start, and no others."""
        return self.given or f"seed {self.seed}"

    @property
    def latents(self) -> NDArray[np.floating]:
        """All latents, ``(waypoints, latent)``."""
        return np.stack([w.latent for w in self.waypoints])

    @property
    def fixed(self) -> tuple[Role, ...]:
        """The features that were to hold."""
        return tuple(r for r in self.roles if r.part == "fixed")

    @property
    def varied(self) -> tuple[Role, ...]:
        """The features that were to vary."""
        return tuple(r for r in self.roles if r.part == "varied")

    @property
    def judged(self) -> tuple[Role, ...]:
        """The features that only judge."""
        return tuple(r for r in self.roles if r.part == "judged")

    @property
    def moved(self) -> float:
        """How far what varies is from the start: the mean of all varied features, as a share of typical."""
        last = self.waypoints[-1].changes
        shares = [last[role.name] / role.typical for role in self.varied]
        return sum(shares) / len(shares) if shares else 0.0

    @property
    def cost(self) -> Cost:
        """What all waypoints together took."""
        return sum((w.cost for w in self.waypoints), Cost())

    def change(self, role: Role, relative: bool = True) -> NDArray[np.float64]:
        """Distance from the start at every waypoint, ``(waypoints,)``.

        As a share of the feature's typical distance, or in its own unit where `relative` is False.
        """
        changes = np.array([w.changes[role.name] for w in self.waypoints], dtype=np.float64)
        return changes / role.typical if relative else changes

    def append(self, waypoint: Waypoint) -> Path:
        """Return the path with one more waypoint."""
        return replace(self, waypoints=(*self.waypoints, waypoint))

    def spend(self, cost: Cost) -> Path:
        """Return the path, with `cost` added to what its last waypoint took: that of a step that was not accepted."""
        last = self.waypoints[-1]
        return replace(self, waypoints=(*self.waypoints[:-1], replace(last, cost=last.cost + cost)))

    def end(self, status: Status) -> Path:
        """Return the path, ended."""
        return replace(self, status=status)

    def back_to(self, index: int) -> Path:
        """Return the path up to waypoint `index`, without what was measured of its end."""
        status = Status("back", f"taken back to waypoint {index} of {len(self) - 1}")
        kept = self.waypoints[: index + 1]
        return replace(self, waypoints=kept, status=status, alike={}, seen=None, since={})

    def __iter__(self) -> Iterator[Waypoint]:
        return iter(self.waypoints)

    def __len__(self) -> int:
        return len(self.waypoints)

    def __repr__(self) -> str:
        """Return one line: where the path starts, how it ended, and how far what varies has gone."""
        known = self.waypoints and all(role.typical for role in self.varied)
        moved = f", varied {100 * self.moved:.0f} % of typical" if known else ""
        steps = f"{max(0, len(self) - 1)} steps, {self.status.reason}"
        return f"<Path {self.origin}, direction {self.rank}{'+' if self.sense > 0 else '-'}: {steps}{moved}>"

    def _repr_html_(self) -> str:
        return _drawn_html([self])

    def save(self, folder: str | os.PathLike[str]) -> FilePath:
        """Write the path's two files into `folder`; return the JSON file.

        Raises:
            OSError: as the file system gives it; what was there before is then untouched.
        """
        folder = FilePath(folder)
        folder.mkdir(parents=True, exist_ok=True)
        target, tensors = folder / f"{self.name}.json", save(stack(self.waypoints))
        waypoints = [waypoint_entry(waypoint) for waypoint in self.waypoints]
        entries = {**path_entry(self), "passes": self.cost.passes, "waypoints": waypoints, "tensors": sum_of(tensors)}
        write_whole(target.with_suffix(".safetensors"), tensors)
        write_whole(target, json_text(seal(entries)))
        return target

    @classmethod
    def load(cls, file: str | os.PathLike[str], hold_images: bool = True) -> Path:
        """Return the path saved at `file` (either of its two files); without `hold_images` pictures stay on disk.

        Raises:
            FileError: a file is missing, damaged or not a path.
        """
        file = FilePath(file).with_suffix(".json")
        place = file.with_suffix(".safetensors")
        for part in (file, place):
            if not part.is_file():
                raise FileError(f"no such path: {part} is missing")
        try:
            document = open_sealed(file)
            tensors = read_tensors(place, document.get("tensors"))
            rows = [waypoint_at(entry, tensors, row) for row, entry in enumerate(document["waypoints"])]
            if not hold_images:
                leave_on_disk(rows, place)
            return replace(path_of(document), waypoints=tuple(rows))
        except (ValueError, LookupError, TypeError, AttributeError, SafetensorError) as error:
            raise FileError(f"{file} is not a saved path, or is damaged: {error}") from error


class Paths(tuple[Path, ...]):
    """Walked paths: a tuple that shows itself with a line for each, and in a notebook with its pictures."""

    __slots__ = ()

    @overload
    def __getitem__(self, key: SupportsIndex) -> Path: ...
    @overload
    def __getitem__(self, key: slice) -> Paths: ...
    def __getitem__(self, key: SupportsIndex | slice) -> Path | Paths:
        return Paths(super().__getitem__(key)) if isinstance(key, slice) else super().__getitem__(key)

    def __repr__(self) -> str:
        rest = [f" … and {len(self) - LINES:,} more"] if len(self) > LINES else []
        return "\n".join(
            [f"{len(self):,} path{'' if len(self) == 1 else 's'}", *(f" {path!r}" for path in self[:LINES]), *rest]
        )

    def _repr_html_(self) -> str:
        return _drawn_html(self)


LINES = 24
"""Paths that are shown with a line each; of more, only their number is said."""


def _drawn_html(paths: Sequence[Path]) -> str:
    # By name, when a notebook asks: paths are data, and what draws them stands on them.
    return import_module("eigenwalk.runs.outputs.notebook").html(paths)


def path_entry(path: Path) -> dict[str, Any]:
    """Everything of `path` but its waypoints, as JSON holds it."""
    named = {key: getattr(path, key) for key in ("generator", "seed", "rank", "sense")}
    named |= {"given": path.given} if path.given else {}  # earlier versions know seeds alone
    roles = []
    for role in path.roles:
        limit = None if role.tolerance is None else _number(role.tolerance)
        roles.append(asdict(role) | {"typical": _number(role.typical), "tolerance": limit})
    alike: dict[str, Any] = {"alike": dict(path.alike)} | ({"since": dict(path.since)} if path.since else {})
    return {**named, "status": asdict(path.status), "roles": roles, **alike, **_seen_entry(path.seen)}


def path_of(entry: Mapping[str, Any]) -> Path:
    """Return the path without waypoints that `path_entry` described."""
    roles = tuple(
        Role(
            **{**role, "typical": _float(role["typical"]), "tolerance": role["tolerance"] and _float(role["tolerance"])}
        )
        for role in entry["roles"]
    )
    seed, rank, sense = (int(entry[key]) for key in ("seed", "rank", "sense"))  # they become the name of a file
    return Path(
        str(entry["generator"]),
        seed,
        rank,
        sense,
        roles=tuple(roles),
        status=Status(**entry["status"]),
        alike=entry.get("alike", {}),
        seen=_seen_of(entry.get("seen")),
        given=str(entry.get("given", "")),
        since={str(name): float(share) for name, share in entry.get("since", {}).items()},
    )


def _seen_entry(seen: Seen | None) -> dict[str, Any]:
    if seen is None:
        return {}
    tells = {name: {"kept": _number(one.kept), "pixels": _number(one.pixels)} for name, one in seen.tells.items()}
    moved = {name: _number(value) for name, value in seen.moved.items()}
    return {"seen": {"moved": moved, "tells": tells, "numbers": list(seen.numbers)}}


def _seen_of(entry: Mapping[str, Any] | None) -> Seen | None:
    if entry is None:
        return None
    tells = {name: Tell(_float(one["kept"]), _float(one["pixels"])) for name, one in entry["tells"].items()}
    moved = {name: _float(value) for name, value in entry["moved"].items()}
    return Seen(moved, tells, tuple(entry.get("numbers", ())))


def waypoint_entry(waypoint: Waypoint) -> dict[str, Any]:
    """Everything of `waypoint` but its tensors, as JSON holds it."""
    return {
        "index": waypoint.index,
        "changes": {name: _number(value) for name, value in waypoint.changes.items()},
        "step_size": _number(waypoint.step_size),
        "quotient": _number(waypoint.quotient),
        "cost": asdict(waypoint.cost),
    }


def waypoint_at(entry: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]], row: int) -> Waypoint:
    """Return the waypoint that `waypoint_entry` described, whose tensors stand in `row` of `stack`'s."""
    return Waypoint(
        index=entry["index"],
        latent=tensors["latents"][row].copy(),  # a view would hold the images of the whole file
        image=tensors["images"][row],
        changes={name: _float(value) for name, value in entry["changes"].items()},
        direction=tensors["directions"][row].copy(),
        step_size=_float(entry["step_size"]),
        quotient=_float(entry["quotient"]),
        cost=Cost(**entry["cost"]),
    )


def stack(waypoints: Sequence[Waypoint]) -> dict[str, NDArray[Any]]:
    """Return the tensors of some waypoints, ``(waypoints, ...)`` each: latents, directions, images."""
    rows = {
        "latents": [w.latent for w in waypoints],
        "directions": [w.direction for w in waypoints],
        "images": [w.image for w in waypoints],
    }
    # safetensors writes an array's memory as it lies: a transposed one would come back scrambled, without an error.
    return {name: np.ascontiguousarray(np.stack(arrays)) for name, arrays in rows.items() if arrays}


def _number(value: float) -> float | str | None:
    """Return `value` as JSON can hold it: null for nan, ``"inf"`` for infinity."""
    return value if math.isfinite(value) else None if math.isnan(value) else str(value)


def _float(value: float | str | None) -> float:
    return math.nan if value is None else float(value)
