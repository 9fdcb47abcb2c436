"""Masks by word: against transformers' own output, from files in its layout, without a network."""

from __future__ import annotations

import json
import shutil
import socket
from dataclasses import replace
from hashlib import sha256

import pytest
import torch
from torch.nn import functional as F

from eigenwalk import store
from eigenwalk.errors import FileError, OptionError, Undefined, WeightsError
from eigenwalk_masks import presets as known
from eigenwalk_masks.labels import LabelMask
from eigenwalk_masks.mask import mask
from eigenwalk_masks.presets import presets
from eigenwalk_masks.segformer import CONFIGURATION, Preprocessing, open_folder

from .cases import save_segformer


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    """Smooth images, in and out of [0, 1]."""
    torch.manual_seed(0)
    return F.interpolate(torch.rand(3, 3, 6, 6), (48, 40), mode="bicubic")


def test_the_probability_equals_that_of_transformers(segformer, images):
    from transformers import SegformerForSemanticSegmentation, SegformerImageProcessor

    network = SegformerForSemanticSegmentation.from_pretrained(segformer)
    processor = SegformerImageProcessor.from_pretrained(segformer)
    seen = processor(list(images.clamp(0, 1)), do_rescale=False, return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        logits = network(pixel_values=seen).logits
    ours = open_folder(segformer)
    torch.testing.assert_close(ours.logits(images.clamp(0, 1)), logits, rtol=1e-4, atol=1e-4)
    # At the size of the logits nothing is interpolated, and the mask is the softmax itself.
    small = F.interpolate(images, (16, 16), mode="area").clamp(0, 1)
    with torch.no_grad():
        probabilities = network(**processor(list(small), do_rescale=False, return_tensors="pt")).logits.softmax(1)
    torch.testing.assert_close(ours.masks(small, [1, 2])[:, 0], probabilities[:, 1:].sum(1), rtol=1e-4, atol=1e-5)
    # Where it is above a half of two labels, the library's map has one of them.
    wide = F.interpolate(logits, images.shape[-2:], mode="bilinear", align_corners=False)
    agree = (mask(label=("sofa", "lamp"), model=str(segformer)).coverage(images.clamp(0, 1))[:, 0] > 0.5) == (
        wide[:, 1:].logsumexp(1) > wide[:, 0]
    )
    assert float(agree.double().mean()) > 0.98


def test_the_masks_of_all_labels_fill_the_image(segformer, images):
    small = F.interpolate(images, (16, 16), mode="area")
    masks = [mask(label=(word,), model=str(segformer)).coverage(small) for word in ("wall", "couch", "lamp")]
    torch.testing.assert_close(torch.stack(masks).sum(0), torch.ones(3, 1, 16, 16))


def test_a_frozen_feature_keeps_its_mask(segformer, images):
    projection = mask(label=("sofa",), model=str(segformer))
    frozen, other = projection.at(images), images.roll(1, 0)
    torch.testing.assert_close(frozen(other), other * projection.coverage(images))
    torch.testing.assert_close(frozen.complement().coverage(other), 1 - projection.coverage(images))
    torch.testing.assert_close(frozen.distance(frozen(images), frozen(images + 0.1)), torch.full((3,), 0.1))


def test_kept_for_good_it_is_the_first_mask(segformer, images):
    projection = mask(label=("sofa",), model=str(segformer), follow=False)
    first = projection.at(images)
    assert projection.memories == len(first.remembered) == 1
    later = projection.follow(images.flip(0), first.remembered)
    torch.testing.assert_close(later(images), first(images))
    torch.testing.assert_close(later.coverage(images), first.coverage(images.flip(0)))
    assert len(later.remembered) == 1
    following = mask(label=("sofa",), model=str(segformer))
    torch.testing.assert_close(following.follow(images.flip(0), ())(images), following.at(images.flip(0))(images))


def test_rows_without_the_label_are_undefined(segformer, images, monkeypatch):
    projection = mask(label=("sofa",), model=str(segformer))
    there = projection.coverage(images)
    there[1] = 0.4
    monkeypatch.setattr(type(projection), "coverage", lambda self, images: there)
    with pytest.raises(Undefined, match=r"mask\(label=sofa\).* covers less than 0.1% of the image") as caught:
        projection.at(images)
    assert caught.value.rows == (1,)


def test_the_published_configuration_gives_files_of_the_published_size(tmp_path):
    """A network of that configuration, saved by the library, is as long as the published file."""
    preset = presets()["ade20k"]
    save_segformer(tmp_path, preset.labels, **preset.network, num_attention_heads=[1, 2, 5, 8])
    assert (tmp_path / "model.safetensors").stat().st_size == preset.weights.size


@pytest.fixture
def stored(monkeypatch, tmp_path):
    """The preset ade20k with weights of our own in a store, in the published layout and at the real size."""
    preset = presets()["ade20k"]
    network = save_segformer(tmp_path / "saved", preset.labels, **preset.network, num_attention_heads=[1, 2, 5, 8])
    monkeypatch.setenv("EIGENWALK_WEIGHTS", str(tmp_path / "store"))
    target = store.place(preset.weights)
    target.parent.mkdir(parents=True)
    shutil.copy(tmp_path / "saved" / "model.safetensors", target)
    made = replace(preset, weights=replace(preset.weights, sha256=sha256(target.read_bytes()).hexdigest()))
    monkeypatch.setattr(known, "presets", lambda: {**presets(), "ade20k": made})
    monkeypatch.setattr("eigenwalk_masks.segformer.presets", known.presets)
    return network, target


def test_a_preset_is_opened_from_the_store_and_checked(stored, images):
    network, target = stored
    projection = mask(label=("sofa",), model="ade20k")
    assert isinstance(projection, LabelMask)
    small = images[:1]
    with torch.no_grad():
        seen = F.interpolate(small, (512, 512), mode="bilinear", antialias=True)
        mean, std = (torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
        expected = network(pixel_values=(seen - mean) / std).logits
        torch.testing.assert_close(projection.segmenter.logits(small), expected, rtol=1e-4, atol=1e-4)
    assert projection.labels == (23,)
    assert not any(p.requires_grad for p in projection.segmenter.network.parameters())
    held = target.read_bytes()
    target.write_bytes(held[:-1] + bytes([held[-1] ^ 1]))
    with pytest.raises(WeightsError, match=r"(?s)damaged, or another file.*weights fetch"):
        mask(label=("sofa",), model="ade20k")


def test_missing_weights_are_reported(monkeypatch, tmp_path):
    monkeypatch.setenv("EIGENWALK_WEIGHTS", str(tmp_path))
    command = r'fetch "mask\(label=\(hair, hat\), model=faces\)"'
    with pytest.raises(WeightsError, match=rf"(?s)338\.6 MB.*not commercial.*{command}"):
        mask(label=("hair", "hat"))
    with pytest.raises(OptionError, match="no label 'sofaa' in ade20k"):  # before any file is missed
        mask(label=("sofaa",), model="ade20k")


def test_folders_of_other_networks_are_refused(segformer, tmp_path):
    def folder(name: str, **changes) -> str:
        path = tmp_path / name
        shutil.copytree(segformer, path)
        config = json.loads((path / "config.json").read_text())
        (path / "config.json").write_text(json.dumps(config | changes))
        return str(path)

    for given, error, message in [
        ("nowhere", OptionError, "no preset and no folder 'nowhere'; the presets are ade20k, faces"),
        ("ade20", OptionError, "did you mean ade20k"),
        (folder("other", model_type="beit"), FileError, "model_type 'beit': a segformer with id2label"),
        (folder("wide", hidden_sizes=[16, 16, 24, 32]), WeightsError, "does not fit .* mismatched: "),
        (folder("deep", depths=[2, 1, 1, 1]), WeightsError, "does not fit .* missing: segformer"),
        (folder("vast", hidden_sizes=[8, 16, 24, 65536]), WeightsError, "does not fit .* parameters"),
        (folder("shallow", num_encoder_blocks=3), (WeightsError, FileError), "."),
        (folder("typed", hidden_sizes="large"), FileError, "not one of a SegFormer"),
        (folder("gap", id2label={"0": "wall", "2": "sofa"}), FileError, "lacks the number '1'"),
    ]:
        with pytest.raises(error, match=message):
            mask(label=("sofa",), model=given)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(FileError, match=r"no config\.json in .*save_pretrained"):
        mask(label=("sofa",), model=str(empty))
    shutil.copy(segformer / "config.json", empty)
    with pytest.raises(FileError, match=r"model\.safetensors or pytorch_model\.bin"):
        mask(label=("sofa",), model=str(empty))
    (empty / "pytorch_model.bin").write_bytes(b"\x80\x04cos\nsystem\n")
    with pytest.raises(FileError, match="nothing of it was run"):
        mask(label=("sofa",), model=str(empty))


BIASED = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.25, 0.3, 0.35]}


