"""Outputs by label: timm's own values, from files as people have them, with clear errors."""

from __future__ import annotations

import pytest
import timm
import torch
from safetensors.torch import load_file
from timm.data.transforms_factory import create_transform
from timm.layers.config import use_fused_attn
from torch.func import jvp, vjp, vmap

from eigenwalk import store
from eigenwalk.errors import FileError, OptionError, WeightsError
from eigenwalk_attributes.attributes import attributes


@pytest.fixture(autouse=True)
def _own_store(tmp_path, monkeypatch):
    monkeypatch.setenv("EIGENWALK_WEIGHTS", str(tmp_path / "store"))


@pytest.mark.parametrize("architecture", ["test_resnet", "test_vit"])
def test_logits_are_those_of_timm_on_the_same_image(nets, tmp_path, architecture):
    path = nets.classifier(tmp_path, architecture=architecture, preprocessing={})
    model = timm.create_model(architecture, num_classes=2).eval()
    model.load_state_dict(load_file(path))
    config = timm.data.resolve_model_data_config(model)  # type: ignore[attr-defined]
    image = nets.picture(200, 180)
    with torch.no_grad():
        theirs = model(create_transform(**config, is_training=False)(image)[None])  # type: ignore[operator]
    ours = attributes(("smile", "glasses"), str(path))(nets.tensor(image))
    assert ours.shape == (1, 2)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0.02 * float(theirs.abs().max()))  # timm rounds to bytes
    swapped = attributes(("glasses", "smile"), str(path))(nets.tensor(image))
    torch.testing.assert_close(swapped, ours.flip(1))


@pytest.mark.parametrize("architecture", ["test_resnet", "test_vit"])
def test_derivatives(nets, tmp_path, architecture):
    entries = {} if architecture == "test_vit" else {"preprocessing": {"input_size": [3, 48, 48]}}
    feature = attributes(("smile",), str(nets.classifier(tmp_path, architecture=architecture, **entries)))
    draw = torch.Generator().manual_seed(1)
    images = torch.rand(2, 3, 32, 32, dtype=torch.float64, generator=draw)
    feature.to("cpu", torch.float64)  # before it is differentiated, as the core does
    v = torch.randn(images.shape, dtype=torch.float64, generator=draw)
    u = torch.ones(2, 1, dtype=torch.float64)
    pushed = jvp(feature, (images,), (v,))[1]
    torch.testing.assert_close((u * pushed).sum(), (vjp(feature, images)[1](u)[0] * v).sum())
    central = (feature(images + 1e-8 * v) - feature(images - 1e-8 * v)) / 2e-8  # so near that no ReLU turns
    torch.testing.assert_close(pushed, central, rtol=1e-5, atol=1e-6)
    many = vmap(lambda w: jvp(feature, (images,), (w,))[1])(torch.stack([v, -v]))
    torch.testing.assert_close(many, torch.stack([pushed, -pushed]))
    torch.testing.assert_close(feature(images)[1:], feature(images[1:]))


def test_fused_attention_is_left_as_it_was_elsewhere(nets, tmp_path):
    before = use_fused_attn()
    attributes(("smile",), str(nets.classifier(tmp_path, architecture="test_vit")))
    assert use_fused_attn() == before
    others = [one for one in nets.network("test_vit", 2).modules() if hasattr(one, "fused_attn")]
    assert others and all(one.fused_attn == bool(before) for one in others)


def test_the_network_is_frozen_and_follows_the_images(nets, tmp_path):
    feature = attributes(("smile",), str(nets.classifier(tmp_path)))
    model = feature.chosen[0][0].model
    assert not model.training and not any(one.requires_grad for one in model.parameters())
    assert feature(torch.rand(1, 3, 20, 20, dtype=torch.float64)).dtype == torch.float64
    assert feature.to("cpu", torch.float32)(torch.rand(1, 3, 20, 20)).dtype == torch.float32


def test_a_state_dict_with_a_labels_file(nets, tmp_path):
    weights = nets.state(tmp_path, "test_resnet", 2)
    with pytest.raises(FileError, match=r"write .*weights\.labels\.toml with at least"):
        attributes(("smile",), str(weights))
    text = 'architecture = "test_resnet"\nlabels = ["smile", "age"]\nunits = ["logit", "years"]\nscale = [2, 10]\n'
    (tmp_path / "weights.labels.toml").write_text(text)
    beside = attributes(("age",), str(weights))
    assert beside.unit == "years"
    (tmp_path / "other.toml").write_text(text.replace("age", "old"))
    named = attributes(("old",), str(weights), str(tmp_path / "other.toml"))
    assert (beside.files, named.files) == ((tmp_path / "weights.labels.toml",), ())
    image = nets.tensor(nets.picture(50, 50))
    torch.testing.assert_close(beside(image), named(image))


def test_weights_saved_by_several_processes_or_a_compiler_fit(nets, tmp_path):
    weights = nets.classifier(tmp_path)
    told = torch.load(nets.state(tmp_path, "test_resnet", 2), weights_only=True)
    torch.save({"state_dict": {f"module._orig_mod.{key}": one for key, one in told.items()}}, tmp_path / "ddp.pth")
    text = 'architecture = "test_resnet"\nlabels = ["smile", "glasses"]\n[preprocessing]\ninput_size = [3, 48, 48]'
    (tmp_path / "ddp.labels.toml").write_text(text)
    image = nets.tensor(nets.picture(50, 50))
    ours = attributes(("smile",), str(tmp_path / "ddp.pth"))
    torch.testing.assert_close(ours(image), attributes(("smile",), str(weights))(image))


