"""One step: which direction, how far, and the pull back on what must hold."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from eigenwalk.maths.problem import Region
from eigenwalk.maths.rayleigh import Davidson, Dense, Gaps, Matrices, Memory, NullSpace, Outward, Solution
from eigenwalk.maths.step import Edge, follow, plan, rate, step_size, traded
from problems import normal


def problem(d: int = 10, p: int = 6, q: int = 4, seed: int = 0) -> Matrices:
    return Matrices(normal(2, p, d, seed=seed), normal(2, q, d, seed=seed + 1))


def solved(operators: Matrices) -> Solution:
    return Dense().solve(operators, 1)


# A step in the subspace


EXACT = Outward(whole=1000)
METHODS = {"exact": EXACT, "subspace": Outward(whole=0)}
LONG = 1e9


def onward(
    operators: Matrices, method: Outward = EXACT, blocks: tuple[int, ...] = (), drift: float = 1.0, **also
) -> tuple[Solution, Gaps, Tensor]:
    """A subspace to go on in, what has varied and drifted, and the previous direction."""
    previous = normalize(normal(2, operators.dim, seed=8), dim=1)
    gaps = Gaps(
        normal(2, operators.C.shape[1], seed=6), drift * normal(2, operators.F.shape[1], seed=5), blocks, **also
    )
    memory = Davidson().solve(operators, 1).memory
    return method.solve(operators, 1, memory, previous, gaps), gaps, previous


def metric(operators: Matrices, solution: Solution) -> Tensor:
    return operators.F.mT @ operators.F + solution.ridge[:, None, None] * torch.eye(operators.dim)


def test_the_direction_is_the_formula():
    operators = problem()
    solution, gaps, previous = onward(operators, drift=0.1)
    last = (operators.C @ previous[:, :, None])[:, :, 0]
    m = normalize(normalize(gaps.varied, dim=1) + 0.5 * normalize(last, dim=1), dim=1)
    P, g = metric(operators, solution), operators.pull(m, None)
    step = plan(solution, 0.1, LONG)
    torch.testing.assert_close(step.direction, normalize(torch.linalg.solve(P, g), dim=1))
    best = torch.einsum("bi,bi->b", g, torch.linalg.solve(P, g))
    torch.testing.assert_close(step.quotient, best)  # no direction has a larger one
    for seed in range(20):
        v = normal(2, 10, seed=100 + seed)
        assert ((g * v).sum(1).square() / torch.einsum("bi,bij,bj->b", v, P, v) <= best).all()


def test_a_step_takes_what_varied_further_by_the_stride():
    operators = problem()
    solution, gaps, _ = onward(operators, drift=0.01)
    step = plan(solution, 0.1, LONG, correct=False)
    away = (normalize(gaps.varied, dim=1) * rateof(operators, step.direction)).sum(1)
    along = (solution.aim.m * rateof(operators, step.direction)).sum(1)  # type: ignore[union-attr]
    torch.testing.assert_close(step.size * torch.maximum(away, along / 2), torch.full((2,), 0.1).double())
    torch.testing.assert_close(step.varied, torch.full((2,), 0.1).double())
    assert (plan(solution, 0.1, 1e-3).size <= 1e-3).all()


def rateof(operators: Matrices, v: Tensor) -> Tensor:
    return (operators.C @ v[:, :, None])[:, :, 0]


@pytest.mark.parametrize("method", METHODS)
def test_the_pull_is_neutral_to_what_varied(method):
    operators = problem()
    solution, gaps, _ = onward(operators, METHODS[method])
    step = plan(solution, 0.1, LONG)
    g = operators.pull(gaps.varied, None)
    assert ((g * step.pull).sum(1).abs() < 1e-9 * g.norm(dim=1) * step.pull.norm(dim=1)).all()
    assert (step.pull.norm(dim=1) > 0).all()


def test_the_pull_is_the_formula():
    operators = problem(d=10, p=6, q=4)
    solution, gaps, _ = onward(operators, drift=1e-3)  # so little that no trust region is felt
    P, g = metric(operators, solution), operators.pull(gaps.varied, None)
    plain = -torch.linalg.solve(P, operators.pull(None, gaps.fixed))
    Pg = torch.linalg.solve(P, g)
    oblique = plain - Pg * (g * plain).sum(1, keepdim=True) / (g * Pg).sum(1, keepdim=True)
    torch.testing.assert_close(plan(solution, 1.0, LONG).pull, oblique)


def test_the_pull_stays_in_its_trust_region_and_still_helps():
    operators = problem()
    solution, gaps, _ = onward(operators, drift=100.0)
    step = plan(solution, 0.01, LONG)
    assert (step.pull.norm(dim=1) <= 5 * step.size * (1 + 1e-9)).all()
    left = gaps.fixed + (operators.F @ step.pull[:, :, None])[:, :, 0]
    assert (left.norm(dim=1) < gaps.fixed.norm(dim=1)).all()


def test_no_drift_no_pull():
    solution, _, _ = onward(problem(), drift=0.0)
    assert plan(solution, 0.1, LONG).pull.abs().max() < 1e-12
    assert plan(onward(problem())[0], 0.1, LONG, correct=False).pull.abs().max() == 0


def test_steps_grow_shorter_near_a_tolerance():
    sizes = []
    for used in (0.1, 0.5, 0.75, 2.0):
        operators = problem(q=1)
        previous, memory = normalize(normal(2, 10, seed=8), dim=1), Davidson().solve(operators, 1).memory
        gaps = Gaps(normal(2, 6, seed=6), torch.full((2, 1), used).double())
        sizes.append(plan(EXACT.solve(operators, 1, memory, previous, gaps), 0.1, LONG).size)
    for size, share in zip(sizes, (1.0, 1.0, 0.5, 0.2), strict=True):
        torch.testing.assert_close(size, share * sizes[0])


def test_inside_the_typical_region_nothing_is_bent_and_at_its_edge_the_step_is():
    operators = problem(d=12)
    away = 3 * normalize(normal(2, 12, seed=3), dim=1)
    solution, *_ = onward(operators, drift=0.3, radial=away)
    free = plan(solution, 0.5, LONG)
    wide = plan(solution, 0.5, LONG, Edge(away, torch.full((2,), 100.0).double()))
    torch.testing.assert_close(wide.pull, free.pull)
    whole = free.size[:, None] * free.direction + free.pull
    outside = (away + whole).norm(dim=1)
    edge = Edge(away, torch.minimum(outside, torch.full((2,), 3.05).double()))
    held = plan(solution, 0.5, LONG, edge)
    there = (away + held.size[:, None] * held.direction + held.pull).norm(dim=1)
    assert (there <= edge.radius * (1 + 1e-3)).all()
    assert (outside > edge.radius).any()  # else nothing was tried
    # What varies does so as much: the bend is neutral to it.
    m = solution.aim.m  # type: ignore[union-attr]
    ahead, bent = ((m * rateof(operators, w)).sum(1) for w in (whole, whole + held.pull - free.pull))
    torch.testing.assert_close(ahead, bent, rtol=1e-4, atol=1e-6)


def test_a_subspace_comes_near_the_whole():
    """What a step's passes find of the exact quotient, along the path that they themselves lead."""
    from test_rayleigh import decaying

    solution = Davidson().solve(decaying(), 1)
    memory, previous = solution.memory, solution.vectors[:, 0]
    gone = previous / 10
    for waypoint in range(1, 9):
        operators = decaying(time=0.02 * waypoint)
        C, F = operators.push(gone[:, None])
        gaps = Gaps(C[:, 0], F[:, 0])
        found, exact = (method.solve(operators, 1, memory, previous, gaps) for method in (Outward(), EXACT))
        ours, best = plan(found, 0.1, LONG), plan(exact, 0.1, LONG)
        assert (ours.quotient > 0.6 * best.quotient).all()
        assert found.V.shape[1] <= 1 + 2 + 3
        memory, previous = found.memory, ours.direction
        gone = gone + ours.size[:, None] * ours.direction + ours.pull


