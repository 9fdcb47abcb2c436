"""What a miniature is: factors, parts and a painter; no torch at import."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING

from eigenwalk_miniatures.factors import FactorTable

if TYPE_CHECKING:
    from torch import Tensor

NAMES = ("rooms", "faces")
"""Every miniature of this package: a folder of that name with `factors.py` and `scene.py`."""


@dataclass(frozen=True)
class Miniature:
    """One small world, painted by its own renderer."""

    name: str
    summary: str
    factors: FactorTable
    parts: tuple[str, ...]
    subject: str
    """The thing of which every image shows exactly one."""
    subject_parts: tuple[str, ...]
    """The parts that make up the subject."""
    identity: tuple[str, ...] = ()
    """The factors that make a person, where the miniature shows people."""

    @property
    def render(self) -> Callable[[Tensor, int], tuple[Tensor, Tensor]]:
        """The painter: factors `(batch, factors)` and a resolution to images and part masks."""
        return import_module(f"eigenwalk_miniatures.{self.name}.scene").render

    @property
    def folder(self) -> Traversable:
        """Where the miniature's files lie, in a wheel as in a checkout."""
        return files(f"eigenwalk_miniatures.{self.name}")

    @property
    def networks(self) -> tuple[str, ...]:
        """The names of what is trained; for people also an embedding, and attributes for walks to optimise."""
        return ("generator", "segmenter", "regressor", *(("attributes", "embedder") if self.identity else ()))

    def weights(self, network: str) -> Traversable:
        """The package's safetensors file of `network`, one of `networks`."""
        return self.folder / f"{network}.safetensors"


def miniature(name: str) -> Miniature:
    """The miniature called `name`. Raises ValueError with the known names."""
    if name not in NAMES:
        raise ValueError(f"miniature {name!r} is unknown; known: {', '.join(NAMES)}")
    module = import_module(f"eigenwalk_miniatures.{name}.factors")
    return Miniature(
        name,
        module.SUMMARY,
        module.FACTORS,
        module.PARTS,
        module.SUBJECT,
        module.SUBJECT_PARTS,
        getattr(module, "IDENTITY", ()),
    )
