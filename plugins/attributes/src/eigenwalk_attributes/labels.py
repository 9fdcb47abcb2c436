"""The labels file: which network of timm the weights are of, and what each of its outputs is called.

    architecture = "resnet18"
    labels = ["hair_length", "smile"]
    units = ["logit", "logit"]      # left out: logits
    scale = [2.1, 1.4]              # standard deviation of each output over your data; left out: 1

    [preprocessing]                 # left out: as timm configures the architecture
    input_size = [3, 128, 128]

    [arguments]                     # left out: none; go to timm.create_model
    global_pool = "avg"

In a safetensors file the same entries stand as JSON in its metadata, under ``eigenwalk.attributes``.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from eigenwalk.errors import FileError

KEY = "eigenwalk.attributes"
LOGIT = "logit"
SUFFIX = ".labels.toml"
EXAMPLE = 'architecture = "resnet18"\n  labels = ["hair_length", "smile"]'


@dataclass(frozen=True)
class Labels:
    """What a labels file says; see the module.

    Attributes:
        architecture: timm's name.
        labels: of the network's outputs, in their order.
        units: of each output: ``logit``, or a value's own.
        scale: standard deviation of each output over data, in its unit.
        preprocessing, arguments: entries in place of timm's own.
        report: how the network was fitted and what it scored, where `fit` made it.
    """

    architecture: str
    labels: tuple[str, ...]
    units: tuple[str, ...]
    scale: tuple[float, ...]
    preprocessing: Mapping[str, Any] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    report: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, entries: Mapping[str, Any], source: str) -> Labels:
        """The labels in `entries`; `source` names the file in messages.

        Raises:
            FileError: an entry is missing, unknown or of the wrong kind.
        """
        known = ("architecture", "labels", "units", "scale", "preprocessing", "arguments", "report")
        if unknown := [name for name in entries if name not in known]:
            raise FileError(f"{source} has an unknown entry {unknown[0]!r}: it takes {', '.join(known)}")
        architecture, labels = entries.get("architecture"), entries.get("labels")
        if not isinstance(architecture, str):
            raise FileError(f'{source} must name the network of timm: architecture = "resnet18"')
        if not _list_of(labels, str) or not labels or len(set(labels)) < len(labels):
            raise FileError(f'{source} must list the outputs, each name once: labels = ["smile"]; it has {labels!r}')
        units, scale = entries.get("units", LOGIT), entries.get("scale", [1.0] * len(labels))
        units = [units] * len(labels) if isinstance(units, str) else units
        if not _list_of(units, str) or len(units) != len(labels):
            raise FileError(f"{source}: units must be one text, or one for each of {len(labels)} labels, got {units!r}")
        if not _list_of(scale, (int, float)) or len(scale) != len(labels) or not min(scale) > 0:
            raise FileError(f"{source}: scale must be a positive number for each of {len(labels)} labels, got {scale}")
        for name in ("preprocessing", "arguments", "report"):
            if not isinstance(entries.get(name, {}), Mapping):
                raise FileError(f"{source}: {name} must be a table, got {entries[name]!r}")
        tables = {name: dict(entries.get(name, {})) for name in ("preprocessing", "arguments", "report")}
        return cls(architecture, tuple(labels), tuple(units), tuple(float(one) for one in scale), **tables)

    def metadata(self) -> dict[str, str]:
        """Metadata for a safetensors file."""
        return {KEY: json.dumps(vars(self))}


def read(weights: Path, labels: Path | None = None) -> Labels:
    """The labels of the network whose weights lie at `weights`: those of `labels`, else its own, else beside it.

    Raises:
        FileError: there are none, or they cannot be read.
    """
    if labels is None:
        if (entries := own(weights)) is not None:
            return Labels.of(entries, f"the metadata of {weights}")
        labels = beside(weights)
        if not labels.is_file():
            raise FileError(
                f"{weights} does not say what its outputs are: write {labels} with at least\n  {EXAMPLE}\n"
                "or name such a file, labels=FILE"
            )
    try:
        return Labels.of(tomllib.loads(labels.read_text(encoding="utf-8")), str(labels))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FileError(f"{labels} is no labels file, which is TOML: {error}") from None
    except OSError as error:
        raise FileError(f"the labels file {labels} cannot be read: {error.strerror or error}") from error


def beside(weights: Path) -> Path:
    """Where the labels of the network whose weights lie at `weights` stand, if they are not in that file itself."""
    return weights.with_name(weights.stem + SUFFIX)


def own(weights: Path) -> dict[str, Any] | None:
    """The entries in the metadata of a safetensors file; None where it has none, or is another kind of file.

    Raises:
        FileError: it is missing, damaged, or its metadata is no JSON.
    """
    if not weights.is_file():
        raise FileError(f"there is no file {weights}")
    if weights.suffix != ".safetensors":
        return None
    try:
        with safe_open(weights, "pt") as file:
            text = (file.metadata() or {}).get(KEY)
        entries = None if text is None else json.loads(text)
    except (OSError, SafetensorError, ValueError) as error:
        raise FileError(
            f"{weights} cannot be opened as safetensors, it is truncated or no such file: {error}"
        ) from error
    if entries is not None and not isinstance(entries, dict):
        raise FileError(f"the metadata {KEY} of {weights} must be an object, got {type(entries).__name__}")
    return entries


def _list_of(found: Any, kind: type | tuple[type, ...]) -> bool:
    return isinstance(found, (list, tuple)) and all(
        isinstance(one, kind) and not isinstance(one, bool) for one in found
    )
