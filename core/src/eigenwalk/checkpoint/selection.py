"""Which of a checkpoint's tensors are one network's: prefixes are taken off and averaged weights preferred here alone.

Training code keeps the same network more than once (``g`` and ``g_ema``, ``params`` and ``params_ema``, ``ema.shadow``,
Lightning's ``state_dict`` with ``generator.`` and ``generator_ema.``), under the prefixes of what wrapped it
(``module.``, ``_orig_mod.``, ``netG.``, ``decoder.``). A copy is found by names of tensors that the network must have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from eigenwalk.checkpoint.lazy import LazyTensor
from eigenwalk.checkpoint.machine import Record
from eigenwalk.errors import FileError, OptionError

if TYPE_CHECKING:
    from torch import Tensor

AVERAGED = re.compile(r"(.*_)?(ema|EMA)(_.*)?|.*[a-z]E(MA|ma)|shadow|.*_smooth|.*[Aa]veraged?(_.*)?|swa(_.*)?|Gs|GE")
"""Words under which training code keeps averages of weights over the training."""
GENERATOR = ("generator", "Generator", "netG", "net_g", "gen", "G", "g")
DECODER = ("decoder", "Decoder", "dec")
WRAPPERS = (
    *("state_dict", "model_state_dict", "model", "models", "model_state", "params", "net", "network", "weights"),
    "module",
)
MODULES = ("model", "net", "network", "module")
"""Those of the wrappers under which a part of a network may stand as well, its other layers beside it."""
OTHERS = re.compile(
    r"(net_?)?D(_.*)?|d|disc\w*|[Dd]iscriminator\w*|critic\w*|optim\w*|opt\w*|.*scheduler\w*|.*optimizer\w*"
)
"""What stands beside a generator and is none of it."""
WRAPPED = {"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
"""Names that torch.compile and FSDP add wherever they wrap a module; no module is called so."""
MEMBERS = 8
"""Tensors by whose names another copy of the same network is found."""
LARGEST_TREE = 200_000
DEEPEST = 32


@dataclass(frozen=True)
class StateDict(Mapping[str, LazyTensor]):
    """One copy of a network's tensors by name, its prefix taken off.

    Attributes:
        key: where it stands in the file, such as ``state_dict.generator_ema``; empty for the top.
        choice: which copy was taken and what it was taken from, in words; empty where there is one alone.
        others: where else such a network stands, which `key` could name.
    """

    held: Mapping[str, LazyTensor] = field(repr=False)
    what: str
    size: int
    key: str = ""
    choice: str = ""
    others: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> LazyTensor:
        return self.held[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.held)

    def __len__(self) -> int:
        return len(self.held)

    def has_all(self, *names: str) -> bool:
        """Whether a tensor of each of these names is there."""
        return all(name in self.held for name in names)

    @property
    def notes(self) -> list[str]:
        """`choice` as a sentence, for `Generator.notes`; empty where there was none."""
        return [f"of the networks in the file this is {self.choice}"] if self.choice else []

    def load(self) -> dict[str, Tensor]:
        """The numbers of all of them, on the CPU, in the dtypes of the file.

        Raises:
            FileError: they are more than the file has room for, as one storage may serve as many tensors.
        """
        if sum(one.nbytes for one in self.held.values()) > 2 * self.size:
            raise FileError(f"{self.what} was not opened: its tensors are more than the file has room for")
        try:
            return {name: one.load() for name, one in self.held.items()}
        except ValueError as error:
            raise FileError(f"{self.what} was not opened: {error}") from error


def flatten(tree: Any, what: str) -> dict[str, LazyTensor]:
    """All tensors of `tree` by dotted names, in the file's order; those of pickled modules as in their state dicts.

    Raises:
        FileError: nested without end.
    """
    found: dict[str, LazyTensor] = {}
    waiting: list[tuple[tuple[str, ...], Any]] = [((), tree)]
    for _ in range(LARGEST_TREE):
        if not waiting:
            return found
        names, value = waiting.pop()
        if isinstance(value, LazyTensor):
            found.setdefault(".".join(part for part in ".".join(names).split(".") if part not in WRAPPED), value)
        elif len(names) > DEEPEST:
            break
        else:
            waiting += [((*names, name), inner) for name, inner in reversed(list(_inside(value)))]
    raise FileError(f"{what} was not opened: it is nested without end")


def _inside(value: Any) -> Iterator[tuple[str, Any]]:
    """Name and value of what stands directly inside a dictionary or a pickled module."""
    if isinstance(value, dict):
        yield from ((str(name), inner) for name, inner in value.items())
    elif is_module(value):
        for part in ("_parameters", "_buffers", "_modules"):
            yield from _inside(value.state[part])
    elif isinstance(value, Record) and value.items:
        yield from _inside(value.items)


def is_module(value: Any) -> bool:
    """Whether `value` is a pickled ``nn.Module``."""
    state = value.state if isinstance(value, Record) else None
    return isinstance(state, dict) and all(
        isinstance(state.get(part), dict) for part in ("_parameters", "_buffers", "_modules")
    )


def copies(tensors: Mapping[str, LazyTensor], has: tuple[str, ...]) -> list[str]:
    """The prefixes, each with its dot, under which all names of `has` stand."""
    first, *rest = has
    ends = [name[: -len(first)] for name in tensors if name == first or name.endswith(f".{first}")]
    return [prefix for prefix in ends if all(prefix + name in tensors for name in rest)]


def select(
    tensors: Mapping[str, LazyTensor], has: tuple[str, ...], key: str | None, what: str, size: int
) -> StateDict | None:
    """The copy of the network that has all names of `has`, averaged weights first; None where there is none.

    `key` says where it stands, wholly or by the first words of the place. Without `has` the copy is found by the words
    that training code uses for generators.

    Raises:
        OptionError: nothing stands under `key`, or several networks have those names and none is averaged.
    """
    if key and not any(_under(name, key) for name in tensors):
        tops = sorted({name.split(".")[0] for name in tensors})
        raise OptionError(f"key={key} stands for nothing in {what}: it holds {', '.join(tops[:12])}")
    if not has:
        prefix = _by_words(tensors, key)
        held = [name[len(prefix) :] for name in tensors if name.startswith(prefix)]
        alike = copies(tensors, tuple(held[:MEMBERS])) if prefix and held and not key else [prefix]
        return _state(tensors, prefix, alike, what, size, without=OTHERS)
    prefixes = [one for one in copies(tensors, has) if not key or _under(one, key)]
    if not prefixes:
        return None

    def rank(prefix: str) -> tuple[bool, bool]:
        return _is_other(prefix), not is_averaged(prefix)

    best = min(map(rank, prefixes))
    places = [_place(one) for one in prefixes if rank(one) == best]
    if len(places) > 1:
        which = " or ".join(f"key={place}" for place in places[:6] if place)
        raise OptionError(f"{what} holds {len(places)} networks, {', '.join(places[:6])}: write {which}")
    return _state(tensors, next(one for one in prefixes if rank(one) == best), prefixes, what, size)


def _place(prefix: str) -> str:
    return prefix.strip(".") or "the top"


def is_averaged(prefix: str) -> bool:
    """Whether the place `prefix` is called what training code calls averaged weights."""
    return any(AVERAGED.fullmatch(word) for word in prefix.split("."))


def _is_other(prefix: str) -> bool:
    return any(OTHERS.fullmatch(word) for word in prefix.split(".") if word)


def _under(name: str, key: str) -> bool:
    return f"{name}.".startswith(f"{key.strip('.')}.")


def _state(
    tensors: Mapping[str, LazyTensor],
    prefix: str,
    prefixes: list[str],
    what: str,
    size: int,
    without: re.Pattern[str] | None = None,
) -> StateDict:
    held = {name[len(prefix) :]: one for name, one in tensors.items() if name.startswith(prefix)}
    if without is not None:
        held = {name: one for name, one in held.items() if not without.fullmatch(name.split(".")[0])}
    others = [one for one in prefixes if one != prefix and not _is_other(one)]
    choice = ""
    if not is_averaged(prefix) and (averages := _averages_without_dots(tensors, prefix, held)):
        held = {**held, **averages}
        choice = f"{_place(prefix)}, with the averaged weights of model_ema"
    elif others:
        averaged = ", averaged weights" if is_averaged(prefix) else ""
        choice = f"{_place(prefix)}{averaged}; also there: {', '.join(map(_place, others[:4]))}"
    for other in others:  # averages have no buffers in some files: they are the live copy's
        whole = {name[len(other) :]: one for name, one in tensors.items() if name.startswith(other)}
        if is_averaged(prefix) and not is_averaged(other) and held.keys() < whole.keys():
            held, choice = {**whole, **held}, f"{choice}, of which the buffers are"
            break
    keys = tuple(one.strip(".") for one in others)
    return StateDict(held, what, size, prefix.strip("."), choice, keys)


def _averages_without_dots(
    tensors: Mapping[str, LazyTensor], prefix: str, held: Mapping[str, LazyTensor]
) -> dict[str, LazyTensor]:
    """The averages of `held` in a ``model_ema``, which keeps the names of a Lightning module without their dots."""
    words, found = prefix.split("."), dict[str, LazyTensor]()
    for depth in range(len(words)):
        root = "".join(f"{word}." for word in words[:depth])
        for start in (root, "".join(f"{word}." for word in words[: depth + 1] if word)):
            for name in held:
                average = tensors.get(f"{root}model_ema.{(prefix + name)[len(start) :].replace('.', '')}")
                if average is not None and average.shape == held[name].shape:
                    found.setdefault(name, average)
    return found


def _by_words(tensors: Mapping[str, LazyTensor], key: str | None) -> str:
    """The prefix of the generator, by the words that training code uses."""
    prefix = f"{key.strip('.')}." if key else ""
    while True:
        here = [name[len(prefix) :] for name in tensors if name.startswith(prefix)]
        tops = list(dict.fromkeys(name.split(".")[0] for name in here if "." in name))
        shared = _shared(here)
        if shared:
            prefix += f"{shared}."
            continue
        if key:
            return prefix
        averaged = [one for one in tops if AVERAGED.fullmatch(one) and not OTHERS.fullmatch(one)]
        averaged.sort(key=lambda one: not re.match(r"[gG]|net_?[gG]", one))
        named = (one for one in (*averaged, *GENERATOR, *DECODER, *WRAPPERS) if one in tops and _holds(here, one))
        word = next(named, None)
        if word is None or (word in (*DECODER, *MODULES) and not _is_whole(here, word)):
            return prefix
        prefix += f"{word}."


def _shared(names: list[str]) -> str:
    """The word with which all names begin, where more than a tensor's own name follows it; nothing otherwise."""
    first = names[0].split(".")[0] if names else ""
    shared = all(name.split(".")[0] == first and name.count(".") > 1 for name in names)
    return first if shared and not first.isdigit() else ""


def _holds(names: list[str], word: str) -> bool:
    """Whether some network stands under `word`: two modules or more."""
    return len({name.rpartition(".")[0] for name in names if name.startswith(f"{word}.")}) > 1


def _is_whole(names: list[str], word: str) -> bool:
    """Whether a whole network stands under `word`, and not a part of it with its first layer beside it (``fc``)."""
    outside = {name.split(".")[0] for name in names if name.endswith(".weight")} - {word}
    return all(re.match(r"enc|Enc|disc|Disc", name) or OTHERS.fullmatch(name) for name in outside)
