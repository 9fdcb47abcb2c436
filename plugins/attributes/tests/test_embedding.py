"""A backbone's features: timm's own, at any layer, from the files that are published."""

from __future__ import annotations

import math

import pytest
import timm
import torch

from eigenwalk.errors import FileError, OptionError, WeightsError
from eigenwalk_attributes.embedding import embedding
from eigenwalk_attributes.plugin import eigenwalk_features
from eigenwalk_attributes.published import BACKBONES

from .cases import network, state


@pytest.mark.parametrize("architecture", ["test_resnet", "test_vit"])
def test_without_a_layer_the_embedding_is_the_input_of_the_head(tmp_path, architecture):
    feature = embedding(architecture, str(state(tmp_path, architecture, 5)))
    images = torch.rand(2, 3, 160, 160)
    model = network(architecture, 5)
    theirs = model.forward_head(model.forward_features(feature.preprocessing(images)), pre_logits=True)  # type: ignore[operator]
    values = feature(images)
    torch.testing.assert_close(values, theirs / theirs.norm(dim=1, keepdim=True), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(values.norm(dim=1), torch.ones(2))


@pytest.mark.parametrize(("architecture", "layer"), [("test_resnet", "layer2"), ("test_vit", "blocks.1")])
def test_a_layers_output_equals_timms(weights, architecture, layer):
    images = torch.rand(2, 3, 160, 160)
    whole = embedding(architecture, weights[architecture], layer, "none")
    model, index = network(architecture, 0), int(layer[-1])
    tokens = {"return_prefix_tokens": True} if architecture == "test_vit" else {}
    theirs = model.forward_intermediates(  # type: ignore[operator]
        whole.preprocessing(images), indices=[index], intermediates_only=True, **tokens
    )[0]
    theirs, prefix = theirs if isinstance(theirs, tuple) else (theirs, None)
    means = theirs.mean((2, 3))
    found = whole(images)
    if prefix is None:
        torch.testing.assert_close(found, theirs, rtol=1e-4, atol=1e-5)
    else:
        torch.testing.assert_close(found[:, :1], prefix, rtol=1e-4, atol=1e-5)
        token = embedding(architecture, weights[architecture], layer, "token")(images)
        torch.testing.assert_close(token, prefix[:, 0] / prefix[:, 0].norm(dim=1, keepdim=True), rtol=1e-4, atol=1e-5)
    pooled = embedding(architecture, weights[architecture], layer)(images)
    torch.testing.assert_close(pooled, means / means.norm(dim=1, keepdim=True), rtol=1e-4, atol=1e-5)


def test_layers_after_the_chosen_one_are_not_computed(weights):
    feature = embedding("test_resnet", weights["test_resnet"], "layer1")
    ran = []
    feature.model.get_submodule("layer2").register_forward_hook(lambda *_: ran.append(1))
    feature(torch.rand(1, 3, 32, 32))
    assert not ran
    assert not feature.model.get_submodule("layer1")._forward_hooks


def test_distances_of_vectors_and_of_maps(weights):
    pooled, whole = (embedding("test_resnet", weights["test_resnet"], "layer1", pool) for pool in ("mean", "none"))
    assert (pooled.unit, whole.unit) == ("cosine distance", "RMS value")
    a, b = torch.eye(3, dtype=torch.float64)[:2], torch.tensor([[0, 1, 0], [0.6, 0.8, 0]], dtype=torch.float64)
    torch.testing.assert_close(pooled.distance(a, b), torch.tensor([1.0, 0.2], dtype=torch.float64))
    assert pooled.radius(0.02, a)[0] == pytest.approx(math.sqrt(0.04))
    v = torch.full((2, 4, 3, 3), 0.3)
    torch.testing.assert_close(whole.distance(v, torch.zeros_like(v)), torch.full((2,), 0.3))


def test_a_smaller_size_keeps_the_weights(weights):
    small, own = (embedding("test_vit", weights["test_vit"], size=size) for size in (64, None))
    assert small.preprocessing.input_size == (3, 64, 64)
    assert len(small.model.state_dict()["pos_embed"][0]) < len(own.model.state_dict()["pos_embed"][0])
    torch.testing.assert_close(*(one.model.state_dict()["blocks.0.attn.qkv.weight"] for one in (small, own)))


PUBLISHED = {
    "vit_small_patch16_224.dino": {},
    "vit_small_patch14_dinov2.lvd142m": {"mask_token": torch.zeros(1, 384)},
    "tf_efficientnet_lite0": {},
    "resnet18.tv_in1k": {"fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)},
}
"""What the published files hold beside the tensors that timm's network has without its head."""


def test_a_file_of_ones_own_takes_the_place_of_every_published_one():
    (spec,) = (one for one in eigenwalk_features() if one.name == "embedding")
    for architecture in BACKBONES:
        assert len(spec.needed({"model": architecture})) == 1
        assert not spec.needed({"model": architecture, "weights": "mine.pth"})


@pytest.mark.parametrize("architecture", BACKBONES)
def test_published_files_open_in_their_publishers_layout(tmp_path, architecture):
    model = timm.create_model(architecture, num_classes=0)
    own = model.state_dict()
    torch.save({**own, **PUBLISHED[architecture]}, tmp_path / "published.pth")
    size = 56 if "vit" in architecture else 32
    feature = embedding(architecture, str(tmp_path / "published.pth"), size=size)
    torch.testing.assert_close(
        feature.model.state_dict()["norm.weight" if "vit" in architecture else "bn1.weight"],
        own["norm.weight" if "vit" in architecture else "bn1.weight"],
    )
    assert feature(torch.rand(1, 3, 24, 24)).shape == (1, model.num_features)


def test_an_efficientnet_under_efficientnet_pytorch_s_names(tmp_path):
    own = network("tf_efficientnet_lite0", 3).state_dict()
    stem, *middle, weight, bias = own
    theirs = {"_conv_stem.weight": own[stem], **{f"_blocks.{name}": own[name] for name in middle}}
    torch.save({**theirs, "_fc.weight": own[weight], "_fc.bias": own[bias]}, tmp_path / "theirs.pth")
    torch.save(own, tmp_path / "own.pth")
    images = torch.rand(1, 3, 32, 32)
    found, expected = (
        embedding("tf_efficientnet_lite0", str(tmp_path / name), size=32)(images) for name in ("theirs.pth", "own.pth")
    )
    torch.testing.assert_close(found, expected)


def test_published_weights_come_only_from_the_store():
    with pytest.raises(WeightsError, match=r'eigenwalk weights fetch "embedding\(resnet18\.tv_in1k\)"'):
        embedding("resnet18.tv_in1k")
    with pytest.raises(WeightsError, match=r"weights=FILE\. Published weights are known of vit_small"):
        embedding("test_resnet")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"model": "resnot18"}, OptionError, "nearest are .*resnet18"),
        ({"layer": "layer9"}, OptionError, "no layer 'layer9': nearest are layer"),
        ({"layer": "zzz"}, OptionError, "its parts are conv1"),
        ({"pool": "mean"}, OptionError, "pool with layer alone"),
        ({"layer": "layer1", "pool": "token"}, OptionError, "write pool=mean"),
        ({"size": 4}, OptionError, "at least 16"),
        ({"weights": "none.pth"}, FileError, "no file"),
    ],
)
def test_wrong_options_are_refused(weights, options, error, message):
    with pytest.raises(error, match=message):
        embedding(**{"model": "test_resnet", "weights": weights["test_resnet"], **options})(torch.rand(1, 3, 32, 32))
