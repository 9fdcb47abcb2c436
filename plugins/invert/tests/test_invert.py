"""Inversion on generators whose answers are known: exact latents, regions, what is refused, tuning."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from eigenwalk.chart import count_layers
from eigenwalk.errors import CompositionError, InputError
from eigenwalk.feature import FunctionFeature
from eigenwalk.generator import FunctionGenerator
from eigenwalk.names.registry import Registry
from eigenwalk.sealed import open_sealed
from eigenwalk_invert import Found, invert
from eigenwalk_invert.search import Inverter
from eigenwalk_invert.task import Options, prepare
from eigenwalk_invert.tune import Tuning

SIZE = (8, 8)


def linear(latent: int = 12, seed: int = 0) -> FunctionGenerator:
    """Return a linear generator, whose every latent is the only one with its image."""
    matrix = torch.randn(latent, 3 * 64, generator=torch.Generator().manual_seed(seed)) / 14
    return FunctionGenerator(lambda z: (z @ matrix.to(z)).unflatten(1, (3, *SIZE)) + 0.5, latent, SIZE)


class Layered(torch.nn.Module):
    """Two layers of a w of 4, each of which moves its own half of the image, and the first the other a little."""

    def __init__(self) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(1)
        self.first = torch.nn.Parameter(torch.randn(4, 96, generator=random) / 5)
        self.second = torch.nn.Parameter(torch.randn(4, 96, generator=random) / 5)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        one, two = latents.unflatten(1, (2, 4)).unbind(1)
        return torch.cat([one @ self.first, two @ self.second], 1).unflatten(1, (3, *SIZE)) + 0.5


def layered() -> FunctionGenerator:
    """Return a generator in the space w+, of two layers whose samples have one w."""

    def sample(n: int, seed: int) -> torch.Tensor:
        return torch.randn(n, 4, generator=torch.Generator().manual_seed(seed)).repeat(1, 2)

    return FunctionGenerator(Layered(), 8, SIZE, sample, "w+")


def found_in(generator: FunctionGenerator, photos: object, **options: object) -> Found:
    """Return what an inversion finds in memory."""
    *_, last = invert(generator, photos, **{"passes": 60, "restarts": 2, "prior": 0.0, **options})  # type: ignore[arg-type]
    assert last.found is not None
    return last.found


def test_a_linear_generator_is_inverted_to_machine_precision() -> None:
    generator = linear()
    z = generator.sample(2, 99)
    found = found_in(generator, list(generator(z)), match=["pixels"], passes=300)
    torch.testing.assert_close(found.latents, z, rtol=0, atol=2e-5)
    assert max(found.results[-1].distances["pixels"]) < 1e-5
    assert [one.name for one in found.results] == ["z"]


def test_the_prior_draws_towards_typical_latents() -> None:
    generator = linear()
    z = 3 * generator.sample(1, 99)
    lengths = [found_in(generator, generator(z), prior=prior).latents.norm() for prior in (0.0, 0.1, 10.0)]
    assert lengths[0] > lengths[1] > 3 * lengths[2]


def test_w_comes_first_and_then_a_w_for_each_layer() -> None:
    generator = layered()
    assert count_layers(generator) == 2
    with torch.no_grad():
        latent = generator.sample(1, 5) + torch.tensor([[0.0] * 4 + [0.5] * 4])
        photo = generator(latent)[0]
    found = found_in(generator, [photo], passes=300)
    tied, free = found.results
    assert (tied.name, free.name) == ("w", "w+")
    assert tied.distances["pixels"][0] > 0.05 and free.distances["pixels"][0] < 1e-4
    torch.testing.assert_close(found.latents, latent, rtol=0, atol=1e-4)


def test_a_region_leaves_the_rest_to_itself() -> None:
    generator = layered()
    with torch.no_grad():
        photo = generator(torch.tensor([[1.0, 0, 0, 0, 0, 0, 0, 0]]))[0]
    photo[:, 4:] = 0.9  # nothing that the generator can give
    whole = found_in(generator, [photo], region="mask(box=(0, 0, 1, 0.5))")
    image = whole.results[-1].images[0]
    assert (image[:, :4] - photo[:, :4]).square().mean() < 0.3 * (image[:, 4:] - photo[:, 4:]).square().mean()


def test_tuning_fits_the_generator_and_spares_other_latents() -> None:
    generator = layered()
    with torch.no_grad():
        other = generator.sample(4, 50)
        was, first = generator(other), generator(generator.sample(1, 7))[0]
    photo = (first + 0.1 * torch.linspace(-1, 1, 8)).contiguous()  # a tilt that no latent gives
    found = found_in(generator, [photo], tune=150, rate=0.02)
    before, after = (one.distances["pixels"][0] for one in found.results[-2:])
    assert found.results[-1].name == "tuned" and after < 0.5 * before
    assert set(found.tuned) == {"0.Layered.first", "0.Layered.second"} or len(found.tuned) == 2
    with torch.no_grad():
        moved = (generator(other) - was).square().mean().sqrt()
        fitted = (generator(found.latents)[0] - photo).square().mean().sqrt()
    assert fitted < moved < 0.2, "other images move less than they differ"


def test_an_inversion_that_is_left_gives_the_generator_its_numbers_back() -> None:
    generator = layered()
    before = [one.clone() for one in generator.function.parameters()]  # type: ignore[attr-defined]
    steps = invert(generator, [torch.rand(3, *SIZE)], passes=20, restarts=1, tune=50)
    for event in steps:
        if event.stage == "tuned" and event.done > 0.3:
            break
    steps.close()  # type: ignore[attr-defined]
    for one, was in zip(generator.function.parameters(), before, strict=True):  # type: ignore[attr-defined]
        assert torch.equal(one, was)


def test_tuning_that_was_stopped_goes_on_to_the_same_numbers() -> None:
    ends = []
    for stop in (None, 3):
        task = prepare(layered(), [torch.full((3, *SIZE), 0.4)], Options(tune=6), Registry.discover(installed=True))
        inverter, pivots = Inverter(task), task.generator.sample(1, 2)
        tuning = Tuning(task, pivots)
        for n in range(6):
            if n == stop:
                saved, facts = {k: t.clone() for k, t in tuning.tensors().items()}, tuning.facts()
                tuning.undo()
                tuning = Tuning(task, pivots)
                tuning.restore(saved, facts)
            tuning.advance(inverter.objective)
        ends.append(tuning.changed())
    assert ends[0] and all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_a_folder_keeps_what_was_found_while_tuning_is_stopped_and_goes_on(tmp_path: Path) -> None:
    options = {"passes": 20, "restarts": 1, "tune": 8}
    photo = [torch.full((3, *SIZE), 0.4)]
    for event in (steps := invert(layered(), photo, out=tmp_path / "stopped", **options)):
        if event.stage == "tuned" and event.done > 0.4:
            break
    steps.close()  # type: ignore[attr-defined]
    assert open_sealed(tmp_path / "stopped" / "found.json")["latents"], "it opens, untuned, meanwhile"
    said: list[str] = []
    ends = [
        list(invert(layered(), photo, out=tmp_path / name, notes=said.append, **options))[-1].found
        for name in ("stopped", "whole")
    ]
    assert [one for one in said if "tuning" in one] == ["going on after 1 steps of tuning"]
    assert ends[0] and ends[1] and torch.equal(ends[0].latents, ends[1].latents)
    assert all(torch.equal(ends[0].tuned[name], numbers) for name, numbers in ends[1].tuned.items())
    assert [one.name for one in ends[0].results] == ["w", "w+", "tuned"]
    (again,) = invert(layered(), photo, out=tmp_path / "whole", **options)
    assert again.found and again.found.tuned.keys() == ends[1].tuned.keys()


def test_an_encoder_gives_a_start() -> None:
    generator = linear()
    matrix = torch.linalg.pinv(generator(torch.eye(12)).flatten(1) - 0.5)
    generator.encode = lambda images: (images.flatten(1) - 0.5) @ matrix  # type: ignore[method-assign]
    z = generator.sample(1, 3)
    events = invert(generator, generator(z), restarts=1, prior=0.0)
    torch.testing.assert_close(next(events).latents, z, rtol=0, atol=1e-5)
    assert next(events).value[0] < 1e-8


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"match": ["pixels < 0.1"]}, CompositionError, "leave '< …' out"),
        ({"region": FunctionFeature(lambda images: images.mean((1, 2, 3)))}, CompositionError, "region must be a mask"),
        ({"align": "celeba"}, InputError, "align must be ffhq"),
        ({"restarts": 0}, InputError, "restarts must be at least 1"),
        ({"rate": 2.0}, InputError, "rate must be between 0 and 1"),
    ],
)
def test_what_cannot_be_meant_is_refused(options: dict[str, object], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        found_in(linear(), [torch.rand(3, *SIZE)], **options)


@pytest.mark.parametrize(
    ("photo", "said"),
    [
        (torch.rand(8, 8), "must be an image"),
        (torch.ones(3, 8, 8, dtype=torch.uint8), "must be an image"),
        (torch.full((3, 8, 8), float("nan")), "not finite"),
    ],
)
def test_arrays_that_are_no_images_are_refused(photo: torch.Tensor, said: str) -> None:
    with pytest.raises(InputError, match=said):
        found_in(linear(), [photo])


def test_a_feature_without_gradient_judges_and_is_not_matched() -> None:
    rough = FunctionFeature(lambda images: (100 * images.mean((1, 2, 3))).round(), unit="yes")
    rough.differentiable = False
    with pytest.raises(InputError, match="has no gradient"):
        found_in(linear(), [torch.rand(3, *SIZE)], match=[rough])


def test_a_generator_without_numbers_is_not_tuned() -> None:
    with pytest.raises(InputError, match="holds none"):
        found_in(linear(), [torch.rand(3, *SIZE)], passes=10, tune=5)
