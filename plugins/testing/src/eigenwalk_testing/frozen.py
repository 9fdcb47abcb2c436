"""Checks of `at`: what is not differentiable is frozen there, row by row, and stays."""

from __future__ import annotations

import torch
from torch import Tensor

from eigenwalk.errors import EigenwalkError, InputError, Undefined
from eigenwalk.feature import Feature
from eigenwalk_testing.checks import Inapplicable, fail
from eigenwalk_testing.subject import FeatureSubject, apart
from eigenwalk_testing.values import same

INTERVALS, HALVINGS, JUMP = 8, 14, 0.1
"""A segment in the image, how often its steepest part is halved, and the share of its change that then may be left."""


def frozen(s: FeatureSubject) -> str:
    """What `at` returns is not changed by later calls of `at`, nor by calls of its own."""
    near = s.near(s.inputs.clone())
    if not isinstance(near, Feature):
        fail(f"at() returned a {type(near).__name__}", "return a Feature: itself where nothing is frozen")
    with torch.no_grad():
        before, elsewhere = near(s.inputs.clone()), near(s.others())
        s.near(s.others())(s.others())
        after, again = near(s.inputs.clone()), near(s.others())
    remedy = "let at() return a new feature that holds what was computed, and change nothing on self"
    same(before, after, "after at() near other images, values of what it returned before differ", remedy, 1e-6)
    return same(elsewhere, again, "at other images, values differ after at() near those", remedy, 1e-6)


def rows(s: FeatureSubject) -> str:
    """What `at` freezes for a row does not depend on the images of the other rows."""
    remedy = "compute masks, boxes and thresholds for each image by itself, and keep them one a row"
    same(s.reference[:1], s.values(s.mixed())[:1], "frozen near other images beside it, a row's value differs", remedy)
    return same(s.reference[:1], s.values(s.inputs[:1]), "frozen near it alone, a row's value differs", remedy)


def reference(s: FeatureSubject) -> str:
    """Near an image, and at that image, the frozen feature is the feature itself."""
    if not s.calls_unfrozen:
        raise Inapplicable("it has no values before at()")
    with torch.no_grad():
        itself = s.feature(s.inputs.clone())
    remedy = "let at() compute exactly what a call computes: the same crop, mask and order of steps"
    return same(itself, s.reference, "values of at(images) differ at those images", remedy)


def continuity(s: FeatureSubject) -> str:
    """The frozen feature does not jump: what jumps (an argmax, a threshold, a crop) is computed in at()."""
    if not s.feature.differentiable:
        raise Inapplicable("it declares differentiable=False, and may jump")
    start, way = s.inputs[:1], 0.5 * (s.others() - s.inputs)[:1]
    near = s.near(start.clone())

    @torch.no_grad()
    def value(t: float) -> Tensor:
        return near(start + t * way)

    ends = [(i / INTERVALS, value(i / INTERVALS)) for i in range(INTERVALS + 1)]
    steepest = max(range(INTERVALS), key=lambda i: float((ends[i + 1][1] - ends[i][1]).norm()))
    (a, fa), (b, fb) = ends[steepest : steepest + 2]
    first = float((fb - fa).norm())
    if first <= 1e-4 * float(fa.norm()):
        return "values hardly change between the images"
    for _ in range(HALVINGS):
        middle = (a + b) / 2
        fm = value(middle)
        if float((fm - fa).norm()) > float((fb - fm).norm()):
            b, fb = middle, fm
        else:
            a, fa = middle, fm
    left = float((fb - fa).norm()) / first
    if left > JUMP:
        fail(
            f"within 1/{2**HALVINGS} of a step values still change by {left:.2g} of what they do over the step",
            "compute what jumps in at() and keep it there, or use a soft value: a sigmoid for a threshold, a softmax "
            "for an argmax",
        )
    return f"within 1/{2**HALVINGS} of a step, {left:.1g} of its change is left; {JUMP:g} allowed"


