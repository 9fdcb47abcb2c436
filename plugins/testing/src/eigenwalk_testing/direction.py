"""Checks of the directions that a method gives at some latents: whether a walk can rely on them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from eigenwalk.direction import Directions
from eigenwalk.errors import CompositionError
from eigenwalk_testing.checks import Inapplicable, fail
from eigenwalk_testing.sight import DirectionSubject
from eigenwalk_testing.subject import what
from eigenwalk_testing.values import keeping_state, two_seeds

LENGTH = 1e-3
"""How far from 1 a unit vector's length may be, and a size above the longest, in relation: the walk refuses others."""
SAME = 1e-3
"""Largest distance of unit vectors, or of steps as a share of their size, that differ in the order of sums alone."""
APART = 1e-2
"""Smallest singular value of directions side by side; of orthonormal ones it is 1."""


def shape(s: DirectionSubject) -> str:
    """Directions are (batch, k, latent): of one latent as of several, one direction as several."""
    d = s.generator.latent_dim
    for rows, k in ((len(s.inputs), s.leading), (1, 1)):
        V, wanted = s.find(s.inputs[:rows], k), (rows, k, d)
        if not isinstance(V, Tensor) or not V.is_floating_point() or tuple(V.shape) != wanted:
            fail(
                f"asked for {k} at {rows} latents it gives {what(V)}",
                f"return floating-point directions (batch, k, latent) = {wanted}: sight.batch rows, sight.dim columns",
            )
    return f"({len(s.inputs)}, {s.leading}, {d}) and (1, 1, {d})"


def finite(s: DirectionSubject) -> str:
    """Directions are neither NaN nor infinite."""
    if not bool(s.first.isfinite().all()):
        rows = (~s.first.flatten(1).isfinite().all(1)).nonzero().flatten().tolist()
        fail(f"NaN or infinite at rows {rows}", "divide by a length only where it is not zero: x / n.clamp_min(1e-12)")
    return f"coordinates from {float(s.first.min()):.3g} to {float(s.first.max()):.3g}"


def unit(s: DirectionSubject) -> str:
    """Directions are unit vectors."""
    off = float((s.first.norm(dim=-1) - 1).abs().max())
    if off > LENGTH:
        fail(
            f"a length differs from 1 by {off:.2g}, and {LENGTH:g} is allowed",
            "end with torch.nn.functional.normalize(V, dim=-1): how far to step is the walk's to decide",
        )
    return f"lengths differ from 1 by {off:.1g} at most, {LENGTH:g} allowed"


def distinct(s: DirectionSubject) -> str:
    """The directions at one latent are not combinations of each other: each starts a path of its own."""
    if s.leading < 2:
        raise Inapplicable("the latent has one coordinate")
    smallest = float(torch.linalg.svdvals(s.first.double())[..., -1].min())
    if smallest < APART:
        fail(
            f"side by side their smallest singular value is {smallest:.2g}, and {APART:g} is needed",
            "make them orthogonal: torch.linalg.qr(V.mT).Q.mT keeps the first and their order",
        )
    return f"smallest singular value {smallest:.3g}, {APART:g} needed"


def many(s: DirectionSubject) -> str:
    """Asked for as many directions as there are coordinates, it gives them or says that it cannot."""
    d = s.generator.latent_dim
    try:
        V = s.find(s.inputs[:1], d)
    except CompositionError as error:
        return f"it declines {d}: {error}"
    if tuple(V.shape) != (1, d, d):
        fail(
            f"asked for {d} it gives {what(V)}",
            "raise CompositionError where there are fewer than k, and say how many there are",
        )
    return f"{d} directions of {d} coordinates"


def unheld(s: DirectionSubject) -> str:
    """With nothing fixed it answers, or says that it needs something fixed."""
    try:
        V = s.find(s.inputs, held=False)
    except CompositionError as error:
        return f"it declines: {error}"
    if tuple(V.shape) != (len(s.inputs), s.leading, s.generator.latent_dim) or not bool(V.isfinite().all()):
        fail(
            f"with nothing fixed it gives {what(V)}{'' if V.isfinite().all() else ' with NaN'}",
            "F V is then (batch, k, 0): let sums over it be zero, or raise CompositionError",
        )
    return "it answers with nothing fixed too"