@pytest.mark.parametrize(
    "settings",
    [
        {"size": {"height": 32, "width": 64}, **BIASED},
        {"do_resize": False, **BIASED},
        {"do_normalize": False},
        {"do_rescale": False, "image_mean": [120] * 3, "image_std": [60] * 3},
        {"rescale_factor": 2 / 255, "do_resize": False},
        {"resample": 3, "size": 64},
    ],
)
def test_images_are_prepared_as_transformers_does(segformer, images, tmp_path, settings):
    from transformers import SegformerImageProcessor

    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    levels = (images.clamp(0, 1) * 255).round()
    theirs = SegformerImageProcessor(**settings)(list(levels), return_tensors="pt")["pixel_values"]
    ours = Preprocessing.read(tmp_path / "preprocessor_config.json")(levels / 255)
    # transformers clips a bicubic overshoot and rounds resized bytes; half a level is 1 / 510 of an image in [0, 1].
    torch.testing.assert_close(
        ours, theirs, rtol=0, atol=0.15 if settings.get("resample") == 3 else 0.01 * float(theirs.std())
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"size": {"shortest_edge": 512}},
        {"image_mean": 0.5},
        {"image_std": [1, 1, 0]},
        {"resample": 0},
        {"image_processor_type": "ViTImageProcessor"},
        {"do_center_crop": True},
    ],
)
def test_unknown_preprocessing_is_refused(tmp_path, settings):
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    with pytest.raises(FileError, match=r"must give size as height and width|what SegformerImageProcessor does"):
        Preprocessing.read(tmp_path / "preprocessor_config.json")


