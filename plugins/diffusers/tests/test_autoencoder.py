"""Decoders compared with diffusers' own models; samples from pictures; which folders open."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from eigenwalk.checkpoint import Checkpoint
from eigenwalk.errors import FileError, OptionError
from eigenwalk_diffusers.autoencoder import autoencoder
from eigenwalk_diffusers.folder import kind, licence, weights
from eigenwalk_diffusers.pictures import listed, picture
from eigenwalk_diffusers.plugin import eigenwalk_open

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.mark.parametrize("name", ["kl", "small", "vq"])
def test_images_equal_those_of_diffusers_own_decoder(model, name):
    made = model(name)
    generator = autoencoder(made.folder, resolution=(8, 12))
    latents = generator.sample(2, seed=0)
    own = latents.unflatten(1, generator.shape) / made.own.config.scaling_factor
    given = {"force_not_quantize": True} if name == "vq" else {}
    with torch.no_grad():
        images, expected = generator(latents), made.own.decode(own, return_dict=False, **given)[0]
    assert expected.std() > 0.01
    torch.testing.assert_close(images, expected / 2 + 0.5, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["kl", "small", "vq"])
def test_samples_are_the_encodings_of_pictures_in_their_order(model, pictures, name):
    made = model(name)
    generator = autoencoder(made.folder, images=pictures, resolution=(8,))
    files = listed(pictures)
    images = torch.cat([picture(file, (8, 8)) for file in files]) * 2 - 1
    with torch.no_grad():
        told = made.own.encode(images)
    own = told.latent_dist.mode() if name == "kl" else told.latents
    expected = (own * made.own.config.scaling_factor).flatten(1)
    torch.testing.assert_close(generator.sample(6, seed=0), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(generator.sample(3, seed=5), expected[[5, 0, 1]], rtol=0, atol=1e-5)
    assert generator.sample(0, seed=1).shape == (0, generator.latent_dim)
    assert generator.facts["samples"] == "encodings of 6 pictures"
    bare = autoencoder(made.folder, resolution=(8,))
    torch.testing.assert_close(bare.encode(images / 2 + 0.5), generator.sample(6, seed=0), rtol=0, atol=1e-5)


def test_shift_mean_and_standard_deviation_of_latents_are_undone(tiny, tmp_path):
    options = {"scaling_factor": 0.5, "shift_factor": 0.25, "latents_mean": [1.0] * 4, "latents_std": [2.0] * 4}
    own = tiny.saved(tiny.kl(**options), tmp_path / "kl")
    generator = autoencoder(tmp_path / "kl")
    latents = generator.sample(1, seed=0)
    with torch.no_grad():
        z = latents.unflatten(1, generator.shape) * 2 / 0.5 + 1 + 0.25
        expected = own.decode(z, return_dict=False)[0] / 2 + 0.5
        torch.testing.assert_close(generator(latents), expected, rtol=0, atol=1e-5)


def test_a_pipelines_own_decoder_opens_by_the_pipelines_folder(pipeline):
    folder = pipeline("turbo").folder
    whole, part = autoencoder(folder), autoencoder(folder / "vae")
    z = whole.sample(1, 0)
    with torch.no_grad():
        assert torch.equal(whole(z), part(z))
    with pytest.raises(FileError, match="ConsistencyModelPipeline, which has no autoencoder"):
        autoencoder(pipeline("consistency").folder)


def test_safetensors_are_preferred_then_a_variant_then_bin(model, tmp_path):
    made = model("kl")
    z = autoencoder(made.folder).sample(1, 0)
    with torch.no_grad():
        expected = autoencoder(made.folder)(z)
        shutil.copytree(made.folder, tmp_path / "variant")
        made.own.save_pretrained(tmp_path / "variant", variant="fp16")
        stem = WEIGHTS.split(".")[0]
        assert weights(tmp_path / "variant", stem, "x") == [tmp_path / "variant" / WEIGHTS]
        (tmp_path / "variant" / WEIGHTS).unlink()
        assert weights(tmp_path / "variant", stem, "x") == [tmp_path / "variant" / f"{stem}.fp16.safetensors"]
        assert torch.equal(autoencoder(tmp_path / "variant")(z), expected)
        made.own.save_pretrained(tmp_path / "bin", safe_serialization=False)
        assert torch.equal(autoencoder(tmp_path / "bin")(z), expected)
        made.own.save_pretrained(tmp_path / "shards", max_shard_size="40KB")
        assert len(list((tmp_path / "shards").glob("*-of-*"))) > 1
        assert torch.equal(autoencoder(tmp_path / "shards")(z), expected)


class Runs:
    """A pickle that would write a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_a_bin_with_code_is_refused_without_running_it(model, tmp_path):
    folder = shutil.copytree(model("kl").folder, tmp_path / "kl")
    (folder / WEIGHTS).unlink()
    with open(folder / "diffusion_pytorch_model.bin", "wb") as file:
        pickle.dump({"a": Runs(tmp_path / "run")}, file)
    with pytest.raises(FileError, match=r"the weights in .* lack"):
        autoencoder(folder)
    assert not (tmp_path / "run").exists()


