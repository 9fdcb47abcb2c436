"""How old the face in an image looks, and how male: dlib's networks, from ONNX files of theirs.

The files are read as numbers by name, ``layer_52_weights``; their graphs are not carried out. Layers are counted from
the last one, so an image passes them in falling order.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from eigenwalk.checkpoint import Checkpoint
from eigenwalk.checkpoint.onnx import initialisers
from eigenwalk.errors import FileError
from eigenwalk.shapes import Images
from eigenwalk.store import find
from eigenwalk_attributes.published import AGE, GENDER
from eigenwalk_face.dlib import Affine, ChipFeature, Convolution, Dense, fill, resnet

PADDING = 0.2
AGE_SIZE, GENDER_SIZE = 64, 32
"""Sides of the chips, in pixels."""
AGES = 81
"""Classes: 0.25, 1, 2, …, 80 years."""
NAME = re.compile(r"layer_(\d{1,4})_(weights|bias|scale|offset|scalar)")


class Age(ChipFeature):
    """Years ``(batch,)``: the expectation over the network's classes."""

    unit = "year"

    def values(self, crops: Images) -> Tensor:
        """Σ p_c years_c ``(batch,)`` of `crops` ``(batch, 3, size, size)``."""
        classes = super().values(crops)
        years = torch.arange(AGES, dtype=classes.dtype, device=classes.device).clamp(min=0.25)
        return classes.softmax(1) @ years


class Gender(ChipFeature):
    """log p(male) / p(female) ``(batch,)``, which never saturates as the probabilities do."""

    unit = "logit"

    def values(self, crops: Images) -> Tensor:
        """The difference of both logits ``(batch,)`` of `crops` ``(batch, 3, size, size)``."""
        female, male = super().values(crops).unbind(1)
        return male - female


def gender_network() -> nn.Sequential:
    """Return the convolutional network from ``(batch, 3, 32, 32)`` to the logits of female and male."""
    convolutions = [nn.Conv2d(before, after, 3, padding=1) for before, after in ((3, 32), (32, 32), (32, 64), (64, 64))]
    first, second, third, fourth = ([one, nn.ReLU()] for one in convolutions)
    pool = nn.AvgPool2d(2)
    return nn.Sequential(
        *first, *second, pool, *third, *fourth, pool, nn.Flatten(), nn.Linear(4096, 16), nn.ReLU(), nn.Linear(16, 2)
    )


def layers(file: Checkpoint) -> Iterator[Convolution | Affine | Dense]:
    """Yield the layers with weights in `file`, in the order in which an image passes them.

    A factor before a linear layer, which dropout left there, is multiplied into its matrix.

    Raises:
        FileError: it is no ONNX file, damaged, or one whose tensors have other names.
    """
    found: defaultdict[int, dict[str, Tensor]] = defaultdict(dict)
    for name, tensor in initialisers(file).items():
        if match := NAME.fullmatch(name):
            found[int(match[1])][match[2]] = tensor.load()
    if not found:
        raise FileError(f"{file} holds no layers by the names of dlib's networks, such as layer_1_weights")
    factor = torch.ones(())
    for number, parts in sorted(found.items(), reverse=True):
        match parts:
            case {"weights": weight, "bias": bias} if weight.ndim == 4:
                yield Convolution(weight, bias)
            case {"weights": weight, "bias": bias} if weight.ndim == 2:
                yield Dense(weight * factor, bias)
                factor = torch.ones(())
            case {"scale": scale, "offset": shift}:
                yield Affine(scale, shift)
            case {"scalar": scalar} if scalar.numel() == 1:
                factor = scalar.flatten()
            case _:
                raise FileError(f"{file}: layer {number} holds {', '.join(parts)}, as no layer of dlib's networks does")


def age(file: str | None = None, box: Sequence[float] | str | None = None, least: float = 0.7) -> Age:
    """Open the network of ages in `file`, or the published one, as a feature.

    Raises:
        OptionError: a box that is empty or leaves the image, or a number out of range.
        WeightsError: the published weights are not in the store, or the file is another network's.
        FileError: the file is missing or no ONNX file.
    """
    path = Checkpoint.of(find(AGE, "age") if file is None else Path(file).expanduser())
    network = fill(resnet([(64, 1), (128, 2), (256, 2)], AGES, bias=True), layers(path), str(path))
    return Age("age", network, AGE_SIZE, PADDING, box, least)


def gender(file: str | None = None, box: Sequence[float] | str | None = None, least: float = 0.7) -> Gender:
    """Open the network of genders in `file`, or the published one, as a feature; raises as `age`."""
    path = Checkpoint.of(find(GENDER, "gender") if file is None else Path(file).expanduser())
    return Gender("gender", fill(gender_network(), layers(path), str(path)), GENDER_SIZE, PADDING, box, least)
