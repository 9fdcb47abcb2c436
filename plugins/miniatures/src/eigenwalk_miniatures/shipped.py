"""Size and checksum of the weights inside the package, as its `weights.toml` says; no torch."""

from __future__ import annotations

import tomllib
from typing import Any

from eigenwalk.spec import Weights
from eigenwalk_miniatures.miniature import Miniature


def listed(world: Miniature, network: str) -> dict[str, Any]:
    """Size and SHA-256 of `network`; raises KeyError where the list has none."""
    return tomllib.loads((world.folder / "weights.toml").read_text())[network]


def shipped(world: Miniature, network: str, licence: str) -> tuple[Weights, ...]:
    """What `network` needs: one file, inside the package."""
    file, told = world.weights(network), listed(world, network)
    return (Weights(file=f"{world.name}/{file.name}", sha256=told["sha256"], size=told["size"], licence=licence),)
