"""One step: which direction, how far, and the pull back on what must hold."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from eigenwalk.rayleigh import Davidson, Dense, Matrices, Memory, NullSpace, Solution
from eigenwalk.step import correction, follow, onward, rate, step_size
from problems import normal

FAR = torch.full((2,), 1e9).double()


def problem(d: int = 10, p: int = 6, q: int = 4, seed: int = 0) -> Matrices:
    return Matrices(normal(2, p, d, seed=seed), normal(2, q, d, seed=seed + 1))


def solved(operators: Matrices) -> Solution:
    return Dense().solve(operators, 1)


# The corrector


@pytest.mark.parametrize("solver", [Dense(), Davidson(keep=4, cold=3)], ids=["whole space", "subspace"])
def test_correction_is_neutral_to_what_varied(solver):
    operators = problem()
    fixed_gap, varied_gap = normal(2, 4, seed=5), normal(2, 6, seed=6)
    solution = solver.solve(operators, 1)
    delta = correction(solution, fixed_gap, varied_gap, FAR)
    g = operators.pull(varied_gap, None)
    assert ((g * delta).sum(1).abs() < 1e-9 * g.norm(dim=1) * delta.norm(dim=1)).all()
    # Without the projection it would not have been.
    alone = correction(solution, fixed_gap, torch.zeros(2, 6).double(), FAR)
    assert ((g * alone).sum(1).abs() > 1e-3 * g.norm(dim=1) * alone.norm(dim=1)).all()


def test_correction_is_the_formula():
    operators = problem()
    fixed_gap, varied_gap = normal(2, 4, seed=5), normal(2, 6, seed=6)
    solution = solved(operators)
    P = operators.F.mT @ operators.F + solution.ridge[:, None, None] * torch.eye(10)
    pull = operators.pull(None, fixed_gap)
    plain = -torch.linalg.solve(P, pull)
    torch.testing.assert_close(correction(solution, fixed_gap, torch.zeros(2, 6).double(), FAR), plain)
    g = operators.pull(varied_gap, None)
    Pg = torch.linalg.solve(P, g)
    oblique = plain - Pg * (g * plain).sum(1, keepdim=True) / (g * Pg).sum(1, keepdim=True)
    torch.testing.assert_close(correction(solution, fixed_gap, varied_gap, FAR), oblique)


def test_correction_shrinks_the_gap_as_the_ridge_allows():
    """Along an eigenvector of B with eigenvalue s, a gap is left with the share ε / (s + ε)."""
    s = torch.tensor([1.0, 0.5, 0.1, 0.02]).double()
    F = torch.cat([torch.diag(s.sqrt()), torch.zeros(4, 3).double()], 1)[None]
    operators = Matrices(normal(1, 6, 7), F)
    solution = solved(operators)
    torch.testing.assert_close(solution.ridge, torch.tensor([0.01]).double())
    gap = normal(1, 4, seed=3)
    delta = correction(solution, gap, torch.zeros(1, 6).double(), FAR[:1])
    left = gap + (F @ delta[:, :, None])[:, :, 0]
    torch.testing.assert_close(left, gap * (0.01 / (s + 0.01)))


def test_correction_is_capped_at_the_step():
    operators = problem()
    solution, gaps = solved(operators), (normal(2, 4, seed=5), normal(2, 6, seed=6))
    whole = correction(solution, *gaps, FAR)
    longest = whole.norm(dim=1) * torch.tensor([0.25, 4.0]).double()
    capped = correction(solution, *gaps, longest)
    torch.testing.assert_close(capped, whole * torch.tensor([[0.25], [1.0]]).double())


def test_no_gap_no_correction():
    solution = solved(problem())
    assert correction(solution, torch.zeros(2, 4).double(), normal(2, 6), FAR).abs().max() < 1e-12
    assert correction(solution, torch.zeros(2, 4).double(), torch.zeros(2, 6).double(), FAR).isfinite().all()


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


def test_onward_takes_one_number_further_whatever_the_path_did():
    C = normal(1, 1, 5, seed=1)
    solution = solved(Matrices(C, normal(1, 2, 5, seed=2)))
    v = solution.vectors[:, 0] * torch.sign((C[:, 0] * solution.vectors[:, 0]).sum())  # the number grows along v
    across = normalize(normal(1, 5, seed=3) - (normal(1, 5, seed=3) * v).sum() * v, dim=1)
    for previous, gap, sense, back in (
        (v, 0.3, 1.0, False),
        (-v, 0.3, 1.0, True),
        (v, -0.3, -1.0, True),
        (across, -0.3, -1.0, False),
        (across, 0.3, 1.0, False),
        (v, 0.0, 1.0, False),
    ):
        direction, returns = onward(solution, v, previous, torch.tensor([[gap]]).double())
        torch.testing.assert_close(direction, sense * v)
        assert bool(returns) == back


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
