"""Where the paths arrive: every proposal is tried, and measured on its real image before it is accepted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from eigenwalk.maths.cloud import Cloud, explained_changes
from eigenwalk.maths.linearise import Point
from eigenwalk.maths.problem import Problem, Region, Scaled
from eigenwalk.path import Cost, Path, Role, Status, Waypoint
from eigenwalk.walk.apart import reduce
from eigenwalk.walk.front import Front
from eigenwalk.walk.propose import Proposal
from eigenwalk.walk.rows import attempt_rows, status
from eigenwalk.walk.start import picture

SHARES = (1.0, 0.5, 0.25, 0.125)
"""Shares of a step to try in turn, until every fixed feature is within its tolerance and nothing is undone."""
MAX_UNDONE = 0.5
"""Refuse a step that takes back over half of the change it promised, where few values vary: it went over a maximum."""
MAX_LOST = 2.0
"""The same for all that the path's steps since the farthest waypoint take back together."""
ROUNDING = 1e-3
"""Share of the region's radius by which a step that was bent to stay inside may end outside."""


@dataclass(frozen=True)
class Arrival:
    """A path's next waypoint, or, where that is None, the reason why the path ends and what it cost to find that out.

    `varied` ``(p,)`` is how far what varies has moved there; see `Front`. `broke` is the latent at which a tolerance
    broke, and how far what is fixed has drifted there, ``(q,)``, scaled as methods see it.
    """

    path: int
    waypoint: Waypoint | None
    status: Status = field(default_factory=Status)
    varied: Tensor | None = None
    broke: tuple[Tensor, Tensor] | None = None
    cost: Cost = field(default_factory=Cost)


def arrive(
    problem: Problem, front: Front, proposal: Proposal, bounded: bool = True
) -> tuple[list[Arrival], Point | None]:
    """Return the arrival of every path of the proposal, and the point itself if all arrived by their whole step.

    Where a step breaks a tolerance, its drift has been measured: before it is halved, it is tried once more with a pull
    against that drift, for one forward pass: a second-order correction (Nocedal & Wright, section 18.3).

    Unless `bounded`, fixed features may leave their tolerances.
    """
    step, every = proposal.step, list(range(len(proposal.paths)))
    found: dict[int, Arrival] = {}
    spent, whole = dict.fromkeys(every, 0), None

    def attempt(left: list[int], latents: Tensor, share: float) -> None:
        nonlocal whole
        first, place = not found, {row: n for n, row in enumerate(left)}

        def look(rows: list[int]) -> tuple[list[int], Point]:
            at = latents[[place[row] for row in rows]]
            return rows, problem.linearisation.at(at, tracked=tuple(tensor[rows] for tensor in proposal.tracked))

        done, failures = attempt_rows(left, look)
        found.update({row: Arrival(proposal.paths[row], None, status(error)) for row, error in failures.items()})
        spent.update({row: spent[row] + 1 for row in left})
        whole = None
        if done is not None:
            rows, point = done
            found.update(_judge(problem, front, proposal, rows, point, share, spent, bounded))
            if first and len(rows) == len(every) and all(found[row].waypoint for row in every):
                whole = point
            else:
                point.forget()  # before the next attempt is recorded

    for share in SHARES:
        left = [row for row in every if row not in found or found[row].waypoint is None]
        if not left:
            break
        ahead = share * step.size[left, None] * step.direction[left]
        pull = 0.0 if step.pull is None else step.pull[left]  # kept whole: it brings fixed features back
        attempt(left, proposal.latents[left] + ahead.to(proposal.latents) + pull, share)
        broken = [row for row in left if found[row].broke is not None]
        if broken and step.basis is not None:
            attempt(broken, _corrected(problem, proposal, broken, found), share)
    for row in every:
        if found[row].waypoint is None:
            found[row] = replace(found[row], cost=proposal.costs[row] + Cost(forwards=spent[row]))
    return [found[row] for row in every], whole


def _corrected(problem: Problem, proposal: Proposal, rows: list[int], found: Mapping[int, Arrival]) -> Tensor:
    """Return where `rows` broke a tolerance, pulled against the drift measured there, within their region."""
    latents, drift = map(torch.stack, zip(*(broke for row in rows if (broke := found[row].broke)), strict=True))
    latents = latents + proposal.step.map(lambda tensor: tensor[rows]).correction(drift).to(latents)
    if problem.region is None:
        return latents
    away = problem.region.away(latents)
    inside = (proposal.radius[rows] / away.norm(dim=1).clamp_min(1e-30)).clamp_max(1.0)
    return latents + (inside - 1)[:, None] * away


