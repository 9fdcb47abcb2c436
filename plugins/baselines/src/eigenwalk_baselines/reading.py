"""The layers of a generator that read its latent, found by running it once.

A *reader* is an affine module with weights whose flattened input holds the latent or a stretch of it, as it is or times
a positive number for each row (a generator may first normalise it). In w+ the stretch is one layer's w.

The *intermediate latent* is the flat vector, no stretch of the latent itself, that most modules with weights (at least
two) read: StyleGAN's w, if the walk happens in z.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook

from eigenwalk.generator import Generator
from eigenwalk.shapes import Latents

PARALLEL = 1 - 1e-5
"""Cosine above which a stretch of a latent and a module's input count as parallel, in float32."""
AFFINE = 1e-3
"""Second difference, as a share of the first, below which a module counts as affine."""


@dataclass(frozen=True)
class Call:
    """A call of a module with one row of its arguments, of which the one at `place` depends on the latent.

    Attributes:
        columns: the columns of that argument, flattened, that depend on the latent.
        vectors: these columns for two latents, ``(2, columns)``.
    """

    module: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    place: int
    columns: slice
    vectors: Tensor

    def __call__(self, change: Tensor) -> Tensor | None:
        """The output ``(outputs,)`` after the columns change by `change` ``(columns,)``; None if it is no tensor."""
        given: Tensor = self.args[self.place]
        padding = (self.columns.start, given.numel() - self.columns.stop)
        moved = given + nn.functional.pad(change, padding).view_as(given)
        outputs = self.module(*self.args[: self.place], moved, *self.args[self.place + 1 :], **self.kwargs)
        return outputs.flatten() if isinstance(outputs, Tensor) else None

    def is_affine(self) -> bool:
        """Whether the output is an affine function of the columns, up to rounding."""
        noise = torch.randn(self.vectors.shape[1], generator=torch.Generator().manual_seed(1))
        u = noise.to(self.vectors) * self.vectors.std().clamp_min(1e-6)
        with torch.no_grad():
            down, here, up = self(-u), self(0 * u), self(u)
        if down is None or here is None or up is None:
            return False
        return bool((up - 2 * here + down).norm() <= AFFINE * (up - here).norm()) and bool((up - here).norm() > 0)


@dataclass(frozen=True)
class Reader:
    """An affine layer that reads the stretch of the latent that begins at coordinate `start`."""

    call: Call
    start: int

    @property
    def width(self) -> int:
        """How many coordinates it reads."""
        return self.call.vectors.shape[1]

    def matrix(self) -> Tensor:
        """Its linear map ``(outputs, width)`` by forward mode, with learning-rate scales and gains."""
        zero = torch.zeros_like(self.call.vectors[0])
        with torch.no_grad():
            return torch.func.jacfwd(self.call)(zero)


def readers(generator: Generator, like: Tensor) -> list[Reader]:
    """Find the readers of `generator`, in the order of computation; `like` has the dtype and device of its latents."""
    latents = _distinct(generator, like)
    found = []
    for call in _innermost(_calls(generator, latents)):
        start = _stretch(call.vectors, latents)
        if start is not None and call.is_affine():
            found.append(Reader(call, start))
    return found


def intermediate(generator: Generator, like: Tensor) -> tuple[nn.Module, int] | None:
    """Find the module that first reads the intermediate latent, and its place among the arguments, if there is one."""
    latents = _distinct(generator, like)
    calls = [call for call in _calls(generator, latents) if call.args[call.place].ndim == 2]
    calls = [call for call in _innermost(calls) if _stretch(call.vectors, latents) is None]
    shared = [sum(_same(call, other) for other in calls) for call in calls]
    if max(shared, default=0) < 2:
        return None
    first = calls[shared.index(max(shared))]
    return first.module, first.place


class _Reached(Exception):
    """Ends a generator's run once the wanted tensor is known."""

    def __init__(self, value: Tensor):
        self.value = value


