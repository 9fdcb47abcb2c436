"""Training: data and networks resume where a stopped run was, with the same result."""

from __future__ import annotations

import hashlib
import json
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

from eigenwalk_miniatures.miniature import NAMES, Miniature, miniature
from eigenwalk_miniatures.network import Generator, Shape
from training import measures
from training.card import card
from training.data import CHUNK, Renders, render_to
from training.discriminator import Discriminator
from training.export import export
from training.fit import Course, fit
from training.gan import Adversaries, Options, train
from training.pairing import Pairing

TINY = Shape(latent_dim=40, style_dim=8, channels=(8, 8, 8))
SHORT = Options(images=64, warm=16, batch=8, r1_every=2, seed=3)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory, world: Miniature) -> Path:
    folder = tmp_path_factory.mktemp("renders")
    render_to(folder, world, CHUNK, TINY.resolution, seed=5)
    return folder


def linked(folder: Path, rendered: Path) -> Path:
    folder.mkdir()
    (folder / "images.u8").symlink_to(rendered / "images.u8")
    return folder


def test_rendering_resumes_after_a_kill(tmp_path: Path, world: Miniature, rendered: Path) -> None:
    whole = (rendered / "images.u8").read_bytes()
    (tmp_path / "images.u8").write_bytes(whole[: len(whole) // 3])
    render_to(tmp_path, world, CHUNK, TINY.resolution, seed=5)
    assert (tmp_path / "images.u8").read_bytes() == whole
    assert len(Renders(tmp_path, TINY.resolution)) == CHUNK


def test_resumed_gan_training_gives_the_same_weights(tmp_path: Path, world: Miniature, rendered: Path) -> None:
    through = train(linked(tmp_path / "through", rendered), world, SHORT, TINY, every=16)
    parted = linked(tmp_path / "parted", rendered)
    first = train(parted, world, SHORT, TINY, every=16, until=32)
    assert first.seen == 32
    second = train(parted, world, SHORT, TINY, every=16)
    assert second.seen == through.seen == 64
    for one, two in zip(through.average.state_dict().values(), second.average.state_dict().values(), strict=True):
        torch.testing.assert_close(one, two)
    saved = load_file(parted / "generator.safetensors")
    assert set(saved) == set(Generator(TINY).state_dict())
    log = (parted / "log.csv").read_text().splitlines()
    assert [int(line.split(",")[0]) for line in log] == [8, 24, 40, 56]
    assert (parted / "samples-0000064.png").exists()


@pytest.mark.parametrize("warm", [0, 48])
def test_training_changes_the_networks_that_take_part(
    tmp_path: Path, world: Miniature, rendered: Path, warm: int
) -> None:
    options = replace(SHORT, images=48, warm=warm)
    before = Adversaries(TINY, options, len(world.factors))
    after = train(linked(tmp_path / "run", rendered), world, options, TINY)

    def moved(network: str) -> list[bool]:
        pairs = zip(getattr(before, network).parameters(), getattr(after, network).parameters(), strict=True)
        return [not torch.equal(one, two) for one, two in pairs]

    assert all(moved("generator"))
    assert all(moved("discriminator")) == (warm == 0)


def test_portraits_train_as_rooms_do(tmp_path: Path, people: Miniature) -> None:
    render_to(tmp_path, people, CHUNK, TINY.resolution, seed=5)
    trained = train(tmp_path, people, SHORT, TINY, until=32)
    assert trained.seen == 32
    assert all(p.isfinite().all() for p in trained.generator.parameters())


def test_export_lists_every_network_with_its_sum(tmp_path: Path, people: Miniature) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    for name in people.networks:
        (source / f"{name}.safetensors").write_bytes(name.encode())
    export(people, source, target)
    told = tomllib.loads((target / "weights.toml").read_text())
    assert tuple(told) == people.networks == ("generator", "segmenter", "regressor", "attributes", "embedder")
    assert told["embedder"] == {"size": 8, "sha256": hashlib.sha256(b"embedder").hexdigest()}


@pytest.mark.parametrize("name", NAMES)
def test_the_model_card_agrees_with_the_saved_figures(name: str) -> None:
    world = miniature(name)
    kept = Path(__file__).parents[1] / "docs" / f"{name}-figures.json"
    assert card(world, json.loads(kept.read_text())) == (world.folder / "MODEL_CARD.md").read_text()


def test_paired_latents_are_normal_and_keep_their_factors() -> None:
    pairing, random = Pairing(33, 64), torch.Generator().manual_seed(0)
    shares = torch.rand(20_000, 33, generator=random)
    z = pairing.latents(shares, torch.randn(20_000, 31, generator=random))
    torch.testing.assert_close(pairing.shares(z), shares, atol=1e-4, rtol=0)
    torch.testing.assert_close(z.T @ z / len(z), torch.eye(64), atol=0.05, rtol=0)
    assert abs((z**4).mean() - 3) < 0.1
    # Halfway between two latents a linear map would have the mean of their scores.
    ends = torch.special.ndtri(pairing.shares(z[:2]).double())
    halfway = torch.special.ndtri(pairing.shares(z[:2].mean(0, keepdim=True)).double())
    assert (halfway - ends.mean(0)).abs().max() > 0.1


def test_fit_resumes(tmp_path: Path) -> None:
    truth = torch.nn.Conv2d(3, 1, 3)

    def batch(n: int, random: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        x = torch.rand(n, 3, 8, 8, generator=random)
        return x, truth(x).detach()

    results = []
    for name, lengths in (("through", (None,)), ("parted", (64, None))):
        for until in lengths:
            torch.manual_seed(1)
            network = torch.nn.Conv2d(3, 1, 3)
            fit(network, batch, F.mse_loss, Course(images=256, batch=16), tmp_path / f"{name}.safetensors", until=until)
        results.append(network.weight)
    torch.testing.assert_close(*results)


def test_discriminator_gives_one_logit_per_image() -> None:
    assert Discriminator(TINY)(torch.rand(6, 3, 16, 16)).shape == (6,)


def test_specks_do_not_count_as_a_second_component() -> None:
    mask = torch.zeros(64, 64)
    assert not measures.shows_one(mask)
    mask[10:40, 10:40] = 1
    assert measures.shows_one(mask)
    mask[60:62, 60:62] = 1
    assert measures.shows_one(mask), "a speck is ignored"
    mask[50:60, 10:40] = 1
    assert not measures.shows_one(mask)


def test_nearest_finds_a_copy() -> None:
    stored = torch.randint(0, 256, (50, 3, 8, 8), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    rows, far = measures.nearest(stored[[7, 31]].float() / 255, stored.numpy(), chunk=16)
    assert rows.tolist() == [7, 31]
    assert far.max() < 1e-3
