"""An exported network as a generator, with flat latents and images in [0, 1]."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from eigenwalk.checkpoint import Checkpoint, Kind
from eigenwalk.errors import EigenwalkError, FileError, OptionError
from eigenwalk.generator import Generator
from eigenwalk_module.bounds import Bounds
from eigenwalk_module.opened import Input, Opened, Refusal

LATENTS = 8
"""Random images whose numbers tell the range."""
MANY = 1_000_000
"""Numbers of them whose quantiles are taken."""
RANGES = {"unit": (1.0, 0.0), "tanh": (0.5, 0.5), "bytes": (1 / 255, 0.0)}
"""Factor and summand that take a range to [0, 1]."""
SHOWN = {"unit": "[0, 1]", "tanh": "[-1, 1]", "bytes": "[0, 255]"}
ROWS = (2, 4, 8, 16)
"""Rows that a trace may have been made for, which its file does not tell."""
SAME = 1e-4
"""Largest difference between an image made alone and one made among others, as a share of the largest number."""


class Exported(Generator):
    """Latents ``(batch, latent_dim)`` to images ``(batch, 3, height, width)``, nominally in [0, 1], not clipped.

    A file that was exported for a fixed number of rows is called row by row, each row repeated as often as it asks.

    Attributes:
        facts: what the file is and what was found out, in words for people.
    """

    def __init__(self, opened: Opened, shape: tuple[int, ...], extra: Sequence[float], std: float) -> None:
        self.module, self.inputs, self.extra = opened.module.eval(), opened.inputs, tuple(extra)
        self.shape, self.std = shape, std
        self.latent_dim = math.prod(shape)
        self.kept = nn.Linear(1, 1).eval().requires_grad_(False)  # its dtype is the network's: `to` moves both
        self.scale, self.shift = RANGES["unit"]
        self.rows: int | None = None
        self.resolution = (1, 1)
        self.facts: dict[str, str] = {}

    def __call__(self, latents: Tensor) -> Tensor:
        """Return images in the latents' dtype; they are computed in the network's, which `to` sets."""
        return (self.numbers(latents) * self.scale + self.shift).to(latents.dtype)

    def numbers(self, latents: Tensor) -> Tensor:
        """Return the network's own output ``(batch, 3, height, width)``, in its own range."""
        z = latents.to(self.kept.weight.dtype)
        if self.rows is None:
            return _channels_first(self._call(z))
        parts = [self._call(row.expand(self.rows, -1))[:1] for row in z.split(1)]
        return _channels_first(torch.cat(parts))

    def sample(self, n: int, seed: int) -> Tensor:
        """Return `n` normal latents of standard deviation `std`, drawn row by row."""
        return super().sample(n, seed) * self.std

    def __repr__(self) -> str:
        height, width = self.resolution
        return f"<{self.facts.get('format', 'module')}, {width} x {height} pixels, {self.latent_dim} coordinates>"

    def _call(self, z: Tensor) -> Tensor:
        given: list[Tensor | float] = []
        numbers = iter(self.extra)
        for i, one in enumerate(self.inputs):
            given.append(z.unflatten(1, self.shape) if i == _latent(self.inputs) else _fill(one, next(numbers), z))
        return self.module(*given)


def _latent(inputs: Sequence[Input]) -> int:
    """Index of the latent: the first input of floats that has an axis beside the batch."""
    return next(i for i, one in enumerate(inputs) if not one.whole and not one.scalar and one.shape != ())


def _fill(one: Input, number: float, z: Tensor) -> Tensor | float:
    """Return a further input: filled with `number`, or a one-hot vector if it takes several floats per row."""
    if one.scalar:
        return int(number) if one.whole else number
    rows = z.shape[0]
    if one.shape is not None and len(one.shape) == 1 and one.shape[0] > 1 and not one.whole:
        row = torch.zeros(one.shape[0], dtype=z.dtype, device=z.device)
        return torch.where(torch.arange(len(row), device=z.device) == int(number), 1.0, row).expand(rows, -1)
    whole = one.whole or (one.shape is None and float(number).is_integer())
    dtype = torch.int64 if whole else z.dtype
    return torch.full((rows, *(one.shape or ())), number, dtype=dtype, device=z.device)