def test_what_was_fitted_is_found_by_name(nets, tmp_path):
    with pytest.raises(FileError, match="eigenwalk attributes fit smile --positive"):
        attributes(("smile",))
    folder = store.folder() / "attributes"
    nets.classifier(folder, ("smile",), "smile.safetensors")
    nets.classifier(folder, ("age", "beard"), "people.safetensors", units=["years", "logit"], scale=[10.0, 2.0])
    assert attributes(("smile",)).unit == "logit"
    assert attributes(("age",)).unit == "years"
    with pytest.raises(FileError, match="fitted are age, beard, smile"):
        attributes(("hat",))
    nets.classifier(folder, ("age",), "more.safetensors")
    with pytest.raises(OptionError, match="several fitted networks have the label 'age'"):
        attributes(("age",))
    both = attributes(("smile", "beard"))
    image = nets.tensor(nets.picture(40, 40))
    torch.testing.assert_close(
        both(image), torch.cat([attributes(("smile",))(image), attributes(("beard",))(image)], 1)
    )
    assert both.files == (folder / "smile.safetensors", folder / "people.safetensors")


def test_distances_are_in_the_labels_unit(nets, tmp_path):
    path = str(
        nets.classifier(tmp_path, ("smile", "hat", "age"), units=["logit", "logit", "years"], scale=[2.0, 4.0, 10.0])
    )
    a = torch.zeros(2, 2, dtype=torch.float64)
    same = attributes(("smile", "hat"), path)
    assert same.unit == "logit"
    torch.testing.assert_close(same.distance(a, a + torch.tensor([3.0, -4.0])), torch.full((2,), 12.5**0.5).double())
    mixed = attributes(("smile", "age"), path)
    assert mixed.unit == "standard deviation"
    step = torch.tensor([2.0, 10.0], dtype=torch.float64)
    torch.testing.assert_close(mixed.distance(a, a + 0.3 * step), torch.full((2,), 0.3).double())
    for feature, along in ((same, torch.ones(2).double()), (mixed, step)):
        moved = along / along.norm() * feature.radius(0.7, a)[:, None]
        torch.testing.assert_close(feature.distance(a, a + moved), torch.full((2,), 0.7).double())


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"label": ("smiles",)}, OptionError, "no label 'smiles': it has smile, glasses; did you mean smile"),
        ({"label": ("smile", "smile")}, OptionError, "each once"),
        ({"label": ()}, OptionError, "takes labels"),
        ({"label": ("smile",), "model": "none.pth"}, FileError, "there is no file none.pth"),
    ],
)
def test_wrong_options(nets, tmp_path, options, error, message):
    path = str(nets.classifier(tmp_path))
    with pytest.raises(error, match=message):
        attributes(**{"model": path, **options})
    with pytest.raises(OptionError, match="with model=FILE alone"):
        attributes(("smile",), None, path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("labels = ['a', 'b']", "must name the network"),
        ("architecture = 'test_resnet'", "must list the outputs"),
        ("architecture = 'test_resnet'\nlabels = ['a', 'a']", "each name once"),
        ("architecture = 'test_resnet'\nlabels = ['a', 'b']\nunits = ['logit']", "one for each of 2 labels"),
        ("architecture = 'test_resnet'\nlabels = ['a', 'b']\nscale = [1, 0]", "positive number for each"),
        ("architecture = 'test_resnet'\nlabels = ['a', 'b']\nsize = 3", "unknown entry 'size'"),
        ("architecture = 'test_resnet'\nlabels = ['a', 'b']\npreprocessing = 3", "must be a table"),
        ("architecture = ", "which is TOML"),
    ],
)
def test_wrong_labels_files(nets, tmp_path, text, message):
    weights = nets.state(tmp_path, "test_resnet", 2)
    (tmp_path / "weights.labels.toml").write_text(text)
    with pytest.raises(FileError, match=message):
        attributes(("a",), str(weights))


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("architecture = 'test_resnot'\nlabels = ['a', 'b']", OptionError, "nearest are test_resnet"),
        (
            "architecture = 'test_resnet.none'\nlabels = ['a', 'b']",
            OptionError,
            "no tag 'none': its tags are r160_in1k",
        ),
        ("architecture = 'test_resnet'\nlabels = ['a']", WeightsError, "with 1 labels of test_resnet, does not fit"),
        ("architecture = 'test_vit'\nlabels = ['a', 'b']", WeightsError, "missing"),
        ("architecture = 'test_resnet'\nlabels = ['a', 'b']\n[arguments]\nwide = 3", OptionError, "with wide=3"),
        ("architecture = 'test_resnet'\nlabels = ['a', 'b']\n[arguments]\nin_chans = 1", WeightsError, "shapes"),
        ("architecture = 'hf-hub:timm/x'\nlabels = ['a']", OptionError, "has no network"),
    ],
)
def test_labels_that_do_not_fit_the_weights(nets, tmp_path, text, error, message):
    weights = nets.state(tmp_path, "test_resnet", 2)
    (tmp_path / "weights.labels.toml").write_text(text)
    with pytest.raises(error, match=message):
        attributes(("a",), str(weights))


def test_a_network_of_one_channel(nets, tmp_path):
    path = nets.classifier(tmp_path, arguments={"in_chans": 1}, preprocessing={"input_size": [1, 48, 48]})
    with pytest.raises(OptionError, match="three channels RGB"):
        attributes(("smile",), str(path))
