"""Opening files by name and by path, conversion, and other networks' files."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path

import pytest
import stylegan_files
import torch
from safetensors import safe_open
from stylegan_files import Saved, named
from typer.testing import CliRunner

from eigenwalk.checkpoint import Checkpoint
from eigenwalk.errors import FileError, InputError, OptionError, OutputError, WeightsError
from eigenwalk_stylegan.convert import app
from eigenwalk_stylegan.generator import StyleGAN, stylegan
from eigenwalk_stylegan.plugin import eigenwalk_generators, eigenwalk_open
from eigenwalk_stylegan.recognise import load
from hostile import little_memory, safetensors  # noqa: F401


def convert(file: Path, output: Path) -> tuple[type | None, str]:
    """Runs ``eigenwalk convert``; gives the class of the error, or None, and what was said."""
    done = CliRunner().invoke(app, [str(file), "-o", str(output)])
    return (type(done.exception) if done.exception else None), done.output + str(done.exception)


def test_a_path_is_a_generator_and_so_is_the_name(file) -> None:
    path, options = file("ada-16"), {"space": "w+", "layers": "1-2"}
    spec = eigenwalk_open(path, Checkpoint.of(path))
    assert spec is not None
    assert spec.summary == "StyleGAN2 or StyleGAN2-ADA pickle of PyTorch"
    assert "path" not in [option.name for option in spec.options]
    by_name = next(one for one in eigenwalk_generators() if one.name == "stylegan")
    assert by_name.options[0].name == "path"
    alone, named = spec.factory()(path=path, **options), by_name.factory()(path=str(path), **options)
    assert isinstance(alone, StyleGAN)
    latents = alone.sample(1, 0)
    assert alone.latent_dim == 32
    assert torch.equal(alone(latents), named(latents))


@pytest.mark.parametrize("name", ["ada-32-labels-clamp", "sg3-r-16", "genforce-8-labels", "ros-16-training"])
def test_a_converted_file_gives_the_same_images_without_a_pickle(name, file, tmp_path) -> None:
    output = tmp_path / "model.safetensors"
    error, printed = convert(file(name), output)
    assert error is None, printed
    assert "million parameters" in printed
    assert [one.name for one in tmp_path.iterdir()] == ["model.safetensors"]
    network, description = load(output)
    before, _ = load(file(name))
    label = 1 if network.sizes.mapping.labels else None
    a, b = (StyleGAN(one, label=label, truncation=0.8) for one in (before, network))
    assert torch.equal(a(a.sample(2, 0)), b(b.sample(2, 0)))
    assert description.source in printed
    assert network.sizes == before.sizes
    assert eigenwalk_open(output, Checkpoint.of(output)) is not None
    assert b"torch" not in output.read_bytes()[:200]


def test_convert_refuses_wrong_input(file, tmp_path) -> None:
    path, made = file("ada-16"), tmp_path / "m.safetensors"
    for source, output, expected, says in (
        (path, tmp_path / "m.pkl", InputError, "must end with .safetensors"),
        (path, tmp_path / "no" / "m.safetensors", OutputError, "cannot be written"),
        (tmp_path / "no.pkl", made, FileError, "there is no file"),
        (path, made, None, "16 x 16 pixels"),
        (made, made, InputError, "another file"),
    ):
        error, printed = convert(source, output)
        assert (error, says in printed) == (expected, True), printed


def test_a_converted_file_of_a_later_version_is_refused(file, tmp_path) -> None:
    made = tmp_path / "m.safetensors"
    convert(file("ada-16"), made)
    with safe_open(made, "pt") as held:
        assert json.loads(held.metadata()["configuration"])["network"] == "stylegan2"
    made.write_bytes(made.read_bytes().replace(b'"version":"1"', b'"version":"2"'))
    with pytest.raises(FileError, match="a newer eigenwalk-stylegan"):
        load(made)


@pytest.mark.parametrize(
    ("claim", "says"),
    [
        ({"network": "stylegan3", "resolution": 64, "layers_between": 2**60}, "layers must be a whole number"),
        ({"network": "stylegan2", "channels": [60000] * 2}, "does not fit Network"),
    ],
    ids=["2^60 layers", "500 GB"],
)
def test_sizes_that_a_converted_file_claims_are_not_allocated(claim, says, tmp_path, little_memory) -> None:  # noqa: F811
    configuration = json.dumps(claim | {"mapping": {"z_dim": 8, "w_dim": 8, "hidden": 8, "layers": 2}})
    head = {"format": "eigenwalk-stylegan", "version": "1", "configuration": configuration}
    held = {"__metadata__": head, "constant": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
    (tmp_path / "m.safetensors").write_bytes(safetensors(held))
    with pytest.raises(FileError, match=says):
        load(tmp_path / "m.safetensors")


def changed(name: str, folder: Path, way: str = "snapshot", **entries: object) -> Path:
    """A file of NVIDIA's in which attributes of modules are others, ``{module: {attribute: value}}``."""
    arrays, layout = stylegan_files.reference(name)
    layout = copy.deepcopy(layout)
    for module, values in entries.items():
        layout["attributes"][module.replace("__", ".")] |= values
    path = folder / "network.pkl"
    stylegan_files.write_nvidia(path, layout, stylegan_files.tensors(arrays, layout), way=way)
    return path


