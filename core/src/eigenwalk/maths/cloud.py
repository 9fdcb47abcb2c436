"""The Jacobian of a few numbers, averaged over a cloud of latents: what their gradients at similar images share.

A network that reads one number can be fooled: at a single image its gradient is in good part its own error there, along
which the reading grows and the picture hardly changes. From image to image that error differs, and what moves the
picture stays. So where at most `FEW` numbers of a feature vary, a walk follows the mean over latents around z,

    C̄ = 1/(n+1) Σ_i J_c(z + ξ_i)        ξ_0 = 0,  ξ_i = ± σ (s - s')/√2  with s, s' random samples of the latent

It is the Jacobian of c smoothed by a kernel with the natural covariance of latents, σ² of it. σ = 0 is the gradient
itself; a large σ would be one direction for all images, as InterFaceGAN's (Shen et al. 2020, arXiv 2005.09635). The
offsets are the same at every latent, so that all paths of a start share one mean, and a path keeps it until it has
moved out of the cloud. Each member's image is seen in a view of its own, shifted by a few pixels: part of a network's
error hangs on the place of a pixel and not on the picture.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise

import torch
from torch import Tensor

from eigenwalk.direction import State
from eigenwalk.errors import WalkError
from eigenwalk.generator import Generator
from eigenwalk.maths.linearise import Linearisation, Named, Point
from eigenwalk.maths.natural import InViews, shifted
from eigenwalk.maths.problem import Problem
from eigenwalk.maths.typical import SEED
from eigenwalk.path import Cost

FEW = 8
"""A feature of at most so many values is read as numbers; with more, it is an image or an embedding."""
LENIENT = 1.5
"""A mean is flatter than what it is taken over: on `faces`, judges saw 1.3 times what it explains, at most."""


@dataclass(frozen=True)
class Averaging:
    """How Jacobians of a few numbers are averaged.

    Attributes:
        members: n, how many latents a cloud has beside the one in the middle, at most; an even number.
        views: whether each is seen shifted by up to `eigenwalk.maths.natural.SHIFT` of the image's sides.
        lag: steps are lengthened by no more than this if the reading has moved less than C̄ promised.
        enough: a quarter or half of the members will do if the standard error of every feature's mean Jacobian is at
            most this share of its length. 0: all members always.
        natural: whether latents are measured as samples vary (`eigenwalk.chart`), also where nothing is averaged.
    """

    members: int = 64
    views: bool = True
    lag: float = 2.0
    enough: float = 0.25
    natural: bool = True

    @property
    def stages(self) -> list[list[int]]:
        """The members ``0, ..., n`` in the order in which they are taken, each beside its opposite; 0 is the middle."""
        half = self.members // 2
        ends = [0, half // 4, half // 2, half] if self.enough else [0, half]
        parts = [[*range(a + 1, b + 1), *range(half + a + 1, half + b + 1)] for a, b in pairwise(ends)]
        return [[0, *parts[0]], *parts[1:]]


AVERAGING = {
    1: Averaging(members=32, views=False, lag=3.0, enough=0, natural=False),
    2: Averaging(enough=0, natural=False),
    3: Averaging(),
}
"""By the number that a recipe names it with; what has been walked by an earlier one is repeated by it."""


@dataclass(frozen=True)
class Cloud:
    """Averaged Jacobians at some latents.

    Attributes:
        jacobian: C̄ ``(batch, p, latent)`` of all numbers that vary, side by side, each in its feature's own unit.
        middle: ``(batch, latent)``, the latents that it was averaged around.
        here: ``(batch, latent)``, where the paths stand.
        explained: ``(batch, p)``, how far the numbers have moved from the starts to here as averaged Jacobians have it.
    """

    jacobian: Tensor
    middle: Tensor
    here: Tensor
    explained: Tensor

    @classmethod
    def of(cls, state: State) -> Cloud | None:
        """The clouds in what a front carries; None if there are none."""
        names = [f"cloud_{one.name}" for one in fields(cls)]
        return cls(*(state[name] for name in names)) if names[0] in state else None

    @property
    def state(self) -> State:
        """The clouds as tensors for a front to carry."""
        return {f"cloud_{one.name}": getattr(self, one.name) for one in fields(self)}

    def follow(self, latents: Tensor) -> Cloud:
        """Return the clouds once the paths have moved on to `latents` ``(batch, latent)``."""
        moved = (self.jacobian @ (latents - self.here)[:, :, None])[:, :, 0]
        return replace(self, here=latents, explained=self.explained + moved)

    def left(self, latents: Tensor, reach: float) -> list[int]:
        """Return the rows of `latents` ``(batch, latent)`` that are further than `reach` from their cloud's middle."""
        return ((latents - self.middle).norm(dim=1) > reach).nonzero().flatten().tolist()

    def rows(self, index: Sequence[int]) -> Cloud:
        """Return some of the rows."""
        return Cloud(*(getattr(self, one.name)[list(index)] for one in fields(self)))

    def parts(self, problem: Problem, point: Point) -> Mapping[int, Tensor]:
        """Return the Jacobian ``(batch, values, latent)`` of each feature that is averaged, by its place."""
        places = averaged(problem, point.features, point.values)
        return dict(zip(places, self.jacobian.split([point.values[i][0].numel() for i in places], 1), strict=True))


