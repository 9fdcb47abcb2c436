"""A walked path: data only, which saves and loads itself.

A path is a line of waypoints that begins at a sampled latent (waypoint 0, the start) and says at each of
them where it was, what every feature did, and what finding it cost.

On disk a path is two files: ``NAME.safetensors`` (latents, directions, images) and ``NAME.json`` (the
rest, readable). Both are written whole or not at all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path as FilePath
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save

from eigenwalk.errors import FileError
from eigenwalk.store import write_whole

FORMAT = 1
PUSHFORWARD_PASSES = 1.7
"""A pushforward of one tangent, in generator passes: measured 1.5 to 1.7 on a CPU (benchmarks/passes.py)."""
PULLBACK_PASSES = 1.3
"""A pullback of one cotangent, in generator passes: measured 1.15 to 1.3 on a CPU (benchmarks/passes.py)."""


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
        part: ``fixed`` or ``varied``.
        unit: what its distances are measured in.
        typical: its typical distance between two random samples of the generator, in `unit`.
        tolerance: how far a fixed feature may move from the start, in `unit`; None for a varied one.
        weight: of a varied feature.
    """

    name: str
    part: Literal["fixed", "varied"]
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
            real image (the float one).
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
class Status:
    """Why a path ended. `reason` is a word, `detail` a sentence, `feature` the name concerned, if any.

    ``walking`` marks a path that has not ended; ``length`` is the wished end; the others cut it short.
    """

    reason: Literal["walking", "length", "tolerance", "nothing to vary", "region", "undefined", "numerical"] = "walking"
    detail: str = ""
    feature: str | None = None


@dataclass(frozen=True)
class Path:
    """Waypoints from a start, with what was fixed and varied on the way.

    Attributes:
        generator: canonical expression of the generator.
        seed: of the start.
        rank: 1 for the direction with the largest quotient at the start, 2 for the next.
        sense: +1 or -1, which way along it.
        roles: the fixed and varied features.
        waypoints: index 0 is the start.
        status: how it ended.
    """

    generator: str
    seed: int
    rank: int
    sense: int
    roles: tuple[Role, ...]
    waypoints: tuple[Waypoint, ...] = ()
    status: Status = Status()

    @property
    def name(self) -> str:
        """A file-name for this path: ``seed0-1+``."""
        return f"seed{self.seed}-{self.rank}{'+' if self.sense > 0 else '-'}"

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
        """The path with one more waypoint."""
        return replace(self, waypoints=(*self.waypoints, waypoint))

    def end(self, status: Status) -> Path:
        """The path, ended."""
        return replace(self, status=status)

    def __iter__(self) -> Iterator[Waypoint]:
        return iter(self.waypoints)

    def __len__(self) -> int:
        return len(self.waypoints)

    def save(self, folder: str | os.PathLike[str]) -> FilePath:
        """The JSON file written in `folder`, its tensors beside it.

        Raises:
            OSError: as the file system gives it; what was there before is then untouched.
        """
        folder = FilePath(folder)
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / f"{self.name}.json"
        write_whole(target.with_suffix(".safetensors"), save(stacked(self.waypoints)))
        write_whole(target, json.dumps(self._document(), indent=1, allow_nan=True))
        return target

    @classmethod
    def load(cls, file: str | os.PathLike[str]) -> Path:
        """The path saved at `file` (either of its two files).

        Raises:
            FileError: a file is missing, truncated or not a path.
        """
        file = FilePath(file).with_suffix(".json")
        try:
            document = json.loads(file.read_text(encoding="utf-8"))
            tensors = load_file(file.with_suffix(".safetensors"))
            return cls._from_document(document, tensors)
        except FileNotFoundError as error:
            missing = file if not file.is_file() else file.with_suffix(".safetensors")
            raise FileError(f"no such path: {missing} is missing") from error
        except Exception as error:  # json, safetensors and a wrong layout each raise their own
            raise FileError(f"{file} is not a saved path, or is damaged: {error}") from error

    def _document(self) -> dict[str, Any]:
        document = {
            "format": FORMAT,
            "generator": self.generator,
            "seed": self.seed,
            "rank": self.rank,
            "sense": self.sense,
            "status": asdict(self.status),
            "passes": self.cost.passes,
            "roles": [asdict(role) for role in self.roles],
        }
        document["waypoints"] = [
            {
                "index": w.index,
                "changes": w.changes,
                "step_size": w.step_size,
                "quotient": w.quotient,
                "cost": asdict(w.cost),
            }
            for w in self.waypoints
        ]
        return document

    @classmethod
    def _from_document(cls, document: dict[str, Any], tensors: dict[str, Any]) -> Path:
        if document["format"] != FORMAT:
            raise ValueError(f"format {document['format']}, this version reads {FORMAT}")
        waypoints = tuple(
            Waypoint(
                latent=tensors["latents"][i],
                direction=tensors["directions"][i],
                image=tensors["images"][i],
                cost=Cost(**entry["cost"]),
                **{key: entry[key] for key in ("index", "changes", "step_size", "quotient")},
            )
            for i, entry in enumerate(document["waypoints"])
        )
        return cls(
            generator=document["generator"],
            seed=document["seed"],
            rank=document["rank"],
            sense=document["sense"],
            roles=tuple(Role(**role) for role in document["roles"]),
            waypoints=waypoints,
            status=Status(**document["status"]),
        )


def stacked(waypoints: Sequence[Waypoint]) -> dict[str, NDArray[Any]]:
    """The tensors of some waypoints, ``(waypoints, ...)`` each: latents, directions, images."""
    rows = {
        "latents": [w.latent for w in waypoints],
        "directions": [w.direction for w in waypoints],
        "images": [w.image for w in waypoints],
    }
    # safetensors writes an array's memory as it lies: a transposed one would come back scrambled, without an error.
    return {name: np.ascontiguousarray(np.stack(arrays)) for name, arrays in rows.items()}
