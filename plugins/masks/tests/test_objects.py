"""Masks of objects: against segment-anything's own predictor, and following an object as it moves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from eigenwalk.errors import FileError, OptionError, Undefined, WeightsError
from eigenwalk_masks.mask import mask
from eigenwalk_masks.objects import MIN_OVERLAP, ObjectMask, Prompt, overlaps, prompt_of
from eigenwalk_masks.position import position
from eigenwalk_masks.sam import Candidates, SegmentAnything

from .cases import small_sam


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    torch.manual_seed(0)
    return F.interpolate(torch.rand(3, 3, 6, 6), (48, 64), mode="bicubic")


@pytest.fixture(scope="module")
def there(sam_file) -> ObjectMask:
    """The object at a point."""
    return objects(sam="vit_small", weights=str(sam_file), point=(0.5, 0.6))


def objects(**options: Any) -> ObjectMask:
    """What the factory makes of the options."""
    made = mask(**options)
    assert isinstance(made, ObjectMask)
    return made


class Encodings:
    """Counts the runs of an encoder, and the images in each."""

    def __init__(self, network: SegmentAnything):
        self.batches: list[int] = []
        network.sam.image_encoder.register_forward_pre_hook(lambda _, args: self.batches.append(len(args[0])))


@pytest.mark.parametrize("prompt", [{"point": (0.3, 0.7)}, {"box": (0.2, 0.1, 0.7, 0.9)}])
def test_the_mask_equals_that_of_segment_anythings_predictor(sam_file, images, prompt):
    from segment_anything import SamPredictor

    ours = objects(sam="vit_small", weights=str(sam_file), **prompt)
    sam = small_sam()
    sam.load_state_dict(torch.load(sam_file, weights_only=True))
    predictor = SamPredictor(sam)
    image = images[0].clamp(0, 1)
    resized = F.interpolate(image[None] * 255, (96, 128), mode="bilinear", antialias=True)
    predictor.set_torch_image(resized, (48, 64))
    # It takes indices of pixels of the image, and moves what it resized by half a pixel.
    at = (np.array(next(iter(prompt.values()))).reshape(-1, 2) * [128, 96] - 0.5) / 2
    given = {"point_coords": at, "point_labels": np.ones(1)} if "point" in prompt else {"box": at.reshape(4)}
    masks, quality, logits = predictor.predict(**given, multimask_output=True, return_logits=True)
    best = int(quality.argmax())
    frozen = ours.at(image[None])
    torch.testing.assert_close(frozen.remembered[0][0], torch.from_numpy(logits[best]), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(frozen.frozen[0, 0], torch.from_numpy(masks[best]).sigmoid(), rtol=1e-3, atol=1e-4)


def test_every_image_is_encoded_once_by_itself(sam_file, images):
    ours = objects(sam="vit_small", weights=str(sam_file), point=(0.5, 0.6))
    counted = Encodings(ours.network)
    frozen = ours.at(images)
    assert counted.batches == [1, 1, 1]
    frozen(images + 0.1)
    ours.complement().at(images)
    frozen.coverage(images)
    position(ours).at(images)(images)
    assert counted.batches == [1, 1, 1]
    ours.follow(images + 0.01, frozen.remembered)
    assert len(counted.batches) == 6


def test_masks_have_no_gradient_and_the_image_has(there, images):
    x = images.double().requires_grad_()
    frozen = there.at(x)
    assert frozen(x).requires_grad
    assert frozen(x).dtype == torch.float64
    assert not frozen.coverage(x).requires_grad
    assert not position(there).at(images).differentiable
    torch.testing.assert_close(frozen(x) + frozen.complement()(x), x)
    torch.testing.assert_close(there.complement().at(x)(x), frozen.complement()(x))
    again = there.at(images.double())
    torch.testing.assert_close(again.frozen, frozen.frozen, rtol=0, atol=0)
    torch.testing.assert_close(there.at(images[1:]).frozen, there.at(images).frozen[1:], rtol=0, atol=1e-6)


def test_following_uses_the_previous_mask_as_prompt(there, images, monkeypatch):
    first = there.at(images)
    asked = []
    masks = SegmentAnything.masks

    def noting(self, image, point=None, box=None, logits=None):
        asked.append((point, box, logits))
        return masks(self, image, point, box, logits)

    monkeypatch.setattr(SegmentAnything, "masks", noting)
    second = there.follow(images + 0.02, first.remembered)
    for row, (point, box, logits) in enumerate(asked):
        inside = there.network.cropped(first.remembered[0][row], images) > 0
        height, width = inside.shape
        x, y = point[0].tolist()
        assert inside[int(y * height), int(x * width)]
        ys, xs = inside.nonzero().unbind(1)
        sides = [xs.min() / width, ys.min() / height, (xs.max() + 1) / width, (ys.max() + 1) / height]
        assert box[0].tolist() == pytest.approx([float(side) for side in sides])
        torch.testing.assert_close(logits[0], first.remembered[0][row])
    now, then = (there.network.cropped(one.remembered[0], images).sigmoid() for one in (second, first))
    shares = [overlaps(now[row : row + 1], then[row])[0] for row in range(3)]
    assert min(map(float, shares)) > MIN_OVERLAP
    assert len(second.remembered) == there.memories == 1
    # Its coverage near these images is found in the same way.
    torch.testing.assert_close(second.coverage(images + 0.02), second.frozen)


def test_the_candidate_that_overlaps_most_is_the_object(there, images, monkeypatch):
    def blob(x: int, y: int) -> torch.Tensor:
        logits = torch.full((32, 32), -20.0)
        logits[y : y + 8, x : x + 8] = 20
        return logits

    def found(*blobs: torch.Tensor):
        return lambda *_, **__: Candidates(torch.stack(blobs), torch.tensor([0.1, 0.2, 0.9]))

    before = blob(4, 4)[None]
    monkeypatch.setattr(there.network, "masks", found(blob(20, 8), blob(6, 5), blob(14, 12)), raising=True)
    followed = there.follow(images[:1], (before,))
    torch.testing.assert_close(followed.remembered[0][0], blob(6, 5))
    first = there.at(images[:1])
    torch.testing.assert_close(first.remembered[0][0], blob(14, 12))  # at first, of the highest predicted IoU
    monkeypatch.setattr(there.network, "masks", found(blob(20, 8), blob(12, 4), blob(4, 13)), raising=True)
    with pytest.raises(Undefined, match="the object is lost: nothing overlaps where it was by more than 0%") as caught:
        there.follow(images, (before.expand(3, -1, -1),))
    assert caught.value.rows == (0, 1, 2)


def test_kept_for_good_it_is_the_first_mask(sam_file, images):
    ours = objects(sam="vit_small", weights=str(sam_file), point=(0.5, 0.6), follow=False)
    counted = Encodings(ours.network)
    first = ours.at(images)
    later = ours.follow(images.flip(0), first.remembered)
    torch.testing.assert_close(later.frozen, first.frozen)
    torch.testing.assert_close(later.coverage(images), first.frozen)
    assert len(counted.batches) == 3


def test_a_point_lies_inside_even_of_a_ring():
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(60.0), indexing="ij")
    radius = ((x - 25) ** 2 + (y - 18) ** 2).sqrt()
    ring = ((radius > 9) & (radius < 15)).float()
    point, box = prompt_of(ring)
    assert ring[int(point[1] * 40), int(point[0] * 60)] == 1
    assert box.tolist() == pytest.approx([11 / 60, 4 / 40, 40 / 60, 33 / 40])
    disc = (radius < 15).float()
    point, _ = prompt_of(disc)
    assert point.tolist() == pytest.approx([25.5 / 60, 18.5 / 40], abs=0.08)
    with pytest.raises(Undefined, match="had faded"):
        prompt_of(ring / 3)


def test_candidates_are_filtered_by_quality_and_sorted_by_size(sam_file, images, monkeypatch):
    network = objects(sam="vit_small", weights=str(sam_file), everything=0).network
    logits = torch.full((7, 32, 32), -20.0)
    for i, (x0, y0, x1, y1) in enumerate(
        [(2, 2, 8, 8), (10, 2, 30, 20), (2, 2, 8, 9), (0, 12, 9, 22), (12, 4, 20, 9), (3, 3, 5, 5), (0, 25, 32, 32)]
    ):
        logits[i, y0:y1, x0:x1] = 20
    logits[3, 12:22, :9] = 0.5  # not stable: its edge is anywhere
    quality = torch.tensor([0.95, 0.9, 0.9, 0.99, 0.5, 0.92, 0.99])  # 2 is 0 again, 4 is bad, 6 lies in the padding
    calls = []

    def masks(image, point):
        calls.append(len(point))
        return Candidates(logits, quality) if len(calls) == 1 else Candidates(logits[:0], quality[:0])

    monkeypatch.setattr(network, "masks", masks)
    found = network.everything(images[0])
    assert sum(calls) == 16 * 16
    torch.testing.assert_close(found.logits, logits[[1, 0, 5]])
    ours = ObjectMask(network, Prompt(everything=1))
    calls.clear()
    torch.testing.assert_close(ours.at(images[:1]).remembered[0][0], logits[0])
    calls.clear()
    with pytest.raises(Undefined, match="everything in the image is 3 objects, none of number 3"):
        ObjectMask(network, Prompt(everything=3)).at(images[:1])


def test_candidates_of_the_real_decoder_are_found(sam_file, images):
    frozen = objects(sam="vit_small", weights=str(sam_file), everything=0).at(images[:1])
    assert 0.01 < float((frozen.frozen > 0.5).float().mean()) < 0.99


def test_erode_and_feather_change_the_edge_of_a_mask(sam_file, images, monkeypatch):
    logits = torch.full((1, 32, 32), -20.0)
    logits[0, 8:16, 8:24] = 20
    monkeypatch.setattr(SegmentAnything, "masks", lambda *_, **__: Candidates(logits, torch.ones(1)))
    plain, shrunk, soft = (
        objects(sam="vit_small", weights=str(sam_file), point=(0.5, 0.6), **edge).at(images).frozen[0, 0]
        for edge in ({}, {"erode": 2}, {"feather": 6})
    )
    assert [int((m > 0.5).sum()) for m in (plain, shrunk)] == [16 * 32, 12 * 28]
    assert plain[24, 9] < 0.01 < soft[24, 13]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"sam": "vit_b"}, OptionError, "needs one prompt, .* got none"),
        ({"sam": "vit_b", "point": (0.5, 0.5), "everything": 0}, OptionError, "got point and everything"),
        ({"sam": "vit_b", "point": (32, 32)}, OptionError, r"point must be two numbers \(x, y\) from 0 to 1"),
        ({"sam": "vit_b", "box": (0.5, 0.5, 0.2, 0.7)}, OptionError, "is empty"),
        ({"sam": "vit_b", "everything": -1}, OptionError, "counts objects from 0"),
        ({"sam": "vitb", "point": (0.5, 0.5)}, OptionError, "no network 'vitb': did you mean vit_b"),
        ({"sam": "vit_small", "point": (0.5, 0.5)}, OptionError, "nobody published weights for sam=vit_small"),
        ({"sam": "vit_b", "point": (0.5, 0.5)}, WeightsError, r'(?s)375\.0 MB, licence: Apache.*"mask\(sam=vit_b\)"'),
        ({"sam": "vit_b", "point": (0.5, 0.5), "weights": "none.pth"}, FileError, "no file .none.pth"),
    ],
)
def test_wrong_options_are_refused(sam_file, monkeypatch, tmp_path, options, error, message):
    monkeypatch.setenv("EIGENWALK_WEIGHTS", str(tmp_path))
    with pytest.raises(error, match=message):
        mask(**options)


def test_weights_of_another_network_are_refused(sam_file, tmp_path):
    torch.save({"pixel_mean": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match=r"other\.pth, .* sam=vit_small, does not fit Sam: missing: image_"):
        objects(sam="vit_small", weights=str(tmp_path / "other.pth"), point=(0.5, 0.5))


def test_without_segment_anything_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "segment_anything", None)
    with pytest.raises(OptionError, match=r'pip install "eigenwalk-masks\[sam\]"'):
        objects(sam="vit_b", point=(0.5, 0.5))


def test_the_published_network_gives_a_file_of_the_published_size():
    """The published file is exactly the state dict of vit_b as the registry builds it."""
    from segment_anything import sam_model_registry

    with torch.device("meta"):
        sam = sam_model_registry["vit_b"]()
    size = sum(4 * one.numel() for one in sam.state_dict().values())
    assert 0 < 375_042_383 - size < 300_000  # names, and the padding of archives
    assert (sam.image_encoder.img_size, sam.prompt_encoder.mask_input_size[0]) == (1024, 256)


def test_a_point_without_a_network_is_refused():
    with pytest.raises(OptionError, match="sam=vit_b"):
        mask(point=(0.5, 0.5))