def seen_in_views(problem: Problem) -> Problem:
    """Return the problem with the few numbers that vary measured as their Jacobians are averaged: in views."""
    fixed, varied = problem.linearisation.features[: problem.fixed], problem.linearisation.features[problem.fixed :]
    viewed = ((name, InViews(feature, FEW) if feature.differentiable else feature) for name, feature in varied)
    return replace(problem, linearisation=replace(problem.linearisation, features=(*fixed, *viewed)))


def averaged(problem: Problem, features: Sequence[Named], values: Sequence[Tensor]) -> list[int]:
    """Return the places of the features that are averaged: those varied that are a few numbers with a gradient."""
    if problem.linearisation.differences is not None:
        return []
    places = range(problem.fixed, len(features))
    return [i for i in places if features[i][1].differentiable and values[i][0].numel() <= FEW]


def cloud_cost(numbers: int, how: Averaging) -> Cost:
    """Return what the cloud of one latent costs, at most, in which so many numbers are averaged."""
    return Cost(forwards=how.members + 1, pullbacks=numbers * (how.members + 1)) if numbers else Cost()


def surround(
    problem: Problem,
    point: Point,
    spread: float,
    starts: Tensor,
    before: Cloud | None = None,
    batch: int | None = None,
    how: Averaging = AVERAGING[3],
) -> tuple[Cloud | None, list[Cost]]:
    """Return the clouds to go on with at `point`, and what each row cost: that of `before` until a path has left it.

    The cloud is None if nothing that varies is averaged. `spread` is σ, as a share of the latent's own spread; `batch`
    is how many latents fit into memory at once; `starts` ``(batch, latent)`` are those where the paths began.

    Raises:
        WalkError: the derivative is not finite anywhere in a cloud; it names the rows.
    """
    n, places = len(point.latents), averaged(problem, point.features, point.values) if spread else []
    if not places:
        return None, [Cost()] * n
    here, rows = point.latents, list(range(n))
    if before is not None:
        before = before.follow(here)
        rows = before.left(here, spread * problem.latent_scale)
    costs = [Cost()] * n
    if rows:
        fresh, paid = _average(problem.linearisation, point, places, rows, spread, batch or n, how)
        for row, cost in zip(rows, paid, strict=True):
            costs[row] = cost
        if before is None:
            return Cloud(fresh, here, starts, fresh.new_zeros(fresh.shape[:2])).follow(here), costs
        jacobian, middle = before.jacobian.clone(), before.middle.clone()
        jacobian[rows], middle[rows] = fresh, here[rows]
        before = replace(before, jacobian=jacobian, middle=middle)
    return before, costs


def explained_changes(problem: Problem, point: Point, start: Sequence[Tensor], cloud: Cloud) -> Tensor:
    """Return the distance of every feature from its value at the start that averaged Jacobians allow at `point`.

    That is what they explain; `LENIENT` times that of values that are a mean over views.

    ``(batch, features)``, each in its unit; infinite for features that are not averaged; nought where they explain a
    change the other way than what is read. `cloud` is that of the step which led to the point.
    """
    places = averaged(problem, point.features, point.values)
    found = point.latents.new_full((len(point.latents), len(point.features)), math.inf, dtype=torch.float64)
    moved = cloud.follow(point.latents).explained.split([point.values[i][0].numel() for i in places], 1)
    for i, change in zip(places, moved, strict=True):
        read = (point.values[i] - start[i]).reshape(change.shape)
        distance = point.features[i][1].distance(start[i], start[i] + change.reshape(start[i].shape)).double()
        lenient = LENIENT if isinstance(point.features[i][1], InViews) else 1.0
        found[:, i] = torch.where((read * change).sum(1) > 0, lenient * distance, 0.0)
    return found


