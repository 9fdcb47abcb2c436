"""Renders and samples that several tests look at, made once."""

from __future__ import annotations

import pytest
import torch

from eigenwalk_miniatures import load
from eigenwalk_miniatures.generator import MiniatureGenerator
from eigenwalk_miniatures.miniature import Miniature, miniature


@pytest.fixture(scope="session")
def world() -> Miniature:
    """The living rooms."""
    return miniature("rooms")


@pytest.fixture(scope="session")
def renders(world: Miniature) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Factors, images and masks of 200 renders that no training run drew."""
    factors = world.factors.sample(200, seed=777_777)
    return factors, *world.render(factors, 64)


@pytest.fixture(scope="session")
def generator(world: Miniature) -> MiniatureGenerator:
    """The shipped generator."""
    return MiniatureGenerator(load.generator(world))


@pytest.fixture(scope="session")
def samples(generator: MiniatureGenerator) -> torch.Tensor:
    """100 samples, `(100, 3, 64, 64)`, not clipped."""
    with torch.no_grad():
        return generator(generator.sample(100, seed=0))


@pytest.fixture(scope="session")
def people() -> Miniature:
    """The portraits."""
    return miniature("faces")


@pytest.fixture(scope="session")
def portraits(people: Miniature) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Factors, images and masks of 200 portraits that no training run drew."""
    factors = people.factors.sample(200, seed=777_777)
    drawn = [people.render(part, 64) for part in factors.split(50)]
    return factors, torch.cat([image for image, _ in drawn]), torch.cat([mask for _, mask in drawn])


@pytest.fixture(scope="session")
def faces(people: Miniature) -> torch.Tensor:
    """100 samples of the shipped portraits, `(100, 3, 64, 64)`, not clipped."""
    generator = MiniatureGenerator(load.generator(people))
    with torch.no_grad():
        return generator(generator.sample(100, seed=0))
