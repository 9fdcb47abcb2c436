"""Checks of a feature's values as such: their shape, distance and radius, and what a projection adds."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from eigenwalk.errors import EigenwalkError, InputError
from eigenwalk.feature import Projection
from eigenwalk_testing.checks import Inapplicable, fail
from eigenwalk_testing.subject import FeatureSubject, apart, normal, what, words
from eigenwalk_testing.values import SAME, same

FACTOR = 2.0
"""How far a distance may lie from the tolerance that radius() was asked for, either way."""


def shape(s: FeatureSubject) -> str:
    """Values are a floating-point tensor with one row an image, of the same shape for one image as for several."""
    shapes = []
    for images in (s.inputs, s.inputs[:1]):
        with torch.no_grad():
            values: Any = s.near(images.clone())(images.clone())
        if not isinstance(values, Tensor) or not values.is_floating_point():
            fail(f"values are {what(values)}", "return a floating-point tensor (batch, ...): logits, never an argmax")
        if values.ndim < 1 or len(values) != len(images):
            fail(f"{len(images)} images give values {tuple(values.shape)}", "return one row an image: (batch, ...)")
        shapes.append(tuple(values.shape[1:]))
    if shapes[0] != shapes[1]:
        fail(f"a row is {shapes[0]} among {len(s.inputs)} images and {shapes[1]} alone", "squeeze no batch dimension")
    return f"{shapes[0]} for each image"


def distance(s: FeatureSubject) -> str:
    """Distances are (batch,), finite, zero from a value to itself, the same both ways, and never negative."""
    near = s.near(s.inputs.clone())
    with torch.no_grad():
        a, b = near(s.inputs.clone()), near(s.others())
        itself, there, back = near.distance(a, a), near.distance(a, b), near.distance(b, a)
        alone = s.near(s.inputs[:1].clone()).distance(a[:1], b[:1])
    if there.shape != (len(a),):
        fail(f"distances of {len(a)} pairs have shape {tuple(there.shape)}", "reduce over everything but the batch")
    if not bool(torch.stack([itself, there, back]).isfinite().all()):
        fail(f"distances {words(there)}, and {words(itself)} to themselves", "divide by nothing that can be 0")
    if float(there.min()) < 0 or float(itself.min()) < -1e-5 * float(there.max()):
        fail(f"distances {words(there)} and {words(itself)} are negative", "a distance is 0 or more")
    # A cosine distance is 1 minus a rounded 1; the root of a rounded zero is larger than the rounding.
    if float(itself.max()) > 2e-3 * max(float(there.max()), 1e-30):
        fail(f"values are {words(itself)} from themselves", "the distance of equal values is 0")
    same(there, back, "from b to a distances differ", "make it symmetric: distance(a, b) = distance(b, a)")
    same(there[:1], alone, "alone a distance differs", "scale a distance by its own row alone")
    return f"{words(there)} {near.unit}"


def radius(s: FeatureSubject) -> str:
    """A change of values as long as radius(t) is a distance of about t."""
    with s.precisely(torch.float64 if s.follows else torch.float32):
        images = s.inputs.double() if s.follows else s.inputs
        near = s.near(images.clone())
        with torch.no_grad():
            a = near(images.clone())
            ratios = torch.cat([_ratio(s, near, images, a, seed) for seed in range(3)])
            small, large = near.radius(0.1, a), near.radius(0.2, a)
    if small.shape != (len(images),) or not bool((large > small).all()) or not bool((small > 0).all()):
        fail(
            f"radius(0.1) is {words(small.flatten())} and radius(0.2) {words(large.flatten())}",
            "return (batch,) positive lengths that grow with the distance",
        )
    if not len(ratios):
        raise Inapplicable("values do not change with small changes of the images")
    ratio = float(ratios.median())
    if not 1 / FACTOR <= ratio <= FACTOR:
        fail(
            f"changes of values are {ratio:.3g} times as long as radius() says of their distance",
            "redefine radius() together with distance(): the Euclidean length of values that amounts to a distance t; "
            "√(2t) for a cosine distance of unit vectors",
        )
    return f"changes are {ratio:.3g} times as long as it says; from {1 / FACTOR:g} to {FACTOR:g} allowed"


def _ratio(s: FeatureSubject, near: Any, images: Tensor, a: Tensor, seed: int) -> Tensor:
    """|Δ| / radius(distance) for the changes Δ of values over a small random change of the images."""
    v = normal(images, seed)
    h = 1e-4 if s.follows and s.feature.differentiable else s.feature.step
    b = near(images + h * v)
    t, length = near.distance(a, b), (b - a).reshape(len(a), -1).norm(dim=1)
    moved = (t > 0) & (length > 0)
    wanted = torch.stack([near.radius(float(one), a)[i] for i, one in enumerate(t)])
    return (length / wanted)[moved]


def projection(s: FeatureSubject) -> str:
    """A projection's values are images again."""
    _projection(s)
    values = s.reference
    if values.ndim != 4 or values.shape[1] != 3:
        fail(f"its values are {tuple(values.shape)}", "return images (batch, 3, height, width), or derive from Feature")
    near = s.near(s.inputs.clone())
    if not isinstance(near, Projection):
        fail(f"at() returns a {type(near).__name__}", "let at() of a projection return a Projection")
    return f"images of {values.shape[-1]} x {values.shape[-2]} pixels"