def _channels_first(images: Tensor) -> Tensor:
    """Return images as ``(batch, 3, height, width)``, also from grey ones and from those with channels last."""
    if images.shape[1] not in (1, 3) and images.shape[-1] in (1, 3):
        images = images.movedim(-1, 1)
    return images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images


def module(
    path: str | Path | Checkpoint,
    shape: Sequence[float] | None = None,
    range: str | None = None,
    inputs: Sequence[float] | None = None,
    std: float = 1.0,
) -> Exported:
    """Return the generator in the file of torch.export or TorchScript at `path`; see `Exported`.

    Raises:
        FileError: the file is neither, is not opened, or gives no images.
        OptionError: something must be said that the file does not tell; the message names the option.
    """
    checkpoint = Checkpoint.of(path)
    if checkpoint.kind is Kind.PROGRAM:
        from eigenwalk_module.program import program as read
    elif checkpoint.kind is Kind.SCRIPT:
        from eigenwalk_module.script import script as read
    elif checkpoint.kind is Kind.ONNX:
        raise FileError(f"{checkpoint} is an ONNX file: write onnx(…)")
    else:
        raise FileError(f"{checkpoint} is {checkpoint.kind}, and no file of torch.export or torch.jit.save")
    return _build(checkpoint, read(checkpoint), shape, range, inputs, std)


def onnx(
    path: str | Path | Checkpoint,
    shape: Sequence[float] | None = None,
    range: str | None = None,
    inputs: Sequence[float] | None = None,
    std: float = 1.0,
) -> Exported:
    """Return the generator in the ONNX file at `path`; see `Exported`. Raises as `module`."""
    from eigenwalk_module.graph import graph

    checkpoint = Checkpoint.of(path)
    if checkpoint.kind is not Kind.ONNX:
        raise FileError(f"{checkpoint} is {checkpoint.kind}, and no ONNX file")
    return _build(checkpoint, graph(checkpoint), shape, range, inputs, std)


def _build(
    file: Checkpoint,
    opened: Opened,
    shape: Sequence[float] | None,
    range: str | None,
    inputs: Sequence[float] | None,
    std: float,
) -> Exported:
    if range is not None and range not in RANGES:
        raise OptionError(f"range must be one of {', '.join(RANGES)}, got {range!r}")
    if not std > 0:
        raise OptionError(f"std must be a positive number, got {std}")
    built = Exported(opened, _shape(file, opened, shape), _extra(file, opened, inputs), std)
    latents = built.sample(LATENTS, seed=20)
    try:
        with torch.no_grad():
            batches = _set_rows(file, built, opened, latents)
            numbers = torch.cat([built.numbers(row) for row in latents.split(1)])
    except Refusal as error:
        raise FileError(f"{file} was not opened: {error}") from None
    if numbers.ndim != 4 or numbers.shape[1] != 3:
        raise FileError(f"{file} gives {tuple(numbers.shape)}, where images of 3 channels, or 1, were expected")
    if not bool(numbers.isfinite().all()):
        raise FileError(f"{file} gives NaN or infinity on random latents")
    built.resolution = (numbers.shape[2], numbers.shape[3])
    chosen, why = (range, "as given") if range else _range(file, opened, numbers)
    built.scale, built.shift = RANGES[chosen]
    built.facts = _facts(opened, built, batches, f"{SHOWN[chosen]} ({why})")
    return built


def _shape(file: Checkpoint, opened: Opened, shape: Sequence[float] | None) -> tuple[int, ...]:
    """Return the shape of one latent, from the file or as given."""
    try:
        own = opened.inputs[_latent(opened.inputs)].shape
    except StopIteration:
        raise FileError(
            f"{file} takes no latent: none of its {len(opened.inputs)} inputs is a tensor of floats"
        ) from None
    if shape is None and own is None:
        raise OptionError(
            f"shape must be given: {file.path.name} does not tell how many numbers its latent has; write shape=128, or "
            f"shape=(100, 1, 1){_hint(opened.module)}"
        )
    given = own if shape is None else tuple(int(side) for side in shape)
    assert given is not None
    if not given or min(given) < 1 or (own is not None and given != own):
        raise OptionError(f"shape must be {own or 'positive numbers, such as 128 or (100, 1, 1)'}, got {given}")
    return given


