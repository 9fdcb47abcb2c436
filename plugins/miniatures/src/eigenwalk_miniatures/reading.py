"""Features that read named factors off an image: `rooms.factor(sofa_hue)`, `faces.attribute(hair_length)`."""

from __future__ import annotations

from torch import Tensor

from eigenwalk.errors import OptionError
from eigenwalk.feature import Feature, move_like
from eigenwalk_miniatures import load
from eigenwalk_miniatures.miniature import Miniature, miniature


class Reading(Feature):
    """Named factors `(batch, names)` as one of the networks reads them, each as a share of the factor's range.

    0 is the factor's lowest value, 1 its highest; images unlike the renders can read outside. The distance is the RMS
    difference over the named factors.
    """

    unit = "share of the factor's range"

    def __init__(self, world: Miniature, names: tuple[str, ...], kind: str = "factor") -> None:
        unknown = [name for name in names if name not in world.factors.names]
        if unknown or not names:
            wrong = f"{kind} {unknown[0]!r} is unknown" if unknown else f"no {kind} is named"
            raise OptionError(f"{world.name}.{kind}: {wrong}; known {kind}s: {', '.join(world.factors.names)}")
        self.names, self.columns = names, [world.factors.index(name) for name in names]
        self.network = load.regressor(world) if kind == "factor" else load.attributes(world)

    def __call__(self, images: Tensor) -> Tensor:
        """The shares `(batch, named factors)` of images `(batch, 3, height, width)`."""
        return move_like(self.network, images)(images)[:, self.columns]


def rooms(factor: tuple[str, ...]) -> Reading:
    """Factors of the living rooms."""
    return Reading(miniature("rooms"), (factor,) if isinstance(factor, str) else tuple(factor))


def faces(factor: tuple[str, ...]) -> Reading:
    """Factors of the portraits, as the judging network reads them."""
    return Reading(miniature("faces"), (factor,) if isinstance(factor, str) else tuple(factor))


def faces_attributes(attribute: tuple[str, ...]) -> Reading:
    """The same factors, as read by the network that walks may optimise."""
    return Reading(miniature("faces"), (attribute,) if isinstance(attribute, str) else tuple(attribute), "attribute")
