"""Opening files by name and by path, what cannot be inferred, and other networks' files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import biggan_files
import pytest
import torch
from safetensors.torch import save_file

from eigenwalk.checkpoint import Checkpoint
from eigenwalk.errors import FileError, OptionError, WeightsError
from eigenwalk_biggan.generator import BigGAN, biggan
from eigenwalk_biggan.plugin import eigenwalk_generators, eigenwalk_open
from eigenwalk_biggan.recognise import recognise


def images(generator: BigGAN) -> torch.Tensor:
    return generator(generator.sample(1, 0))


def test_a_path_is_a_generator_and_so_is_the_name(file) -> None:
    path = file("biggan-64-hier-standing")
    options: dict[str, Any] = {"label": "3", "eps": 1e-3}
    spec = eigenwalk_open(path, Checkpoint(path))
    assert spec is not None
    assert spec.summary == "BigGAN of BigGAN-PyTorch"
    assert "path" not in [option.name for option in spec.options]
    (by_name,) = eigenwalk_generators()
    assert by_name.options[0].name == "path"
    alone, named = spec.factory()(path=path, **options), by_name.factory()(path=str(path), **options)
    assert alone.latent_dim == 20  # 22 in the training script, which splits it in 5 equal chunks
    assert torch.equal(images(alone), images(named))


def test_a_folder_of_hugging_face_opens_like_its_weights(file, tmp_path) -> None:
    path = file("hf-64-between")
    assert eigenwalk_open(path.parent, Checkpoint(path.parent)) is not None
    expected = images(biggan(path.parent, label=1))
    assert torch.equal(expected, images(biggan(path, label=1)))
    # As the files are called where they are published.
    weights = tmp_path / "biggan-deep-64-pytorch_model.bin"
    shutil.copy(path, weights)
    with pytest.raises(OptionError, match=r"config must be given.*config\.json"):
        biggan(weights, label=1)
    assert torch.equal(expected, images(biggan(weights, label=1, config=path.with_name("config.json"))))
    shutil.copy(path.with_name("config.json"), tmp_path / "biggan-deep-64-config.json")
    assert torch.equal(expected, images(biggan(weights, label=1)))


def test_safetensors_and_files_saved_from_several_devices_open(file, tmp_path) -> None:
    expected, held = images(biggan(file("biggan-32"), label=1)), biggan_files.state_dict("biggan-32")
    save_file(held, tmp_path / "a.safetensors")
    torch.save({"state_dict": {f"module.{name}": tensor for name, tensor in held.items()}, "epoch": 3}, tmp_path / "b")
    for name in ("a.safetensors", "b"):
        assert recognise(Checkpoint(tmp_path / name)) is not None
        assert torch.equal(expected, images(biggan(tmp_path / name, label=1)))


def test_a_batch_norm_over_several_devices_gives_the_same_images(file, tmp_path) -> None:
    """BigGAN-PyTorch applies ``gain x + bias`` with either batch norm, so equal numbers give equal images."""
    ours = {"stored_mean": "running_mean", "stored_var": "running_var", "accumulation_counter": "num_batches_tracked"}
    held = biggan_files.state_dict("biggan-32-plain-mybn")
    assert any(name.endswith(".bn.stored_mean") for name in held)
    for name in list(held):
        owner, _, end = name.rpartition(".")
        held[f"{owner}.{ours.get(end, end)}"] = held.pop(name)
    torch.save(held, tmp_path / "g.pth")
    assert torch.equal(images(biggan(file("biggan-32-plain-mybn"), label=1)), images(biggan(tmp_path / "g.pth", 1)))


def test_eps_and_standing_statistics_change_the_images(file, tmp_path) -> None:
    path = file("biggan-64-hier-standing")
    found = images(biggan(path, label=1, eps=1e-3))
    assert 1e-4 < float((found - images(biggan(path, label=1))).abs().max()) < 0.1
    held = biggan_files.state_dict("biggan-64-hier-standing")
    for name in held:
        if name.endswith(("stored_mean", "stored_var")):
            held[name] /= biggan_files.BATCHES
        elif name.endswith("counter"):
            held[name].zero_()
    torch.save(held, tmp_path / "g.pth")
    torch.testing.assert_close(images(biggan(tmp_path / "g.pth", label=1, eps=1e-3)), found, rtol=0, atol=1e-6)


def test_the_depth_of_deep_blocks_is_asked_for_if_ambiguous(file, tmp_path) -> None:
    assert biggan(file("deep-32-depth3-standing"), label=1).resolution == (32, 32)
    assert biggan(file("deep-32-depth3-standing"), label=1, depth=1).resolution == (4 << 9, 4 << 9)
    with pytest.raises(OptionError, match="must divide its 9 blocks, got 2"):
        biggan(file("deep-32-depth3-standing"), label=1, depth=2)
    held = {
        name: tensor for name, tensor in biggan_files.state_dict("deep-64").items() if not name.startswith("blocks.7.")
    }
    torch.save(held, tmp_path / "g.pth")
    with pytest.raises(OptionError, match=r"depth must be given.*must divide its 7 blocks"):
        biggan(tmp_path / "g.pth", label=1)
    with pytest.raises(OptionError, match="is no BigGAN-deep"):
        biggan(file("biggan-32"), label=1, depth=2)


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("biggan-32", {"config": "config.json"}, "config must be left out.*BigGAN of BigGAN-PyTorch"),
        ("hf-64", {"eps": 1e-4}, "eps must be left out"),
        ("hf-64", {"depth": 2}, "depth must be left out"),
        ("biggan-32", {"eps": -1.0}, "eps must be from 0"),
        ("biggan-32", {"truncation": 0.0}, "truncation must be over 0"),
        ("hf-64", {"truncation": 1.2}, "at most 1, got 1.2"),
    ],
)
def test_options_of_the_other_format_are_refused(file, name, options, says) -> None:
    with pytest.raises(OptionError, match=says):
        biggan(file(name), label=1, **options)


def test_other_networks_are_not_recognised(file, tmp_path) -> None:
    held = biggan_files.state_dict("biggan-32")
    judge = {name: tensor for name, tensor in held.items() if not name.startswith("output_layer")}
    for i, other in enumerate(
        [{"g_ema": {"convs.0.conv.modulation.weight": torch.zeros(1)}}, judge, {"a": held["shared.weight"]}]
    ):
        torch.save(other, tmp_path / f"{i}.pt")
        assert eigenwalk_open(tmp_path / f"{i}.pt", Checkpoint(tmp_path / f"{i}.pt")) is None
    (tmp_path / "text.pth").write_text("output_layer.0.gain blocks.0.0.bn1.gain.weight")
    for path in (tmp_path / "text.pth", tmp_path):
        assert eigenwalk_open(path, Checkpoint(path)) is None
    with pytest.raises(
        FileError, match=r"known here, but a file of no known kind. Known: BigGAN-deep of BigGAN-PyTorch"
    ):
        biggan(tmp_path / "text.pth", label=1)
    with pytest.raises(FileError, match="there is no file"):
        biggan(tmp_path / "none.pth", label=1)


def changed(name: str, path: Path, **tensors: torch.Tensor | None) -> Path:
    """The state dict of `name` with some tensors others, or left out, at `path`."""
    held = biggan_files.state_dict(name) | {key.replace("__", "."): tensor for key, tensor in tensors.items()}
    torch.save({key: tensor for key, tensor in held.items() if tensor is not None}, path)
    return path


@pytest.mark.parametrize(
    ("tensors", "error", "says"),
    [
        ({"linear__bias": None}, WeightsError, "has no tensor linear.bias"),
        ({"blocks__1__0__conv9__weight": torch.ones(2, 2)}, WeightsError, "no BigGAN has: blocks.1.0.conv9.weight"),
        ({"linear__bias": torch.ones(3)}, WeightsError, r"first.bias \(3,\) where \(256,\) is wanted"),
        ({"shared__weight": torch.ones(5, 99)}, WeightsError, "which fit no BigGAN"),
        ({"linear__weight": torch.ones(250, 12)}, WeightsError, "250 numbers for 16 channels of a square"),
        ({"output_layer__0__gain": torch.full((16,), torch.nan)}, FileError, "NaN or infinity"),
        ({"blocks__1__0__conv1__u0": torch.zeros(1, 16)}, FileError, r"NaN or infinity in layers\.1\.convs\.0"),
        ({"blocks__1__0__bn1__stored_mean": None}, WeightsError, "another norm_style"),
        ({"shared__weight": torch.ones(1, 1).expand(10**7, 6)}, FileError, "more than the file has room for"),
    ],
)
def test_a_damaged_state_dict_is_refused(tmp_path, tensors, error, says) -> None:
    path = changed("biggan-32", tmp_path / "g.pth", **tensors)
    with pytest.raises(error, match=says):
        biggan(path, label=1)


def test_a_truncated_file_is_refused_and_foreign_code_is_not_run(file, tmp_path) -> None:
    path, whole = tmp_path / "g.pth", file("hf-64").read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FileError, match="truncated"):
        biggan(path, label=1, config=file("hf-64").with_name("config.json"))
    held = biggan_files.state_dict("biggan-32")
    torch.save({"G_ema": held, "G": {name: 2 * one for name, one in held.items()}, "run": shutil.rmtree}, path)
    assert torch.equal(images(biggan(path, label=1)), images(biggan(file("biggan-32"), label=1)))
    assert biggan(path, label=1).notes[0].endswith("this is G_ema, averaged weights; also there: G")
    assert not torch.equal(images(biggan(path, label=1, key="G")), images(biggan(path, label=1)))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "config.json is truncated or damaged: no JSON"),
        ('{"layers": [[1, 2, 3]], "eps": 0.1}', "do not begin with true or false"),
        ('{"eps": 0.1}', "it has no 'layers'"),
        ('{"layers": [[true, 16, 8]], "eps": 0.1}', "has other blocks than the 1 of its config.json"),
        (json.dumps({"layers": [[True, 16, 8]] * 8, "eps": 0.1}), "has other blocks than the 8"),
    ],
)
def test_a_configuration_of_another_network_is_refused(file, tmp_path, text, says) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(FileError, match=says):
        biggan(file("hf-64"), label=1, config=tmp_path / "config.json")
    with pytest.raises(FileError, match="there is no file"):
        biggan(file("hf-64"), label=1, config=tmp_path / "none.json")
