"""Read a walk along one scalar again, by a judge that no method saw, and compare both changes waypoint by waypoint."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path as FilePath

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save
from torch import Tensor

from eigenwalk.errors import WalkError
from eigenwalk.maths.linearise import Point
from eigenwalk.maths.natural import copied_values, typical_difference
from eigenwalk.maths.problem import Problem
from eigenwalk.path import SUSPECT
from eigenwalk.store import write_whole
from eigenwalk_evaluate.judge import values_at
from eigenwalk_evaluate.paths import Floats, Paths, load_arrays

SAMPLES = 128
SEED = 20221024
"""Of the samples that say how well judge and reading agree by nature, and how far readings range."""


@dataclass(frozen=True)
class Reading:
    """A varied scalar along paths, as the walk reports it and as a judge reads it, each in its own typical distance.

    Attributes:
        names: of the scalar and of its judge.
        reported, judged: signed changes from the start, ``(paths, waypoints)``; NaN beyond a path's end.
        pixels: RMS difference of the image from the start's, ``(paths, waypoints)``.
        starts: readings at the starts, ``(paths,)``, in typical distances.
        copied: signed changes of the scalar in blurred and shifted copies of the images, ``(paths, waypoints)``.
        samples: readings, judgements and readings of copies, of random samples, ``(samples, 3)``, in typical distances.
    """

    names: tuple[str, str]
    reported: Floats
    judged: Floats
    pixels: Floats
    copied: Floats
    starts: Floats
    samples: Floats

    def save(self, file: FilePath) -> None:
        """Write it, whole or not at all; raises OSError."""
        arrays = {name: np.ascontiguousarray(getattr(self, name)) for name in ARRAYS}
        write_whole(file, save(arrays, {"read": json.dumps({"names": self.names})}))

    @classmethod
    def load(cls, file: FilePath) -> Reading:
        """Return what `save` wrote; raises FileError where the file is missing or damaged."""
        arrays, facts = load_arrays(file, "read")
        return cls(tuple(facts["names"]), **{name: arrays[name] for name in ARRAYS})


ARRAYS = ("reported", "judged", "pixels", "copied", "starts", "samples")


def read(problem: Problem, walked: Paths, batch: int, like: Tensor) -> Reading:
    """Read all waypoints of a walk by the two features of `problem`: the scalar that varied, and its judge.

    Raises:
        WalkError: one of them is not a single number.
    """
    paths, long = walked.latents.shape[:2]
    where = np.flatnonzero(np.isfinite(walked.latents).all(-1).ravel())
    rows = torch.from_numpy(walked.latents.reshape(paths * long, -1)[where]).to(like)
    firsts = torch.from_numpy(walked.latents[:, 0]).to(like)
    images = values_at(problem, firsts, batch, lambda point, rows: (point.images,))

    def measure(point: Point, rows: list[int]) -> tuple[Tensor, ...]:
        start = torch.stack([images.get(int(where[row]) // long, (point.images[0] * math.nan,))[0] for row in rows])
        moved = (point.images - start).double().square().flatten(1).mean(1).sqrt()
        return *_numbers(problem, point), moved

    values = np.full((paths * long, 4), np.nan)
    for row, numbers in values_at(problem, rows, batch, measure).items():
        values[where[row]] = [float(one) for one in numbers]
    z = problem.linearisation.generator.sample(SAMPLES, SEED).to(like)
    sampled = values_at(problem, z, batch, lambda point, rows: _numbers(problem, point))
    samples = np.array([[float(one) for one in numbers] for numbers in sampled.values()]).reshape(-1, 3)
    typical = _comparable(problem.roles[0].typical, samples)
    values = values.reshape(paths, long, 4) / [*typical, 1]
    samples = samples / typical
    changes = values - values[:, :1]
    names = problem.roles[0].name, problem.roles[1].name
    # A walk reports what it reads in several views, no more than similar images explain, and without a sign.
    reported = np.copysign(walked.changes[..., -1], changes[..., 0] + changes[..., 2])
    return Reading(names, reported, changes[..., 1], values[..., 3], changes[..., 2], values[:, 0, 0], samples)


def _comparable(typical: float, samples: Floats) -> Floats:
    """Return the typical distances of reading, judge and copies, ``(3,)``, where a walk knows that of the reading.

    A walk measures it at 24 samples, which is right within some 30 %: the ratio of two readers' would be worse. So the
    ratio is that of their medians over the same `samples` ``(samples, 3)``, a tenth of that off.
    """
    reading, judge = (typical_difference(torch.from_numpy(samples[:, n])) for n in (0, 1))
    return np.array([typical, typical * judge / reading if reading > 0 and judge > 0 else typical, typical])


def _numbers(problem: Problem, point: Point) -> tuple[Tensor, ...]:
    """Return the value of each feature at each row, ``(rows,)``, then that of the first in copies of the images."""
    for role, value in zip(problem.roles, point.values, strict=True):
        if value[0].numel() != 1:
            raise WalkError(
                f"{role.name} has {value[0].numel()} numbers, and a scalar that is read again has one: "
                "name them one by one"
            )
    copied = copied_values(*problem.linearisation.features[0], point.images)
    return tuple(value.reshape(len(value)) for value in (*point.values, copied))


@dataclass(frozen=True)
class Verdict:
    """How a judge follows a varied scalar over some paths, at the last level or where a path ended before it.

    Attributes:
        slope: the judge's change over the reported one: the least-squares line through nought over all paths.
        natural: the same over pairs of random samples: what two honest readers of one image agree to.
        wrong: share of paths whose judge moved the other way.
        fooled: share of paths whose judge moved by less than half of what was reported.
        pixels: RMS pixels moved for a typical distance of the reading, the median of paths.
        arrived: share of the paths that reach the level, of those whose start leaves room for it.
        caught, alarms: shares of the fooled and of the other paths that their tell suspects; see `eigenwalk.path.Tell`.
        transferred: share of all paths that reach the level in their own sense with every fixed feature within its
            tolerance.
        counted: paths that moved far enough to be judged.
        room: paths whose start leaves room: the level ahead lies among the middle 98 of 100 samples.
    """

    slope: float
    natural: float
    wrong: float
    fooled: float
    pixels: float
    arrived: float
    caught: float
    alarms: float
    transferred: float
    counted: int
    room: int


LEAST = 0.1
"""Least reported change, in typical distances, at which a judge is asked: below it, both readers' noise decides."""


