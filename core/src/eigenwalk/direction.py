"""The contract of a method: how a walk's steps are chosen.

A walk asks its method at the starts and at every waypoint, tries the step that it gets, and measures what comes of it.
A method of your own is one of two things:

    Directions    says only which way: `find` gives unit vectors, and how far to follow them is worked out here
    Method        owns its whole step: `start` and `step` give direction, size and pull, and carry what they like

>>> import torch
>>> class Axes(Directions):
...     def find(self, sight, k, previous=None):
...         return torch.eye(sight.dim)[:k].to(sight.like).expand(sight.batch, -1, -1)
>>> Axes.curved
False
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.nn.functional import normalize

from eigenwalk.chart import Chart
from eigenwalk.errors import ContractError
from eigenwalk.generator import Generator
from eigenwalk.shapes import Basis, Images, Latents

State = Mapping[str, Tensor]
"""What a method carries from waypoint to waypoint: tensors ``(batch, ...)`` by name, which a run saves and restores."""


@runtime_checkable
class Sight(Protocol):
    """What a method may look at: some latents, one a row, and the varied and fixed features there.

    With c the values of all varied features side by side (p numbers, in typical distances) and f those of all fixed
    ones (q numbers, in tolerances), C and F are their Jacobians with respect to the latent, and A = CᵀC, B = FᵀF. A
    method that is `outward` sees the latent in the coordinates of `Limits.chart`, in which its steps are then said.
    """

    @property
    def generator(self) -> Generator:
        """The generator that is walked in."""
        ...

    @property
    def batch(self) -> int:
        """Rows."""
        ...

    @property
    def dim(self) -> int:
        """Coordinates of one latent."""
        ...

    @property
    def like(self) -> Tensor:
        """The latents ``(batch, latent)``; their dtype and device are those of every answer."""
        ...

    @property
    def images(self) -> Images:
        """The images of these latents, ``(batch, 3, height, width)``."""
        ...

    @property
    def blocks(self) -> tuple[int, ...]:
        """How many of the q fixed values each fixed feature has, in their order."""
        ...

    def push(self, V: Basis) -> tuple[Tensor, Tensor]:
        """``(C V, F V)``, ``(batch, k, p)`` and ``(batch, k, q)``, for V ``(batch, k, latent)``."""
        ...

    def pull(self, c: Tensor | None, f: Tensor | None) -> Latents:
        """``Cᵀ c + Fᵀ f`` ``(batch, latent)`` for c ``(batch, p)`` and f ``(batch, q)``: one pass back."""
        ...

    def values(self, latents: Latents) -> tuple[Tensor, Tensor]:
        """``(c, f)``, ``(n, p)`` and ``(n, q)``, at any other latents ``(n, latent)``, every feature frozen there.

        Not scaled: each feature's own values, flattened.

        Raises:
            Undefined: a feature has no value at some rows, which it names.
        """
        ...


@dataclass(frozen=True)
class Gaps:
    """How a waypoint differs from its start, in values scaled as C and F are.

    Attributes:
        varied: d ``(batch, p)``, how far what varies has moved.
        fixed: e ``(batch, q)``, how far what is fixed has drifted.
        direction: ``(batch, latent)``, the unit vector of the step that led here.
        others: ``(batch, n, p)``, how far what varies has moved on the paths of the same start that this one is to stay
            apart from, zeros where there are fewer than n; None for none.
    """

    varied: Tensor
    fixed: Tensor
    direction: Tensor
    others: Tensor | None = None


@dataclass(frozen=True)
class Limits:
    """How far a step may go.

    Attributes:
        stride: how far the varied values are to move, to first order, in typical distances; one number, or one for each
            row ``(batch,)``.
        longest: no step size is larger, in the length of what the method sees.
        away: ``(batch, latent)``, from the mean latent to these, as they are; None where latents may go anywhere.
        radius: ``(batch,)``, how far from the mean latent they may go; infinite where anywhere.
        chart: how latents move along the coordinates that the method sees; None where those are the latent's own.
    """

    stride: float | Tensor
    longest: float
    away: Tensor | None
    radius: Tensor
    chart: Chart | None = None

    def moved(self, V: Tensor) -> Tensor:
        """How latents ``(..., latent)`` move along V ``(..., latent)`` as the method sees it."""
        return V if self.chart is None else self.chart.push(V)

    def seen(self, direction: Latents) -> Latents:
        """The unit vector ``(batch, latent)``, as the method sees it, along which latents move in `direction`."""
        return direction if self.chart is None else normalize(self.chart.back(direction), dim=-1)

    def radial(self) -> Tensor:
        """The direction ``(batch, latent)``, as the method sees it, along which `away` grows fastest."""
        assert self.away is not None
        return self.away if self.chart is None else self.chart.pull(self.away)

    def size(self, rate: Tensor) -> Tensor:
        """The step size ``(batch,)`` along a direction in which varied values change by `rate` ``(batch,)`` a length.

        So waypoints are even in what people see, rather than in the latent.
        """
        return (self.stride / rate.clamp_min(1e-30)).clamp_max(self.longest)


@dataclass(frozen=True)
class Step:
    """From a waypoint by ``size * direction + pull``.

    At a start there are k of them, and every field has an axis for k after the batch's.

    Attributes:
        direction: a unit vector ``(batch, latent)``.
        size: ``(batch,)``, in the latent's own length. The walk shortens it where a tolerance would break.
        varied: ``(batch,)``, how far the step takes the varied values, to first order, in typical distances.
        quotient: ``(batch,)``, the Rayleigh quotient of the direction; for people to read.
        pull: ``(batch, latent)``, brings back fixed features that have drifted, and is never shortened; None for none.
        basis, weights: V ``(batch, n, latent)`` and W ``(batch, n, q)``, of which `correction` is made; None for none.
    """

    direction: Tensor
    size: Tensor
    varied: Tensor
    quotient: Tensor
    pull: Tensor | None = None
    basis: Tensor | None = None
    weights: Tensor | None = None

    def correction(self, drift: Tensor) -> Tensor:
        """What brings back the `drift` ``(batch, q)`` measured after the step: ``-Vᵀ W e`` ``(batch, latent)``.

        It is no longer than the step. Only where `basis` and `weights` are given.
        """
        assert self.basis is not None and self.weights is not None
        back = -((self.weights @ drift[:, :, None]).mT @ self.basis)[:, 0]
        return back * (self.size / back.norm(dim=1).clamp_min(1e-30)).clamp_max(1.0)[:, None]

    @classmethod
    def along(cls, direction: Tensor, rate: Tensor, quotient: Tensor, limits: Limits) -> Step:
        """The step of one stride along `direction`, in which varied values change by `rate` ``(batch,)`` a length."""
        size = limits.size(rate)
        return cls(direction, size, rate * size, quotient)

    @classmethod
    def side_by_side(cls, steps: Sequence[Step]) -> Step:
        """k steps without a pull as one, with an axis for k."""
        return cls(*(torch.stack([getattr(step, one.name) for step in steps], 1) for one in fields(cls)[:4]))

    def in_latents(self, limits: Limits) -> Step:
        """The same step in the latent's own coordinates, from those that a method sees."""
        if limits.chart is None:
            return self
        moved = limits.moved(self.direction)
        length = moved.norm(dim=-1)
        pull, basis = (None if one is None else limits.moved(one) for one in (self.pull, self.basis))
        direction = moved / length[..., None]
        return replace(self, direction=direction, size=self.size * length, pull=pull, basis=basis)

    def map(self, function: Callable[[Tensor], Tensor]) -> Step:
        """The step with `function` applied to each of its tensors."""
        tensors = (getattr(self, one.name) for one in fields(self))
        return Step(*(None if tensor is None else function(tensor) for tensor in tensors))  # type: ignore[arg-type]


