"""Named continuous factors of a scene and their ranges; no torch at import."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Factor:
    """A number that the painter reads, drawn uniformly from [low, high]."""

    name: str
    low: float
    high: float
    meaning: str


@dataclass(frozen=True)
class FactorTable:
    """The factors of one miniature, in the order of the columns of every factor tensor."""

    factors: tuple[Factor, ...]

    def __iter__(self) -> Iterator[Factor]:
        return iter(self.factors)

    def __len__(self) -> int:
        return len(self.factors)

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in column order."""
        return tuple(factor.name for factor in self.factors)

    def index(self, name: str) -> int:
        """The column of factor `name`. Raises KeyError with the known names."""
        try:
            return self.names.index(name)
        except ValueError:
            raise KeyError(f"factor {name!r} is unknown; known: {', '.join(self.names)}") from None

    def named(self, values: Tensor) -> dict[str, Tensor]:
        """The columns of `values` `(batch, factors)` by name, each `(batch, 1, 1)`; raises ValueError for others."""
        if values.ndim != 2 or values.shape[1] != len(self):
            raise ValueError(f"render: factors must be (batch, {len(self)}), got {tuple(values.shape)}")
        return {name: values[:, i].view(-1, 1, 1) for i, name in enumerate(self.names)}

    def bounds(self) -> tuple[Tensor, Tensor]:
        """Lowest and highest values, each `(factors,)`."""
        import torch

        return torch.tensor([f.low for f in self]), torch.tensor([f.high for f in self])

    def scale(self, shares: Tensor) -> Tensor:
        """Values `(batch, factors)` in each factor's unit, of `shares` of its range in [0, 1]."""
        low, high = (bound.to(shares) for bound in self.bounds())
        return low + shares * (high - low)

    def share(self, values: Tensor) -> Tensor:
        """Shares of the range, `(batch, factors)`, 0 at `low` and 1 at `high`: the inverse of `scale`."""
        low, high = (bound.to(values) for bound in self.bounds())
        return (values - low) / (high - low)

    def sample(self, n: int, seed: int) -> Tensor:
        """Draw `(n, factors)` values, each uniformly and independently from its range."""
        import torch

        return self.scale(torch.rand(n, len(self), generator=torch.Generator().manual_seed(seed)))
