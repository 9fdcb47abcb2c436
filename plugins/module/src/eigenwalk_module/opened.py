"""What every format is read into: a module, what it takes, and what its last operation is."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

RANDOM = frozenset(
    {
        "bernoulli",
        "dropout",
        "multinomial",
        "normal",
        "poisson",
        "rand",
        "rand_like",
        "randint",
        "randint_like",
        "randn",
        "randn_like",
        "random",
        "randperm",
        "uniform",
        "rrelu",
        "native_dropout",
    }
)
"""Operations that draw numbers: an image must depend on its latent alone."""


@dataclass(frozen=True)
class Input:
    """One input: `shape` without the batch, None where the file does not tell; `whole` for integers."""

    name: str
    shape: tuple[int, ...] | None
    whole: bool = False
    scalar: bool = False


@dataclass(frozen=True)
class Opened:
    """A network from a file.

    Attributes:
        module: called with one tensor, or number, for each of `inputs`.
        last: name of the operation that gives its output, where that is known.
        batch: rows that the file was exported with, where that is fixed.
        operations: how many there are, None where that is not known.
    """

    module: nn.Module
    inputs: tuple[Input, ...]
    words: str
    last: str = ""
    batch: int | None = None
    operations: int | None = None
