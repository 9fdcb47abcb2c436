"""Memory: amounts in words, what tensors take, recording by blocks, and budgets that are kept."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

import eigenwalk
from eigenwalk.errors import InputError, OutOfMemory, RecipeError
from eigenwalk.feature import FunctionFeature
from eigenwalk.generator import FunctionGenerator
from eigenwalk.maths.linearise import Linearisation
from eigenwalk.maths.linearise.blocks import find_blocks
from eigenwalk.maths.linearise.tracker import Tracker
from eigenwalk.runs.memory import fitting
from eigenwalk.runs.memory.fitting import choose_fit, first_start, measure_footprint
from eigenwalk.runs.memory.words import in_bytes
from eigenwalk.runs.recipe import Recipe
from problems import normal

IMAGE = FunctionFeature(lambda images: images)
CPU = torch.device("cpu")
START = normal(1, 6).double()


class Block(nn.Module):
    """A convolution and two activations: it makes six images and passes one on."""

    def __init__(self, width: int):
        super().__init__()
        self.convolution = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return (self.convolution(x).tanh() * x.sigmoid()).sin()


class Tower(nn.Module):
    """Blocks of one image size, one after another."""

    def __init__(self, blocks: int = 8, width: int = 4, side: int = 16):
        super().__init__()
        torch.manual_seed(0)
        self.width, self.side = width, side
        self.project = nn.Linear(6, width * side * side)
        self.blocks = nn.ModuleList(Block(width) for _ in range(blocks))

    def forward(self, z: Tensor) -> Tensor:
        x = self.project(z).unflatten(1, (self.width, self.side, self.side))
        for block in self.blocks:
            x = block(x)
        return x[:, :3]


def tower() -> Linearisation:
    generator = FunctionGenerator(Tower(), 6, (16, 16))
    return Linearisation(generator.to("cpu", torch.float64), (("image", IMAGE),), dtype=torch.float64, tangents=1)  # type: ignore[arg-type]


def by_blocks(look: Linearisation, z: Tensor) -> Linearisation:
    return replace(look, record="blocks", blocks=find_blocks(lambda: replace(look, differences=1.0).at(z)))


@pytest.mark.parametrize("text", ["", "4", "4 GB", "four GB", "4XB", "0GB", "-1GB", "4iB", "1e3GB"])
def test_amounts_of_memory_are_parsed(text):
    if text in ("4", "4 GB"):
        assert in_bytes(text) == {"4": 4, "4 GB": 4 * 10**9}[text]
        return
    with pytest.raises(ValueError, match="such as 4GB"):
        in_bytes(text)
    with pytest.raises(RecipeError, match="memory"):
        Recipe.of(generator="rooms", vary=["pixels"], memory=text)


def test_the_tracker_ignores_memory_taken_before():
    weights = torch.ones(100, 100)
    with Tracker() as tracker:
        made = weights @ weights
        _ = (made + 1).sum()
    assert tracker.live == made.nbytes + 4
    assert tracker.peak == 2 * made.nbytes + 4
    del made
    assert tracker.live == 4


def test_the_tracker_stops_a_computation_over_its_limit():
    with pytest.raises(OutOfMemory, match="needed"), Tracker(limit=3000):
        torch.ones(1000)


def test_a_reverse_pass_over_the_limit_frees_its_memory():
    """torch keeps the graph of a reverse pass that raises, so the limit is enforced after the pass."""
    look, z = Linearisation(FunctionGenerator(Tower(3), 6, (16, 16)), (("image", IMAGE),)), normal(1, 6).float()

    def waypoint(tracker: Tracker) -> None:
        with tracker:
            point = look.at(z)
            point.pull([torch.ones(1, 768)])
            point.push(torch.ones(1, 1, 6))

    whole, stopped = Tracker(), 0
    waypoint(whole)
    for limit in torch.linspace(0.2, 0.98, 40).mul(whole.peak).long().tolist():
        tracker = Tracker(limit)
        with suppress(OutOfMemory):
            waypoint(tracker)
            continue
        stopped += 1
        assert tracker.live == 0, limit
    assert stopped > 20


def test_blocks_are_the_modules_that_take_the_memory():
    look, z = tower(), normal(1, 6)
    blocks = by_blocks(look, z).blocks
    assert [type(one).__name__ for one in blocks].count("Block") == 8
    held = FunctionGenerator(lambda z, own=look.generator: own(z), 6, (16, 16))  # nothing shows its modules
    assert len(find_blocks(lambda: held(z))) == len(blocks)


def test_every_way_of_recording_gives_the_same_derivatives():
    look, z = tower(), normal(2, 6)
    u, V = normal(2, 3 * 16 * 16, seed=1), normal(2, 3, 6, seed=2)
    whole = look.at(z)
    for other in (replace(look, record="once"), by_blocks(look, z)):
        point = other.at(z)
        for _ in range(2):  # a gradient may be taken again
            torch.testing.assert_close(point.pull([u]), whole.pull([u]))
        for k in (1, 3):
            torch.testing.assert_close(point.push(V[:, :k])[0], whole.push(V[:, :k])[0])
    assert all("forward" not in vars(block) for block in by_blocks(look, z).blocks)


def test_each_way_of_recording_takes_less_memory_than_the_one_before():
    look, z = tower(), normal(1, 6)
    twice, once = (measure_footprint(replace(look, record=record), z) for record in ("twice", "once"))
    blocks = measure_footprint(by_blocks(look, z), z)
    assert twice.kept > 1.2 * once.kept > 2 * blocks.kept
    assert twice.need > once.need > blocks.need


def test_weights_are_not_counted_for_every_row():
    generator = FunctionGenerator(
        nn.Sequential(nn.Linear(6, 5000), nn.Linear(5000, 12), nn.Unflatten(1, (3, 2, 2))), 6, (2, 2)
    )
    look = Linearisation(generator, (("image", IMAGE),), tangents=1)
    weights = sum(one.nbytes for one in generator.function.parameters())  # type: ignore[attr-defined]
    assert measure_footprint(look, normal(1, 6).float()).need < weights


def test_a_point_that_forgot_its_graph_records_it_again():
    look, z = tower(), normal(1, 6)
    u, V = normal(1, 3 * 16 * 16, seed=1), normal(1, 1, 6, seed=2)
    with Tracker() as tracker:
        point = look.at(z)
        before = point.pull([u]), point.push(V)[0]
        held = tracker.live
        point.forget()
        assert tracker.live < held / 5
    assert torch.equal(point.pull([u]), before[0])
    assert torch.equal(point.push(V)[0], before[1])


def test_the_budget_decides_how_gradients_are_recorded(monkeypatch):
    monkeypatch.setattr(fitting, "in_use", lambda device: 0)
    look, z = tower(), normal(1, 6)
    costs = {record: measure_footprint(replace(look, record=record), z).need for record in ("twice", "once")}
    costs["blocks"] = measure_footprint(by_blocks(look, z), z).need

    def fit(need: float) -> fitting.Fit:
        return choose_fit(look, first_start(look, normal(1, 6), CPU), 50, budget=int(need * fitting.KERNELS) + 2)

    rows = [fit(scale * costs["twice"]).batch for scale in (1.0, 3.0, 9.0, 1000.0)]
    assert rows[0] == 1 and rows == sorted(rows) and rows[-1] == 50
    assert fit(costs["twice"]).linearisation.record == "twice"
    assert fit(costs["once"]).linearisation.record == "once"
    short = fit(costs["blocks"])
    assert short.linearisation.record == "blocks" and "every block again" in short.notes[0]
    with Tracker() as tracker:
        point = short.linearisation.at(z)
        point.pull([torch.ones(1, 768).double()])
        point.push(torch.ones(1, 9, 6).double())
    assert tracker.peak <= costs["blocks"]
    with pytest.raises(OutOfMemory, match="--memory"):
        fit(costs["blocks"] / 3)


def test_a_larger_budget_pushes_more_tangents_at_once(monkeypatch):
    monkeypatch.setattr(fitting, "in_use", lambda device: 0)
    first = START
    few, many = (choose_fit(tower(), first, 1, budget=size).linearisation.tangents for size in (2_000_000, 200_000_000))
    assert few is not None and many is not None and few < many


def asked_for(text: str) -> int:
    """Return the number of bytes that the error suggests."""
    found_ = re.search(r"allow at least (\S+ \S+) with --memory", text)
    assert found_ is not None, text
    return in_bytes(found_[1])


@pytest.mark.parametrize("budget", [5 * 10**8, 10**9 + 10**5])
def test_the_error_of_a_small_budget_says_what_suffices(monkeypatch, budget):
    monkeypatch.setattr(fitting, "in_use", lambda device: 10**9)
    monkeypatch.setattr(fitting, "STEP", 1000)
    monkeypatch.setattr(fitting, "in_words", lambda size: f"{size / 1e6:.3f} MB")
    with pytest.raises(OutOfMemory, match=r"program and weights take 1000\.000 MB") as caught:
        choose_fit(tower(), START, 1, budget=budget)
    least = asked_for(str(caught.value))
    assert choose_fit(tower(), START, 1, budget=least).linearisation.record == "blocks"
    with pytest.raises(OutOfMemory):
        choose_fit(tower(), START, 1, budget=least - 2000)


def test_if_the_machine_lacks_memory_no_budget_is_suggested(monkeypatch):
    monkeypatch.setattr(fitting, "in_use", lambda device: 0)
    monkeypatch.setattr(fitting, "total", lambda device: 1000)
    with pytest.raises(OutOfMemory, match="allow more with --memory"):
        choose_fit(tower(), START, 1)


def test_the_suggested_budget_suffices():
    generator, options = FunctionGenerator(Tower(), 6, (16, 16)), {"vary": [lambda images: images], "paths": 1}
    with pytest.raises(OutOfMemory) as caught:
        eigenwalk.run(generator, memory="10MB", steps=1, **options)
    (path,) = eigenwalk.run(generator, memory=f"{asked_for(str(caught.value))}", steps=1, **options)
    assert len(path) == 2


def test_a_small_budget_gives_the_same_walk(monkeypatch):
    """The budget is of the whole process; here what was there before counts nothing, and a tracker watches the rest."""
    monkeypatch.setattr(fitting, "in_use", lambda device: 0)
    generator, options = FunctionGenerator(Tower(), 6, (16, 16)), {"paths": 2, "steps": 3}
    middle = "mask(box=(0.25, 0.25, 0.75, 0.75))"
    roles = {"fix": [middle], "vary": [f"~{middle}"]}
    much, little = {}, {}
    for found_, budget in ((much, 10**9), (little, 600_000)):
        with Tracker() as tracker:
            found_["paths"] = eigenwalk.run(generator, memory=str(budget), **roles, **options)
        found_["peak"] = tracker.peak
    assert little["peak"] < 600_000 < much["peak"]
    for a, b in zip(much["paths"], little["paths"], strict=True):
        assert len(a) == len(b) == 4
        torch.testing.assert_close(torch.from_numpy(b.latents), torch.from_numpy(a.latents), rtol=1e-3, atol=1e-3)


def test_a_containers_limit_counts_as_the_machines(monkeypatch, tmp_path):
    (tmp_path / "two").write_text("max\n")
    (tmp_path / "one").write_text("123456789\n")
    monkeypatch.setattr(fitting, "CONTROL", (tmp_path / "two", tmp_path / "none"))
    whole = fitting.total(CPU)
    monkeypatch.setattr(fitting, "CONTROL", (tmp_path / "two", tmp_path / "one"))
    assert fitting.total(CPU) == 123456789 < whole


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:113] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("MPS backend out of memory (MPS allocated: 5 GB)"),
    ],
)
@pytest.mark.parametrize("when", ["images", "derivative"])
def test_out_of_memory_errors_say_what_to_do(error, when):
    calls = []

    def hungry(z: Tensor) -> Tensor:
        calls.append(1)
        if when == "images" or len(calls) > 1:
            raise error
        return z[:, :3, None, None].expand(-1, -1, 2, 2) * 2

    look = Linearisation(FunctionGenerator(hungry, 6, (2, 2)), (("image", IMAGE),), record="once")
    with pytest.raises(OutOfMemory, match=r"--batch 1.*--memory"):
        look.at(torch.ones(1, 6)).push(torch.ones(1, 5, 6))


def test_a_real_lack_of_memory_is_reported():
    hungry = FunctionGenerator(lambda z: z[:, :3, None, None] * torch.empty(1 << 50), 6, (2, 2))
    with pytest.raises(OutOfMemory, match="generator FunctionGenerator"):
        Linearisation(hungry, ()).at(torch.ones(1, 6))


# Half precision


def test_half_precision_applies_only_to_derivatives():
    look = Linearisation(FunctionGenerator(Tower(), 6, (16, 16)), (("image", IMAGE),))
    half, z = replace(look, precision=torch.bfloat16), normal(2, 6).float()
    a, b = look.at(z), half.at(z)
    assert torch.equal(a.images, b.images) and torch.equal(a.values[0], b.values[0])
    u, V = normal(2, 768, seed=1).float(), normal(2, 3, 6, seed=2).float()
    for k in (1, 3):
        exact, other = a.push(V[:, :k])[0], b.push(V[:, :k])[0]
        assert other.dtype == torch.float32 and not torch.equal(exact, other)
        assert torch.nn.functional.cosine_similarity(exact.flatten(), other.flatten(), dim=0) > 0.99
    assert torch.nn.functional.cosine_similarity(a.pull([u]), b.pull([u])).min() > 0.98


def test_small_steps_are_not_lost_in_half_precision():
    look = Linearisation(FunctionGenerator(Tower(), 6, (16, 16)), (("image", IMAGE),), precision=torch.bfloat16)
    z = normal(1, 6).float()
    step = 1e-3 * torch.ones_like(z)  # less than bfloat16 sees of a coordinate of 1
    assert not torch.equal(look.at(z).images, look.at(z + step).images)


def test_float16_scales_small_gradients():
    look = Linearisation(FunctionGenerator(Tower(1, side=8), 6, (8, 8)), (("image", IMAGE),), precision=torch.float16)
    u, z = 1e-9 * normal(1, 192).float(), normal(1, 6).float()
    pulled, exact = (1e9 * one.at(z).pull([u]) for one in (look, replace(look, precision=None)))
    assert torch.nn.functional.cosine_similarity(pulled, exact) > 0.99
    assert pulled.norm() / exact.norm() == pytest.approx(1, rel=0.05)


def test_a_walk_in_half_precision_reports_its_agreement():
    generator = FunctionGenerator(Tower(2), 6, (16, 16))
    options = {"vary": [lambda images: images], "paths": 1, "steps": 1}
    (path,) = eigenwalk.run(generator, precision="bf16", **options)
    (exact,) = eigenwalk.run(generator, **options)
    assert abs(float(path.waypoints[1].direction @ exact.waypoints[1].direction)) > 0.98
    for wrong in ({"precision": "fp16"}, {"precision": "bf16", "dtype": "float64"}):
        with pytest.raises(InputError, match=r"take bf16|dtype float32"):
            eigenwalk.run(generator, **options, **wrong)


def test_derivatives_lost_in_half_precision_are_refused():
    W = normal(6, 12).float()

    def fast(z: Tensor) -> Tensor:
        """Waves whose phases bfloat16 rounds by more than their length."""
        return ((z + 1000) @ W).sin().unflatten(1, (3, 2, 2))

    generator = FunctionGenerator(fast, 6, (2, 2))
    with pytest.raises(InputError, match=r"leave\s+precision out"):
        eigenwalk.run(generator, vary=[lambda images: images], paths=1, steps=1, precision="bf16")


def test_a_generator_of_a_single_dtype_is_refused_half_precision():
    class Single(torch.autograd.Function):
        """A matrix product whose gradient wants the matrix's own dtype."""

        @staticmethod
        def forward(ctx, x: Tensor, M: Tensor) -> Tensor:
            ctx.save_for_backward(M)
            return x @ M

        @staticmethod
        def backward(ctx, *cotangents: Tensor):
            return cotangents[0] @ ctx.saved_tensors[0].T, None

    M = normal(6, 12).float()
    generator = FunctionGenerator(lambda z: Single.apply(z, M).unflatten(1, (3, 2, 2)), 6, (2, 2))  # type: ignore[union-attr]
    eigenwalk.run(generator, vary=[lambda images: images], paths=1, steps=1)
    with pytest.raises(InputError, match=r"cannot be taken.*leave precision out"):
        eigenwalk.run(generator, vary=[lambda images: images], paths=1, steps=1, precision="bf16")


def test_freed_memory_is_given_back_near_the_budget(monkeypatch):
    given: list[int] = []
    monkeypatch.setattr(fitting, "give_back", lambda: given.append(1))
    fitting.keep_within(10**15, CPU)()
    assert not given
    fitting.keep_within(10**6, CPU)()
    assert given
