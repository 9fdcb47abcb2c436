"""The embedding is the library's, on the crop that the library would take; which face it is, and what has none."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from facenet_pytorch import MTCNN, InceptionResnetV1, fixed_image_standardization
from facenet_pytorch.models import inception_resnet_v1
from PIL import Image
from torch.func import jvp, vjp, vmap

from eigenwalk.errors import FileError, OptionError, Undefined, WeightsError
from eigenwalk_identity.crop import Crop
from eigenwalk_identity.detector import Detector, overlap
from eigenwalk_identity.identity import Identity, identity, recogniser


def pillow(image: torch.Tensor) -> Image.Image:
    """The image ``(3, height, width)`` as a program would save it."""
    return Image.fromarray((image.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy())


def resized(images: torch.Tensor, side: int) -> torch.Tensor:
    return torch.nn.functional.interpolate(images, (side, side), mode="bilinear", antialias=True)


def two_faces(cases, left: float = 0.17, right: float = 0.13) -> torch.Tensor:
    """An image ``(3, 128, 256)`` with a face in either half, of these sizes."""
    halves = [cases.portrait(128, size=2 * left), cases.portrait(128, size=2 * right, skin=(0.5, 0.36, 0.28))]
    return torch.cat(halves, 2)


def test_the_embedding_is_the_library_s_own(weights):
    images = torch.rand(3, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    library = InceptionResnetV1(classify=True, num_classes=8)
    library.load_state_dict(torch.load(weights, weights_only=True))
    library.eval().classify = False
    feature = identity(file=str(weights), box=(0, 0, 1, 1)).at(images)
    with torch.no_grad():
        torch.testing.assert_close(feature(images), library(fixed_image_standardization(images * 255)), rtol=0, atol=0)


@pytest.mark.parametrize("side", [96, 400])
@pytest.mark.parametrize("margin", [0, 14])
def test_the_crop_is_the_one_that_mtcnn_hands_out(cases, side, margin):
    for image in resized(cases.portraits(), side):
        library = MTCNN(margin=margin, selection_method="center_weighted_size")
        theirs = library(pillow(image))
        box = library.detect(pillow(image))[0].astype("float32")
        m = margin * (box[0, 2:] - box[0, :2]) / (160 - margin) / 2
        whole = np.clip(np.concatenate([box[0, :2] - m, box[0, 2:] + m]), 0, side).astype(int)
        seen = torch.from_numpy(np.asarray(pillow(image)).copy()).permute(2, 0, 1)[None] / 255
        ours = fixed_image_standardization(Crop(torch.from_numpy(whole)[None] / side, seen, 160)(seen)[0] * 255)
        assert (ours - theirs).abs().max() <= 1.01 / 128  # Pillow rounds to whole grey levels after either pass


@pytest.mark.parametrize("side", [40, 96, 700])
def test_it_finds_the_face_that_the_library_finds(cases, side):
    library = MTCNN(min_face_size=32, selection_method="center_weighted_size")
    for image in resized(cases.portraits(), side):
        ours = Detector(0.7)(image)[0] * 256
        theirs = library.detect(pillow(resized(image[None], 256)[0]))[0][0].astype("float32")
        np.testing.assert_allclose(ours.numpy(), theirs, atol=0.01)


def test_crops_follow_their_boxes_without_jumps():
    images = torch.rand(1, 3, 40, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    starts = torch.linspace(0.1, 0.2, 2001, dtype=torch.float64)
    boxes = torch.stack([starts, starts, torch.full_like(starts, 0.7), torch.full_like(starts, 0.8)], 1)
    crops = Crop(boxes, images, 32)(images.expand(2001, -1, -1, -1))
    moves = crops.diff(dim=0).abs().amax((1, 2, 3))
    assert moves.max() < 0.01
    assert Crop(boxes, images, 32).y.sum(2) == pytest.approx(1)


def test_a_large_image_is_averaged_not_sampled():
    stripes = (torch.arange(1024) % 2).float().expand(1, 3, 1024, -1)
    crop = Crop(torch.tensor([[0.1, 0.1, 0.9, 0.9]]), stripes, 160)(stripes)
    torch.testing.assert_close(crop, torch.full_like(crop, 0.5), rtol=0, atol=0.02)


def test_derivatives(network, cases):
    images = cases.portraits()[:2].double()
    feature = Identity(network, Detector(0.7), size=80).at(images)
    v = torch.randn(images.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    u = torch.randn(2, 512, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    pushed = vmap(lambda w: jvp(feature, (images,), (w,))[1])(torch.stack([v, 2 * v]))
    pulled = vjp(feature, images)[1](u)[0]
    torch.testing.assert_close((u * pushed[0]).sum(), (pulled * v).sum())
    torch.testing.assert_close(pushed[1], 2 * pushed[0])
    with torch.no_grad():
        central = (feature(images + 1e-7 * v) - feature(images - 1e-7 * v)) / 2e-7
    torch.testing.assert_close((u * central).sum(), (u * pushed[0]).sum(), rtol=0.01, atol=0)  # it has kinks
    # a network that forward mode has seen is not broken afterwards
    torch.testing.assert_close(Identity(network, Detector(0.7), size=80)(images), feature(images))


def test_distance_is_one_minus_cosine_and_radius_its_length(network):
    feature = Identity(network, box=(0, 0, 1, 1))
    a, b = torch.nn.functional.normalize(torch.randn(2, 4, 512, dtype=torch.float64), dim=2)
    torch.testing.assert_close(feature.distance(a, b), 1 - (a * b).sum(1))
    assert float(feature.radius(0.125, a)[0]) == 0.5
    close = torch.nn.functional.normalize(a + 1e-5 * b, dim=1).float()
    assert (feature.distance(a.float(), close) > 0).all()  # 1 - a float cosine would be 0, or less


def test_the_largest_face_near_the_middle_comes_first(cases):
    boxes = Detector(0.7)(two_faces(cases))
    assert len(boxes) == 2
    assert boxes[0, 2] < 0.5 < boxes[1, 0]
    assert Detector(0.7)(two_faces(cases, left=0.12, right=0.17))[0, 0] > 0.5


def test_a_walk_stays_with_its_face(network, cases):
    feature = Identity(network, Detector(0.7), size=80)
    start = two_faces(cases)[None]
    grown = two_faces(cases, left=0.12, right=0.17)[None]
    first = feature.at(start)
    assert feature.at(grown).remembered[0][0, 0] > 0.5
    assert feature.follow(grown, first.remembered).remembered[0][0, 2] < 0.5


def test_without_its_face_a_row_is_undefined(network, cases):
    feature = Identity(network, Detector(0.7), size=80)
    images = cases.portraits()
    images[1] = 0.4
    with pytest.raises(Undefined, match=r"no face .*0\.7 or more.*box=\(") as told:
        feature.at(images)
    assert told.value.rows == (1,)
    alone = cases.portrait(128, size=0.34)
    right = torch.cat([torch.full_like(alone, 0.5), alone], 2)[None]
    left = feature.at(torch.cat([alone, torch.full_like(alone, 0.5)], 2)[None])
    with pytest.raises(Undefined, match="no face where it was at the waypoint before"):
        feature.follow(right, left.remembered)


def test_a_box_needs_no_face(network):
    flat = torch.full((2, 3, 32, 32), 0.5)
    feature = Identity(network, box=(0.1, 0.1, 0.9, 0.9))
    assert feature.memories == 0
    assert feature.at(flat)(flat).norm(dim=1) == pytest.approx(1)
    with pytest.raises(Undefined, match="less than 2 of 32 x 32 pixels") as told:
        Identity(network, box=(0.5, 0, 0.55, 1)).at(flat)
    assert told.value.rows == (0, 1)


def test_one_image_s_face_is_the_same_in_any_company(network, cases):
    feature, images = Identity(network, Detector(0.7), size=80), cases.portraits()
    with torch.no_grad():
        together, alone = feature.at(images), feature.at(images[1:2])
        assert torch.equal(together.remembered[0][1:2], alone.remembered[0])
        torch.testing.assert_close(together(images)[1:2], alone(images[1:2]), rtol=0, atol=1e-5)
        rounded = images.bfloat16()
        half, single = feature.at(rounded)(rounded), feature.at(rounded.float())(rounded.float())
        torch.testing.assert_close(half, single.bfloat16(), rtol=0, atol=1e-3)
    assert not any(p.requires_grad for p in feature.network.parameters())


def test_a_crop_made_in_inference_mode_can_be_differentiated(network, cases):
    images = cases.portraits()[:1]
    with torch.inference_mode():
        feature = Identity(network, Detector(0.7), size=80).at(images)
    feature(images.clone().requires_grad_()).sum().backward()


def test_overlap():
    boxes = torch.tensor([[0, 0, 1, 1], [0.5, 0, 1.5, 1], [2, 2, 3, 3]], dtype=torch.float32)
    assert overlap(boxes, boxes[0]).tolist() == pytest.approx([1, 1 / 3, 0])


def test_building_it_leaves_the_random_state_and_asks_for_no_download(weights, monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("facenet-pytorch's own download was called")

    monkeypatch.setattr(inception_resnet_v1, "download_url_to_file", refuse)
    before = torch.get_rng_state()
    identity(file=str(weights))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"box": (0, 0, 1)}, "four numbers"),
        ({"box": (0, 0, 160, 160)}, "from 0 to 1"),
        ({"box": (0.5, 0, 0.5, 1)}, "is empty"),
        ({"size": 64}, "from 80"),
        ({"margin": -1}, "margin"),
        ({"margin": 100}, "half the crop's size, 80 pixels"),
        ({"least": 1}, "between 0 and 1"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(OptionError, match=message):
        identity(file="never-opened.pt", **options)


def test_files_that_are_no_recogniser(tmp_path, network):
    with pytest.raises(FileError, match="there is no file"):
        identity(file=str(tmp_path / "none.pt"))
    state = network.state_dict()
    del state["last_bn.bias"]
    torch.save(state | {"extra": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(WeightsError, match=r"missing: last_bn\.bias; unexpected: extra"):
        recogniser(tmp_path / "other.pt")


def test_the_radius_turns_a_tolerance_into_a_length(network):
    values = torch.nn.functional.normalize(torch.randn(3, 512, dtype=torch.float64), dim=1)
    feature = Identity(network, box=(0, 0, 1, 1))
    other = torch.nn.functional.normalize(torch.randn(3, 512, dtype=torch.float64), dim=1)
    lengths = (values - other).norm(dim=1)
    for row, t in enumerate(feature.distance(values, other)):
        assert float(feature.radius(float(t), values)[row]) == pytest.approx(float(lengths[row]))
        assert float(lengths[row]) == pytest.approx(math.sqrt(2 * float(t)))
