"""The front of a walk: all its paths, and what the next waypoint needs to know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eigenwalk.maths.linearise import Memories, Point
from eigenwalk.maths.problem import Problem
from eigenwalk.maths.rayleigh import Memory
from eigenwalk.path import Path


@dataclass(frozen=True)
class Front:
    """All paths after `index` waypoints; ended ones are among them, and a seed's paths stand side by side.

    Attributes:
        index: of the newest waypoint.
        paths: as walked so far.
        latents: where each stands, ``(paths, latent)``.
        directions: how each came there, ``(paths, latent)``.
        memory: what the solver carries; None at the start.
        origin: every feature's values at the starts, ``(paths, ...)``; None where they are to be found again.
        memories: what the features remember of the waypoint before, ``(paths, ...)``; none at the starts.
        arrived: paths that still walk and the point where they stand, where that is in memory.
    """

    index: int
    paths: tuple[Path, ...]
    latents: Tensor
    directions: Tensor
    memory: Memory | None = None
    origin: tuple[Tensor, ...] | None = None
    memories: Memories = ()
    arrived: tuple[list[int], Point] | None = field(default=None, repr=False)

    @property
    def walking(self) -> list[int]:
        """The paths that have not ended, by index."""
        return [i for i, path in enumerate(self.paths) if path.status.reason == "walking"]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What, with the paths, is needed to go on: see `restore`."""
        saved = {"latents": self.latents, "directions": self.directions}
        saved |= {f"memories.{i}": tensor for i, tensor in enumerate(self.memories)}
        if self.memory is not None:
            saved |= {f"memory.{name}": value for name, value in vars(self.memory).items()}
        return {name: value.detach().cpu().contiguous().numpy() for name, value in saved.items()}

    @classmethod
    def restore(
        cls, paths: tuple[Path, ...], arrays: Mapping[str, NDArray[Any]], device: torch.device | str = "cpu"
    ) -> Front:
        """The front whose `paths` and `arrays` were saved, on `device`."""
        loaded = {name: torch.from_numpy(np.array(value)).to(device) for name, value in arrays.items()}
        carried = {name.removeprefix("memory."): value for name, value in loaded.items() if name.startswith("memory.")}
        index = max(path.waypoints[-1].index for path in paths)
        memory = Memory(**carried) if carried else None
        count = sum(name.startswith("memories.") for name in loaded)
        memories = tuple(loaded[f"memories.{i}"] for i in range(count))
        return cls(index, paths, loaded["latents"], loaded["directions"], memory, memories=memories)


def look(problem: Problem, front: Front, paths: list[int], latents: Tensor) -> Point:
    """The point at `latents`, where `paths` stand, with what the features remember of the waypoint before."""
    return problem.linearisation.at(latents, memories=tuple(tensor[paths] for tensor in front.memories))