def verdict(found: Reading, walked: Paths, chosen: NDArray[np.integer]) -> Verdict:
    """Return what the judge says of the paths `chosen`."""
    level = walked.levels[-1]
    ends = np.array([_end(found.reported[i], level) for i in chosen]).reshape(-1)
    at = [_between(array, chosen, ends) for array in (found.reported, found.judged, found.pixels, found.copied)]
    reported, judged, pixels, copied = at
    told = np.isfinite(judged) & (np.abs(reported) >= LEAST)
    r, j, p = reported[told], judged[told], pixels[told]
    suspect = copied[told] / r < SUSPECT * natural_slope(found.samples[:, ::2])
    same = j * np.sign(r)
    fooled = same < np.abs(r) / 2
    senses = np.where(np.abs(reported) > 0, np.sign(reported), walked.senses[chosen])
    low, high = np.quantile(found.samples[:, 0], [0.01, 0.99])
    ahead = found.starts[chosen] + senses * level
    room = (ahead >= low) & (ahead <= high)
    there = np.abs(reported) >= level * (1 - 1e-6)
    kept = ~_between(walked.outside.astype(float), chosen, np.ceil(ends)).astype(bool)
    return Verdict(
        slope=_ratio((r * j).sum(), (r * r).sum()),
        natural=natural_slope(found.samples[:, :2]),
        wrong=_ratio((same < 0).sum(), len(r)),
        fooled=_ratio(fooled.sum(), len(r)),
        pixels=float(np.median(p / np.abs(r))) if len(r) else np.nan,
        arrived=_ratio((there & room).sum(), room.sum()),
        caught=_ratio((suspect & fooled).sum(), fooled.sum()),
        alarms=_ratio((suspect & ~fooled).sum(), (~fooled).sum()),
        transferred=_ratio((there & kept & (np.sign(reported) == walked.senses[chosen])).sum(), len(chosen)),
        counted=len(r),
        room=int(room.sum()),
    )


def natural_slope(samples: Floats) -> float:
    """Return the slope of the second column's differences on the first's over pairs of samples ``(samples, 2)``."""
    apart = samples - samples.mean(0)
    return _ratio((apart[:, 0] * apart[:, 1]).sum(), np.square(apart[:, 0]).sum())


def _end(reported: Floats, level: float) -> float:
    """Return where a path first reaches `level` either way, as a fractional index, or its last waypoint."""
    far = np.abs(reported)
    reached = np.flatnonzero(far >= level)
    if not len(reached):
        return float(np.flatnonzero(np.isfinite(far))[-1]) if np.isfinite(far).any() else 0.0
    after = int(reached[0])
    return after - 1 + (level - far[after - 1]) / (far[after] - far[after - 1])


def _between(values: Floats, rows: NDArray[np.integer], places: Floats) -> Floats:
    """Interpolate the lines `rows` of `values` ``(paths, waypoints)`` at fractional indices ``(rows,)``."""
    before = places.astype(int)
    after = np.minimum(before + 1, values.shape[1] - 1)
    share = places - before
    first, second = values[rows, before], values[rows, after]
    return np.where(share > 0, (1 - share) * first + share * second, first)


def _ratio(over: float, under: float) -> float:
    return float(over / under) if under > 0 else float("nan")
