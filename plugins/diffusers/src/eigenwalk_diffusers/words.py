"""Numbers in words, for the facts that people read."""

from __future__ import annotations

from torch import nn


def millions(network: nn.Module) -> str:
    """The number of parameters of `network`, in words.

    >>> millions(nn.Linear(1000, 1500, bias=False)), millions(nn.Linear(3, 2))
    ('1.5 million', '8')
    """
    count = sum(one.numel() for one in network.parameters())
    return f"{count / 1e6:,.1f} million" if count >= 1e5 else f"{count:,}"
