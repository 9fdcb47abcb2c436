"""Solver x problem x precision, against the dense generalized eigenproblem of scipy."""

from __future__ import annotations

import pytest
import torch
from scipy.linalg import eigh
from torch import Tensor

from eigenwalk.direction import Gaps, Limits, Method
from eigenwalk.maths.methods.davidson import Davidson
from eigenwalk.maths.methods.dense import Dense
from eigenwalk.maths.methods.model import LowRank
from eigenwalk.maths.methods.nullspace import NullSpace, split
from eigenwalk.maths.methods.outward import Outward
from eigenwalk.maths.methods.pairs import Pairs
from eigenwalk.maths.methods.subspace import RIDGE, extend, orthonormal, ridge_of, ritz
from problems import Matrices, Tally, decaying, normal
from problems import orthonormal as isometry

DTYPES = [torch.float32, torch.float64]
ROUNDING = {torch.float32: 1e-4, torch.float64: 1e-9}


def random(d: int, p: int, q: int, batch: int = 2, seed: int = 0) -> Matrices:
    return Matrices(normal(batch, p, d, seed=seed), normal(batch, q, d, seed=seed + 1))


PROBLEMS = {
    "decaying": decaying(24),
    "random": random(12, 20, 20),
    "few values": random(12, 2, 3),
    "d = 3": random(3, 5, 5),
    "d = 2": random(2, 5, 5),
    "d = 1": random(1, 5, 5),
    "nothing fixed": random(12, 20, 0),
    "A zero": Matrices(torch.zeros(2, 5, 12).double(), normal(2, 20, 12)),
    "B zero": Matrices(normal(2, 20, 12), torch.zeros(2, 5, 12).double()),
    "both zero": Matrices(torch.zeros(2, 5, 12).double(), torch.zeros(2, 5, 12).double()),
    "rank 1 and 2": Matrices(
        normal(2, 6, 1, seed=1) @ normal(2, 1, 12, seed=2), normal(2, 6, 2, seed=3) @ normal(2, 2, 12, seed=4)
    ),
    "one direction free": Matrices(normal(2, 9, 6, seed=1), normal(2, 9, 5, seed=2) @ normal(2, 5, 6, seed=3)),
}


def cast(problem: Matrices, dtype: torch.dtype) -> Matrices:
    return Matrices(problem.C.to(dtype), problem.F.to(dtype))


def rows(problem: Matrices, index: list[int]) -> Matrices:
    return Matrices(problem.C[index], problem.F[index])


def exact(problem: Matrices, ridge: Tensor) -> Tensor:
    """All eigenvalues ``(batch, dim)``, largest first, of ``A v = λ (B + εI) v``, by scipy."""
    values = []
    for C, F, epsilon in zip(problem.C.double(), problem.F.double(), ridge, strict=True):
        held = F.T @ F + epsilon * torch.eye(problem.dim).double()
        values.append(torch.from_numpy(eigh((C.T @ C).numpy(), held.numpy(), eigvals_only=True)).flip(0))
    return torch.stack(values)


def true_ridge(problem: Matrices) -> Tensor:
    """ε as the design has it: a share of B's largest eigenvalue."""
    F = problem.F.double()
    return RIDGE * torch.linalg.eigvalsh(F.mT @ F)[:, -1]


def quotient(problem: Matrices, v: Tensor, ridge: Tensor) -> Tensor:
    """``vᵀAv / vᵀ(B + εI)v`` ``(batch,)`` in float64."""
    v = v.double()
    held = (problem.F.double() @ v[:, :, None])[:, :, 0].square().sum(1) + ridge * v.square().sum(1)
    return (problem.C.double() @ v[:, :, None])[:, :, 0].square().sum(1) / held


def check(problem: Matrices, solution: Pairs, n: int) -> None:
    """What holds of every solution: shapes, unit vectors, an orthonormal subspace with its own pushforwards."""
    d, dtype = problem.dim, problem.like.dtype
    close = {"rtol": ROUNDING[dtype], "atol": ROUNDING[dtype]}
    n = min(n, d)
    assert solution.quotients.shape[1] == solution.vectors.shape[1] >= n
    assert solution.vectors.dtype == solution.V.dtype == dtype
    unit = torch.ones(problem.batch, solution.vectors.shape[1]).to(dtype)
    torch.testing.assert_close(solution.vectors.norm(dim=-1), unit, **close)
    there = solution.V.square().sum(-1) > 0.5  # the others are zeros, in rows that needed fewer
    torch.testing.assert_close(solution.V @ solution.V.mT, torch.diag_embed(there.to(dtype)), **close)
    C, F = problem.push(solution.V)
    torch.testing.assert_close(solution.CV, C, **close)
    torch.testing.assert_close(solution.FV, F, **close)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", PROBLEMS)
