"""Detector and crop: as facenet-pytorch finds and cuts faces, exact in fractions of pixels, one face followed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from facenet_pytorch import MTCNN, fixed_image_standardization
from PIL import Image

from eigenwalk.errors import OptionError, Undefined
from eigenwalk_face.crop import Crop
from eigenwalk_face.detector import Detector, detector_unless, overlap
from eigenwalk_face.portraits import portrait, portraits


@pytest.fixture(scope="module")
def detector() -> Detector:
    """The detector with its default threshold."""
    before = torch.get_rng_state()
    made = Detector(0.7)
    assert torch.equal(before, torch.get_rng_state())
    return made


def pillow(image: torch.Tensor) -> Image.Image:
    """The image ``(3, height, width)`` as a program would save it."""
    return Image.fromarray((image.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy())


def resized(images: torch.Tensor, side: int) -> torch.Tensor:
    return torch.nn.functional.interpolate(images, (side, side), mode="bilinear", antialias=True)


def two_faces(left: float = 0.17, right: float = 0.13, skin: Sequence[float] = (0.5, 0.36, 0.28)) -> torch.Tensor:
    """An image ``(3, 128, 256)`` with a face in either half, of these sizes."""
    return torch.cat([portrait(128, size=2 * left), portrait(128, size=2 * right, skin=skin)], 2)


@pytest.mark.parametrize("side", [40, 96, 700])
def test_the_detector_finds_the_librarys_face(detector, side):
    library = MTCNN(min_face_size=32, selection_method="center_weighted_size")
    for image in resized(portraits(), side):
        theirs = library.detect(pillow(resized(image[None], 256)[0]))[0][0].astype("float32")
        np.testing.assert_allclose(detector(image)[0].numpy() * 256, theirs, atol=0.01)


@pytest.mark.parametrize(("side", "margin"), [(96, 0), (400, 14)])
def test_the_crop_equals_mtcnns(side, margin):
    library = MTCNN(margin=margin, selection_method="center_weighted_size")
    for image in resized(portraits(), side):
        theirs = library(pillow(image))
        box = library.detect(pillow(image))[0].astype("float32")
        m = margin * (box[0, 2:] - box[0, :2]) / (160 - margin) / 2
        whole = np.clip(np.concatenate([box[0, :2] - m, box[0, 2:] + m]), 0, side).astype(int)
        seen = torch.from_numpy(np.asarray(pillow(image)).copy()).permute(2, 0, 1)[None] / 255
        ours = fixed_image_standardization(Crop(torch.from_numpy(whole)[None], seen, 160, cut=True)(seen)[0] * 255)
        assert (ours - theirs).abs().max() <= 1.01 / 128  # Pillow rounds to whole grey levels after either pass


def test_crops_follow_their_boxes_without_jumps():
    images = torch.rand(1, 3, 40, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    starts = torch.linspace(4, 10, 2001, dtype=torch.float64)
    boxes = torch.stack([starts, starts, torch.full_like(starts, 35), torch.full_like(starts, 32)], 1)
    crop = Crop(boxes, images, 32, cut=True)
    assert crop(images.expand(2001, -1, -1, -1)).diff(dim=0).abs().max() < 0.01
    assert crop.y.sum(2) == pytest.approx(1)


def test_a_large_image_is_averaged_when_reduced():
    stripes = (torch.arange(1024) % 2).float().expand(1, 3, 1024, -1)
    crop = Crop(torch.tensor([[102.4, 102.4, 921.6, 921.6]]), stripes, 160)(stripes)
    torch.testing.assert_close(crop, torch.full_like(crop, 0.5), rtol=0, atol=0.02)


def test_an_uncut_crop_is_black_beyond_the_image():
    white = torch.ones(1, 3, 20, 30, dtype=torch.float64)
    crop = Crop(torch.tensor([[-10.0, 5.0, 10.0, 25.0]]), white, 40)
    seen = crop(white)[0, 0]
    assert seen[:, :18].max() == 0 and seen[32:].max() == 0
    torch.testing.assert_close(seen[2:28, 22:], torch.ones(26, 18, dtype=torch.float64))
    torch.testing.assert_close(crop.outward(torch.tensor([[[0.5, 1.0]]])), torch.tensor([[[0.0, 25.0]]]))


def test_the_largest_face_near_the_middle_comes_first_and_is_followed(detector):
    start, grown = two_faces(), two_faces(left=0.12, right=0.17)
    first = detector.follow(start[None], None, "x")
    assert len(detector(start)) == 2 and first[0, 2] < 0.5
    assert detector(grown)[0, 0] > 0.5
    assert detector.follow(grown[None], first, "x")[0, 2] < 0.5
    grown[..., :128] = 0.5
    with pytest.raises(Undefined, match="x: MTCNN finds no face where it was at the waypoint before"):
        detector.follow(grown[None], first, "x")


def test_without_a_face_a_row_is_undefined(detector):
    images = portraits()
    images[1] = 0.4
    with pytest.raises(Undefined, match=r"x: MTCNN finds no face .*0\.7 or more.*x\(box=\(") as caught:
        detector.follow(images, None, "x")
    assert caught.value.rows == (1,)


def test_overlap_is_intersection_over_union():
    boxes = torch.tensor([[0, 0, 1, 1], [0.5, 0, 1.5, 1], [2, 2, 3, 3]], dtype=torch.float32)
    assert overlap(boxes, boxes[0]).tolist() == pytest.approx([1, 1 / 3, 0])


def test_a_wrong_probability_is_refused_beside_a_fixed_box():
    assert detector_unless((0.2, 0.1, 0.8, 0.9), 0.7) is None
    with pytest.raises(OptionError, match="least must be a probability"):
        detector_unless((0.2, 0.1, 0.8, 0.9), 7)
