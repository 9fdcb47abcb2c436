"""A backbone's features: timm's own, at any layer, from the files that are published."""

from __future__ import annotations

import math

import pytest
import timm
import torch
from torch.func import jvp, vmap

from eigenwalk.errors import FileError, OptionError, WeightsError
from eigenwalk_attributes.embedding import embedding
from eigenwalk_attributes.published import BACKBONES


@pytest.fixture(autouse=True)
def _own_store(tmp_path, monkeypatch):
    monkeypatch.setenv("EIGENWALK_WEIGHTS", str(tmp_path / "store"))


@pytest.mark.parametrize("architecture", ["test_resnet", "test_vit"])
def test_without_a_layer_it_is_what_the_head_sees(nets, tmp_path, architecture):
    feature = embedding(architecture, str(nets.state(tmp_path, architecture, 5)))
    images = torch.rand(2, 3, 160, 160)
    model = nets.network(architecture, 5)
    theirs = model.forward_head(model.forward_features(feature.preprocessing(images)), pre_logits=True)  # type: ignore[operator]
    values = feature(images)
    torch.testing.assert_close(values, theirs / theirs.norm(dim=1, keepdim=True), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(values.norm(dim=1), torch.ones(2))


@pytest.mark.parametrize(("architecture", "layer"), [("test_resnet", "layer2"), ("test_vit", "blocks.1")])
def test_a_layer_is_what_timm_gives_there(nets, tmp_path, architecture, layer):
    weights = str(nets.state(tmp_path, architecture))
    images = torch.rand(2, 3, 160, 160)
    whole = embedding(architecture, weights, layer, "none")
    model, index = nets.network(architecture, 0), int(layer[-1])
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
        token = embedding(architecture, weights, layer, "token")(images)
        torch.testing.assert_close(token, prefix[:, 0] / prefix[:, 0].norm(dim=1, keepdim=True), rtol=1e-4, atol=1e-5)
    pooled = embedding(architecture, weights, layer)(images)
    torch.testing.assert_close(pooled, means / means.norm(dim=1, keepdim=True), rtol=1e-4, atol=1e-5)


def test_what_comes_after_the_layer_is_not_computed(nets, tmp_path):
    feature = embedding("test_resnet", str(nets.state(tmp_path, "test_resnet")), "layer1")
    ran = []
    feature.model.get_submodule("layer2").register_forward_hook(lambda *_: ran.append(1))
    feature(torch.rand(1, 3, 32, 32))
    assert not ran
    embedding("test_resnet", str(tmp_path / "weights.pth"), "layer3")
    assert not feature.model.get_submodule("layer1")._forward_hooks


@pytest.mark.parametrize(("layer", "pool"), [(None, None), ("blocks.1", "none"), ("blocks.1", "token")])
def test_derivatives(nets, tmp_path, layer, pool):
    feature = embedding("test_vit", str(nets.state(tmp_path, "test_vit")), layer, pool, size=32)
    images = torch.rand(2, 3, 32, 32, dtype=torch.float64)
    feature.to("cpu", torch.float64)  # before it is differentiated, as the core does
    v = torch.randn_like(images)
    pushed = vmap(lambda w: jvp(feature, (images,), (w,))[1])(v[None])[0]
    central = (feature(images + 1e-5 * v) - feature(images - 1e-5 * v)) / 2e-5
    torch.testing.assert_close(pushed, central, rtol=1e-4, atol=1e-7)
    asked = images.clone().requires_grad_()
    values = feature(asked)
    u = torch.zeros_like(values, requires_grad=True)
    pulled = torch.autograd.grad(values, asked, u, create_graph=True)[0]
    torch.testing.assert_close(torch.autograd.grad(pulled, u, v)[0], pushed)  # twice, as the core does


def test_distance_and_radius_agree(nets, tmp_path):
    weights = str(nets.state(tmp_path, "test_resnet"))
    pooled = embedding("test_resnet", weights)
    assert pooled.unit == "cosine distance"
    a, b = torch.eye(3, dtype=torch.float64)[:2], torch.tensor([[0, 1, 0], [0.6, 0.8, 0]], dtype=torch.float64)
    torch.testing.assert_close(pooled.distance(a, b), torch.tensor([1.0, 0.2], dtype=torch.float64))
    assert pooled.radius(0.02, a)[0] == pytest.approx(math.sqrt(0.04))
    whole = embedding("test_resnet", weights, "layer1", "none")
    assert whole.unit == "RMS value"
    v = torch.randn(2, 4, 3, 3, dtype=torch.float64)
    v = v / v.flatten(1).norm(dim=1)[:, None, None, None] * whole.radius(0.3, v)[:, None, None, None]
    torch.testing.assert_close(whole.distance(v, torch.zeros_like(v)), torch.full((2,), 0.3).double())


def test_a_smaller_size_keeps_the_weights(nets, tmp_path):
    weights = str(nets.state(tmp_path, "test_vit"))
    small, own = embedding("test_vit", weights, size=64), embedding("test_vit", weights)
    assert small.preprocessing.input_size == (3, 64, 64)
    assert len(small.model.state_dict()["pos_embed"][0]) < len(own.model.state_dict()["pos_embed"][0])
    torch.testing.assert_close(*(one.model.state_dict()["blocks.0.attn.qkv.weight"] for one in (small, own)))
    assert (
        embedding("test_resnet", str(nets.state(tmp_path, "test_resnet")), size=48)(torch.rand(1, 3, 64, 64)).ndim == 2
    )


PUBLISHED = {
    "vit_small_patch16_224.dino": {},
    "vit_small_patch14_dinov2.lvd142m": {"mask_token": torch.zeros(1, 384)},
    "resnet18.tv_in1k": {"fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)},
}
"""What the published files hold beside the tensors that timm's network has without its head."""


@pytest.mark.parametrize("architecture", BACKBONES)
def test_published_files_open_as_their_publishers_lay_them_out(tmp_path, architecture):
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


def test_published_weights_come_from_the_store_alone():
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
def test_wrong_options(nets, tmp_path, options, error, message):
    told = {"model": "test_resnet", "weights": str(nets.state(tmp_path, "test_resnet")), **options}
    with pytest.raises(error, match=message):
        embedding(**told)(torch.rand(1, 3, 32, 32))
