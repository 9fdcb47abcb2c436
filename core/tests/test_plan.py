"""One step: its direction, its length, and the pull that corrects the drift of fixed features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from eigenwalk.direction import Gaps, Limits, Step, rate_in
from eigenwalk.maths.methods.apart import WITHIN
from eigenwalk.maths.methods.davidson import Davidson
from eigenwalk.maths.methods.dense import Dense
from eigenwalk.maths.methods.outward import Outward
from eigenwalk.maths.methods.pairs import Pairs
from eigenwalk.maths.methods.plan import plan
from eigenwalk.maths.methods.subspace import Subspace
from eigenwalk.maths.methods.trade import trade
from eigenwalk.maths.problem import Region
from problems import Matrices, Tally, decaying, normal

EXACT = Outward(whole=1000)
METHODS = {"exact": EXACT, "subspace": Outward(whole=0)}
NOWHERE = torch.full((2,), float("inf")).double()


def problem(d: int = 10, p: int = 6, q: int = 4, seed: int = 0) -> Matrices:
    return Matrices(normal(2, p, d, seed=seed), normal(2, q, d, seed=seed + 1))


def pairs(sight: Matrices) -> Pairs:
    return Dense().pairs(sight, 1)


def limits(stride: float, longest: float = 1e9, away: Tensor | None = None, radius: Tensor = NOWHERE) -> Limits:
    return Limits(stride, longest, away, radius)


# A step in the subspace


@dataclass(frozen=True)
class Onward:
    """A subspace of a step, the direction m of varied values, the varied change and the drift."""

    sight: Matrices
    space: Subspace
    m: Tensor
    gaps: Gaps

    @classmethod
    def of(
        cls, sight: Matrices, method: Outward = EXACT, drift: float | Tensor = 1.0, region: Sequence[Tensor] = ()
    ) -> Onward:
        if not isinstance(drift, Tensor):
            drift = drift * normal(2, sight.F.shape[1], seed=5)
        varied, previous = normal(2, sight.C.shape[1], seed=6), normalize(normal(2, sight.dim, seed=8), dim=1)
        gaps = Gaps(varied, drift, previous)
        state = Davidson().pairs(sight, 1)[1]
        space, m, _ = method.subspace(sight, state, gaps, limits(0.1, 1e9, *region))
        return cls(sight, space, m, gaps)

    def step(self, stride: float, *also, **options) -> Step:
        return plan(self.space, self.m, self.gaps, self.sight.blocks, limits(stride, *also), **options)

    def change(self, v: Tensor) -> Tensor:
        """C v."""
        return (self.sight.C @ v[:, :, None])[:, :, 0]

    @property
    def metric(self) -> Tensor:
        """B + εI."""
        return self.sight.F.mT @ self.sight.F + self.space.ridge[:, None, None] * torch.eye(self.sight.dim)


def test_the_direction_solves_its_linear_system():
    on = Onward.of(problem(), drift=0.1)
    last = on.change(on.gaps.direction)
    m = normalize(normalize(on.gaps.varied, dim=1) + 0.5 * normalize(last, dim=1), dim=1)
    P, g = on.metric, on.sight.pull(m, None)
    step = on.step(0.1)
    torch.testing.assert_close(step.direction, normalize(torch.linalg.solve(P, g), dim=1))
    best = torch.einsum("bi,bi->b", g, torch.linalg.solve(P, g))
    torch.testing.assert_close(step.quotient, best)  # no direction has a larger one
    for seed in range(20):
        v = normal(2, 10, seed=100 + seed)
        assert ((g * v).sum(1).square() / torch.einsum("bi,bij,bj->b", v, P, v) <= best).all()


def test_a_path_holds_what_others_have_varied():
    sight = problem()
    d, last = normal(2, 6, seed=6), normalize(normal(2, 10, seed=8), dim=1)
    alike, opposite = d + normal(2, 6, seed=9), -d
    gaps = Gaps(d, 0.1 * normal(2, 4, seed=5), last, torch.stack([alike, 0 * d, opposite], 1))
    space, m, _ = EXACT.subspace(sight, Davidson().pairs(sight, 1)[1], gaps, limits(1.0))
    u = normalize(alike, dim=1)
    assert ((m * u).sum(1).abs() < 1e-12).all()  # all that m had in common with it is gone
    free = normalize(normalize(d, dim=1) + 0.5 * normalize((sight.C @ last[:, :, None])[:, :, 0], dim=1), dim=1)
    torch.testing.assert_close(m, normalize(free - (free * u).sum(1, keepdim=True) * u, dim=1))
    held = torch.cat([sight.F, (u[:, None] @ sight.C) / WITHIN], 1)
    P = held.mT @ held + space.ridge[:, None, None] * torch.eye(10)
    ahead = normalize(torch.linalg.solve(P, sight.pull(m, None)), dim=1)
    back = -torch.linalg.solve(P, sight.pull(u, None))
    g, change = torch.linalg.solve(P, sight.pull(d, None)), lambda v: (sight.C @ v[:, :, None])[:, :, 0]
    back = back - ((d * change(back)).sum(1) / (d * change(g)).sum(1))[:, None] * g  # leaves what has varied as it is
    for stride, shared in ((0.1, 0.05), (1e-3, 5e-4)):  # half a stride, much less than they have in common
        step = plan(space, m, gaps, sight.blocks, limits(stride))
        own = ((normalize(d, dim=1) * change(ahead)).sum(1)).maximum(0.5 * (m * change(ahead)).sum(1))
        whole = (stride / own)[:, None]
        near = (2 - 2 * gaps.fixed.norm(dim=1, keepdim=True)).clamp(0.2, 1)  # all of it shorter near a tolerance
        retreat = shared / WITHIN**2 * back
        retreat = near * retreat * (near * whole / retreat.norm(dim=1, keepdim=True)).clamp_max(1)
        torch.testing.assert_close(step.size[:, None] * step.direction, near * whole * ahead + retreat)
        assert ((u * change(retreat)).sum(1) < 0).all()


def test_a_step_increases_the_varied_change_by_the_stride():
    on = Onward.of(problem(), drift=0.01)
    step = on.step(0.1, correct=False)
    away = (normalize(on.gaps.varied, dim=1) * on.change(step.direction)).sum(1)
    along = (on.m * on.change(step.direction)).sum(1)
    torch.testing.assert_close(step.size * torch.maximum(away, along / 2), torch.full((2,), 0.1).double())
    torch.testing.assert_close(step.varied, torch.full((2,), 0.1).double())
    assert (on.step(0.1, 1e-3).size <= 1e-3).all()


@pytest.mark.parametrize("method", METHODS)
def test_the_pull_leaves_the_varied_change_as_it_is(method):
    on = Onward.of(problem(), METHODS[method])
    pull, g = on.step(0.1).pull, on.sight.pull(on.gaps.varied, None)
    assert pull is not None and (pull.norm(dim=1) > 0).all()
    assert ((g * pull).sum(1).abs() < 1e-9 * g.norm(dim=1) * pull.norm(dim=1)).all()


def test_the_pull_solves_its_linear_system():
    on = Onward.of(problem(d=10, p=6, q=4), drift=1e-3)  # so little that no trust region is felt
    P, g = on.metric, on.sight.pull(on.gaps.varied, None)
    plain = -torch.linalg.solve(P, on.sight.pull(None, on.gaps.fixed))
    Pg = torch.linalg.solve(P, g)
    oblique = plain - Pg * (g * plain).sum(1, keepdim=True) / (g * Pg).sum(1, keepdim=True)
    torch.testing.assert_close(on.step(1.0).pull, oblique)


def test_the_pull_stays_in_its_trust_region_and_still_reduces_drift():
    on = Onward.of(problem(), drift=100.0)
    step = on.step(0.01)
    assert (step.pull.norm(dim=1) <= 5 * step.size * (1 + 1e-9)).all()
    left = on.gaps.fixed + (on.sight.F @ step.pull[:, :, None])[:, :, 0]
    assert (left.norm(dim=1) < on.gaps.fixed.norm(dim=1)).all()


def test_without_drift_the_pull_is_zero():
    assert Onward.of(problem(), drift=0.0).step(0.1).pull.abs().max() < 1e-12
    assert Onward.of(problem()).step(0.1, correct=False).pull.abs().max() == 0


def test_steps_grow_shorter_near_a_tolerance():
    used = (0.1, 0.5, 0.75, 2.0)
    sizes = [Onward.of(problem(q=1), drift=torch.full((2, 1), one).double()).step(0.1).size for one in used]
    for size, share in zip(sizes, (1.0, 1.0, 0.5, 0.2), strict=True):
        torch.testing.assert_close(size, share * sizes[0])


def test_only_steps_at_the_edge_of_the_typical_region_are_bent():
    away = 3 * normalize(normal(2, 12, seed=3), dim=1)
    on = Onward.of(problem(d=12), drift=0.3, region=(away, NOWHERE))
    free = on.step(0.5)
    wide = on.step(0.5, 1e9, away, torch.full((2,), 100.0).double())
    torch.testing.assert_close(wide.pull, free.pull)
    whole = free.size[:, None] * free.direction + free.pull
    outside = (away + whole).norm(dim=1)
    radius = torch.minimum(outside, torch.full((2,), 3.05).double())
    held = on.step(0.5, 1e9, away, radius)
    there = (away + held.size[:, None] * held.direction + held.pull).norm(dim=1)
    assert (there <= radius * (1 + 1e-3)).all()
    assert (outside > radius).any()  # else nothing was tried
    # What varies does so as much: the bend is neutral to it.
    ahead, bent = ((on.m * on.change(w)).sum(1) for w in (whole, whole + held.pull - free.pull))
    torch.testing.assert_close(ahead, bent, rtol=1e-4, atol=1e-6)


def test_the_subspace_reaches_most_of_the_exact_quotient():
    """Compare a step's quotient with the exact one, along the path that such steps make."""
    found, state = Davidson().pairs(decaying(), 1)
    previous = found.vectors[:, 0]
    gone = previous / 10
    for waypoint in range(1, 9):
        sight = decaying(time=0.02 * waypoint)
        C, F = sight.push(gone[:, None])
        gaps = Gaps(C[:, 0], F[:, 0], previous)
        best, _ = EXACT.step(sight, state, gaps, limits(0.1))
        assert Outward().subspace(sight, state, gaps, limits(0.1))[0].V.shape[1] <= 1 + 2 + 3
        ours, state = Outward().step(sight, state, gaps, limits(0.1))
        assert (ours.quotient > 0.6 * best.quotient).all()
        previous = ours.direction
        gone = gone + ours.size[:, None] * ours.direction + ours.pull


