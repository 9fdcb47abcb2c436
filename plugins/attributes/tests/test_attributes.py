"""Outputs by label: timm's own values, from files as people have them, with clear errors."""

from __future__ import annotations

import json
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from timm.data.transforms_factory import create_transform

from eigenwalk import store
from eigenwalk.errors import FileError, OptionError, WeightsError
from eigenwalk_attributes.attributes import attributes

from .cases import classifier, picture, state, tensor


@pytest.mark.parametrize("architecture", ["test_resnet", "test_vit"])
def test_logits_equal_those_of_timm(tmp_path, architecture):
    path = classifier(tmp_path, architecture=architecture, preprocessing={})
    model = timm.create_model(architecture, num_classes=2).eval()
    model.load_state_dict(load_file(path))
    config = timm.data.resolve_model_data_config(model)  # type: ignore[attr-defined]
    image = picture(200, 180)
    with torch.no_grad():
        theirs = model(create_transform(**config, is_training=False)(image)[None])  # type: ignore[operator]
    ours = attributes(("smile", "glasses"), str(path))(tensor(image))
    assert ours.shape == (1, 2)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0.02 * float(theirs.abs().max()))  # timm rounds to bytes
    swapped = attributes(("glasses", "smile"), str(path))(tensor(image))
    torch.testing.assert_close(swapped, ours.flip(1))


def test_a_state_dict_opens_with_a_labels_file(tmp_path):
    weights = state(tmp_path, "test_resnet", 2)
    with pytest.raises(FileError, match=r"write .*weights\.labels\.toml with at least"):
        attributes(("smile",), str(weights))
    text = 'architecture = "test_resnet"\nlabels = ["smile", "age"]\nunits = ["logit", "years"]\nscale = [2, 10]\n'
    (tmp_path / "weights.labels.toml").write_text(text)
    beside = attributes(("age",), str(weights))
    assert beside.unit == "years"
    (tmp_path / "other.toml").write_text(text.replace("age", "old"))
    named = attributes(("old",), str(weights), str(tmp_path / "other.toml"))
    assert (beside.files, named.files) == ((tmp_path / "weights.labels.toml",), ())
    image = tensor(picture(50, 50))
    torch.testing.assert_close(beside(image), named(image))


def test_weights_saved_by_several_processes_or_a_compiler_fit(labelled, two_outputs, tmp_path):
    state = torch.load(two_outputs, weights_only=True)
    torch.save({"state_dict": {f"module._orig_mod.{key}": one for key, one in state.items()}}, tmp_path / "ddp.pth")
    text = 'architecture = "test_resnet"\nlabels = ["smile", "glasses"]\n[preprocessing]\ninput_size = [3, 48, 48]'
    (tmp_path / "ddp.labels.toml").write_text(text)
    image = tensor(picture(50, 50))
    ours = attributes(("smile",), str(tmp_path / "ddp.pth"))
    torch.testing.assert_close(ours(image), attributes(("smile",), labelled)(image))


def test_a_fitted_label_is_found_by_name(tmp_path):
    with pytest.raises(FileError, match="eigenwalk attributes fit smile --positive"):
        attributes(("smile",))
    folder = store.folder() / "attributes"
    classifier(folder, ("smile",), "smile.safetensors")
    classifier(folder, ("age", "beard"), "people.safetensors", units=["years", "logit"], scale=[10.0, 2.0])
    assert attributes(("smile",)).unit == "logit"
    assert attributes(("age",)).unit == "years"
    with pytest.raises(FileError, match="fitted are age, beard, smile"):
        attributes(("hat",))
    classifier(folder, ("age",), "more.safetensors")
    with pytest.raises(OptionError, match="several fitted networks have the label 'age'"):
        attributes(("age",))
    both = attributes(("smile", "beard"))
    image = tensor(picture(40, 40))
    torch.testing.assert_close(
        both(image), torch.cat([attributes(("smile",))(image), attributes(("beard",))(image)], 1)
    )
    assert both.files == (folder / "smile.safetensors", folder / "people.safetensors")


