"""Size and checksum of the weights inside the package, as its `weights.toml` says; no torch."""

from __future__ import annotations

import tomllib

from eigenwalk.spec import Weights
from eigenwalk_miniatures.miniature import Miniature


def shipped(world: Miniature, network: str, licence: str) -> tuple[Weights, ...]:
    """What `network` needs: one file, inside the package."""
    file = world.weights(network)
    listed = tomllib.loads((world.folder / "weights.toml").read_text())[network]
    return (Weights(file=f"{world.name}/{file.name}", sha256=listed["sha256"], size=listed["size"], licence=licence),)
