"""What the conformance kit checks of this package."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from eigenwalk.testing import Case
from eigenwalk_miniatures.generator import faces, rooms

GOLDEN = Path(__file__).parent / "golden"


def samples(generator: Callable) -> Callable[[], Tensor]:
    """Four images of a generator, made when they are asked for."""

    def made() -> Tensor:
        built = generator()
        with torch.no_grad():
            return built(built.sample(4, seed=11))

    return made


CASES = [
    Case("rooms", kind="generator", golden=GOLDEN / "rooms.json"),
    Case("faces", kind="generator", golden=GOLDEN / "faces.json"),
    Case("faces(space=w, truncation=0.7)", kind="generator"),
    Case("rooms.part(sofa)", samples(rooms), golden=GOLDEN / "rooms-part.json"),
    Case("rooms.factor((sofa_hue, lamp_glow))", samples(rooms), golden=GOLDEN / "rooms-factor.json"),
    Case("faces.part(hair)", samples(faces), golden=GOLDEN / "faces-part.json"),
    Case("~faces.part((skin, eyes, nose, mouth))", samples(faces)),
    Case("faces.factor((smile, yaw))", samples(faces), golden=GOLDEN / "faces-factor.json"),
    Case("faces.attribute(hair_length)", samples(faces), golden=GOLDEN / "faces-attribute.json"),
    Case("faces.identity", samples(faces), golden=GOLDEN / "faces-identity.json"),
]