# Several tolerances


@pytest.mark.parametrize("away", [None, 0.1], ids=["anywhere", "near the edge"])
def test_expansions_solve_for_the_whole_step(away):
    """In as many expansions as there are coordinates, the step is that of the whole space."""
    sight = problem(d=9)
    region = () if away is None else (normal(2, 9, seed=11), away * torch.ones(2).double())
    found = [
        Onward.of(sight, method, drift=0.05, region=region).step(0.1, 1e9, *region)
        for method in (EXACT, Outward(whole=0, expansions=8))
    ]
    for name in ("direction", "size", "pull"):
        torch.testing.assert_close(getattr(found[1], name), getattr(found[0], name), rtol=1e-5, atol=1e-7)


def test_only_a_row_near_the_edge_of_the_region_expands_along_the_radius():
    sight, away = Tally(problem(d=40)), normal(2, 40, seed=11)
    far, near = 1e3 * torch.ones(2).double(), torch.tensor([1e3, 1e-3]).double()
    pushed = []
    for radius in (far, near):
        before = sight.pushed
        on = Onward.of(sight, Outward(whole=0), region=(away, radius))
        pushed.append(sight.pushed - before)
    assert pushed[1] == pushed[0] + 1
    torch.testing.assert_close(on.space.V[:, 1].norm(dim=1), torch.tensor([0.0, 1.0]).double())