def dtype(s: DirectionSubject) -> str:
    """Directions have the dtype of the latents, float32 or float64; the finding says how far apart those two are."""
    single = s.find(s.inputs.float())
    for V, wanted in ((s.first, torch.float64), (single, torch.float32)):
        if V.dtype != wanted:
            fail(f"{wanted} latents give {V.dtype} directions", "make constants with .to(sight.like)")
    gap = float((single.double() - s.first).norm(dim=-1).max())
    return f"float32 and float64 as asked; they are {min(gap, 2 - gap):.1g} apart"


def determinism(s: DirectionSubject) -> str:
    """The same latents give the same directions, whatever torch's seed."""
    first, second = two_seeds(lambda: s.find(s.inputs))
    gap = float((first - second).norm(dim=-1).max())
    if gap > SAME:
        fail(
            f"two calls are {gap:.2g} apart, and {SAME:g} is allowed",
            "draw from torch.Generator().manual_seed(seed), with the seed an option of the method",
        )
    return f"{gap:.1g} apart, {SAME:g} allowed"


def order(s: DirectionSubject) -> str:
    """Latents in another order give the same directions in that order."""
    return _same(s.first, s.find(s.inputs.flip(0)).flip(0), "in another order")


def independence(s: DirectionSubject) -> str:
    """A latent's directions do not depend on the other rows, nor on how many there are."""
    mixed = s.inputs.roll(-1, 0)
    mixed[0] = s.inputs[0]
    _same(s.first[:1], s.find(mixed)[:1], "with other latents beside it a row's directions")
    return _same(s.first[:1], s.find(s.inputs[:1]), "alone a row's directions")


def pure(s: DirectionSubject) -> str:
    """A call changes neither what it sees nor torch's global state."""
    sight = s.sight(s.inputs)
    like, images = sight.like.clone(), sight.images.clone()
    with keeping_state():
        s.ask(sight, s.leading)
    if not (torch.equal(like, sight.like) and torch.equal(images, sight.images)):
        fail("the latents or images that it sees were changed", "work on a copy: x = x - mean, and never x -= mean")
    return "what it sees, random state, default dtype and gradient mode are as before"


def curved(s: DirectionSubject) -> str:
    """A method that says it is curved looks at every latent anew, and goes on along the previous direction."""
    if not isinstance(s.method, Directions):
        raise Inapplicable("it owns its step")
    if not isinstance(s.method.curved, bool):
        fail(f"`curved` is {s.method.curved!r}", "let it be True or False")
    moved = float(_apart(s.first[:1], s.first[1:2]).max())
    if not s.method.curved:
        said = "the same everywhere" if moved < SAME else "of the start"
        return f"straight: directions {said} are followed in a line"
    if moved < SAME:
        fail(
            f"it says it is curved, and at two latents its directions are {moved:.1g} apart",
            "set `curved = False`: it is then asked once, and followed for nothing more",
        )
    return f"asked anew, {_continuing(s)}"


def _continuing(s: DirectionSubject) -> str:
    """How a curved method goes on along a previous direction, and along its opposite; fails where it does not."""
    least = 1.0
    for sense in (1, -1):
        previous = sense * s.first[:, 0]
        V: Any = s.find(s.inputs, 1, previous)
        wanted = (len(s.inputs), 1, s.generator.latent_dim)
        if not isinstance(V, Tensor) or tuple(V.shape) != wanted:
            fail(f"with a previous direction it gives {what(V)}", f"return the one that continues it, {wanted}")
        if not bool(((V.norm(dim=-1) - 1).abs() < LENGTH).all()):
            fail("with a previous direction it gives no unit vector", "normalise it there too")
        least = min(least, float((V[:, 0] * previous).sum(-1).min()))
    if least <= 0:
        fail(
            f"the cosine with the previous direction falls to {least:.2g}: the path would turn back",
            "choose the candidate nearest to `previous`, in its sense: V * (V @ previous).sign()",
        )
    return f"and the cosine with the previous direction is {least:.3g} at least"


def _apart(a: Tensor, b: Tensor) -> Tensor:
    """Distances ``(batch, k)`` of unit vectors from each other or from the opposite: a direction has two senses."""
    a, b = a.double(), b.double()
    return torch.minimum((a - b).norm(dim=-1), (a + b).norm(dim=-1))


def _same(a: Tensor, b: Tensor, what: str) -> str:
    """What was measured, where `a` and `b` are the same but for their senses; fails otherwise."""
    gap = float(_apart(a, b).max())
    if not gap <= SAME:
        fail(
            f"{what} differ by {gap:.2g}, and {SAME:g} is allowed",
            "treat every row by itself: sums over the batch, and one random start for all of it, mix them",
        )
    return f"{gap:.1g} apart, {SAME:g} allowed"