def undefined(s: FeatureSubject) -> str:
    """At a flat grey image it has finite values, or raises Undefined for that row alone."""
    images = s.inputs.clone()
    images[-1] = 0.5
    last = len(images) - 1
    remedy = "raise eigenwalk.errors.Undefined(message, rows=…) in at(), with the rows that have no value"
    try:
        with torch.no_grad():
            values = s.near(images.clone())(images)
    except Undefined as error:
        if not str(error).strip():
            fail("Undefined is raised without a message", "say what was not found, and what would help")
        if error.rows is not None and set(error.rows) != {last}:
            fail(f"Undefined names the rows {error.rows}, and the flat image is row {last}", remedy)
        return f"it raises Undefined: {error}"
    except EigenwalkError as error:
        fail(f"it raises {type(error).__name__}: {error}", remedy)
    bad = (~values.reshape(len(values), -1).isfinite().all(1)).nonzero().flatten().tolist()
    if bad:
        fail(f"values at rows {bad} are NaN or infinite", remedy)
    return "it has finite values there"


def size(s: FeatureSubject) -> str:
    """It measures images of another size that are not square."""
    height, width = s.inputs.shape[-2], s.inputs.shape[-1] * 3 // 4
    other = s.inputs[..., :width]
    try:
        values = s.values(other)
    except (InputError, Undefined) as error:
        raise Inapplicable(f"it says that it cannot: {error}") from None
    if values.shape[0] != len(other) or not bool(values.isfinite().all()):
        fail(f"images of {width} x {height} give values of shape {tuple(values.shape)}, not all finite", "")
    return f"{width} x {height} pixels give {tuple(values.shape[1:])} values"


def clip(s: FeatureSubject) -> str:
    """Pixels beyond [0, 1] are measured: no NaN, no clip, and their gradient is not zero."""
    near = s.near(s.inputs.clone())
    for side, bound, beyond in (("above 1", 1.0, 1.02 + 0.3 * s.inputs), ("below 0", 0.0, 0.3 * s.inputs - 0.32)):
        with torch.no_grad():
            values = near(beyond.clone())
            clipped = near(torch.full_like(beyond, bound))
        if not bool(values.isfinite().all()):
            fail(f"values are NaN or infinite where pixels lie {side}", "take no root or logarithm of raw pixels")
        if not s.feature.differentiable:
            continue  # a detector may want bytes: no gradient goes through it anyway
        remedy = "leave out clamp, uint8 and PIL: a generator overshoots, and beyond a clip there is no gradient"
        if apart(values, clipped) <= 1e-6:
            fail(f"pixels {side} are taken for {bound:g}", remedy)
        asked = beyond.clone().requires_grad_()
        with torch.enable_grad():
            found = torch.autograd.grad(near(asked).square().sum(), asked, allow_unused=True)[0]
        if found is None or not bool(found.abs().max() > 0):
            fail(f"pixels {side} have no gradient", remedy)
    told = "pixels beyond [0, 1] change values, and have a gradient"
    return told if s.feature.differentiable else "values are finite beyond [0, 1]"


def follow(s: FeatureSubject) -> str:
    """What it remembers of a waypoint has a row an image, and each row is followed by itself, the same every time."""
    if not s.feature.memories:
        raise Inapplicable("it remembers nothing from one waypoint to the next")
    near, away = s.near(s.inputs.clone()), s.near(s.others())
    kept = [tuple(one.shape) for one in near.remembered]
    fits = all(one.is_floating_point() and one.ndim and len(one) == len(s.inputs) for one in near.remembered)
    if len(kept) != s.feature.memories or not fits:
        fail(
            f"it announces {s.feature.memories} memories, and at() remembers {kept}",
            "let `memories` count the tensors in `remembered`, each floating point, (batch, ...)",
        )
    if [tuple(one.shape) for one in away.remembered] != kept:
        fail("at other images it remembers other shapes", "remember what has the same shape whatever the image")
    with torch.no_grad():
        following = s.feature.follow(s.others(), near.remembered)
        values = following(s.others())
        again = s.feature.follow(s.others(), near.remembered)(s.others())
        first = tuple(one[:1] for one in near.remembered)
        alone = s.feature.follow(s.others()[:1], first)(s.others()[:1])
    if [tuple(one.shape) for one in following.remembered] != kept:
        fail("what follow() returns does not remember as at() does", "let follow() set `remembered` too")
    same(values, again, "followed twice, values differ", "let follow() change nothing on self", 1e-6)
    remedy = "let row i follow what was remembered of row i alone"
    return same(values[:1], alone, "followed alone, a row's value differs", remedy)