def test_weights_in_pytorch_format_and_a_configuration_of_the_network_alone(segformer, tmp_path, monkeypatch):
    import transformers
    from safetensors.torch import load_file

    asked = set[str]()
    make = transformers.SegformerConfig
    monkeypatch.setattr(transformers, "SegformerConfig", lambda **entries: asked.update(entries) or make(**entries))
    config = json.loads((segformer / "config.json").read_text())
    hostile = {"attn_implementation": "author/repository", "quantization_config": {"quant_method": "awq"}}
    (tmp_path / "config.json").write_text(json.dumps(config | hostile))
    torch.save(load_file(segformer / "model.safetensors"), tmp_path / "pytorch_model.bin")
    opened = open_folder(tmp_path)
    assert asked <= {*CONFIGURATION, "id2label"}
    assert opened.preprocessing == Preprocessing()
    torch.testing.assert_close(opened.network.state_dict(), open_folder(segformer).network.state_dict())


def test_all_labels_together_are_refused(segformer):
    with pytest.raises(OptionError, match=r"are all the labels of .*: nothing is left outside"):
        mask(label=("wall", "sofa", "lamp"), model=str(segformer))


def test_without_transformers_the_error_says_what_to_install(segformer, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(OptionError, match=r'pip install "eigenwalk-masks\[labels\]"'):
        mask(label=("sofa",), model=str(segformer))
