"""Which of a checkpoint's tensors are the generator's. No torch here."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")

GENERATOR = ("g_ema", "G_ema", "generator_ema", "netG_ema", "ema", "generator", "Generator", "netG", "gen", "G", "g")
"""Words under which training code keeps a generator, the averaged one first."""
DECODER = ("decoder", "Decoder", "dec")
WRAPPERS = ("state_dict", "model_state_dict", "model", "model_state", "params", "net", "network", "weights", "module")
OTHERS = re.compile(r"net_?D|D|d|disc\w*|[Dd]iscriminator\w*|critic\w*|optim\w*|opt\w*|.*scheduler\w*|.*optimizer\w*")
"""What stands beside a generator in a checkpoint and is none of it."""


def flat(tree: Mapping[Any, Any], leaf: Callable[[Any], T | None], before: str = "") -> dict[str, T]:
    """The leaves of nested dictionaries by dotted names, in their order; what is neither is left out."""
    found: dict[str, T] = {}
    for key, value in tree.items():
        one = leaf(value)
        if one is not None:
            found[f"{before}{key}"] = one
        elif isinstance(value, Mapping):
            found |= flat(value, leaf, f"{before}{key}.")
    return found


def chosen(tensors: Mapping[str, T], key: str | None = None) -> tuple[dict[str, T], str]:
    """The generator's tensors without the prefix that all of them share, and that prefix.

    `key` says under which name the generator stands; without it the names that training code uses are looked for.

    Raises:
        LookupError: there is nothing under `key`; its text lists what there is.
    """
    if key is not None:
        under = {name.removeprefix(f"{key}."): one for name, one in tensors.items() if name.startswith(f"{key}.")}
        if not under:
            raise LookupError(", ".join(sorted({name.split(".")[0] for name in tensors})[:12]))
        stripped, more = _shared(under)
        return stripped, ".".join([key, *more])
    prefix: list[str] = []
    here = dict(tensors)
    while True:
        here, more = _shared(here)
        prefix += more
        tops = list(dict.fromkeys(name.split(".")[0] for name in here if "." in name))
        named = next((word for word in (*GENERATOR, *DECODER, *WRAPPERS) if word in tops and _holds(here, word)), None)
        if named is None or (named in DECODER and not _whole(here, named)):
            break
        here = {name.removeprefix(f"{named}."): one for name, one in here.items() if name.startswith(f"{named}.")}
        prefix.append(named)
    return {name: one for name, one in here.items() if not OTHERS.fullmatch(name.split(".")[0])}, ".".join(prefix)


def _shared(tensors: dict[str, T]) -> tuple[dict[str, T], list[str]]:
    """`tensors` without the words with which all names begin, and those words."""
    words: list[str] = []
    while len({name.split(".")[0] for name in tensors}) == 1 and all(name.count(".") > 1 for name in tensors):
        first = next(iter(tensors)).split(".")[0]
        if first.isdigit():
            break
        words.append(first)
        tensors = {name.partition(".")[2]: one for name, one in tensors.items()}
    return tensors, words


def _holds(tensors: Mapping[str, Any], word: str) -> bool:
    """Whether some network stands under `word`: two modules or more."""
    return len({name.rpartition(".")[0] for name in tensors if name.startswith(f"{word}.")}) > 1


def _whole(tensors: Mapping[str, Any], word: str) -> bool:
    """Whether a decoder stands under `word` with its first layer, and not beside it (``decoder_input``, ``fc``)."""
    outside = {name.split(".")[0] for name in tensors} - {word}
    return all(re.match(r"enc|Enc|disc|Disc", name) for name in outside)
