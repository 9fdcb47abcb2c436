"""Where the paths arrive: every proposal is tried, and measured on its real image before it is accepted."""

from __future__ import annotations

from dataclasses import dataclass, field

from eigenwalk.linearise import Point
from eigenwalk.path import Cost, Status, Waypoint
from eigenwalk.quotient import Problem
from eigenwalk.walk.front import Front
from eigenwalk.walk.propose import Proposal
from eigenwalk.walk.rows import status, surviving
from eigenwalk.walk.start import picture

SHORTENINGS = (1.0, 0.5, 0.25, 0.125)
"""Shares of a step that are tried in turn, until every fixed feature is within its tolerance."""


@dataclass(frozen=True)
class Arrival:
    """What a path found: a waypoint, or, where that is None, the reason why it ends."""

    path: int
    waypoint: Waypoint | None
    status: Status = field(default_factory=Status)


def arrive(problem: Problem, front: Front, proposal: Proposal) -> tuple[list[Arrival], Point | None]:
    """What every path of the proposal found, and the point itself where all arrived by their whole step."""
    arrivals: dict[int, Arrival] = {}
    left, refusal, whole = list(range(len(proposal.paths))), {}, None
    for attempt, share in enumerate(SHORTENINGS, start=1):
        done, failures = surviving(left, lambda rows, share=share: (rows, _try(problem, proposal, rows, share)))
        refusal |= {row: status(error) for row, error in failures.items()}
        if done is not None:
            rows, point = done
            held, changes = _judge(problem, front, proposal, rows, point)
            pictures = picture(point.images)
            for n, row in enumerate(rows):
                if held[n] is None:
                    cost = proposal.costs[row] + Cost(forwards=attempt)
                    arrivals[row] = _accept(
                        problem, front, proposal, row, share, point.latents[n], pictures[n], changes[n], cost
                    )
                else:
                    refusal[row] = held[n]
            if attempt == 1 and len(arrivals) == len(left):
                whole = point
        left = [row for row in left if row not in arrivals]
        if not left:
            break
    ended = [Arrival(proposal.paths[row], None, refusal[row]) for row in left]
    return [*arrivals.values(), *ended], whole


def _try(problem: Problem, proposal: Proposal, rows: list[int], share: float) -> Point:
    """The point after `share` of the step. The pull is kept whole: it is what brings fixed features back."""
    step = share * proposal.step[rows, None] * proposal.direction[rows]
    return problem.linearisation.at(proposal.latents[rows] + step.to(proposal.latents) + proposal.pull[rows])


def _judge(
    problem: Problem, front: Front, proposal: Proposal, rows: list[int], point: Point
) -> tuple[list[Status | None], list[dict[str, float]]]:
    """For each row None where every fixed feature is within its tolerance, else which is not; and all changes."""
    assert front.origin is not None  # set before a step is tried
    paths = [proposal.paths[row] for row in rows]
    table = problem.changes(point, [start[paths] for start in front.origin])
    excess = problem.excess(table)
    held: list[Status | None] = []
    for n in range(len(rows)):
        over = (excess[n] > 1).nonzero().flatten().tolist()
        if not over:
            held.append(None)
            continue
        worst = max(over, key=lambda i, n=n: float(excess[n, i]))
        role = problem.roles[worst]
        detail = (
            f"{role.name} would move by {float(table[n, worst]):.4g} {role.unit}, its tolerance is {role.tolerance:.4g}"
        )
        held.append(Status("tolerance", detail, role.name))
    names = [role.name for role in problem.roles]
    return held, [dict(zip(names, row, strict=True)) for row in table.tolist()]


def _accept(problem, front, proposal, row, share, latent, image, changes, cost) -> Arrival:
    return Arrival(
        proposal.paths[row],
        Waypoint(
            index=front.index + 1,
            latent=latent.detach().cpu().numpy(),
            image=image,
            changes=changes,
            direction=proposal.direction[row].cpu().numpy(),
            step_size=share * float(proposal.step[row]),
            quotient=float(proposal.quotient[row]),
            cost=cost,
        ),
    )
