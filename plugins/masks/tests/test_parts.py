"""Parts of a face and people: areas, what follows what, and files that are others'."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.func import jvp, vmap

from eigenwalk.errors import OptionError, Undefined, WeightsError
from eigenwalk.feature import chain
from eigenwalk_face.parts import mesh_weights
from eigenwalk_face.portraits import portraits
from eigenwalk_face.tflite.writer import write_mesh
from eigenwalk_masks.mask import mask
from eigenwalk_masks.plugin import eigenwalk_features
from eigenwalk_masks.polygons import cover
from eigenwalk_masks.position import position
from eigenwalk_masks.presets import part_weights

from .cases import write_person

BOX = (0.1, 0.1, 0.9, 0.95)
PENTAGON = torch.tensor([[[3.2, 2.1], [12.7, 4.4], [14.3, 9.9], [8.1, 13.6], [2.5, 8.0]]], dtype=torch.float64)


@pytest.fixture(scope="module")
def mesh(tmp_path_factory) -> str:
    """A face mesh that draws nearly the same face into each crop."""
    return str(write_mesh(tmp_path_factory.mktemp("mesh") / "mesh.tflite"))


def shoelace(corners: torch.Tensor) -> torch.Tensor:
    """The area of one polygon ``(1, k, 2)``."""
    (x, y), (u, v) = corners[0].unbind(1), corners[0].roll(-1, 0).unbind(1)
    return ((x * v - u * y).sum() / 2).abs()


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (4, 3, 2, 1, 0)])
def test_the_covered_area_is_the_polygon_s_and_so_is_its_derivative(order):
    def covered(corners):
        return cover(corners, [order], 16, 18).sum()

    assert covered(PENTAGON).item() == pytest.approx(shoelace(PENTAGON).item(), rel=0.002)
    move = torch.sin(torch.arange(10.0, dtype=torch.float64)).view(1, 5, 2)
    found, expected = (jvp(function, (PENTAGON,), (move,))[1] for function in (covered, shoelace))
    assert found.item() == pytest.approx(expected.item(), rel=0.05)


def test_a_pixel_is_covered_inside_and_not_outside():
    found = cover(PENTAGON, [(0, 1, 2, 3, 4)], 16, 18)[0, 0]
    assert found[8, 8] == pytest.approx(1) and found[6:8, 6:11].min() == pytest.approx(1)
    assert found[1].max() == 0 and found[:, :2].max() == 0 and found[12, 14] == 0
    assert 0.3 < found[7, 2] < 0.6  # an edge cuts it


def test_large_images_get_the_same_shape(mesh):
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    large = torch.nn.functional.interpolate(images, (448, 448), mode="bilinear")
    oval = mask(face="oval", weights=mesh, box=BOX)
    found, enlarged = (position(oval).at(one)(one) for one in (images, large))
    torch.testing.assert_close(found, enlarged, rtol=0, atol=0.01)


def test_lips_are_the_mouth_without_what_it_shows_and_parts_join(mesh):
    images = portraits()
    lips, mouth, eyes, both = (
        mask(face=face, weights=mesh, box=BOX).coverage(images) for face in ("lips", "mouth", "eyes", ("lips", "eyes"))
    )
    assert (lips <= mouth + 1e-6).all() and lips.sum() < 0.8 * mouth.sum()
    torch.testing.assert_close(both, lips + eyes)


def test_masks_move_with_the_image_and_stand_still_where_frozen(mesh):
    images = portraits()[:1].double()
    eyes = mask(face="eyes", weights=mesh, box=BOX)
    frozen = eyes.at(images)
    other = images.flip(3)
    torch.testing.assert_close(frozen(other), other * eyes.coverage(images))
    where = position(eyes).at(images)
    tangents = torch.randn(2, *images.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    moved = vmap(lambda v: jvp(where, (images,), (v,))[1])(tangents)
    step = 1e-5
    expected = torch.stack([where(images + step * v) - where(images - step * v) for v in tangents]) / (2 * step)
    assert moved.abs().max() > 1e-6
    torch.testing.assert_close(moved, expected, rtol=1e-3, atol=1e-8)


def test_the_same_face_is_followed_and_the_first_mask_is_kept_if_asked(mesh):
    images = portraits()
    oval = mask(face="oval", weights=mesh)
    first = oval.at(images)
    elsewhere = images.clone()
    elsewhere[1] = 0.4
    with pytest.raises(Undefined, match="no face where it was") as caught:
        oval.follow(elsewhere, first.remembered)
    assert caught.value.rows == (1,)
    kept = mask(face="oval", weights=mesh, follow=False)
    again = kept.follow(elsewhere, kept.at(images).remembered)
    torch.testing.assert_close(again.coverage(elsewhere), first.coverage(images))


def test_a_person_is_where_the_network_says(tmp_path):
    images = torch.full((2, 3, 40, 40), 0.1)
    images[:, :, 10:30, 10:30] = 0.9
    person = mask(person=True, weights=str(write_person(tmp_path / "person.tflite")))
    coverage = person.at(images).coverage(images)
    assert coverage[0, 0, 20, 20] > 0.9 and coverage[0, 0, 2, 2] < 0.1
    assert position(person).at(images)(images)[0].tolist() == pytest.approx([0.5, 0.5, 0.5, 0.5], abs=0.05)
    with pytest.raises(Undefined, match="covers less") as caught:
        person.at(images * torch.tensor([1.0, 0.0])[:, None, None, None])
    assert caught.value.rows == (1,)


def test_hair_is_a_person_without_the_oval_and_above_the_chin(tmp_path, mesh):
    images = portraits()
    person = mask(person=True, weights=str(write_person(tmp_path / "person.tflite")))
    oval = mask(face="oval", weights=mesh, box=BOX)
    hair = chain(person, oval.complement()).at(images)
    expected = person.coverage(images) * (1 - oval.coverage(images * person.coverage(images)))
    torch.testing.assert_close(hair.coverage(images), expected)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"face": "lip"}, "no part 'lip' of a face: did you mean lips"),
        ({"face": "ears"}, "they are eyes, brows, nose, lips, mouth, oval"),
        ({"face": ()}, "face names nothing"),
        ({"face": "lips", "person": True}, "got face and person"),
        ({"box": "ffhq"}, r"mask\(face=oval, box=ffhq\)"),
        ({"face": "lips", "box": "celeba"}, "ffhq or four numbers"),
        ({"face": "lips", "model": "faces"}, "model of mask goes with label"),
        ({"box": BOX, "weights": "x.pth"}, "weights of mask goes with"),
    ],
)
def test_wrong_options(options, message, mesh):
    if "face" in options:
        options = {"weights": mesh} | options
    with pytest.raises(OptionError, match=message):
        mask(**options)


def test_what_is_not_fetched_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("EIGENWALK_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsError, match=r"weights fetch .mask\(face=brows\)"):
        mask(face="brows")
    with pytest.raises(WeightsError, match=r"weights fetch .mask\(person=true\)"):
        mask(person=True)


def test_the_files_that_are_needed():
    (spec,) = (spec for spec in eigenwalk_features() if spec.name == "mask")

    def files(**options):
        return [one.file for one in spec.needed(options)]

    assert files(face=("eyes", "nose")) == ["face/face_landmark.tflite"]
    assert files(person=True) == ["masks/selfie_segmentation.tflite"]
    assert files(person=True, weights="x.tflite") == files(face="eyes", weights="x.tflite") == files(box=BOX) == []


def test_the_mesh_is_the_one_that_landmarks_read():
    ours, theirs = part_weights()["face"], replace(mesh_weights(("face", "lips")), unless="weights")
    assert ours == theirs