def _hint(module: nn.Module) -> str:
    """Return the first weight of a module, which often shows the latent's width."""
    first = next((one for one in module.buffers() if one.ndim > 1), None)
    return "" if first is None else f"; its first weight has the shape {tuple(first.shape)}"


def _extra(file: Checkpoint, opened: Opened, inputs: Sequence[float] | None) -> tuple[float, ...]:
    """Return one number for each further input."""
    latent = _latent(opened.inputs)
    others = [one for i, one in enumerate(opened.inputs) if i != latent]
    given = tuple(inputs or ())
    if len(given) != len(others):
        wanted = ", ".join(f"{one.name} ({_words(one)})" for one in others)
        raise OptionError(
            f"inputs must be {len(others)} numbers, one for each of {wanted}: write "
            f"inputs=({', '.join('0' for _ in others)},)"
            if others
            else f"inputs must be left out: {file.path.name} takes the latent alone, got {given}"
        )
    return given


def _words(one: Input) -> str:
    if one.shape is None:
        return "a number" if one.scalar else "a tensor"
    if len(one.shape) == 1 and one.shape[0] > 1 and not one.whole:
        return f"a one-hot of {one.shape[0]}"
    return "a whole number" if one.whole else "a number"


def _set_rows(file: Checkpoint, built: Exported, opened: Opened, latents: Tensor) -> str:
    """Let `built` call its module on whole batches if this gives the same as row by row; return which it does."""
    first: Exception | None = None
    for built.rows in dict.fromkeys((1, opened.batch or 1, *ROWS)):
        try:
            with Bounds(file):
                built.numbers(latents[:1])
            alone = built.numbers(latents[:3])
            break
        except (EigenwalkError, Refusal):
            raise
        except Exception as error:  # whatever its operations raise
            first = first or error
    else:
        told = " ".join(str(first).split())[:300]
        raise FileError(
            f"{file} fails on a latent of the shape {built.shape} ({type(first).__name__}: {told}); shape=(…) and "
            "inputs=(…) say what it is given"
        ) from first
    one_by_one, built.rows = built.rows, None
    try:
        together = built.numbers(latents[:3])
        if together.shape == alone.shape and (together - alone).abs().max() <= SAME * alone.abs().max().clamp_min(1):
            return "any"
    except Exception:  # exported for one row: sizes are part of the graph
        pass
    built.rows = one_by_one
    return f"exported for {one_by_one}: called row by row"


def _range(file: Checkpoint, opened: Opened, numbers: Tensor) -> tuple[str, str]:
    """Return the range of the images: from the last operation, else from random images."""
    if opened.last in ("tanh", "tanh_"):
        return "tanh", "it ends in tanh"
    if opened.last in ("sigmoid", "sigmoid_"):
        return "unit", "it ends in a sigmoid"
    # Quantiles, as networks without a last activation overshoot: far below zero is more than an overshoot of [0, 1].
    some = numbers.float().flatten()[:: max(1, numbers.numel() // MANY)]
    low, high = (float(some.quantile(share)) for share in (0.01, 0.99))
    seen = f"98 of 100 numbers in random images lie from {low:.3g} to {high:.3g}"
    if -2 < low < -0.4 and 0.3 < high < 2:
        return "tanh", seen
    if low >= -0.15 and 0.3 < high < 1.3:
        return "unit", seen
    if low > -20 and 50 < high < 300:
        return "bytes", seen
    raise OptionError(
        f"range must be given: {file.path.name} ends in {opened.last or 'an unknown operation'}, and {seen}; write "
        "range=unit ([0, 1]), range=tanh ([-1, 1]) or range=bytes ([0, 255])"
    )


def _facts(opened: Opened, built: Exported, batches: str, range: str) -> dict[str, str]:
    """Return facts about the network, for people: labels and texts."""
    facts = {"format": opened.words}
    if opened.operations is not None:
        facts["operations"] = str(opened.operations)
    facts["latent"] = f"{' x '.join(map(str, built.shape))}, normal, standard deviation {built.std:g}"
    others = [one.name for i, one in enumerate(opened.inputs) if i != _latent(opened.inputs)]
    facts |= {f"input {name}": f"{number:g}" for name, number in zip(others, built.extra, strict=True)}
    facts |= {"range": range, "rows at once": batches}
    return facts | {"parameters": f"{sum(one.numel() for one in built.module.buffers()):,}"}
