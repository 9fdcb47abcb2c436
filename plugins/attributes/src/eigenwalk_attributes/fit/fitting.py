"""From labelled images to a file that `attributes` opens: prepare, split, learn, calibrate, score, save."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import save as packed
from torch import Tensor, nn

from eigenwalk import store
from eigenwalk.errors import OptionError, OutputError
from eigenwalk_attributes import network
from eigenwalk_attributes.fit import head, scratch
from eigenwalk_attributes.fit.examples import Examples, Skipped, prepare, shorter_side
from eigenwalk_attributes.fit.scores import Classified, Regressed, classified, regressed, temperature
from eigenwalk_attributes.labels import LOGIT, Labels
from eigenwalk_attributes.preprocessing import Preprocessing

SCRATCH = "scratch"
GROUP, HELD, VALIDATED = 20, 4, 3
"""Of every 20 images, sorted by the first label, a random 4 are held out and 3 are for validation."""

Progress = Callable[[str, float], None]
"""Called with what is being done, and the share of it that is finished."""


@dataclass(frozen=True)
class Split:
    """Rows for training, for validation and for the final scores; each ``(n,)``."""

    train: Tensor
    validation: Tensor
    held: Tensor


@dataclass(frozen=True)
class Fitted:
    """A fitted network, and its scores.

    Attributes:
        model: its last layer gives logits with their temperature, or values in their unit.
        examples: those that were used.
        outputs, truth: on the held-out images, ``(n, labels)``.
        scores: one for each label.
    """

    model: nn.Module
    labels: Labels
    examples: Examples
    skipped: Skipped
    outputs: Tensor
    truth: Tensor
    scores: tuple[Classified | Regressed, ...]
    seconds: float


def fit(
    examples: Examples,
    backbone: str = SCRATCH,
    weights: Path | None = None,
    size: int | None = None,
    seed: int = 0,
    mirror: bool = False,
    progress: Progress = lambda what, share: None,
) -> Fitted:
    """Fit a network to the labels of `examples`: a linear head on a frozen `backbone`, or a small one from scratch.

    The same examples, seed, versions and number of threads give the same network.

    Raises:
        InputError: too few images, or one class only; OptionError: no such backbone.
        FileError, WeightsError: the backbone's weights are not there.
    """
    begin = time.perf_counter()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        learn = _scratch if backbone == SCRATCH else _frozen
        model, arguments, preprocessing = (
            _untrained(examples, size) if backbone == SCRATCH else _opened(examples, backbone, weights, size)
        )
        skipped, kept, inputs = Skipped(), [], []
        body: Callable[[Tensor], Tensor] = (lambda images: images.half()) if backbone == SCRATCH else _features(model)
        for rows, images in prepare(examples, preprocessing, skipped):
            kept += rows
            inputs.append(body(images))
            progress("reading images", (rows[-1] + 1) / len(examples.paths))
        examples = examples.rows(kept)
        examples.check()
        parts = split(examples.values[:, 0], torch.Generator().manual_seed(seed))
        x = torch.cat(inputs)
        heat = learn(model, x, examples, parts, mirror, progress)
        with torch.no_grad():
            outputs = scratch.outputs(model if backbone == SCRATCH else _classifier(model), x)
    truth = examples.values[parts.held]
    scores = tuple(
        classified(one, true, warmth) if unit == LOGIT else regressed(one, true)
        for one, true, unit, warmth in zip(outputs[parts.held].T, truth.T, examples.units, heat, strict=True)
    )
    seconds = time.perf_counter() - begin
    report = {
        "backbone": backbone,
        "images": len(kept),
        "held_out": len(parts.held),
        "seed": seed,
        "seconds": round(seconds, 1),
        "timm": timm.__version__,
        "torch": torch.__version__,
        "scores": {label: asdict(score) for label, score in zip(examples.labels, scores, strict=True)},
    }
    labels = Labels(
        scratch.ARCHITECTURE if backbone == SCRATCH else backbone,
        examples.labels,
        examples.units,
        tuple(float(one) for one in outputs.double().std(0)),
        preprocessing.entries(),
        arguments,
        report,
    )
    return Fitted(model, labels, examples, skipped, outputs[parts.held], truth, scores, seconds)


def save(fitted: Fitted, file: Path) -> None:
    """Write the network, with its labels in the metadata, to `file`: whole or not at all.

    Raises:
        OutputError: the folder cannot be written.
    """
    state = {key: value.detach().contiguous().clone() for key, value in fitted.model.state_dict().items()}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        store.write_whole(file, packed(state, fitted.labels.metadata()))
    except OSError as error:
        raise OutputError(f"{file} cannot be written: {error.strerror or error}") from error


def split(values: Tensor, generator: torch.Generator) -> Split:
    """Split rows at random: 65 % for training, 15 for validation, 20 held out, of each range of `values` ``(n,)``."""
    shuffled = torch.randperm(len(values), generator=generator)
    order = shuffled[values[shuffled].argsort(stable=True)]
    parts: tuple[list[Tensor], list[Tensor], list[Tensor]] = ([], [], [])
    for group in order.split(GROUP):
        mixed = group[torch.randperm(len(group), generator=generator)]
        held = round(len(group) * HELD / GROUP)
        upto = held + round(len(group) * VALIDATED / GROUP)
        for part, rows in zip(parts, (mixed[upto:], mixed[held:upto], mixed[:held]), strict=True):
            part.append(rows)
    return Split(*(torch.cat(part) for part in parts))


def _untrained(examples: Examples, size: int | None) -> tuple[nn.Module, Mapping[str, Any], Preprocessing]:
    if size is None:  # as fine as the images are, within what a CPU trains in minutes
        size = min(128, max(64, shorter_side(examples) // 32 * 32))
    if not 32 <= size <= 512:
        raise OptionError(f"--size of a network from scratch must be from 32 to 512 pixels, got {size}")
    model = network.create(scratch.ARCHITECTURE, len(examples.labels), scratch.ARGUMENTS)
    entries = {"input_size": (3, size, size), "interpolation": "bilinear", "crop_pct": 1.0}
    return model, scratch.ARGUMENTS, Preprocessing.of(model, {**entries, "mean": (0.5,) * 3, "std": (0.25,) * 3})


def _opened(
    examples: Examples, backbone: str, weights: Path | None, size: int | None
) -> tuple[nn.Module, Mapping[str, Any], Preprocessing]:
    model = network.backbone(backbone, weights, size, f"embedding({backbone})")
    model.reset_classifier(len(examples.labels))  # type: ignore[operator]
    if not isinstance(_classifier(model), nn.Linear):
        raise OptionError(
            f"{backbone} ends in a {type(_classifier(model)).__name__}, and only a linear layer can be fitted: "
            "choose another backbone"
        )
    entries = {} if size is None else {"input_size": (3, size, size)}
    return model, network.size_arguments(backbone, size), Preprocessing.of(model, entries)


def _scratch(
    model: nn.Module, images: Tensor, examples: Examples, parts: Split, mirror: bool, progress: Progress
) -> list[float]:
    """Train `model` end to end; return the temperature of each label's logits, 1 for a value."""
    binary = torch.tensor([unit == LOGIT for unit in examples.units])
    mean = torch.where(binary, 0.0, examples.values[parts.train].mean(0))
    std = torch.where(binary, 1.0, examples.values[parts.train].std(0))
    truth = ((examples.values - mean) / std).float()
    validation = images[parts.validation], truth[parts.validation]
    scratch.train(
        model,
        images[parts.train],
        truth[parts.train],
        binary,
        validation,
        mirror,
        partial(progress, "training"),
    )
    logits = scratch.outputs(model, validation[0])
    heat = [temperature(logits[:, i], validation[1][:, i]) if logit else 1.0 for i, logit in enumerate(binary.tolist())]
    last = _classifier(model)
    with torch.no_grad():
        gain = (std / torch.tensor(heat)).float()
        last.weight.mul_(gain[:, None])
        last.bias.mul_(gain).add_(mean.float())
    model.eval().requires_grad_(False)
    return heat


def _frozen(
    model: nn.Module, features: Tensor, examples: Examples, parts: Split, mirror: bool, progress: Progress
) -> list[float]:
    """Fit the last layer of `model` to its features; return the temperature of each label's logits, 1 for a value."""
    rows, last, heat = torch.cat([parts.train, parts.validation]), _classifier(model), []
    generator = torch.Generator().manual_seed(int(torch.randint(2**31, ())))
    for column, unit in enumerate(examples.units):
        progress("fitting the head", column / len(examples.units))
        fitted = head.fit(features[rows], examples.values[rows, column], unit == LOGIT, generator)
        heat.append(fitted.temperature)
        with torch.no_grad():
            last.weight[column] = fitted.weight
            last.bias[column] = fitted.bias
    progress("fitting the head", 1.0)
    return heat


def _features(model: nn.Module) -> Callable[[Tensor], Tensor]:
    """A function from images to what the last layer of `model` sees, ``(batch, channels)``."""

    @torch.no_grad()
    def features(images: Tensor) -> Tensor:
        return model.forward_head(model.forward_features(images), pre_logits=True)  # type: ignore[operator]

    return features


def _classifier(model: nn.Module) -> Any:
    return model.get_classifier()  # type: ignore[operator]