def test_the_multipliers_solve_the_constrained_problem():
    """``max vᵀAv`` subject to ``vᵀB_i v ≤ 1``, against scipy's minimisation over the multipliers."""
    from scipy.linalg import eigh
    from scipy.optimize import minimize_scalar

    F = torch.cat([normal(1, 3, 8, seed=1), 4 * normal(1, 3, 8, seed=2)], 1)
    operators = Matrices(normal(1, 6, 8, seed=3), F)
    summed = pairs(operators)
    solution = trade(summed, (3, 3))
    ridge = float(summed.ridge)

    def top(share: float) -> float:
        B = 2 * (share * F[0, :3].T @ F[0, :3] + (1 - share) * F[0, 3:].T @ F[0, 3:]) + ridge * torch.eye(8)
        return eigh((operators.C[0].T @ operators.C[0]).numpy(), B.numpy(), eigvals_only=True)[-1]

    best: Any = minimize_scalar(top, bounds=(0.025, 0.975), method="bounded", options={"xatol": 1e-6})
    assert float(solution.quotients[0, 0]) == pytest.approx(best.fun, rel=0.02)
    v = solution.vectors[0, 0]
    strain = [float((part @ v).norm()) for part in (F[0, :3], F[0, 3:])]
    before = [float((part @ summed.vectors[0, 0]).norm()) for part in (F[0, :3], F[0, 3:])]
    assert max(strain) / min(strain) < max(before) / min(before)
    assert trade(summed, (6,)) is summed


