"""Steps along directions that a method of the field chooses, in place of an eigenproblem."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from eigenwalk.direction import Directions, Sight
from eigenwalk.errors import ContractError
from eigenwalk.maths.rayleigh import Gaps, Memory, Solution


@dataclass(frozen=True)
class Along:
    """A solver that asks `directions`: at every waypoint where they are curved, else at the start alone."""

    directions: Directions

    def solve(
        self,
        problem: Sight,
        k: int,
        memory: Memory | None = None,
        previous: Tensor | None = None,
        gaps: Gaps | None = None,
    ) -> Solution:
        """The k leading directions at each row; with a `previous` one, that which continues it.

        `quotients` are plain ratios ``vᵀAv / vᵀBv``. It costs one pushforward a direction, and what the method takes.

        Raises:
            ContractError: the method returns something else than unit vectors ``(batch, k, latent)``.
        """
        if previous is None or self.directions.curved:
            V = self._checked(self.directions.find(problem, k, previous), problem, k)
        else:
            V = previous[:, None]
        CV, FV = problem.push(V)
        varied, held = CV.double().square().sum(-1), FV.double().square().sum(-1)
        nothing = V.new_zeros(problem.batch, 0, problem.dim), V.new_zeros(problem.batch, 0)
        ridge = held.new_zeros(problem.batch)
        return Solution(varied / held.clamp_min(1e-30), V, ridge, V, CV, FV, Memory(V, *nothing), previous is not None)

    def _checked(self, V: Tensor, problem: Sight, k: int) -> Tensor:
        expected, name = (problem.batch, k, problem.dim), type(self.directions).__name__
        if not isinstance(V, Tensor) or tuple(V.shape) != expected:
            got = tuple(V.shape) if isinstance(V, Tensor) else type(V).__name__
            raise ContractError(f"{name}.find must return directions (batch, k, latent) = {expected}, got {got}")
        lengths = V.norm(dim=-1)
        if not bool(((lengths - 1).abs() < 1e-3).all()):
            raise ContractError(f"{name}.find must return unit vectors, got lengths {lengths.flatten().tolist()[:8]}")
        return V.detach().to(problem.like)
