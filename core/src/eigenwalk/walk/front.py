"""The front of a walk: all its paths, and what the next waypoint needs to know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eigenwalk.direction import State
from eigenwalk.maths.linearise import Point, Tracked
from eigenwalk.maths.problem import Problem
from eigenwalk.path import Path


@dataclass(frozen=True)
class Front:
    """All paths after `index` waypoints; ended ones are among them, and a seed's paths stand side by side.

    Attributes:
        index: of the waypoint where the walking paths stand; those that have gone further wait there for the others.
        paths: as walked so far.
        latents: where each stands, ``(paths, latent)``.
        directions: how each came there, ``(paths, latent)``.
        state: what the method carries, ``(paths, ...)`` each; empty at the starts.
        varied: how far what varies has moved on each, scaled as methods see it, by `apart.reduce` ``(paths, ·)``.
        origin: every feature's values at the starts, ``(paths, ...)``; None where they must be measured again.
        tracked: what the features carry from the waypoint before, ``(paths, ...)``; empty at the starts.
        arrived: paths that still walk and the point where they stand, where that is in memory.
    """

    index: int
    paths: tuple[Path, ...]
    latents: Tensor
    directions: Tensor
    state: State = field(default_factory=dict)
    varied: Tensor | None = None
    origin: tuple[Tensor, ...] | None = None
    tracked: Tracked = ()
    arrived: tuple[list[int], Point] | None = field(default=None, repr=False)

    @property
    def walking(self) -> list[int]:
        """The paths that take the next step, by index."""
        return [
            i
            for i, path in enumerate(self.paths)
            if path.status.reason == "walking" and path.waypoints[-1].index == self.index
        ]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What `restore` needs, with the paths, to go on."""
        saved = {"latents": self.latents, "directions": self.directions}
        saved |= {} if self.varied is None else {"varied": self.varied}
        saved |= {f"tracked.{i}": tensor for i, tensor in enumerate(self.tracked)}
        saved |= {f"state.{name}": tensor for name, tensor in self.state.items()}
        return {name: tensor.detach().cpu().contiguous().numpy() for name, tensor in saved.items()}

    @classmethod
    def restore(
        cls, paths: tuple[Path, ...], arrays: Mapping[str, NDArray[Any]], device: torch.device | str = "cpu"
    ) -> Front:
        """Return the front whose `paths` and `arrays` were saved, on `device`."""
        loaded = {name: torch.from_numpy(np.array(value)).to(device) for name, value in arrays.items()}
        # Run folders of earlier versions say "memory." and "memories.".
        state = _under("state.", loaded) | _under("memory.", loaded)
        tracked = _under("tracked.", loaded) | _under("memories.", loaded)
        return cls(
            index=newest(paths, max(path.waypoints[-1].index for path in paths)),
            paths=paths,
            latents=loaded["latents"],
            directions=loaded["directions"],
            state=state,
            varied=loaded.get("varied"),
            tracked=tuple(tracked[str(i)] for i in range(len(tracked))),
        )


def newest(paths: Sequence[Path], ended: int) -> int:
    """Return the index of the waypoint from which `paths` go on, of those behind if some are; `ended` if none walks."""
    return min((path.waypoints[-1].index for path in paths if path.status.reason == "walking"), default=ended)


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def put(whole: Tensor | None, rows: list[int], part: Tensor, n: int) -> Tensor:
    """Return `whole` ``(n, ...)`` with `part` at `rows`; whichever is narrower in axis 1 is filled up with zeros."""
    shape = list(part.shape[1:])
    if whole is not None and shape:
        shape[0] = max(shape[0], whole.shape[1])
    merged = part.new_zeros(n, *shape)
    if whole is not None:
        merged[(slice(None), *map(slice, whole.shape[1:2]))] = whole
    merged[rows] = 0
    merged[(rows, *map(slice, part.shape[1:2]))] = part
    return merged


def look(problem: Problem, front: Front, paths: list[int], latents: Tensor) -> Point:
    """Return the point at `latents`, where `paths` stand; features follow what they carry from the waypoint before."""
    return problem.linearisation.at(latents, tracked=tuple(tensor[paths] for tensor in front.tracked))