# Several tolerances


def test_the_trade_is_the_solved_one():
    """``max vᵀAv`` subject to ``vᵀB_i v ≤ 1``, against scipy's minimisation over the multipliers."""
    from scipy.linalg import eigh
    from scipy.optimize import minimize_scalar

    F = torch.cat([normal(1, 3, 8, seed=1), 4 * normal(1, 3, 8, seed=2)], 1)
    operators = Matrices(normal(1, 6, 8, seed=3), F)
    summed = Dense().solve(operators, 1)
    solution = traded(summed, (3, 3))
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
    assert traded(summed, (6,)) is summed


def test_a_strained_feature_is_held_harder():
    """One of two has used nearly all of its tolerance: the step spares it, and the sum of both would not."""
    operators = problem(d=6, p=6, q=14)
    previous, memory = normalize(normal(2, 6, seed=8), dim=1), Davidson().solve(operators, 1).memory
    fixed = torch.cat([0.2 * normal(2, 7, seed=3), 0.02 * normal(2, 7, seed=4)], 1)
    after = []
    for blocks in ((7, 7), ()):
        step = plan(EXACT.solve(operators, 1, memory, previous, Gaps(normal(2, 6, seed=6), fixed, blocks)), 1.5, 1e9)
        moved = fixed + (operators.F @ (step.size[:, None] * step.direction + step.pull)[:, :, None])[:, :, 0]
        parts = torch.stack([moved[:, :7].norm(dim=1), moved[:, 7:].norm(dim=1)])
        after.append(parts.amax(0) / parts.amin(0))
    assert (after[0] < after[1]).all()