@pytest.mark.parametrize(
    ("name", "entries", "says"),
    [
        ("ada-16", {"synthesis": {"img_channels": 4}}, "images of 4 channels: RGB"),
        ("ada-16", {"mapping__fc0": {"activation": "relu"}}, "lrelu alone is known"),
        ("ada-16", {"synthesis": {"img_resolution": 24}}, "images of 24 pixels"),
        ("ada-16", {"mapping": {"z_dim": "many"}}, "invalid literal"),
        ("sg3-t-16", {"synthesis": {"num_critical": 1}}, "is another than the paper's"),
        ("sg3-t-16", {"synthesis": {"num_layers": 5}}, "is another than the paper's"),
    ],
)
def test_another_architecture_is_refused(name, entries, says, tmp_path) -> None:
    with pytest.raises(FileError, match=says):
        load(changed(name, tmp_path, **entries))


def test_tensors_that_do_not_fit_are_named(tmp_path) -> None:
    arrays, layout = stylegan_files.reference("ada-16")
    tensors = stylegan_files.tensors(arrays, layout)
    path = tmp_path / "network.pkl"
    short = {key: value for key, value in tensors.items() if key != "synthesis.b8.conv0.bias"}
    stylegan_files.write_nvidia(path, layout, short)
    with pytest.raises(WeightsError, match=r"missing: convs\.1\.bias"):
        load(path)
    stylegan_files.write_nvidia(path, layout, tensors | {"synthesis.b8.conv0.bias": torch.full((16,), torch.nan)})
    with pytest.raises(FileError, match=r"NaN or infinity in convs\.1\.bias"):
        load(path)
    stylegan_files.write_nvidia(path, layout, tensors | {"synthesis.b8.extra": torch.zeros(3)})
    with pytest.raises(WeightsError, match="unexpected"):
        load(path)


def test_a_checkpoint_without_its_arguments_is_refused(file, tmp_path) -> None:
    whole = torch.load(file("hammer3-t-16"), weights_only=True)
    torch.save({"models": whole["models"]}, tmp_path / "other.pth")
    with pytest.raises(FileError, match="without model_kwargs_init"):
        load(tmp_path / "other.pth")


def test_another_networks_file_is_identified(tmp_path) -> None:
    held = {"convs.0.conv.modulation.weight": torch.zeros(2), "input.input": torch.zeros(2)}
    for other, says in (
        ({"g_ema": held}, r"holds no StyleGAN2 of rosinality's \("),
        ({"generator_smooth": {"synthesis.layer0.style.weight": torch.zeros(2)}}, "holds no StyleGAN2 of genforce"),
        ({"netG": {"0.weight": torch.zeros(2), "1.weight": torch.zeros(2)}, "epoch": 3}, r"netG \(2 tensors\), epoch"),
        ({"G_ema": {"synthesis.b4.const": torch.zeros(4, 4, 4)}}, "what its layers are made with is missing"),
        (torch.nn.Linear(2, 2), "of one object of class torch.nn.modules.linear.Linear"),
        ([1, 2], "a PyTorch file that holds a list"),
    ):
        torch.save(other, tmp_path / "other.pt")
        with pytest.raises(FileError, match=says):
            stylegan(tmp_path / "other.pt")
    with named("dnnlib.tflib.network.Network") as (record,):
        (tmp_path / "other.pkl").write_bytes(pickle.dumps((Saved(record), Saved(record), Saved(record))))
    with pytest.raises(FileError, match="holds no StyleGAN2 of TensorFlow"):
        stylegan(tmp_path / "other.pkl")


@pytest.mark.parametrize("name", ["ada-16", "tf-8-clamp", "ros-8", "ros-32", "genforce-8-labels"])
def test_a_truncated_file_says_so(name, file, tmp_path) -> None:
    whole, path = file(name).read_bytes(), tmp_path / file(name).name
    for share in (0.3, 0.9, 0.999):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(FileError, match="truncated"):
            load(path)


def images(path: Path, **options: object) -> torch.Tensor:
    """Images of the same three latents."""
    generator = stylegan(path, **options)
    return generator(generator.sample(3, 0))


