"""Size and checksum of the weights inside the package, as its `weights.toml` says; no torch."""

from __future__ import annotations

import tomllib
from typing import Any

from eigenwalk.spec import Weights
from eigenwalk_miniatures.miniature import Miniature


def listed(world: Miniature, network: str) -> dict[str, Any]:
    """Size and SHA-256 of `network`; raises KeyError if the list lacks it."""
    return tomllib.loads((world.folder / "weights.toml").read_text())[network]


def shipped(world: Miniature, network: str, licence: str) -> tuple[Weights, ...]:
    """The one file, inside the package, of `network`."""
    file, facts = world.weights(network), listed(world, network)
    return (Weights(file=f"{world.name}/{file.name}", sha256=facts["sha256"], size=facts["size"], licence=licence),)