def test_region_is_a_distance_from_the_mean():
    region = Region(torch.tensor([1.0, 0.0]), 2.0)
    assert torch.equal(region.away(torch.tensor([[1.0, 3.0]]).double()), torch.tensor([[0.0, 3.0]]).double())


# The direction


def crossing(time: float) -> Matrices:
    """Nothing fixed; A's eigenvalues 1 - t and t along the first two coordinates cross at ½, as t goes from 0 to 1."""
    return Matrices(
        torch.diag(torch.tensor([1 - time, time, 0.01]).double().sqrt())[None], torch.zeros(1, 1, 3).double()
    )


@pytest.mark.parametrize("solver", [Dense(), Davidson()], ids=["dense", "davidson"])
def test_follow_is_continuous_where_eigenvalues_cross(solver):
    solution = solver.solve(crossing(0.3), 1)
    direction = solution.vectors[:, 0]
    turns, memory = [], solution.memory
    for time in torch.linspace(0.3, 0.95, 40).tolist():
        solution = solver.solve(crossing(time), 1, memory, direction)
        after, _ = follow(solution, direction)
        turns.append(float((after * direction).sum()))
        direction, memory = after, solution.memory
    assert min(turns) > 0.9, "turned sharply"
    torch.testing.assert_close(direction.norm(dim=1), torch.ones(1).double())


def test_follow_turns_towards_the_larger_quotient():
    before = normalize(torch.tensor([[0.9, 0.1, 0.0]]).double(), dim=1)
    direction = before
    for _ in range(60):
        direction, quotient = follow(solved(crossing(0.6)), direction)
    assert direction[0, 1].abs() > 0.99
    torch.testing.assert_close(quotient, Dense().solve(crossing(0.6), 1).quotients[:, 0], rtol=1e-3, atol=0)


@pytest.mark.parametrize("sense", [1.0, -1.0])
def test_follow_keeps_the_sense(sense):
    solution = solved(problem())
    for nudge in (0.0, 0.05):
        previous = normalize(sense * solution.vectors[:, 0] + nudge * normal(2, 10), dim=1)
        direction, _ = follow(solution, previous)
        assert ((direction * previous).sum(1) > 0.9).all()


def test_follow_stays_on_an_eigenvector_of_low_rank_order():
    """A path that began along the second or third direction does not jump to the first."""
    operators = Matrices(
        torch.diag(torch.tensor([1.0, 0.3, 0.1, 0.03]).double().sqrt())[None], torch.zeros(1, 1, 4).double()
    )
    solution = solved(operators)
    for rank in range(3):
        previous = solution.vectors[:, rank]
        direction, quotient = follow(solution, previous)
        torch.testing.assert_close(direction, previous)
        torch.testing.assert_close(quotient, solution.quotients[:, rank])


def test_follow_says_the_quotient_of_what_it_returns():
    operators = problem()
    solution = solved(operators)
    direction, quotient = follow(solution, normalize(normal(2, 10, seed=8), dim=1))
    C, F = operators.push(direction[:, None])
    torch.testing.assert_close(quotient, C.square().sum((1, 2)) / (F.square().sum((1, 2)) + solution.ridge))


def test_follow_takes_the_published_rules_own_continuation():
    previous = normalize(normal(2, 10, seed=8), dim=1)
    solution = NullSpace().solve(problem(), 1, None, previous)
    assert torch.equal(follow(solution, previous)[0], solution.vectors[:, 0])


def test_follow_finds_a_direction_where_nothing_of_the_previous_is_left():
    solution = solved(crossing(0.3))
    direction, _ = follow(solution, torch.tensor([[0.0, 0.0, -1.0]]).double())
    assert direction.isfinite().all()
    torch.testing.assert_close(direction.norm(dim=1), torch.ones(1).double())


# How far


def test_rate_is_the_varied_change_per_length():
    operators = problem()
    v = normalize(normal(2, 10, seed=2), dim=1)
    torch.testing.assert_close(rate(solved(operators), v), (operators.C @ v[:, :, None])[:, :, 0].norm(dim=1))


def test_step_size_keeps_the_stride_and_the_limit():
    found = step_size(torch.tensor([2.0, 0.5, 0.0]), stride=0.1, longest=0.15)
    torch.testing.assert_close(found, torch.tensor([0.05, 0.15, 0.15]))


def test_memory_of_rows() -> None:
    memory = Memory(normal(3, 2, 4), normal(3, 5, 4), normal(3, 5))
    again: Tensor = memory.rows(torch.tensor([2, 0, 2])).basis
    assert torch.equal(again, memory.basis[[2, 0, 2]])