class Method(ABC):
    """A way to choose steps, from the start on.

    A row never depends on the others of its batch, and the same sight, state and gaps give the same step: so a run that
    was stopped goes on as if it had not been.

    Attributes:
        outward: steps lead away from the start. Where few numbers vary, the walk then refuses one that leads back.
        differences: None, or the step of finite differences that stand in for derivatives, as a share of the standard
            deviation of a latent's coordinate.
    """

    outward: bool = False
    differences: float | None = None

    def most_passes(self, k: int) -> float:
        """The generator passes that k directions take at a start, at most, for people to read; 0: not known."""
        return 0.0

    @abstractmethod
    def start(self, sight: Sight, k: int, limits: Limits) -> tuple[Step, State]:
        """The `k` leading steps at each start, best first, and the state there.

        Each begins two paths, along its direction and against it. `pull` is not asked for: nothing has drifted yet.

        Raises:
            CompositionError: the method does not apply to these features or to this generator.
        """

    @abstractmethod
    def step(self, sight: Sight, state: State, gaps: Gaps, limits: Limits) -> tuple[Step, State]:
        """The step on from each waypoint, and the state there; `state` is that of the waypoint before.

        Rows of a state that were computed in other batches may have been filled up with zeros along their second axis.
        """


class Directions(Method):
    """A method that says which way to go, and nothing else.

    Attributes:
        curved: asked again at every waypoint. Otherwise what it says at the start is followed in a straight line.
    """

    curved: bool = False

    @abstractmethod
    def find(self, sight: Sight, k: int, previous: Tensor | None = None) -> Basis:
        """The `k` leading directions at every latent, unit vectors ``(batch, k, latent)``, best first.

        A curved method gets the `previous` direction ``(batch, latent)`` at all but the start, and then returns one
        that continues it, ``(batch, 1, latent)``.

        Raises:
            CompositionError: the method does not apply to these features or to this generator.
        """

    def start(self, sight: Sight, k: int, limits: Limits) -> tuple[Step, State]:
        """Steps along the k leading directions. Costs a pushforward each, and what `find` takes.

        Raises:
            ContractError: `find` returns something else than unit vectors ``(batch, k, latent)``.
        """
        return self._steps(sight, self._checked(self.find(sight, k), sight, k), limits), {}

    def step(self, sight: Sight, state: State, gaps: Gaps, limits: Limits) -> tuple[Step, State]:
        """The step straight on; where `curved`, along the direction that continues the last one."""
        V = gaps.direction[:, None]
        if self.curved:
            V = self._checked(self.find(sight, 1, gaps.direction), sight, 1)
        return self._steps(sight, V, limits).map(lambda tensor: tensor[:, 0]), state

    def _steps(self, sight: Sight, V: Basis, limits: Limits) -> Step:
        """One step along each of V; its quotient is the plain ratio ``vᵀAv / vᵀBv``."""
        CV, FV = sight.push(V)
        quotients = CV.double().square().sum(-1) / FV.double().square().sum(-1).clamp_min(1e-30)
        # Each by itself: directions of a method need not be orthogonal.
        rates = [rate_in(V[:, [n]], CV[:, [n]], V[:, n]) for n in range(V.shape[1])]
        return Step.side_by_side([Step.along(V[:, n], rate, quotients[:, n], limits) for n, rate in enumerate(rates)])

    def _checked(self, V: Tensor, sight: Sight, k: int) -> Tensor:
        expected, name = (sight.batch, k, sight.dim), type(self).__name__
        if not isinstance(V, Tensor) or tuple(V.shape) != expected:
            got = tuple(V.shape) if isinstance(V, Tensor) else type(V).__name__
            raise ContractError(f"{name}.find must return directions (batch, k, latent) = {expected}, got {got}")
        lengths = V.norm(dim=-1)
        if not bool(((lengths - 1).abs() < 1e-3).all()):
            raise ContractError(f"{name}.find must return unit vectors, got lengths {lengths.flatten().tolist()[:8]}")
        return V.detach().to(sight.like)


def rate_in(V: Basis, CV: Tensor, direction: Tensor) -> Tensor:
    """``‖C v‖`` ``(batch,)``, the varied change a length along v ``(batch, latent)`` in the span of orthonormal V."""
    y = direction[:, None] @ V.mT
    return (y @ CV)[:, 0].norm(dim=-1)