def test_distances_are_in_the_labels_unit(tmp_path):
    path = str(classifier(tmp_path, ("smile", "hat", "age"), units=["logit", "logit", "years"], scale=[2.0, 4.0, 10.0]))
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
        ({"label": ("smile",), "model": "none.pth"}, FileError, "there is no file 'none.pth'"),
    ],
)
def test_wrong_options_are_refused(labelled, options, error, message):
    with pytest.raises(error, match=message):
        attributes(**{"model": labelled, **options})
    with pytest.raises(OptionError, match="with model=FILE alone"):
        attributes(("smile",), None, labelled)


HEAD = "architecture = 'test_resnet'\nlabels = ['a', 'b']\n"


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("labels = ['a', 'b']", FileError, "must name the network"),
        ("architecture = 'test_resnet'", FileError, "must list the outputs"),
        ("architecture = 'test_resnet'\nlabels = ['a', 'a']", FileError, "each name once"),
        (HEAD + "units = ['logit']", FileError, "one for each of 2 labels"),
        (HEAD + "scale = [1, 0]", FileError, "positive number for each"),
        (HEAD + "size = 3", FileError, "unknown entry 'size'"),
        (HEAD + "preprocessing = 3", FileError, "must be a table"),
        ("architecture = ", FileError, "is not TOML"),
        ("architecture = 'test_resnot'\nlabels = ['a', 'b']", OptionError, "nearest are test_resnet"),
        (
            "architecture = 'test_resnet.none'\nlabels = ['a', 'b']",
            OptionError,
            "no tag 'none': its tags are r160",
        ),
        ("architecture = 'test_resnet'\nlabels = ['a']", WeightsError, "with 1 labels of test_resnet, does not fit"),
        ("architecture = 'test_vit'\nlabels = ['a', 'b']", WeightsError, "missing"),
        ("architecture = 'hf-hub:timm/x'\nlabels = ['a']", OptionError, "has no network"),
        (HEAD + "[arguments]\nqkv_bias = true", OptionError, "with qkv_bias=True"),
        (HEAD + "[arguments]\nin_chans = 1", WeightsError, "shapes"),
        (HEAD + "[arguments]\nstem_width = 16384", WeightsError, "shapes"),
        (HEAD + "[preprocessing]\ninput_size = [1, 48, 48]", OptionError, "three channels RGB"),
        (HEAD + "[preprocessing]\ninput_size = [3, 90000, 90000]", OptionError, "at most 4096 pixels"),
    ],
)
def test_wrong_labels_files_are_refused(two_outputs, tmp_path, text, error, message):
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(error, match=message):
        attributes(("a",), str(two_outputs), str(tmp_path / "mine.toml"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"checkpoint_path": "backbone.pth"}, "may not set 'checkpoint_path'; they take act_layer"),
        ({"pretrained_cfg": {"file": "backbone.pth"}}, "may not set 'pretrained_cfg'"),
        ({"pretrained": True}, "may not set 'pretrained'"),
        ({"cache_dir": "/"}, "may not set 'cache_dir'"),
        ({"stem_width": {"a": 1}}, "stem_width must be a word, or numbers"),
        ({"layers": [1] * 100}, "layers must be a word, or numbers"),
        ({"stem_width": 10**9}, "numbers up to 16384"),
    ],
)
def test_a_labels_file_passes_only_allowed_arguments_to_timm(tmp_path, monkeypatch, arguments, message):
    file = tmp_path / "hostile.safetensors"
    facts = {"architecture": "test_resnet", "labels": ["smile"], "arguments": arguments}
    save_file({"x": torch.zeros(1)}, file, {"eigenwalk.attributes": json.dumps(facts)})
    monkeypatch.setattr(timm, "create_model", lambda *_, **__: pytest.fail("timm was called"))
    with pytest.raises(FileError, match=rf"the metadata of .*hostile\.safetensors: arguments.*{message}"):
        attributes(("smile",), str(file))


def test_networks_that_labels_files_describe_open(tmp_path):
    path = classifier(tmp_path, arguments={"global_pool": "max", "stem_width": 12, "channels": [16, 24, 32, 48]})
    model: Any = attributes(("smile",), str(path)).chosen[0][0].model
    assert model.conv1[0].weight.shape[0] == 12 and model.global_pool.pool_type == "max"
