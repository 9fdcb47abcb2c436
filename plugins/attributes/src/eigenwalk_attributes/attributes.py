"""The feature that a classifier or regressor makes of its named outputs: `attributes(smile)`."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from eigenwalk import store
from eigenwalk.checkpoint import state_dict
from eigenwalk.errors import FileError, OptionError
from eigenwalk.feature import Feature, move_like
from eigenwalk.shapes import Distances, Images, Values
from eigenwalk_attributes.labels import Labels, labels_beside, own_entries, read_labels
from eigenwalk_attributes.network import load
from eigenwalk_attributes.preprocessing import Preprocessing

MIXED = "standard deviation"


@dataclass(frozen=True)
class Reader:
    """A network, with its preprocessing and what its outputs mean."""

    path: Path
    labels: Labels
    model: nn.Module
    preprocessing: Preprocessing

    @classmethod
    def open(cls, path: Path, labels: Path | None = None) -> Reader:
        """Open the network whose weights lie at `path`.

        Raises:
            FileError, WeightsError: weights or labels are missing, damaged, or do not fit each other.
            OptionError: the labels name a network or preprocessing that does not exist.
        """
        facts = read_labels(path, labels)
        what = f"{path}, with {len(facts.labels)} labels of {facts.architecture},"
        model = load(facts.architecture, len(facts.labels), facts.arguments, state_dict(path), what)
        return cls(path, facts, model, Preprocessing.of(model, facts.preprocessing))

    def outputs(self, images: Images) -> Tensor:
        """All outputs ``(batch, labels)`` of images ``(batch, 3, height, width)``."""
        return move_like(self.model, images)(self.preprocessing(images))


class Attributes(Feature):
    """Outputs ``(batch, labels)`` of one or several networks, by label: logits, never squashed.

    The distance is the root mean squared difference over the labels, in their unit. If their units differ, each output
    is first divided by its scale, and the unit is the standard deviation of an output.
    """

    def __init__(self, chosen: Sequence[tuple[Reader, int]], files: Sequence[Path] = ()) -> None:
        self.chosen, self.files = tuple(chosen), tuple(files)
        units = [reader.labels.units[column] for reader, column in chosen]
        scales = [reader.labels.scale[column] for reader, column in chosen]
        mixed = len(set(units)) > 1
        self.unit = MIXED if mixed else units[0]
        self.scales = tuple(scales) if mixed else (1.0,) * len(scales)

    def __call__(self, images: Images) -> Values:
        """The outputs ``(batch, labels)`` of images ``(batch, 3, height, width)``."""
        readers = {id(reader): reader for reader, _ in self.chosen}
        outputs = {key: reader.outputs(images) for key, reader in readers.items()}
        return torch.stack([outputs[id(reader)][:, column] for reader, column in self.chosen], 1)

    def distance(self, a: Values, b: Values) -> Distances:
        """√ mean ((a - b) / scale)² over the labels, ``(batch,)``."""
        return ((a - b) / a.new_tensor(self.scales)).square().mean(1).sqrt()

    def radius(self, distance: float, values: Values) -> Distances:
        """The length ``(batch,)`` of a change of every label by `distance`: distance · √Σ scale²."""
        length = distance * math.sqrt(sum(scale**2 for scale in self.scales))
        return values.new_full((len(values),), length)

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Attributes:
        """This feature, with its networks on `device`, in `dtype`."""
        for reader, _ in self.chosen:
            reader.model.to(device, dtype)
        return self


def attributes(label: Sequence[str], model: str | None = None, labels: str | None = None) -> Attributes:
    """Read the outputs `label` of the network in the file `model`, or of those that `fit` saved in the store.

    Raises:
        OptionError: the network has no such label.
        FileError, WeightsError: as `Reader.open`; or no network of that name was fitted.
    """
    names = (label,) if isinstance(label, str) else tuple(label)
    if not names or len(set(names)) < len(names):
        raise OptionError(f"attributes takes labels, each once, such as (smile, glasses), got {names}")
    if model is None and labels is not None:
        raise OptionError("attributes takes labels=FILE with model=FILE alone: a fitted network has its own labels")
    opened: dict[Path, Reader] = {}
    chosen = []
    for name in names:
        path = find_fitted(name) if model is None else Path(model).expanduser()
        if path not in opened:
            opened[path] = Reader.open(path, Path(labels).expanduser() if labels else None)
        chosen.append((opened[path], _column(name, opened[path])))
    if model is None:
        return Attributes(chosen, tuple(opened))
    # The options name the weights, and perhaps the labels: a labels file beside the weights is named by neither.
    unnamed = [labels_beside(path) for path in opened if labels is None and own_entries(path) is None]
    return Attributes(chosen, unnamed)


def folder() -> Path:
    """The folder in which `fit` saves networks, and `attributes` finds them."""
    return store.folder() / "attributes"


def find_fitted(name: str) -> Path:
    """Find the network that `fit` made for a label: ``NAME.safetensors``, else the one that has it among its labels.

    Raises:
        FileError: there is none.
        OptionError: several have it.
    """
    file = folder() / f"{name}.safetensors"
    if file.is_file():
        return file
    known = {path: list((own_entries(path) or {}).get("labels", ())) for path in sorted(folder().glob("*.safetensors"))}
    matching = [path for path, labels in known.items() if name in labels]
    if len(matching) > 1:
        raise OptionError(
            f"several fitted networks have the label {name!r}: name one, "
            + " or ".join(f'attributes({name}, model="{path}")' for path in matching)
        )
    if not matching:
        labels = sorted({label for labels in known.values() for label in labels})
        near = f"; fitted are {', '.join(labels)}" if labels else ""
        raise FileError(
            f"nothing of the name {name!r} was fitted ({file} is not there){near}\n"
            f"  fit it:  eigenwalk attributes fit {name} --positive FOLDER --negative FOLDER\n"
            f"  or name a network's weights:  attributes({name}, model=FILE)"
        )
    return matching[0]


def _column(name: str, reader: Reader) -> int:
    labels = reader.labels.labels
    if name in labels:
        return labels.index(name)
    near = difflib.get_close_matches(name, labels, 3)
    has = ", ".join(labels[:20]) + (f" and {len(labels) - 20} more" if len(labels) > 20 else "")
    meant = f"; did you mean {' or '.join(near)}?" if near else ""
    raise OptionError(f"{reader.path} has no label {name!r}: it has {has}{meant}")