def offsets(generator: Generator, spread: float, like: Tensor, members: int = AVERAGING[3].members) -> Tensor:
    """Return ξ ``(n + 1, latent)``, the `members` of a cloud as seen from its middle, which comes first."""
    samples = generator.sample(members, SEED).to(like)
    apart = spread / math.sqrt(2) * (samples[0::2] - samples[1::2])
    return torch.cat([torch.zeros_like(apart[:1]), apart, -apart])


def _average(
    look: Linearisation,
    point: Point,
    places: Sequence[int],
    rows: Sequence[int],
    spread: float,
    batch: int,
    how: Averaging,
) -> tuple[Tensor, list[Cost]]:
    """Return C̄ ``(rows, p, latent)`` around some rows of `point`, and what each cost; raises as `surround`."""
    features = [(name, one.feature if isinstance(one, InViews) else one) for name, one in look.features]
    look = replace(look, features=tuple(features[i] for i in places))
    remembered = [tensor for i in places for tensor in point.features[i][1].remembered]
    xi, middle = offsets(look.generator, spread, point.latents, how.members), point.latents[list(rows)]
    p = sum(point.values[i][0].numel() for i in places)
    total, squares = middle.new_zeros(len(rows), p, middle.shape[1]), middle.new_zeros(len(rows), p)
    taken, growing, count = [0] * len(rows), list(range(len(rows))), middle.new_zeros(len(rows))
    failure = None
    for stage in how.stages:
        pairs = [(r, m) for r in growing for m in stage]
        for start in range(0, len(pairs), batch):
            left = pairs[start : start + batch]
            while left:
                r, m = (list(column) for column in zip(*left, strict=True))
                tracked = tuple(tensor[[rows[i] for i in r]].detach() for tensor in remembered)
                try:
                    seen = replace(look, generator=Viewed(look.generator, m)) if how.views else look
                    jacobian = torch.stack(list(_gradients(seen.at(middle[r] + xi[m], tracked=tracked))), 1)
                except WalkError as error:  # a member without a face, say: the others are enough
                    bad, failure = set(error.rows or range(len(left))), error
                    left = [pair for i, pair in enumerate(left) if i not in bad]
                    continue
                index = torch.tensor(r, device=total.device)
                total.index_add_(0, index, jacobian)
                squares.index_add_(0, index, jacobian.square().sum(-1))
                count.index_add_(0, index, count.new_ones(len(r)))
                break
        for r in growing:
            taken[r] += len(stage)
        error = _relative_error(total, squares, count, [point.values[i][0].numel() for i in places])
        growing = [r for r in growing if float(error[r]) > how.enough]
        if not growing:
            break
    if failure is not None and not bool(count.all()):
        failure.rows = tuple(rows[i] for i in (count == 0).nonzero().flatten().tolist())
        raise failure
    return total / count[:, None, None], [Cost(forwards=one, pullbacks=p * one) for one in taken]


def _relative_error(total: Tensor, squares: Tensor, count: Tensor, sizes: Sequence[int]) -> Tensor:
    """Return the standard error of a mean Jacobian over its length, of the worst feature in each row ``(rows,)``.

    `total` ``(rows, p, latent)`` is the sum of `count` ``(rows,)`` Jacobians, `squares` ``(rows, p)`` of the squared
    lengths of their rows, and `sizes` how many of the p each feature has. Infinite where there are less than two.
    """
    n = count[:, None]
    mean = total.square().sum(-1) / n.square()
    spread = (squares / n - mean).clamp_min(0) / (n - 1)
    of, over = (torch.stack([part.sum(1) for part in one.split(list(sizes), 1)], 1) for one in (spread, mean))
    return (of / over).sqrt().nan_to_num(math.inf).amax(1)


class Viewed(Generator):
    """A generator whose images are shifted, each as `views` says of its row; see `shifted`."""

    def __init__(self, generator: Generator, views: Sequence[int]):
        self.generator, self.views = generator, views
        self.latent_dim, self.resolution, self.space = generator.latent_dim, generator.resolution, generator.space

    def __call__(self, latents: Tensor) -> Tensor:
        """The images ``(batch, 3, height, width)``, as many as there are `views`."""
        return shifted(self.generator(latents), self.views)


def _gradients(point: Point) -> Iterator[Tensor]:
    """Yield the gradient ``(batch, latent)`` of every number at `point`: a pullback each."""
    for i, value in enumerate(point.values):
        for one in torch.eye(value[0].numel()).to(value):
            yield point.pull([one.expand(len(value), -1) if j == i else None for j in range(len(point.values))])