def test_names_of_attention_in_older_files_are_translated(model, tmp_path):
    folder = shutil.copytree(model("kl").folder, tmp_path / "kl")
    older = {".to_q.": ".query.", ".to_k.": ".key.", ".to_v.": ".value.", ".to_out.0.": ".proj_attn."}
    state = {}
    for name, tensor in load_file(folder / WEIGHTS).items():
        for new, old in older.items():
            name = name.replace(new, old)
        state[name] = tensor
    assert any(".proj_attn." in name for name in state)
    save_file(state, folder / WEIGHTS)
    z = autoencoder(folder).sample(1, 0)
    with torch.no_grad():
        assert torch.equal(autoencoder(folder)(z), autoencoder(model("kl").folder)(z))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\x10\x00\x00\x00\x00\x00\x00\x00{}", "cannot be opened"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git lfs pull"),
    ],
)
def test_damaged_weights_are_refused(model, tmp_path, content, message):
    folder = shutil.copytree(model("kl").folder, tmp_path / "kl")
    (folder / WEIGHTS).write_bytes(content)
    with pytest.raises(FileError, match=message):
        autoencoder(folder)


def test_folders_without_a_decoder_or_pictures_are_refused(model, tmp_path):
    folder = model("kl").folder
    with pytest.raises(FileError, match="is not there"):
        autoencoder(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileError, match=r"has no config\.json.*it holds nothing"):
        autoencoder(tmp_path / "empty")
    with pytest.raises(FileError, match="is a file"):
        autoencoder(folder / "config.json")
    with pytest.raises(FileError, match=r"two pictures or more.*has 0"):
        autoencoder(folder, images=tmp_path / "empty")
    with pytest.raises(FileError, match=r"and .*nothing is none"):
        autoencoder(folder, images=tmp_path / "nothing")
    for name in ("a.png", "b.png"):
        (tmp_path / "empty" / name).write_bytes(b"no picture")
    with pytest.raises(FileError, match=r"a\.png is not a picture in PNG, JPEG or WebP"):
        autoencoder(folder, images=tmp_path / "empty").sample(1, 0)
    with pytest.raises(OptionError, match="multiples of 2 pixels, got 7 x 7"):
        autoencoder(folder, resolution=(7,))


def test_a_folder_is_recognised_by_its_configuration(model, pipeline, tmp_path):
    assert kind(Checkpoint(model("kl").folder)) == "model"
    assert kind(Checkpoint(pipeline("turbo").folder)) == "pipeline"
    for text in ("{", "[]", "{}", json.dumps({"_class_name": 3}), "[" * 100_000):
        (tmp_path / "config.json").write_text(text)
        assert kind(Checkpoint(tmp_path)) is None
        assert eigenwalk_open(tmp_path, Checkpoint(tmp_path)) is None
    opened = [eigenwalk_open(one, Checkpoint(one)) for one in (model("kl").folder, pipeline("turbo").folder)]
    assert [spec and spec.name for spec in opened] == ["autoencoder", "onestep"]


def test_the_licence_is_taken_from_the_folder(tmp_path):
    assert licence(tmp_path) == ""
    (tmp_path / "LICENSE.md").write_text("words")
    assert licence(tmp_path) == "see LICENSE.md in the folder"
    (tmp_path / "README.md").write_text("---\ntags: [x]\nlicense: openrail++\n---\nlicense: MIT\n")
    assert licence(tmp_path) == "openrail++"