def _judge(
    problem: Problem,
    front: Front,
    proposal: Proposal,
    rows: list[int],
    point: Point,
    share: float,
    spent: Mapping[int, int],
    bounded: bool,
) -> dict[int, Arrival]:
    """Return a waypoint for each of `rows` that keeps every tolerance and leads on, else the reason against it."""
    assert front.origin is not None  # measured before the first waypoint
    paths = [proposal.paths[row] for row in rows]
    start = [value[paths] for value in front.origin]
    changes = _changes(problem, point, start, proposal, rows)
    gaps = Scaled(problem, point).gaps(start, point.latents)
    excess, pictures, names = problem.excess(changes), picture(point.images), [role.name for role in problem.roles]
    judged, step, varied = {}, proposal.step, reduce(gaps.varied, front, problem.fixed)
    for n, (row, path) in enumerate(zip(rows, paths, strict=True)):
        if bounded and problem.fixed and float(excess[n].max()) > 1:
            worst = int(excess[n].argmax())
            said = _broken(problem.roles[worst], changes[n, worst])
            judged[row] = Arrival(path, None, said, broke=(point.latents[n], gaps.fixed[n]))
            continue
        if problem.region is not None:
            away = float(problem.region.away(point.latents[n]).norm())
            if away > (1 + ROUNDING) * float(proposal.radius[row]):
                judged[row] = Arrival(path, None, _outside(away, problem.region))
                continue
        back, lost = _undone(problem, front.paths[path], changes[n].tolist(), gaps.varied[n].tolist())
        if proposal.outward and max(back / MAX_UNDONE, lost / MAX_LOST) > float(step.varied[row]):
            judged[row] = Arrival(path, None, Status("nothing to vary", "any further step would undo what has varied"))
            continue
        waypoint = Waypoint(
            index=front.index + 1,
            latent=point.latents[n].detach().cpu().numpy(),
            image=pictures[n],
            changes=dict(zip(names, changes[n].tolist(), strict=True)),
            direction=step.direction[row].cpu().numpy(),
            step_size=share * float(step.size[row]),
            quotient=float(step.quotient[row]),
            cost=proposal.costs[row] + Cost(forwards=spent[row]),
        )
        judged[row] = Arrival(path, waypoint, varied=varied[n])
    return judged


def _changes(
    problem: Problem, point: Point, start: Sequence[Tensor], proposal: Proposal, rows: Sequence[int]
) -> Tensor:
    """Return every feature's distance from the start, of a number only what similar images explain of it.

    A network that is being fooled reads more (`eigenwalk.maths.cloud`).
    """
    changes, cloud = problem.changes(point, start), Cloud.of(proposal.state)
    if cloud is None:
        return changes
    return torch.minimum(changes, explained_changes(problem, point, start, cloud.rows(rows)).to(changes))


def _undone(problem: Problem, path: Path, changes: Sequence[float], moved: Sequence[float]) -> tuple[float, float]:
    """Return how much a waypoint takes back of what had varied at the last, and of the most that had on the path.

    Both in typical distances. `moved` is how far each varied value is from the start there: one number that is on the
    wrong side of the start (less, on a path that is to bring more) is as far below nothing.
    """
    names = [role.name for role in problem.roles]
    before = [_varied(problem, [waypoint.changes[name] for name in names]) for waypoint in path.waypoints]
    wrong = len(moved) == 1 and path.sense * moved[0] < 0
    now = -abs(moved[0]) if wrong else _varied(problem, changes)
    return before[-1] - now, max(before) - now


def _varied(problem: Problem, changes: Sequence[float]) -> float:
    """Return how far all varied features together are from the start, in typical distances."""
    roles = zip(problem.roles[problem.fixed :], changes[problem.fixed :], strict=True)
    return math.hypot(*(role.weight * change / role.typical for role, change in roles))


def _broken(role: Role, change: Tensor) -> Status:
    """Return the end of a path that would break the tolerance of `role`."""
    moved = f"{role.name} would move by {float(change):.4g} {role.unit}, its tolerance is {role.tolerance:.4g}"
    return Status("tolerance", moved, role.name)


def _outside(away: float, region: Region) -> Status:
    """Return the end of a path that would leave the region."""
    return Status(
        "region", f"the latent would be {away:.4g} from the mean; 99 of 100 samples are within {region.radius:.4g}"
    )
