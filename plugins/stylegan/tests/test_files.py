"""Files by name and by themselves, conversion, and files that are whole but hold something else."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from typer.testing import CliRunner

from eigenwalk.checkpoint import Checkpoint
from eigenwalk.errors import FileError, InputError, OutputError, WeightsError
from eigenwalk_stylegan.convert import app
from eigenwalk_stylegan.generator import StyleGAN, stylegan
from eigenwalk_stylegan.plugin import eigenwalk_generators, eigenwalk_open
from eigenwalk_stylegan.recognise import load


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
def test_what_is_converted_gives_the_same_images_without_a_pickle(name, file, tmp_path) -> None:
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


def test_convert_says_what_is_wrong(file, tmp_path) -> None:
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


def test_a_converted_file_of_a_later_version_says_so(file, tmp_path) -> None:
    made = tmp_path / "m.safetensors"
    convert(file("ada-16"), made)
    with safe_open(made, "pt") as held:
        assert json.loads(held.metadata()["configuration"])["network"] == "stylegan2"
    made.write_bytes(made.read_bytes().replace(b'"version":"1"', b'"version":"2"'))
    with pytest.raises(FileError, match="a newer eigenwalk-stylegan"):
        load(made)


def changed(layouts, name: str, folder: Path, **entries: object) -> Path:
    """A file of NVIDIA's in which attributes of modules are others, ``{module: {attribute: value}}``."""
    arrays, layout = layouts.reference(name)
    layout = copy.deepcopy(layout)
    for module, values in entries.items():
        layout["attributes"][module.replace("__", ".")] |= values
    path = folder / "network.pkl"
    layouts._nvidia(path, layout, layouts.tensors(arrays, layout), "")
    return path


@pytest.mark.parametrize(
    ("name", "entries", "says"),
    [
        ("ada-16", {"synthesis": {"img_channels": 1}}, "images of 1 channels: RGB"),
        ("ada-16", {"mapping__fc0": {"activation": "relu"}}, "lrelu alone is known"),
        ("ada-16", {"synthesis": {"img_resolution": 24}}, "images of 24 pixels"),
        ("ada-16", {"mapping": {"z_dim": "many"}}, "invalid literal"),
        ("sg3-t-16", {"synthesis": {"num_critical": 1}}, "is another than the paper's"),
        ("sg3-t-16", {"synthesis": {"num_layers": 5}}, "is another than the paper's"),
    ],
)
def test_another_architecture_says_so(layouts, name, entries, says, tmp_path) -> None:
    with pytest.raises(FileError, match=says):
        load(changed(layouts, name, tmp_path, **entries))


def test_tensors_that_do_not_fit_are_named(layouts, tmp_path) -> None:
    arrays, layout = layouts.reference("ada-16")
    tensors = layouts.tensors(arrays, layout)
    path = tmp_path / "network.pkl"
    short = {key: value for key, value in tensors.items() if key != "synthesis.b8.conv0.bias"}
    layouts._nvidia(path, layout, short, "")
    with pytest.raises(WeightsError, match=r"missing: convs\.1\.bias"):
        load(path)
    layouts._nvidia(path, layout, tensors | {"synthesis.b8.conv0.bias": torch.full((16,), torch.nan)}, "")
    with pytest.raises(FileError, match=r"NaN or infinity in convs\.1\.bias"):
        load(path)
    layouts._nvidia(path, layout, tensors | {"synthesis.b8.extra": torch.zeros(3)}, "")
    with pytest.raises(WeightsError, match="unexpected"):
        load(path)


def test_a_checkpoint_without_its_arguments_says_so(file, tmp_path) -> None:
    whole = torch.load(file("hammer3-t-16"), weights_only=True)
    torch.save({"models": whole["models"]}, tmp_path / "other.pth")
    with pytest.raises(FileError, match="model_kwargs_init"):
        load(tmp_path / "other.pth")


def test_a_checkpoint_of_another_network_says_so(tmp_path) -> None:
    names = ("g_ema", "convs.0.conv.modulation.weight", "synthesis.layer0.style.weight")
    torch.save(dict.fromkeys(names, 1), tmp_path / "other.pt")
    with pytest.raises(FileError, match="holds no StyleGAN2 of rosinality"):
        stylegan(tmp_path / "other.pt")
    torch.save({"generator_smooth": {names[2]: torch.zeros(2)}}, tmp_path / "other.pth")
    with pytest.raises(FileError, match="holds no StyleGAN2 of genforce"):
        stylegan(tmp_path / "other.pth")
    marks = "dnnlib.tflib.network static_kwargs"
    (tmp_path / "other.pkl").write_bytes(pickle.dumps({"G_ema": marks}))
    with pytest.raises(FileError, match="holds no StyleGAN2 of TensorFlow"):
        stylegan(tmp_path / "other.pkl")
