"""What a stage of an inversion came to."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from eigenwalk_invert.measure import Distances


@dataclass(frozen=True)
class Result:
    """What a stage came to: ``w``, ``w+``, ``z`` or ``tuned``.

    Attributes:
        name: of the stage.
        distances: by feature, of each photograph, in shares of typical.
        images: reconstructions ``(photos, 3, height, width)``.
        seconds: that it took.
    """

    name: str
    distances: Distances
    images: Tensor = field(repr=False)
    seconds: float
