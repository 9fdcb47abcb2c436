"""Checks of derivatives, on the routes that the core itself takes: `eigenwalk.maths.linearise`.

With J the Jacobian at some inputs, v tangents and u cotangents: ⟨u, Jv⟩ = ⟨Jᵀu, v⟩ holds between pushforward and
pullback, and ⟨Jᵀu, v⟩ is the limit of ⟨u, (f(x + hv) - f(x - hv)) / 2h⟩. In float64 where values follow it.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import torch
from torch import Tensor

from eigenwalk.feature import Feature
from eigenwalk.maths.linearise import UNABLE, Point
from eigenwalk.maths.linearise.attention import plain_attention
from eigenwalk_testing.checks import Inapplicable, fail
from eigenwalk_testing.subject import ROWS, SEED, FeatureSubject, Subject, dtype_name, normal, words

MANY = 3
"""Tangents that the core pushes together, by forward mode; one alone goes through two reverse passes."""
STEPS = {torch.float64: (1e-7, 1e-8, 1e-6, 1e-4), torch.float32: (1e-2, 3e-3, 1e-3)}
"""Lengths h of central differences, RMS over coordinates, and the best counts: a network of ReLUs has a kink every
1e-6 or so, and what rounds inside needs a longer one."""
EXACT = {torch.float64: 1e-6, torch.float32: 1e-3}
"""Largest relative difference of ⟨u, Jv⟩ from ⟨Jᵀu, v⟩."""
CLOSE = {torch.float64: 1e-4, torch.float32: 3e-2}
"""Largest relative difference of a pullback from central differences."""


def _differentiable(s: Subject) -> None:
    if isinstance(s.object, Feature) and not s.object.differentiable:
        raise Inapplicable("it declares differentiable=False: the core takes central differences instead")


def gradient(s: Subject) -> str:
    """At every row, values have a gradient that is finite and not zero."""
    _differentiable(s)
    inputs = s.inputs[:ROWS].clone().requires_grad_()
    near = s.near(inputs.detach().clone())
    with torch.enable_grad():
        values = near(inputs)
    if not values.requires_grad:
        fail(
            "values carry no gradient",
            "return what an argmax, a comparison or a rounding is made of: logits, a softmax, a sigmoid; and leave out "
            "no_grad, inference_mode, detach, .data and numpy. Only a detector without any gradient declares "
            "differentiable=False",
        )
    found = torch.autograd.grad(values, inputs, normal(values), allow_unused=True)[0]
    norms = torch.zeros(len(inputs)) if found is None else found.flatten(1).norm(dim=1)
    if not bool(norms.isfinite().all()):
        fail(f"its norm is {words(norms)}", "avoid what has an infinite slope: √0, |0|, log 0; add an epsilon inside")
    if not bool((norms > 0).all()):
        remedy = "an argmax, rounding, a threshold and a saturated clip have no slope: use the soft value before them"
        fail(f"its norm is {words(norms)}", remedy)
    return f"norms {words(norms)}"


def pullback(s: Subject) -> str:
    """The pullback agrees with central differences of the values: ⟨Jᵀu, v⟩ with ⟨u, Δf⟩ / 2h."""
    _differentiable(s)
    with s.point() as (point, function):
        u = normal(point.values[0])
        pulled = point.pull([u])
        z, v = point.latents.detach(), _tangent(pulled)
        expected = float((pulled * v).sum())
        best = float("inf")
        for h in STEPS[z.dtype]:
            with torch.no_grad():
                change = (function(z + h * v) - function(z - h * v)) / (2 * h)
            best = min(best, abs(float((u * change).sum()) - expected) / abs(expected))
            if best <= CLOSE[z.dtype]:
                break
        if not best <= CLOSE[z.dtype]:
            fail(
                f"it differs from central differences by {best:.2g}, and {CLOSE[z.dtype]:g} is allowed",
                "look for a custom backward, a detach in the middle, or a mask or crop that moves with the image and "
                "belongs in at()",
            )
        return f"{best:.1g} from central differences ({dtype_name(z)}, {CLOSE[z.dtype]:g} allowed)"


def pushforward(s: Subject) -> str:
    """The pushforward agrees with the pullback: ⟨u, Jv⟩ = ⟨Jᵀu, v⟩.

    Of one tangent through the recorded gradient, and of several together by forward mode, as where memory is short.
    """
    _differentiable(s)
    with s.point() as (point, function):
        u = normal(point.values[0])
        pulled = point.pull([u])
        first = _tangent(pulled)
        tangents = torch.stack([first, *(first + normal(first, SEED + i) for i in range(1, MANY))], 1)
        worst = 0.0
        ways = (
            ("one tangent", point, tangents[:, :1]),
            (f"{MANY} tangents together", replace(point.owner, record="once").at(point.latents), tangents),
        )
        for how, there, some in ways:
            pushed = there.push(some)[0]
            left = (u.reshape(len(u), 1, -1) * pushed).sum((0, 2))
            right = (pulled[:, None] * some).sum((0, 2))
            error = float(((left - right).abs() / right.abs()).max())
            if not error <= EXACT[pulled.dtype]:
                fail(
                    f"of {how} it differs from the pullback by {error:.2g}, and {EXACT[pulled.dtype]:g} is allowed",
                    "a custom autograd function has a wrong jvp, or a backward that is itself not differentiable",
                )
            worst = max(worst, error)
        told = f"{worst:.1g} from the pullback ({dtype_name(pulled)}, {EXACT[pulled.dtype]:g} allowed)"
        return f"{told}; {_routes(point, function)}"


def _tangent(pulled: Tensor) -> Tensor:
    """A tangent with RMS coordinates of about 1: half along the gradient, so that ⟨Jᵀu, v⟩ does not cancel."""
    along = pulled * (pulled[0].numel() ** 0.5 / pulled.flatten(1).norm(dim=1)[:, None])
    return 0.5 * along + 0.9 * normal(pulled)


@plain_attention()
def _routes(point: Point, function) -> str:
    """Which way the core pushes several tangents: forward mode under vmap, or what stands in for it."""
    z = point.latents.detach()

    def one(tangent: Tensor) -> Tensor:
        return torch.func.jvp(function, (z,), (tangent,))[1]

    several = normal(z)[None]
    try:
        with torch.no_grad():
            torch.func.vmap(one)(several)
        return "forward mode under vmap"
    except UNABLE as error:
        reason = str(error).strip().partition("\n")[0][:90]
    with suppress(*UNABLE), torch.enable_grad():
        inputs = z.clone().requires_grad_()
        values = function(inputs)
        u = torch.zeros_like(values, requires_grad=True)
        pulled = torch.autograd.grad(values, inputs, u, create_graph=True)[0]
        torch.autograd.grad(pulled, u, several[0])
        return f"two reverse passes for each tangent, as forward mode under vmap has no rule: {reason}"
    return f"forward mode without vmap, the slowest way, as other ways have no rule: {reason}"


def step(s: FeatureSubject) -> str:
    """Where it is not differentiable, its central differences at its own `step` are finite, and some are not zero."""
    feature = s.feature
    if feature.differentiable:
        raise Inapplicable("it is differentiable")
    if not 0 < feature.step < float("inf"):
        fail(f"step is {feature.step}", "step is how far (RMS pixel) an image moves in a difference: 0.02, say")
    near = s.near(s.inputs.clone())
    change = torch.zeros(len(s.inputs))
    for seed in range(MANY):
        v = _smooth(s.inputs, seed)
        with torch.no_grad():
            difference = near(s.inputs + feature.step * v) - near(s.inputs - feature.step * v)
        change = change.maximum(difference.reshape(len(difference), -1).norm(dim=1))
    if not bool(change.isfinite().all()):
        fail("a central difference is NaN or infinite", "at() says where there is no value; near it there is one")
    if not bool((change > 0).all()):
        fail(
            f"along {MANY} directions, values at rows {(change == 0).nonzero().flatten().tolist()} never change",
            f"raise step ({feature.step}) above what the feature rounds to, or return the value before it is rounded",
        )
    return f"values change by {words(change)} over ± {feature.step:g} RMS pixel"


def _smooth(images: Tensor, seed: int) -> Tensor:
    """Random coarse images of RMS 1: what a generator's tangents are like, and a detector answers to."""
    coarse = normal(images.new_empty(len(images), 3, 6, 6), SEED + seed)
    fine = torch.nn.functional.interpolate(coarse, images.shape[-2:], mode="bilinear", align_corners=False)
    return fine / fine.flatten(1).square().mean(1).sqrt()[:, None, None, None]
