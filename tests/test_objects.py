"""Walks with objects: appearance apart from position, chains with masks, and their weights."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from pytest_httpserver import HTTPServer

import eigenwalk
from eigenwalk import store
from eigenwalk.errors import OptionError, WeightsError
from eigenwalk.names.registry import Registry
from eigenwalk.weights import fetching, items, needed_items

PAINTER = """
import torch
from eigenwalk.generator import FunctionGenerator

def paint(z):
    at = (torch.arange(48, dtype=z.dtype) + 0.5) / 48
    y, x = torch.meshgrid(at, at, indexing="ij")
    v = z[:, :, None, None]
    u, w = (x - 0.5 - 0.08 * v[:, 0]) / 0.5, (y - 0.5 - 0.08 * v[:, 1]) / 0.4
    inside = torch.sigmoid(12 * (0.5 - (u**2 + w**2 + 1e-6).sqrt()))
    red = 0.8 + 0.1 * torch.tanh(v[:, 2]) + 0 * u
    colour = torch.stack([red, 0.4 + 0.2 * torch.tanh(v[:, 3]) + 0 * u, 0 * red], 1)
    ground = torch.stack([0.05 + 0 * red, 0.2 + 0.1 * torch.tanh(v[:, 4]) + 0 * red, 0.7 + 0 * red], 1)
    return ground + inside[:, None] * (colour - ground)

def build():
    return FunctionGenerator(paint, latent_dim=5, resolution=(48, 48))
"""
ORANGE = """
import torch
from eigenwalk.feature import Projection

class Orange(Projection):
    def coverage(self, images):
        return torch.sigmoid(10 * (images[:, :1] - images[:, 2:]))

    def __call__(self, images):
        return images * self.coverage(images).detach()
"""
LOOKS, STANDS = "appearance(./orange.py:Orange, size=12)", "position(./orange.py:Orange)"


@pytest.fixture
def painter(tmp_path, monkeypatch) -> str:
    (tmp_path / "painter.py").write_text(PAINTER)
    (tmp_path / "orange.py").write_text(ORANGE)
    monkeypatch.chdir(tmp_path)
    return "./painter.py:build"


def walked(generator: str, fix: list[str], vary: list[str], **options) -> list[dict[str, float]]:
    """Walk, and return how far every feature moved on each path."""
    paths = eigenwalk.run(generator, fix=fix, vary=vary, **{"steps": 4, "paths": 2, **options})
    assert all(path.status.reason == "length" for path in paths), [path.status for path in paths]
    return [path.waypoints[-1].changes for path in paths]


def names(changes: dict[str, float], word: str) -> float:
    return next(value for name, value in changes.items() if name.startswith(word))


def test_a_painted_object_moves_and_keeps_its_appearance(painter):
    for changes in walked(painter, [LOOKS], [STANDS]):
        assert names(changes, "position") > 0.015
        assert names(changes, "appearance") < 0.01


def test_a_painted_object_changes_and_keeps_its_position(painter):
    for changes in walked(painter, [STANDS], [LOOKS]):
        assert names(changes, "appearance") > 0.015
        assert names(changes, "position") < 0.003


@pytest.fixture
def networks(tmp_path) -> str:
    """A small SegFormer of random weights, in a folder."""
    import importlib.util

    file = Path(__file__).parents[1] / "plugins" / "masks" / "tests" / "cases.py"
    spec = importlib.util.spec_from_file_location("cases_of_masks", file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.small_segformer(tmp_path)
    module.save_sam(tmp_path / "sam.pth")
    return str(tmp_path)


def test_a_mask_by_word_can_be_followed_by_a_band(networks):
    held = f'mask(label=sofa, model="{networks}/net") | fourier.low(cycles=8)'
    (changes,) = walked("rooms", [held], [f'~mask(label=sofa, model="{networks}/net")'], steps=2, stride=0.04, paths=1)
    assert all(0 <= value < 1 for value in changes.values())


@pytest.mark.parametrize(("follow", "encoded"), [(True, True), (False, False)])
def test_an_object_is_found_again_at_each_waypoint_unless_kept(networks, follow, encoded):
    from eigenwalk_masks.mask import mask
    from eigenwalk_masks.objects import ObjectMask

    held = mask(sam="vit_small", weights=f"{networks}/sam.pth", point=(0.5, 0.7), follow=follow)
    assert isinstance(held, ObjectMask)
    runs: list[int] = []
    held.network.sam.image_encoder.register_forward_hook(lambda *_: runs.append(1))
    so_far: list[int] = []
    paths = eigenwalk.run(
        "rooms",
        fix=[held],
        vary=["pixels"],
        steps=2,
        paths=1,
        tolerance=9.0,
        progress=lambda front: so_far.append(len(runs)),
    )
    assert paths[0].status.reason == "length", paths[0].status
    assert [later > sooner for sooner, later in pairwise(so_far)] == [encoded, encoded]


def test_weights_are_fetched_checked_and_opened(networks, monkeypatch, tmp_path):
    """Take a file in place of the published one from a local server to a mask by `mask(label=…)`."""
    from eigenwalk_masks import presets, segformer
    from eigenwalk_masks.mask import mask

    data = (Path(networks) / "net" / "model.safetensors").read_bytes()
    offer = Registry.discover().feature("mask")
    preset = presets.presets()["ade20k"]
    monkeypatch.setenv("EIGENWALK_WEIGHTS", str(tmp_path / "store"))
    monkeypatch.delenv("EIGENWALK_MIRROR", raising=False)
    with HTTPServer() as server:
        server.expect_request("/w").respond_with_data(data)
        made = replace(preset.weights, url=server.url_for("/w"), sha256=sha256(data).hexdigest(), size=len(data))
        facts = {"depths": [1] * 4, "hidden_sizes": [8, 16, 24, 32], "num_attention_heads": [1, 2, 3, 4]}
        small = replace(
            preset,
            weights=made,
            labels=("wall", "sofa", "lamp"),
            vocabulary=presets.vocabulary(("wall", "sofa", "lamp")),
            network={**facts, "decoder_hidden_size": 16},
        )
        monkeypatch.setattr(segformer, "presets", lambda: {"ade20k": small})
        with pytest.raises(WeightsError, match="weights fetch"):
            mask(label=("sofa",), model="ade20k")
        item = next(one for one in items.declared_items(offer) if one.weights.file == made.file)
        fetching.obtain(replace(item, weights=made))
    assert store.find(made, "mask").read_bytes() == data
    projection = mask(label=("sofa",), model="ade20k")
    assert projection.coverage(torch.rand(1, 3, 32, 32)).shape == (1, 1, 32, 32)


@pytest.mark.parametrize(
    ("text", "files"),
    [
        ("mask(label=hair)", ["masks/segformer-b5-celebamask.safetensors"]),
        ("position(mask(label=(sofa, lamp)))", ["masks/segformer-b0-ade20k.safetensors"]),
        ("mask(label=sofa, model=ade20k)", ["masks/segformer-b0-ade20k.safetensors"]),
        ("~mask(sam=vit_b, point=(0.5, 0.5)) | fourier.low", ["masks/sam_vit_b_01ec64.pth"]),
        ("mask(box=(0, 0, 1, 0.5))", []),
    ],
)
def test_an_expression_says_which_weights_it_needs(text, files):
    assert [item.weights.file for item in needed_items(text)] == files


def test_words_that_name_no_network_are_refused_before_a_download():
    with pytest.raises(OptionError, match="did you mean sofa"):
        needed_items("mask(label=sofaa)")
