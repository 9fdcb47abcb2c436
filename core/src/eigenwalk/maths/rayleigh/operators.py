"""What a solver may ask of the problem: a pushforward and a pullback, for a batch of latents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class Operators(Protocol):
    """The Jacobians C (varied) and F (fixed), scaled so that ``A = CᵀC`` and ``B = FᵀF``, one pair a row."""

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
        """Any tensor with the dtype and device of the latents."""
        ...

    def push(self, V: Tensor) -> tuple[Tensor, Tensor]:
        """``(C V, F V)``, of shapes ``(batch, k, p)`` and ``(batch, k, q)``, for V ``(batch, k, dim)``."""
        ...

    def pull(self, c: Tensor | None, f: Tensor | None) -> Tensor:
        """``Cᵀ c + Fᵀ f`` ``(batch, dim)`` for c ``(batch, p)`` and f ``(batch, q)``: one pass back."""
        ...


@dataclass(frozen=True)
class Matrices:
    """Operators given as matrices C ``(batch, p, dim)`` and F ``(batch, q, dim)``."""

    C: Tensor
    F: Tensor

    @property
    def batch(self) -> int:
        """Rows."""
        return self.C.shape[0]

    @property
    def dim(self) -> int:
        """Coordinates of one latent."""
        return self.C.shape[2]

    @property
    def like(self) -> Tensor:
        """A tensor of the right dtype and device."""
        return self.C

    def push(self, V: Tensor) -> tuple[Tensor, Tensor]:
        """``(C V, F V)``."""
        return V @ self.C.mT, V @ self.F.mT

    def pull(self, c: Tensor | None, f: Tensor | None) -> Tensor:
        """``Cᵀ c + Fᵀ f``."""
        pulled = self.C.new_zeros(self.batch, self.dim)
        if c is not None:
            pulled = pulled + (c[:, None] @ self.C)[:, 0]
        if f is not None:
            pulled = pulled + (f[:, None] @ self.F)[:, 0]
        return pulled
