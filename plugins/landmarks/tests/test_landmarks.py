"""Five landmarks: where they are, what they are measured in, and whose they are."""

from __future__ import annotations

import math

import pytest
import torch
from facenet_pytorch import MTCNN

from eigenwalk.errors import OptionError, Undefined
from eigenwalk_face.faces import FFHQ_FACE
from eigenwalk_face.portraits import portrait, portraits
from eigenwalk_landmarks.landmarks import bookstein, landmarks


def moved(points: torch.Tensor) -> torch.Tensor:
    """The points ``(k, 2)`` turned, enlarged and pushed aside."""
    turn = torch.tensor([[math.cos(0.3), -math.sin(0.3)], [math.sin(0.3), math.cos(0.3)]])
    return 1.7 * points @ turn.T + torch.tensor([0.4, -2.0])


def test_points_lie_on_the_features_of_the_face():
    image = portrait(128, x=0.45, y=0.48, size=0.25)[None]
    points = landmarks().at(image)(image)[0]
    drawn = torch.tensor([[-0.4, -0.1], [0.4, -0.1], [0, 0.3], [-0.36, 0.68], [0.36, 0.68]])
    expected = torch.tensor([0.45, 0.48]) + 0.25 * drawn
    assert (points - expected).norm(dim=1).max() < 0.15 * 0.8 * 0.25  # of the distance between the eyes


def test_points_equal_mtcnns_apart_from_its_crop():
    for image in torch.nn.functional.interpolate(portraits(), (256, 256), mode="bilinear"):
        library = MTCNN(min_face_size=32)
        found = library.detect((image.clamp(0, 1) * 255).round().permute(1, 2, 0), landmarks=True)
        theirs = torch.from_numpy(found[2][0].astype("float32")) / 256  # type: ignore[index]
        feature = landmarks().at(image[None])
        ours = feature(image[None])
        assert float(feature.distance(ours, theirs[None])) < 0.05


def test_a_shift_is_a_distance_in_interocular_distances():
    images = portraits()
    feature = landmarks().at(images)
    points = feature(images)
    between = (points[:, 1] - points[:, 0]).norm(dim=1)
    shifted = points + torch.stack([0.1 * between, torch.zeros(3)], 1)[:, None]
    assert feature.distance(points, shifted) == pytest.approx(0.1, rel=1e-4)
    assert feature.radius(0.1, points).numpy() == pytest.approx((shifted - points).flatten(1).norm(dim=1), rel=1e-4)


def test_points_move_with_the_face():
    near, far = (portrait(128, x=x)[None] for x in (0.5, 0.56))
    shift = landmarks().at(far)(far) - landmarks().at(near)(near)
    assert shift[..., 0].mean() == pytest.approx(0.06, abs=0.01)
    assert shift[..., 1].mean() == pytest.approx(0, abs=0.01)


def test_aligned_shapes_do_not_depend_on_place_size_and_tilt():
    points = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    shape = bookstein(points[None], points[None, 0], points[None, 1])
    torch.testing.assert_close(shape[0, :2], torch.tensor([[-0.5, 0], [0.5, 0]]))
    other = moved(points)
    torch.testing.assert_close(bookstein(other[None], other[None, 0], other[None, 1]), shape, rtol=0, atol=1e-5)


def test_aligned_faces_of_one_shape_are_close():
    feature = landmarks(points=("nose", "mouth"), aligned=True)
    images = torch.stack([portrait(128), portrait(128, x=0.42, y=0.46, size=0.24)])
    frozen = feature.at(images)
    shapes = frozen(images)
    assert shapes.shape == (2, 3, 2)
    assert float(frozen.distance(shapes[:1], shapes[1:])) < 0.1
    assert frozen.radius(0.5, shapes[:1]).item() == pytest.approx(0.5 * 3**0.5)


def test_groups_are_parts_of_the_whole():
    images = portraits()
    whole = landmarks().at(images)(images)
    torch.testing.assert_close(landmarks(points="mouth").at(images)(images), whole[:, 3:])
    torch.testing.assert_close(landmarks(points=("nose", "eyes")).at(images)(images), whole[:, [2, 0, 1]])


def test_a_face_is_remembered_and_followed():
    images, feature = portraits(), landmarks()
    first = feature.at(images)
    assert feature.memories == len(first.remembered) == 1
    elsewhere = images.roll(1, 0)
    elsewhere[2] = 0.4
    with pytest.raises(Undefined, match="no face where it was") as caught:
        feature.follow(elsewhere, first.remembered)
    assert caught.value.rows == (2,)


def test_a_box_needs_no_detector():
    images = portraits()[:1]
    feature = landmarks(box=(0.2, 0.15, 0.8, 0.9))
    assert feature.memories == 0 and feature.at(images).remembered == ()
    torch.testing.assert_close(feature.at(images)(images), landmarks().at(images)(images), rtol=0, atol=0.03)


def test_an_aligned_image_has_its_face_where_all_of_them_have():
    assert landmarks(box="ffhq").box == FFHQ_FACE


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"points": ("eyes", "brows")},
            r"has no 'brows' \(model=fan or model=mesh has it\); points: eyes, nose, mouth",
        ),
        ({"points": ("ears",)}, "has no 'ears'; points"),
        ({"points": ("eyes", "eyes")}, "each group once"),
        ({"points": ()}, "each group once"),
        ({"points": "eyes", "aligned": True}, "take more points"),
        ({"file": "fan.pt"}, "model=fan, file="),
        ({"box": "celeba"}, "ffhq or four numbers"),
        ({"box": (0, 0, 2, 1)}, "from 0 to 1"),
        ({"box": (0, 1, 1, 0)}, "is empty"),
        ({"least": 0}, "between 0 and 1"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(OptionError, match=message):
        landmarks(**options)