def test_dense_is_exact(name, dtype):
    problem = cast(PROBLEMS[name], dtype)
    solution = Dense().pairs(problem, 3)
    check(problem, solution, 3)
    want = exact(problem, solution.ridge)[:, : solution.quotients.shape[1]]
    scale = want[:, :1].clamp_min(1e-12)
    torch.testing.assert_close(solution.quotients / scale, want / scale, rtol=0, atol=ROUNDING[dtype])
    for i in range(min(3, problem.dim)):
        reached = quotient(problem, solution.vectors[:, i], solution.ridge)
        torch.testing.assert_close(reached / scale[:, 0], want[:, i] / scale[:, 0], rtol=0, atol=10 * ROUNDING[dtype])
    held = problem.F.double().square().sum((1, 2)) > 0
    torch.testing.assert_close(solution.ridge[held], true_ridge(problem)[held], rtol=10 * ROUNDING[dtype], atol=0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("name", PROBLEMS)
def test_davidson_finds_the_leading_eigenvectors_from_a_cold_start(name, k, dtype):
    problem = cast(PROBLEMS[name], dtype)
    tally = Tally(problem)
    solution, _ = Davidson().pairs(tally, k)
    check(problem, solution, k)
    assert tally.pushed <= max(4, k) + 16 * k
    assert tally.pulled <= 16 * k
    assert tally.pushed <= problem.dim  # never more than the dense solution costs
    k = min(k, problem.dim)
    best, scale = exact(problem, solution.ridge), exact(problem, solution.ridge)[:, :1].clamp_min(1e-12)
    ratio = (solution.quotients / scale)[:, :k]
    assert (ratio <= best[:, :k] / scale + ROUNDING[dtype]).all()
    assert (ratio >= 0.99 * best[:, :k] / scale - ROUNDING[dtype]).all()
    reached = torch.stack([quotient(problem, solution.vectors[:, i], solution.ridge) for i in range(k)], 1)
    torch.testing.assert_close(reached / scale, ratio.double(), rtol=0, atol=10 * ROUNDING[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_davidson_finds_them_among_many_coordinates(seed, dtype):
    problem = decaying(seed=seed, dtype=dtype)
    ridge = true_ridge(problem)
    tally = Tally(problem)
    solution, _ = Davidson().pairs(tally, 1)
    check(problem, solution, 1)
    reached = quotient(problem, solution.vectors[:, 0], ridge) / exact(problem, ridge)[:, 0]
    assert (reached <= 1 + ROUNDING[dtype]).all()
    assert (reached >= 0.99).all()
    assert tally.pushed <= 4 + 16
    assert tally.pulled <= 16


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_davidson_tracks_the_eigenvectors_along_a_sequence(seed, dtype):
    _, state = Davidson().pairs(decaying(seed=seed, dtype=dtype), 1)
    for waypoint in range(1, 13):
        problem = decaying(seed=seed, dtype=dtype, time=0.04 * waypoint)
        tally, ridge = Tally(problem), true_ridge(problem)
        solution, state = Davidson().pairs(tally, 1, state)
        reached = quotient(problem, solution.vectors[:, 0], ridge) / exact(problem, ridge)[:, 0]
        assert (reached <= 1 + ROUNDING[dtype]).all()
        assert (reached >= 0.98).all(), (waypoint, reached)
        assert tally.pushed <= 4 + 4
        assert tally.pulled <= 4
        check(problem, solution, 1)


def test_the_eigenvectors_of_the_sequence_turn():
    """Otherwise a solver that only kept its first answer would pass the test above."""
    first, last = decaying(), decaying(time=0.48)
    ridge = true_ridge(last)
    stale = quotient(last, Dense().pairs(first, 1).vectors[:, 0], ridge) / exact(last, ridge)[:, 0]
    assert (stale < 0.6).all()


def worst_of_a_sequence(seed: int) -> float:
    """Return the smallest share of the exact quotient along eight waypoints."""
    state, worst = Davidson().pairs(decaying(seed=seed), 1)[1], 1.0
    for waypoint in range(1, 9):
        problem = decaying(seed=seed, time=0.04 * waypoint)
        (solution, state), ridge = Davidson().pairs(problem, 1, state), true_ridge(problem)
        worst = min(
            worst, float((quotient(problem, solution.vectors[:, 0], ridge) / exact(problem, ridge)[:, 0]).min())
        )
    return worst


def test_the_preconditioner_is_needed(monkeypatch):
    assert worst_of_a_sequence(seed=0) > 0.98
    monkeypatch.setattr(LowRank, "solve", lambda self, r, ridge: r)
    assert worst_of_a_sequence(seed=0) < 0.95


def test_a_converged_davidson_stops_expanding():
    problem = decaying()
    _, state = Davidson(keep=8).pairs(problem, 1)
    for _ in range(4):
        _, state = Davidson(keep=8).pairs(problem, 1, state)
    tally = Tally(problem)
    Davidson(keep=8).pairs(tally, 1, state)
    assert (tally.pushed, tally.pulled) == (10, 1)  # eight kept, two stiff


def test_davidson_is_deterministic():
    a, b = (Davidson().pairs(decaying(), 2)[0] for _ in range(2))
    assert torch.equal(a.vectors, b.vectors)


FREE = Limits(0.1, float("inf"), None, torch.full((3,), float("inf")).double())


@pytest.mark.parametrize("method", [Dense(), Davidson(), NullSpace(), Outward()], ids=lambda one: type(one).__name__)
def test_a_batch_gives_the_same_as_its_rows(method: Method):
    problem, later = decaying(48, batch=3), decaying(48, batch=3, time=0.1)
    # One row is easy: it stops before the others do.
    easy = torch.tensor([1.0] + [1e-3] * 47).double()
    problem, later = (Matrices(torch.cat([p.C[:2], p.C[2:] * easy]), p.F) for p in (problem, later))
    steps, state = method.start(problem, 2, FREE)
    first = steps.direction[:, 0]
    C, F = problem.push(0.1 * first[:, None])
    after, _ = method.step(later, state, Gaps(C[:, 0], F[:, 0], first), FREE)
    for i in range(3):
        alone, _ = method.start(rows(problem, [i]), 2, FREE)
        torch.testing.assert_close(steps.quotient[i : i + 1], alone.quotient, rtol=1e-7, atol=1e-9)
        torch.testing.assert_close(steps.size[i : i + 1], alone.size, rtol=1e-6, atol=0)
        overlap = (steps.direction[i] * alone.direction[0]).sum(-1).abs()
        torch.testing.assert_close(overlap, torch.ones(2).double(), rtol=1e-6, atol=0)
        gaps = Gaps(C[i : i + 1, 0], F[i : i + 1, 0], first[i : i + 1])
        carried = {name: tensor[i : i + 1] for name, tensor in state.items()}
        on_alone, _ = method.step(rows(later, [i]), carried, gaps, FREE)
        torch.testing.assert_close(after.quotient[i : i + 1], on_alone.quotient, rtol=1e-6, atol=1e-9)


# The published rule


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", [0, 1])
def test_nullspace_is_the_published_rule(seed, dtype):
    problem = cast(decaying(16, seed=seed), dtype)
    solution = NullSpace().candidates(problem, 2)
    check(problem, solution, 2)
    for i in range(2):
        F, C = problem.F[i].double(), problem.C[i].double()
        s, U = torch.linalg.eigh(F.T @ F)
        s, U = s.flip(0), U.flip(1)
        share = s.square().cumsum(0) / s.square().sum()
        r = int((share < 0.99).sum()) + 1  # the fewest that make up 99 % of the squared eigenvalues
        assert share[r - 1] >= 0.99
        assert r == 1 or share[r - 2] < 0.99
        onto = torch.eye(16) - U[:, :r] @ U[:, :r].T
        best = torch.linalg.eigh(onto @ C.T @ C @ onto)[1].flip(1)[:, :2]
        overlap = (best * solution.vectors[i].T.double()).sum(0).abs()
        torch.testing.assert_close(overlap, torch.ones(2).double(), rtol=0, atol=10 * ROUNDING[dtype])


def test_nullspace_projects_the_previous_direction_on_the_candidates():
    problem = decaying(16)
    previous = torch.nn.functional.normalize(normal(2, 16, seed=4), dim=1)
    solution = NullSpace().candidates(problem, 1, previous)
    for i in range(2):
        free = split(problem.F[i].T @ problem.F[i], 0.99)[1]
        assert 0 < len(free) < 16
        inside = free @ problem.C[i].T @ problem.C[i] @ free.T
        s, U = torch.linalg.eigh(inside)
        s, U = s.flip(0), U.flip(1)
        count = int((s.square().cumsum(0) < 0.999 * s.square().sum()).sum()) + 1
        candidates = U[:, :count].T @ free
        along = candidates.T @ candidates @ previous[i]
        torch.testing.assert_close(solution.vectors[i, 0], along / along.norm(), rtol=0, atol=1e-9)


def test_nullspace_takes_every_candidate_up_to_its_share():
    """A = I inside the free plane: two candidates make up 100 %, one only half."""
    problem = Matrices(torch.eye(3).double()[None], torch.tensor([[[0.0, 0.0, 1.0]]]).double())
    previous = torch.tensor([[0.6, 0.8, 0.0]]).double()
    solution = NullSpace().candidates(problem, 1, previous)
    torch.testing.assert_close(solution.vectors[:, 0], previous)


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("k", [1, 3])
def test_nullspace_always_returns_a_direction(name, k):
    problem = PROBLEMS[name]
    if k <= problem.dim:
        check(problem, NullSpace().candidates(problem, k), k)
    previous = torch.nn.functional.normalize(normal(2, problem.dim, seed=4), dim=1)
    check(problem, NullSpace().candidates(problem, 1, previous), 1)


# Their parts


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("d", "m", "rank"), [(20, 4, 24), (20, 6, 10), (128, 8, 24), (3, 2, 24), (3, 3, 24), (2, 2, 1)]
)
def test_the_model_agrees_with_the_pushforwards_it_learnt(d, m, rank, dtype):
    F = normal(2, d, d, seed=1).to(dtype) / d**0.5
    B = (F.mT @ F).double()
    model, tight = LowRank.zero(2, d, F), 10 * ROUNDING[dtype]
    for again in range(6):
        V = orthonormal(normal(2, m, d, seed=again).to(dtype))
        before, v = dense(model), V.double()
        model = model.learn(V, v @ B @ v.mT, rank)
        # The definition, then cut to the largest `rank` eigenvalues, none of them negative.
        s, U = torch.linalg.eigh(before + v.mT @ (v @ (B - before) @ v.mT) @ v)
        s = torch.where(torch.arange(d) >= d - rank, s.clamp_min(0), 0.0)
        torch.testing.assert_close(dense(model), (U * s[:, None]) @ U.mT, rtol=0, atol=tight)
        if again == 0 and rank >= m:
            torch.testing.assert_close(v @ dense(model) @ v.mT, v @ B @ v.mT, rtol=0, atol=tight)
        assert model.s.shape[1] <= rank
        assert (model.s >= 0).all()
        torch.testing.assert_close(
            model.largest.double(), torch.linalg.eigvalsh(dense(model))[:, -1], rtol=0, atol=tight
        )
        ridge = torch.tensor([0.1, 0.3]).double()
        r = normal(2, d, seed=40).to(dtype)
        want = torch.linalg.solve(dense(model) + ridge[:, None, None] * torch.eye(d), r.double())
        torch.testing.assert_close(model.solve(r, ridge).double(), want, rtol=0, atol=100 * tight)


def dense(model: LowRank) -> Tensor:
    """The model as a matrix, float64."""
    return (model.Q.mT.double() * model.s.double()[:, None]) @ model.Q.double()


def test_the_model_keeps_what_it_learnt_on_another_subspace():
    """Two subspaces at right angles, learnt one after the other, are both known."""
    U = isometry(10, 10).T[None]
    B = (U.mT * (torch.arange(10).double() + 1)) @ U
    model = LowRank.zero(1, 10, U)
    for part in (U[:, :4], U[:, 4:]):
        model = model.learn(part, part @ B @ part.mT, 24)
    torch.testing.assert_close(dense(model), B, rtol=0, atol=1e-10)


def test_the_model_drops_its_smallest_eigenvectors():
    U = isometry(10, 10).T[None]
    model = LowRank.zero(1, 10, U).learn(U, torch.diag(torch.arange(10).double())[None], 3)
    torch.testing.assert_close(model.s.sort(-1)[0], torch.tensor([[7.0, 8.0, 9.0]]).double())


@pytest.mark.parametrize("dtype", DTYPES)
def test_extend_keeps_the_basis_orthonormal(dtype):
    V = orthonormal(normal(2, 5, 30).to(dtype))
    near = V[:, 0] + 1e-5 * normal(2, 30, seed=3).to(dtype)
    for w in (normal(2, 30, seed=2).to(dtype), near, V[:, 0], torch.zeros(2, 30).to(dtype)):
        new = extend(V, w, torch.Generator().manual_seed(0))
        assert (new @ V.mT).abs().max() < ROUNDING[dtype]
        torch.testing.assert_close(new.norm(dim=-1), torch.ones(2, 1).to(dtype))


def test_ritz_solves_the_small_problem():
    a, b = (X @ X.mT for X in (normal(3, 6, 9, seed=1), normal(3, 6, 4, seed=2)))
    ridge = torch.tensor([0.1, 1e-3, 2.0]).double()
    theta, Y = ritz(a, b, ridge)
    held = b + ridge[:, None, None] * torch.eye(6)
    torch.testing.assert_close(Y @ held @ Y.mT, torch.eye(6).double().expand(3, -1, -1), rtol=0, atol=1e-8)
    torch.testing.assert_close(Y @ a @ Y.mT, torch.diag_embed(theta), rtol=0, atol=1e-6)
    assert (theta.diff(dim=1) <= 0).all()


def test_the_ridge_is_a_share_of_B_or_of_A_if_nothing_is_fixed():
    a = torch.eye(4).double().expand(2, -1, -1)
    torch.testing.assert_close(
        ridge_of(torch.tensor([3.0, 0.0]).double(), a, 0.01), torch.tensor([0.03, 0.04]).double()
    )
