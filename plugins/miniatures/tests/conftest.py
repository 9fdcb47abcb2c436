"""Renders and samples that several tests look at, made once."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from eigenwalk_miniatures import load
from eigenwalk_miniatures.generator import MiniatureGenerator
from eigenwalk_miniatures.miniature import NAMES, Miniature, miniature


@dataclass(frozen=True)
class Seen:
    """A miniature, 200 renders that no training run drew, and 100 samples, not clipped."""

    world: Miniature
    factors: Tensor
    images: Tensor
    masks: Tensor
    samples: Tensor


@pytest.fixture(scope="session")
def every() -> dict[str, Seen]:
    """Both miniatures by name."""
    found = {}
    for name in NAMES:
        world = miniature(name)
        factors, generator = world.factors.sample(200, seed=777_777), MiniatureGenerator(load.generator(world))
        drawn = [world.render(part, 64) for part in factors.split(50)]
        images, masks = (torch.cat(parts) for parts in zip(*drawn, strict=True))
        with torch.no_grad():
            found[name] = Seen(world, factors, images, masks, generator(generator.sample(100, seed=0)))
    return found


@pytest.fixture(params=NAMES)
def seen(request: pytest.FixtureRequest, every: dict[str, Seen]) -> Seen:
    """Each of the miniatures."""
    return every[request.param]


@pytest.fixture(scope="session")
def rooms(every: dict[str, Seen]) -> Seen:
    """The living rooms."""
    return every["rooms"]


@pytest.fixture(scope="session")
def faces(every: dict[str, Seen]) -> Seen:
    """The portraits."""
    return every["faces"]


@pytest.fixture(scope="session")
def world(rooms: Seen) -> Miniature:
    """The living rooms' facts."""
    return rooms.world


@pytest.fixture(scope="session")
def people(faces: Seen) -> Miniature:
    """The portraits' facts."""
    return faces.world
