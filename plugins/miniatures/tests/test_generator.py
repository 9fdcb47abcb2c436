"""The shipped generators: truncation, weights, and files of their training."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path

import pytest
import torch

from eigenwalk.checkpoint import Checkpoint
from eigenwalk.errors import OptionError, WeightsError
from eigenwalk_miniatures import load
from eigenwalk_miniatures.generator import rooms
from eigenwalk_miniatures.miniature import Miniature
from eigenwalk_miniatures.network import Generator, Shape
from eigenwalk_miniatures.plugin import eigenwalk_features, eigenwalk_generators, eigenwalk_open


def test_truncation_draws_samples_together() -> None:
    images = {t: rooms(truncation=t)(rooms().sample(8, 1).double()) for t in (0.0, 0.5, 1.0)}
    spread = {t: image.var(0).mean() for t, image in images.items()}
    assert spread[0.0] < 1e-8 < spread[0.5] < spread[1.0]
    w = rooms(space="w", truncation=0.5)
    torch.testing.assert_close(w(w.sample(2, 1).double()), images[0.5][:2], atol=1e-4, rtol=0)


@pytest.mark.parametrize("options", [{"space": "w+"}, {"truncation": -1.0}])
def test_wrong_options_are_refused(options: dict) -> None:
    with pytest.raises(OptionError, match="must be"):
        rooms(**options)


def test_weights_in_the_package_match_the_specs() -> None:
    total: dict[str, int] = {}
    for spec in (*eigenwalk_generators(), *eigenwalk_features()):
        for weights in spec.weights:
            held = (files("eigenwalk_miniatures") / weights.file).read_bytes()
            assert (len(held), hashlib.sha256(held).hexdigest()) == (weights.size, weights.sha256)
            name = weights.file.partition("/")[0]
            total[name] = total.get(name, 0) + len(held)
    assert total.keys() == {"rooms", "faces"}
    assert total["rooms"] <= 10_000_000 and total["faces"] <= 12_000_000


def test_the_error_of_missing_weights_says_what_to_do(world: Miniature) -> None:
    with pytest.raises(WeightsError, match="install the package again"):
        load.network(world, "regressor", Generator(Shape()))
    with pytest.raises(WeightsError, match=r"lamp\.safetensors"):
        load.network(world, "lamp", Generator(Shape()))


def test_other_files_are_not_recognised(tmp_path: Path, world: Miniature) -> None:
    other = tmp_path / "other.safetensors"
    other.write_bytes(world.weights("segmenter").read_bytes())
    huge = tmp_path / "huge.safetensors"
    huge.write_bytes((10**15).to_bytes(8, "little") + b"{}")
    assert eigenwalk_open(other, Checkpoint(other)) is None and eigenwalk_open(huge, Checkpoint(huge)) is None


def test_damaged_weights_are_not_opened(monkeypatch: pytest.MonkeyPatch, world: Miniature) -> None:
    monkeypatch.setattr(load, "listed", lambda *_: {"sha256": "0" * 64})
    with pytest.raises(WeightsError, match="SHA-256 is not the published one"):
        load.generator(world)
