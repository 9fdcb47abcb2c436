"""The contract of a way to choose directions, other than the core's own quotient.

It is asked where a walk stands, and answers with unit vectors to follow. So the methods of the field can be walked,
drawn and measured like the quotient itself: the same generator, features, starts, steps and judges.

>>> import torch
>>> class Axes(Directions):
...     def find(self, sight, k, previous=None):
...         return torch.eye(sight.dim)[:k].to(sight.like).expand(sight.batch, -1, -1)
>>> Axes.curved
False
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol, runtime_checkable

from torch import Tensor

from eigenwalk.generator import Generator
from eigenwalk.shapes import Basis, Images, Latents


@runtime_checkable
class Sight(Protocol):
    """What a method may look at: some latents, one a row, and the varied and fixed features there.

    With c the values of all varied features side by side (p numbers, in typical distances) and f those of all fixed
    ones (q numbers, in tolerances), C and F are their Jacobians with respect to the latent.
    """

    @property
    def generator(self) -> Generator:
        """The generator that is walked in."""
        ...

    @property
    def batch(self) -> int:
        """Rows."""
        ...

    @property
    def dim(self) -> int:
        """Coordinates of one latent."""
        ...

    @property
    def like(self) -> Tensor:
        """The latents ``(batch, latent)``; their dtype and device are those of every answer."""
        ...

    @property
    def images(self) -> Images:
        """The images of these latents, ``(batch, 3, height, width)``."""
        ...

    def push(self, V: Basis) -> tuple[Tensor, Tensor]:
        """``(C V, F V)``, ``(batch, k, p)`` and ``(batch, k, q)``, for V ``(batch, k, latent)``."""
        ...

    def pull(self, c: Tensor | None, f: Tensor | None) -> Latents:
        """``Cᵀ c + Fᵀ f`` ``(batch, latent)`` for c ``(batch, p)`` and f ``(batch, q)``."""
        ...

    def values(self, latents: Latents) -> tuple[Tensor, Tensor]:
        """``(c, f)``, ``(n, p)`` and ``(n, q)``, at any other latents ``(n, latent)``, every feature frozen there.

        Not scaled: each feature's own values, flattened.

        Raises:
            Undefined: a feature has no value at some rows, which it names.
        """
        ...


class Directions(ABC):
    """A way to choose directions.

    Attributes:
        curved: asked again at every waypoint. Otherwise what it says at the start is followed in a straight line.
    """

    curved: bool = False

    @abstractmethod
    def find(self, sight: Sight, k: int, previous: Tensor | None = None) -> Basis:
        """The `k` leading directions at every latent, unit vectors ``(batch, k, latent)``, best first.

        A curved method gets the `previous` direction ``(batch, latent)`` at all but the start, and then returns one
        that continues it, ``(batch, 1, latent)``.

        Raises:
            CompositionError: the method does not apply to these features or to this generator.
        """