def complement(s: FeatureSubject) -> str:
    """A projection and its complement add up to the image, or each keeps what it kept and nothing of the other's."""
    _projection(s)
    near = s.near(s.inputs.clone())
    assert isinstance(near, Projection)
    try:
        outside = near.complement()
        unfrozen = s.feature.complement().at(s.inputs.clone())  # type: ignore[attr-defined]
    except InputError as error:
        raise Inapplicable(f"it says that it has none: {error}") from None
    if not isinstance(outside, Projection):
        fail(f"complement() returns a {type(outside).__name__}", "return a Projection")
    with torch.no_grad():
        inside, rest = near(s.inputs.clone()), outside(s.inputs.clone())
        early, again = unfrozen(s.inputs.clone()), outside.complement()(s.inputs.clone())
        # What either keeps, it keeps again, and the other keeps nothing of it.
        repeats = max(apart(near(inside), inside), apart(outside(rest), rest), float(near(rest.clone()).abs().max()))
    remedy = "~p is the image less what p keeps: images - p(images); frozen where p is"
    same(inside, again, "twice complemented, values differ", remedy)
    same(rest, early, "complemented before at() and after it, values differ", remedy)
    gap = apart(inside + rest, s.inputs) if inside.shape == rest.shape else float("inf")
    if not min(gap, repeats) <= SAME:
        fail(f"projection and complement add up to the image but for {gap:.2g} of its largest value", remedy)
    return "both add up to the image" if gap <= SAME else "each keeps what it kept, and nothing of the other's"


def coverage(s: FeatureSubject) -> str:
    """Where a projection says how much of each pixel it keeps, that is (batch, 1, height, width) in [0, 1]."""
    _projection(s)
    near: Any = s.near(s.inputs.clone())
    try:
        with torch.no_grad():
            covered = near.coverage(s.inputs.clone())
    except (EigenwalkError, NotImplementedError) as error:
        raise Inapplicable(f"it covers no pixels: {error}") from None
    expected = (len(s.inputs), 1, *s.inputs.shape[-2:])
    if tuple(covered.shape) != expected:
        fail(f"its shape is {tuple(covered.shape)}, expected {expected}", "return (batch, 1, height, width)")
    low, high = float(covered.min()), float(covered.max())
    if not (low >= -1e-5 and high <= 1 + 1e-5):
        fail(f"it lies in [{low:.3g}, {high:.3g}]", "coverage is a share: 0 outside, 1 inside")
    return f"from {low:.3g} to {high:.3g}, {float(covered.mean()):.2g} on average"


def _projection(s: FeatureSubject) -> None:
    if not isinstance(s.feature, Projection):
        raise Inapplicable("it is not a projection")