def test_a_feature_near_its_tolerance_is_weighted_more():
    """One of two features has used nearly all of its tolerance: the step spares it, as a plain sum would not."""
    fixed, after = torch.cat([0.2 * normal(2, 7, seed=3), 0.02 * normal(2, 7, seed=4)], 1), []
    for blocks in ((7, 7), ()):
        on = Onward.of(replace(problem(d=6, p=6, q=14), blocks=blocks), drift=fixed)
        step = on.step(1.5)
        moved = fixed + (on.sight.F @ (step.size[:, None] * step.direction + step.pull)[:, :, None])[:, :, 0]
        parts = torch.stack([moved[:, :7].norm(dim=1), moved[:, 7:].norm(dim=1)])
        after.append(parts.amax(0) / parts.amin(0))
    assert (after[0] < after[1]).all()


def test_the_typical_region_is_a_distance_from_the_mean():
    region = Region(torch.tensor([1.0, 0.0]), 2.0)
    assert torch.equal(region.away(torch.tensor([[1.0, 3.0]]).double()), torch.tensor([[0.0, 3.0]]).double())


# The direction


def crossing(time: float) -> Matrices:
    """With nothing fixed, A's eigenvalues 1 - t and t along the first two coordinates cross at t = ½."""
    return Matrices(
        torch.diag(torch.tensor([1 - time, time, 0.01]).double().sqrt())[None], torch.zeros(1, 1, 3).double()
    )


@pytest.mark.parametrize("method", [Dense(), Davidson()], ids=["dense", "davidson"])
def test_follow_is_continuous_where_eigenvalues_cross(method):
    steps, state = method.start(crossing(0.3), 1, limits(0.1))
    direction, turns = steps.direction[:, 0], []
    for time in torch.linspace(0.3, 0.95, 40).tolist():
        gaps = Gaps(direction, direction[:, :1], direction)  # neither asks what has varied or drifted
        step, state = method.step(crossing(time), state, gaps, limits(0.1))
        turns.append(float((step.direction * direction).sum()))
        direction = step.direction
    assert min(turns) > 0.9, "turned sharply"
    torch.testing.assert_close(direction.norm(dim=1), torch.ones(1).double())


def test_follow_turns_towards_the_larger_quotient():
    before = normalize(torch.tensor([[0.9, 0.1, 0.0]]).double(), dim=1)
    direction = before
    for _ in range(60):
        direction, quotient = pairs(crossing(0.6)).follow(direction)
    assert direction[0, 1].abs() > 0.99
    torch.testing.assert_close(quotient, pairs(crossing(0.6)).quotients[:, 0], rtol=1e-3, atol=0)


@pytest.mark.parametrize("sense", [1.0, -1.0])
def test_follow_keeps_the_sense(sense):
    solution = pairs(problem())
    for nudge in (0.0, 0.05):
        previous = normalize(sense * solution.vectors[:, 0] + nudge * normal(2, 10), dim=1)
        direction, _ = solution.follow(previous)
        assert ((direction * previous).sum(1) > 0.9).all()


def test_follow_stays_on_the_second_or_third_eigenvector():
    """A path that began along the second or third direction does not jump to the first one."""
    operators = Matrices(
        torch.diag(torch.tensor([1.0, 0.3, 0.1, 0.03]).double().sqrt())[None], torch.zeros(1, 1, 4).double()
    )
    solution = pairs(operators)
    for rank in range(3):
        previous = solution.vectors[:, rank]
        direction, quotient = solution.follow(previous)
        torch.testing.assert_close(direction, previous)
        torch.testing.assert_close(quotient, solution.quotients[:, rank])


def test_follow_returns_the_quotient_of_its_direction():
    operators = problem()
    solution = pairs(operators)
    direction, quotient = solution.follow(normalize(normal(2, 10, seed=8), dim=1))
    C, F = operators.push(direction[:, None])
    torch.testing.assert_close(quotient, C.square().sum((1, 2)) / (F.square().sum((1, 2)) + solution.ridge))


def test_follow_returns_a_direction_even_if_the_previous_one_is_orthogonal():
    solution = pairs(crossing(0.3))
    direction, _ = solution.follow(torch.tensor([[0.0, 0.0, -1.0]]).double())
    assert direction.isfinite().all()
    torch.testing.assert_close(direction.norm(dim=1), torch.ones(1).double())


# How far


def test_rate_is_the_varied_change_per_length():
    operators = problem()
    v = normalize(normal(2, 10, seed=2), dim=1)
    found = pairs(operators)
    torch.testing.assert_close(rate_in(found.V, found.CV, v), (operators.C @ v[:, :, None])[:, :, 0].norm(dim=1))


def test_a_step_keeps_to_the_stride_and_the_limit():
    found = limits(0.1, 0.15).size(torch.tensor([2.0, 0.5, 0.0]))
    torch.testing.assert_close(found, torch.tensor([0.05, 0.15, 0.15]))
