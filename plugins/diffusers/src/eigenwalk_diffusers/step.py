"""The single step of a scheduler, as an affine map."""

from __future__ import annotations

import copy
import inspect
from dataclasses import dataclass
from typing import Any

import torch

from eigenwalk.errors import FileError, OptionError

SMALL = 2.0**-12
"""The size of the numbers that the step is probed with: below any bound at which schedulers clip."""
NOISY = 0.1
"""The least share of the timesteps at which a scheduler may begin: leading spacing makes of its one step the last."""
SAME = 1e-4
"""The largest departure from a linear map, as a share of the coefficients: schedulers compute in float32."""


@dataclass(frozen=True)
class Step:
    """From standard normal z and the network's output y to the image's latent, x = a z + b y with y = network(c z, t).

    An Euler step to σ = 0 has a = σ, b = -σ, c = σ / √(σ² + 1), for the largest σ (Karras et al. 2022, arXiv
    2206.00364, equation 5, for a network that predicts the noise); a consistency model has the coefficients of its
    boundary condition (Song et al. 2023, arXiv 2303.01469, equation 5). They are read off the scheduler itself.

    Attributes:
        timestep: t.
        of_latent, of_output, scale: a, b, c.
    """

    timestep: float
    of_latent: float
    of_output: float
    scale: float


def only_step(scheduler: Any, timestep: int | None = None) -> Step:
    """Return the step that `scheduler` takes if it may take only one, at `timestep` unless that is None.

    Raises:
        OptionError: the scheduler does not let the timestep be chosen, or not this one.
        FileError: it needs more than one step, adds noise, or is no linear map.
    """
    name = type(scheduler).__name__
    _set(scheduler, timestep, name)
    if len(scheduler.timesteps) != 1:
        raise FileError(
            f"{name} runs the network {len(scheduler.timesteps)} times in one step; take EulerDiscreteScheduler"
        )
    t = scheduler.timesteps[0]
    if timestep is None and float(t) < NOISY * scheduler.config.num_train_timesteps:
        raise FileError(
            f"{name} takes its only step at timestep {float(t):g}, where there is hardly any noise: set "
            "timestep_spacing to trailing in scheduler_config.json, or give timestep="
            f"{scheduler.config.num_train_timesteps - 1}"
        )
    sigma = float(scheduler.init_noise_sigma)

    def result(latent: float, output: float, seed: int = 0) -> float:
        mine = copy.deepcopy(scheduler)  # a step moves the scheduler on
        z, y = (torch.full((1, 1, 1, 1), SMALL * one, dtype=torch.float64) for one in (sigma * latent, output))
        mine.scale_model_input(z, t)
        given: dict[str, Any] = {"return_dict": False}
        if "generator" in inspect.signature(mine.step).parameters:
            given["generator"] = torch.Generator().manual_seed(seed)
        return float(mine.step(y, t, z, **given)[0]) / SMALL

    a, b = result(1, 0), result(0, 1)
    size = max(abs(a), abs(b), 1e-12)
    if max(abs(result(0, 0)), abs(result(0, 0, seed=1))) > SAME * size:
        raise FileError(f"{name} adds noise in its only step, and an image must follow from its latent alone; {REMEDY}")
    if max(abs(result(1, 1) - a - b), abs(result(2, 0) - 2 * a), abs(result(0, 2) - 2 * b)) > SAME * size:
        raise FileError(f"{name} is no linear map of the latent and the network's output in its only step; {REMEDY}")
    unit = torch.full((1, 1, 1, 1), sigma, dtype=torch.float64)
    return Step(float(t), a, b, float(copy.deepcopy(scheduler).scale_model_input(unit, t)))


REMEDY = "set another scheduler in scheduler/scheduler_config.json, such as EulerDiscreteScheduler"


def _set(scheduler: Any, timestep: int | None, name: str) -> None:
    """Give `scheduler` its single step."""
    if timestep is None:
        scheduler.set_timesteps(1)
        return
    last = scheduler.config.num_train_timesteps - 1
    if "timesteps" not in inspect.signature(scheduler.set_timesteps).parameters:
        raise OptionError(f"timestep must be left out: {name} chooses its own")
    if not 0 < timestep <= last:
        raise OptionError(f"timestep must be from 1 to {last}, got {timestep}")
    try:
        scheduler.set_timesteps(timesteps=[timestep])
    except (ValueError, IndexError, NotImplementedError) as error:
        raise OptionError(f"timestep must be one that {name} takes, got {timestep}: {error}") from error
