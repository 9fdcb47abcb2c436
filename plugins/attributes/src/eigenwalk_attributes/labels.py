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
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eigenwalk.checkpoint import Checkpoint
from eigenwalk.errors import FileError
from eigenwalk.textfile import parse_json, read_toml

KEY = "eigenwalk.attributes"
LOGIT = "logit"
SUFFIX = ".labels.toml"
EXAMPLE = 'architecture = "resnet18"\n  labels = ["hair_length", "smile"]'
ENTRIES = ("architecture", "labels", "units", "scale", "preprocessing", "arguments", "report")
ARGUMENTS = (
    *("act_layer", "channels", "class_token", "depth", "depths", "dims", "drop_rate", "dynamic_img_size", "embed_dim"),
    *("global_pool", "img_size", "in_chans", "init_values", "layers", "mlp_ratio", "norm_layer", "num_heads"),
    *("output_stride", "patch_size", "qkv_bias", "reg_tokens", "stem_chs", "stem_type", "stem_width", "window_size"),
)
"""What a labels file may pass to ``timm.create_model``: sizes and kinds of layers. Others would open files."""


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
        if unknown := [name for name in entries if name not in ENTRIES]:
            raise FileError(f"{source} has an unknown entry {unknown[0]!r}: it takes {', '.join(ENTRIES)}")
        architecture, labels = entries.get("architecture"), entries.get("labels")
        if not isinstance(architecture, str):
            raise FileError(f'{source} must name the network of timm: architecture = "resnet18"')
        if not _is_list(labels, str) or not labels or len(set(labels)) < len(labels):
            raise FileError(f'{source} must list the outputs, each name once: labels = ["smile"]; it has {labels!r}')
        units, scale = entries.get("units", LOGIT), entries.get("scale", [1.0] * len(labels))
        units = [units] * len(labels) if isinstance(units, str) else units
        if not _is_list(units, str) or len(units) != len(labels):
            raise FileError(f"{source}: units must be one text, or one for each of {len(labels)} labels, got {units!r}")
        if not _is_list(scale, (int, float)) or len(scale) != len(labels) or not min(scale) > 0:
            raise FileError(f"{source}: scale must be a positive number for each of {len(labels)} labels, got {scale}")
        for name in ("preprocessing", "arguments", "report"):
            if not isinstance(entries.get(name, {}), Mapping):
                raise FileError(f"{source}: {name} must be a table, got {entries[name]!r}")
        tables = {name: dict(entries.get(name, {})) for name in ("preprocessing", "arguments", "report")}
        check_arguments(tables["arguments"], source)
        return cls(architecture, tuple(labels), tuple(units), tuple(float(one) for one in scale), **tables)

    def metadata(self) -> dict[str, str]:
        """Metadata for a safetensors file."""
        return {KEY: json.dumps(vars(self))}


def read_labels(weights: Path, labels: Path | None = None) -> Labels:
    """Read the labels of the network whose weights lie at `weights`: those in `labels`, else its own, else beside it.

    Raises:
        FileError: there are none, or they cannot be read.
    """
    if labels is None:
        if (entries := own_entries(weights)) is not None:
            return Labels.of(entries, f"the metadata of {weights}")
        labels = labels_beside(weights)
        if not labels.exists():
            raise FileError(
                f"{weights} does not say what its outputs are: write {labels} with at least\n  {EXAMPLE}\n"
                "or name such a file, labels=FILE"
            )
    return Labels.of(read_toml(labels, "labels file"), str(labels))


def labels_beside(weights: Path) -> Path:
    """The file that holds the labels of the network with these `weights`, if their own file does not."""
    return weights.with_name(weights.stem + SUFFIX)


def own_entries(weights: Path) -> dict[str, Any] | None:
    """The entries in the metadata of a safetensors file; None if it has none, or is another kind of file.

    Raises:
        FileError: it is missing, damaged, or its metadata is no JSON.
    """
    text = Checkpoint.of(weights).metadata.get(KEY)
    entries = None if text is None else parse_json(text, f"the metadata {KEY} of {weights}")
    if entries is not None and not isinstance(entries, dict):
        raise FileError(f"the metadata {KEY} of {weights} must be an object, got {type(entries).__name__}")
    return entries


def check_arguments(arguments: Mapping[str, Any], source: str) -> None:
    """Raise FileError if `arguments`, found in the file `source`, are not numbers or words for some of `ARGUMENTS`."""
    for name, value in arguments.items():
        if name not in ARGUMENTS:
            raise FileError(f"{source}: arguments may not set {name!r}; they take {', '.join(ARGUMENTS)}")
        numbers = value if isinstance(value, (list, tuple)) and len(value) <= 16 else [value]
        for number in numbers:
            if not isinstance(number, (int, float, str)) or not (isinstance(number, str) or abs(number) <= 16384):
                raise FileError(f"{source}: arguments.{name} must be a word, or numbers up to 16384, got {value!r:.80}")


def _is_list(found: Any, kind: type | tuple[type, ...]) -> bool:
    return isinstance(found, (list, tuple)) and all(
        isinstance(one, kind) and not isinstance(one, bool) for one in found
    )
