"""Weights of all packages: which files there are, fetched when somebody asks for it, and hashed anew.

    eigenwalk.weights.fetch("identity(pretrained=vggface2)")      # returns the paths
    for item in eigenwalk.weights.all_items(registry): item.state()   # nothing is hashed

Nothing else of eigenwalk opens a connection, but ``eigenwalk index update`` and what pip or uv does. No torch here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from eigenwalk.weights.items import Item, State, all_items, declared_items, needed_items

if TYPE_CHECKING:
    from eigenwalk.names.registry import Registry
    from eigenwalk.weights.fetching import Progress

__all__ = ["Item", "State", "all_items", "declared_items", "fetch", "needed_items", "verify"]


def fetch(
    *expressions: str,
    whole: bool = False,
    sha256: str | None = None,
    trust: bool = False,
    progress: Progress | None = None,
    registry: Registry | None = None,
) -> list[Path]:
    """The paths of the files that `expressions` need, of which those that are missing are now fetched.

    Calling this is asking for it: their licences are in ``needed_items(…)``, item by item, and nobody is asked again.

    Args:
        expressions: features or generators, such as ``identity`` or ``mask(sam=vit_b)``; options that are not given
            have their defaults, and required ones may be left out.
        whole: every file of each name, whatever the options are.
        sha256: of the one file among them whose publisher gives no sum.
        trust: take files whose publisher gives no sum as they come, and record the sum that they have.
        progress: called as ``progress(item, done, note)`` with the bytes that lie here so far, and with a note where
            there is something to say ("trying again in 2 s").
        registry: what is installed, if that is known already.

    Raises:
        InputError: an expression, a name or an option is wrong, or a file has no sum and none was given.
        WeightsError: a file could not be fetched, or is not the one that was declared.
    """
    from eigenwalk.weights.fetching import check_sums, obtain  # an HTTP client, which lists need not wait for

    items = [item for item in needed_items(expressions, registry, whole) if item.fetchable]
    check_sums(items, sha256, trust)
    return [obtain(item, sha256, trust, progress) for item in items]


def verify(items: Iterable[Item]) -> Iterator[tuple[Item, State]]:
    """Each item with its state after its file was read and hashed anew, whatever was remembered of it.

    Raises:
        WeightsError: a file cannot be read.
    """
    return ((item, item.verify()) for item in items)
