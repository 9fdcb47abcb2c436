"""The conformance kit on methods that each break one rule, and its reports."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from eigenwalk.direction import Directions, Method, Sight
from eigenwalk.errors import CompositionError, ContractError
from eigenwalk.maths.methods.dense import Dense
from eigenwalk.maths.methods.outward import Outward
from eigenwalk.names.registry import Offer, Registry
from eigenwalk.spec import DirectionSpec, Option
from eigenwalk.testing import DIRECTION, Case, check, check_direction, names, save_golden
from problems import curved as bent

BY_OTHERS = {"spec", "options", "import", "golden"}
"""Checks of what is declared, and of a file: other tests have them."""


@dataclass
class Steepest(Directions):
    """Keeps the contract: the directions that change what varies most, from the whole Jacobian."""

    rank: int = 0

    def find(self, sight: Sight, k: int, previous: Tensor | None = None) -> Tensor:
        C, _ = sight.push(torch.eye(sight.dim).to(sight.like).expand(sight.batch, -1, -1))
        V = torch.linalg.eigh(C @ C.mT)[1].mT.flip(1)[:, self.rank : self.rank + k]
        return self.turned(V, previous)

    def turned(self, V: Tensor, previous: Tensor | None) -> Tensor:
        return V


class Anew(Steepest):
    """Keeps the contract, curved."""

    curved = True

    def turned(self, V, previous):
        return V if previous is None else V * (V @ previous[:, :, None]).sign()


class Axes(Steepest):
    """Keeps the contract, and looks at nothing."""

    def find(self, sight, k, previous=None):
        return torch.eye(sight.dim)[:k].to(sight.like).expand(sight.batch, -1, -1)


class Transposed(Steepest):
    def turned(self, V, previous):
        return V.mT


class Unfinished(Steepest):
    def turned(self, V, previous):
        return V / (V[:, :1, :1] - V[:, :1, :1])


class Long(Steepest):
    def turned(self, V, previous):
        return 2 * V


class Twice(Steepest):
    def turned(self, V, previous):
        return V[:, :1].expand_as(V)


class Few(Steepest):
    def turned(self, V, previous):
        return V[:, :5]


class Needy(Steepest):
    def find(self, sight, k, previous=None):
        V = super().find(sight, k, previous)
        held = sight.push(V)[1].norm(dim=-1, keepdim=True)
        return V * held / held


class Single(Axes):
    def find(self, sight, k, previous=None):
        return torch.eye(sight.dim)[:k].expand(sight.batch, -1, -1)


class Drawn(Axes):
    def find(self, sight, k, previous=None):
        state = torch.get_rng_state()
        V = torch.linalg.qr(torch.randn(sight.dim, k).to(sight.like))[0].mT.expand(sight.batch, -1, -1)
        torch.set_rng_state(state)
        return V


class Seeding(Axes):
    def find(self, sight, k, previous=None):
        torch.manual_seed(0)
        return super().find(sight, k, previous)


class Placed(Axes):
    def find(self, sight, k, previous=None):
        return torch.stack([torch.eye(sight.dim).roll(i, 0)[:k] for i in range(sight.batch)]).to(sight.like)


class Mixed(Axes):
    def find(self, sight, k, previous=None):
        mean = sight.like.mean(0)
        axes = torch.cat([(mean / mean.norm())[None], torch.eye(sight.dim).to(mean)])
        return torch.linalg.qr(axes.mT)[0].mT[:k].expand(sight.batch, -1, -1)


class Straight(Axes):
    curved = True


class Back(Anew):
    def turned(self, V, previous):
        return V if previous is None else -super().turned(V, previous)


class Whole(Method):
    """Keeps the contract: `Outward` by another name, in which one thing can be broken."""

    inner = Outward()

    def start(self, sight, k, limits):
        return self.inner.start(sight, k, limits)

    def step(self, sight, state, gaps, limits):
        return self.inner.step(sight, state, gaps, limits)


class Flat(Whole):
    def start(self, sight, k, limits):
        step, state = super().start(sight, k, limits)
        return step, {name: tensor[0] for name, tensor in state.items()}


class Leap(Whole):
    def step(self, sight, state, gaps, limits):
        step, state = super().step(sight, state, gaps, limits)
        return replace(step, size=2 * limits.longest + step.size), state


class Keeper(Whole):
    """Keeps on itself what it should carry in its state."""

    def start(self, sight, k, limits):
        self.sense = 1.0
        return super().start(sight, k, limits)

    def step(self, sight, state, gaps, limits):
        step, state = super().step(sight, state, gaps, limits)
        self.sense = -self.sense
        return replace(step, direction=self.sense * step.direction), state


class Spoiler(Whole):
    def step(self, sight, state, gaps, limits):
        step = super().step(sight, state, gaps, limits)
        state["model_values"].mul_(2)
        return step


BAD = [
    ("shape", Transposed()),
    ("finite", Unfinished()),
    ("unit", Long()),
    ("distinct", Twice()),
    ("many", Few()),
    ("unheld", Needy()),
    ("dtype", Single()),
    ("determinism", Drawn()),
    ("pure", Seeding()),
    ("order", Placed()),
    ("independence", Mixed()),
    ("curved", Straight()),
    ("curved", Back()),
    ("start", Flat()),
    ("step", Leap()),
    ("state", Keeper()),
    ("state", Spoiler()),
]


def bright(images: Tensor) -> Tensor:
    return images.mean((1, 2, 3))


def failed(report) -> list[str]:
    return [finding.check for finding in report.failures]


GOOD = [Steepest(), Anew(), Axes(), Whole(), Dense()]


@pytest.mark.parametrize("directions", GOOD, ids=lambda one: type(one).__name__)
def test_directions_that_keep_the_contract_pass(directions):
    report = check_direction(directions)
    report.raise_for_failures()
    assert [finding.check for finding in report] == [one.name for one in DIRECTION]


@pytest.mark.parametrize(("name", "directions"), BAD, ids=[type(one).__name__ for _, one in BAD])
def test_bad_directions_fail_exactly_their_own_check(name, directions):
    report = check_direction(directions)
    assert failed(report) == [name], report
    assert report[name].measured and report[name].remedy


def test_every_check_has_a_bad_example():
    assert {name for name, _ in BAD} | BY_OTHERS == {one.name for one in DIRECTION}


def offering() -> Registry:
    spec = DirectionSpec("steepest", f"{__name__}:Steepest", "what varies most", (Option("rank", "int", 0, "first"),))
    found = Registry.discover()
    return Registry(found.features, found.generators, (Offer(spec, "made-up", "1", "made"),))


def test_a_case_names_directions_and_their_sight(tmp_path):
    registry = offering()
    golden = tmp_path / "steepest.json"
    case = Case("steepest(rank=1)", golden=golden, generator=bent, vary=["pixels"])
    save_golden(case, registry=registry)
    assert json.loads(golden.read_text())["values"]["shape"] == [3, 3, 6]
    report = check(case, registry)
    assert report.kind == "direction" and names(case, registry) == {"steepest"}
    assert report["golden"].outcome == "passed" and report["options"].outcome == "passed"
    assert failed(report) == ["many"]  # one of six is left out
    other = Case("steepest", golden=golden, generator=bent, vary=["pixels"])
    assert failed(check(other, registry)) == ["golden"]
    (tmp_path / "mine.py").write_text("from problems import curved as build\n")
    shown = Case("steepest", generator=f"{tmp_path}/mine.py:build(latent_dim=4)", fix=[bright], vary=["pixels"])
    assert check(shown, registry)["shape"].measured == "(3, 3, 4) and (1, 1, 4)"


def test_a_method_that_declares_itself_not_applicable_is_skipped():
    class Declining(Steepest):
        def find(self, sight, k, previous=None):
            if not sight.push(torch.eye(sight.dim)[:1].to(sight.like).expand(sight.batch, -1, -1))[1].numel():
                raise CompositionError("it needs something fixed")
            return super().find(sight, k, previous)

    assert "it needs something fixed" in check_direction(Declining())["unheld"].measured
    with pytest.raises(ContractError, match="Directions"):
        check_direction(lambda sight: None)  # type: ignore[arg-type]