def given_to(generator: Generator, module: nn.Module, place: int, latents: Latents) -> Tensor:
    """Run `generator` up to the first call of `module`; return its argument at `place` ``(batch, …)``."""

    def stop(_: nn.Module, args: tuple[Any, ...]) -> None:
        raise _Reached(args[place])

    with module.register_forward_pre_hook(stop):
        return _until_reached(generator, latents)


def output_of(generator: Generator, module: nn.Module, latents: Latents) -> Tensor:
    """Run `generator` up to the end of the first call of `module`; return its output ``(batch, …)``."""

    def stop(_: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        raise _Reached(output)

    with module.register_forward_hook(stop):
        return _until_reached(generator, latents)


def _until_reached(generator: Generator, latents: Latents) -> Tensor:
    try:
        generator(latents)
    except _Reached as reached:
        return reached.value
    raise RuntimeError("the generator did not call the same modules again")  # it depends on more than its latents


def _distinct(generator: Generator, like: Tensor) -> Latents:
    """Two latents ``(2, latent)`` about as long as samples, whose stretches differ (those of w+ samples are equal)."""
    samples = generator.sample(2, seed=0)
    noise = torch.randn(samples.shape, generator=torch.Generator().manual_seed(0)).to(samples)
    return (samples + samples.std() * noise).to(like)


def _calls(generator: Generator, latents: Latents) -> list[Call]:
    """Record calls of modules with weights, one for each argument that may hold the latent or the intermediate one."""
    found: list[Call] = []

    def record(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: object) -> None:
        if next(module.parameters(), None) is not None:
            found.extend(_recorded(module, args, kwargs, latents.shape[1]))

    with torch.no_grad(), register_module_forward_hook(record, with_kwargs=True):
        generator(latents)
    return found


def _recorded(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], most: int) -> Iterator[Call]:
    """Yield the call once for each argument of which adjacent columns depend on the latent.

    If the argument is no flat vector, only up to `most` columns count, as activations would take much memory.
    """
    for place, arg in enumerate(args):
        if not _is_of_both(arg):
            continue
        rows = arg.flatten(1)
        differ = (rows[0] != rows[1]).nonzero().flatten()
        if (
            0 < len(differ) <= (len(rows[0]) if arg.ndim == 2 else most)
            and int(differ[-1] - differ[0]) == len(differ) - 1
        ):
            columns = slice(int(differ[0]), int(differ[-1]) + 1)
            one = tuple(other[:1] if _is_of_both(other) else other for other in args)
            named = {name: other[:1] if _is_of_both(other) else other for name, other in kwargs.items()}
            yield Call(module, one, named, place, columns, rows[:, columns])


def _is_of_both(arg: object) -> TypeGuard[Tensor]:
    """Whether `arg` has a row for each of the two latents."""
    return isinstance(arg, Tensor) and arg.is_floating_point() and arg.ndim > 1 and len(arg) == 2


def _innermost(calls: list[Call]) -> list[Call]:
    """Keep each module's first call, except for modules that contain another of them."""
    first = list({id(call.module): call for call in reversed(calls)}.values())[::-1]
    modules = {id(call.module) for call in first}
    return [
        call
        for call in first
        if not any(id(part) in modules for part in call.module.modules() if part is not call.module)
    ]


def _stretch(vectors: Tensor, latents: Latents) -> int | None:
    """Where in `latents` ``(2, latent)`` the stretch begins to which `vectors` ``(2, n)`` are parallel, if anywhere."""
    n = vectors.shape[1]
    if not min(2, latents.shape[1]) <= n <= latents.shape[1]:  # one number is parallel to any
        return None
    windows = latents.unfold(1, n, 1)
    cosines = nn.functional.cosine_similarity(windows, vectors[:, None], dim=2).amin(0)
    best = int(cosines.argmax())
    return best if float(cosines[best]) > PARALLEL else None


def _same(a: Call, b: Call) -> bool:
    return a.vectors.shape == b.vectors.shape and torch.equal(a.vectors, b.vectors)