@pytest.mark.parametrize("way", ["alone", "saved"])
@pytest.mark.parametrize("name", ["ada-16", "sg3-t-16"])
def test_a_single_generator_as_pivotal_tuning_saves_it_opens(name, way, file, tmp_path) -> None:
    path = changed(name, tmp_path, way)
    assert eigenwalk_open(path, Checkpoint(path)) is not None
    assert torch.equal(images(path), images(file(name)))


def test_the_decoder_of_an_encoder_opens(file, tmp_path) -> None:
    whole = torch.load(file("ros-8"), weights_only=True)
    state = {f"decoder.{name}": tensor for name, tensor in whole["g_ema"].items()}
    state |= {"encoder.input_layer.0.weight": torch.ones(3, 3)}
    mean, folder = whole["latent_avg"].reshape(1, -1), tmp_path / "e4e (ffhq) [v2]"
    folder.mkdir()
    torch.save({"state_dict": state, "latent_avg": mean.repeat(4, 1), "opts": {"n": 4}}, folder / "e4e.pt")
    assert torch.equal(images(folder / "e4e.pt", truncation=0.7), images(file("ros-8"), truncation=0.7))
    assert "decoder" in stylegan(folder / "e4e.pt").source


def test_averaged_weights_are_preferred_and_the_choice_is_noted(file, tmp_path) -> None:
    path, averaged = tmp_path / "x.pt", torch.load(file("ros-8"), weights_only=True)["g_ema"]
    live = {name: tensor * 1.1 for name, tensor in averaged.items()}
    torch.save({"g": {f"module.{name}": tensor for name, tensor in live.items()}, "g_ema": averaged}, path)
    found = stylegan(path)
    assert found.notes == (
        "of the networks in the file this is g_ema, averaged weights; also there: g.module",
        "the mean w is measured on 4096 latents: the file has none",
    )
    torch.save(live, tmp_path / "live.pt")
    assert torch.equal(images(path, key="g"), images(tmp_path / "live.pt"))
    with pytest.raises(OptionError, match=r"key=netG stands for nothing in .* it holds g, g_ema"):
        stylegan(path, key="netG")


def test_missing_noise_is_drawn_and_noted(file, tmp_path) -> None:
    whole = torch.load(file("ros-8"), weights_only=True)["g_ema"]
    torch.save({"g_ema": {name: one for name, one in whole.items() if "noises." not in name}}, tmp_path / "x.pt")
    found = stylegan(tmp_path / "x.pt")
    assert "noise inputs are drawn from seed 0: the file has none" in found.notes
    assert stylegan(file("ros-8")).notes == ()
    quiet = images(file("ros-8"), noise="none")
    assert torch.equal(images(tmp_path / "x.pt", noise="none"), quiet)
    assert (images(tmp_path / "x.pt") - quiet).abs().max() > 0.01


def test_grey_images_are_repeated_in_all_channels(tmp_path) -> None:
    arrays, layout = stylegan_files.reference("ada-16")
    layout["attributes"]["synthesis"]["img_channels"] = 1
    tensors, colours = stylegan_files.tensors(arrays, layout), {}
    for key in [key for key in tensors if ".torgb." in key and ".affine." not in key]:
        tensors[key] = tensors[key][:1]
        colours[key] = tensors[key].expand(3, *tensors[key].shape[1:])
    stylegan_files.write_nvidia(tmp_path / "grey.pkl", layout, tensors)
    layout["attributes"]["synthesis"]["img_channels"] = 3
    stylegan_files.write_nvidia(tmp_path / "rgb.pkl", layout, tensors | colours)
    assert torch.equal(images(tmp_path / "grey.pkl"), images(tmp_path / "rgb.pkl"))
    assert stylegan(tmp_path / "grey.pkl").notes[0].startswith("the network is grey")


def test_images_may_be_twice_as_high_as_wide(tmp_path) -> None:
    arrays, layout = stylegan_files.reference("ada-16")
    tensors = stylegan_files.tensors(arrays, layout)
    for key in [key for key in tensors if key.endswith(("const", "noise_const"))]:
        tensors[key] = tensors[key][..., : tensors[key].shape[-1] // 2]
    stylegan_files.write_nvidia(tmp_path / "human.pkl", layout, tensors)
    found = stylegan(tmp_path / "human.pkl", space="w+")
    assert found.resolution == (16, 8)
    assert found(found.sample(2, 0)).shape == (2, 3, 16, 8)
    error, printed = convert(tmp_path / "human.pkl", tmp_path / "m.safetensors")
    assert (error, "8 x 16 pixels" in printed) == (None, True)
    assert torch.equal(images(tmp_path / "m.safetensors"), images(tmp_path / "human.pkl"))
