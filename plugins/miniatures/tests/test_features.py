"""Parts, factors and identity: what they measure, what they freeze, what they refuse."""

from __future__ import annotations

import pytest
import torch

from eigenwalk.errors import OptionError, Undefined
from eigenwalk_miniatures import load, parts, reading
from eigenwalk_miniatures.identity import faces as identity

from .conftest import Seen


def test_the_mask_is_frozen_row_by_row(rooms: Seen) -> None:
    images = rooms.samples[:2]
    sofa, ones = parts.rooms(part=("sofa",)).at(images), torch.ones_like(images)
    torch.testing.assert_close(sofa(ones)[1], parts.rooms(part=("sofa",)).at(images[1:])(ones[1:])[0])
    assert sofa.at(rooms.samples[2:4]) is sofa


def test_several_parts_add_up(rooms: Seen) -> None:
    named = (("sofa",), ("cushion",), ("sofa", "cushion"))
    one, two, both = (parts.rooms(part=names).masks(rooms.samples[:3]) for names in named)
    torch.testing.assert_close(both, one + two)


def test_distance_does_not_depend_on_the_area(rooms: Seen) -> None:
    images = rooms.images[:3]
    for name in ("sofa", "picture"):
        part = parts.rooms(part=(name,)).at(images)
        a, b = part(images), part(images + 0.1)
        torch.testing.assert_close(part.distance(a, b), torch.full((3,), 0.1))
        torch.testing.assert_close(part.radius(0.1, a), (a - b).flatten(1).norm(dim=1))


def test_an_image_without_the_part_is_undefined(rooms: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    segmented = rooms.masks[:3].clone()
    segmented[1, rooms.world.parts.index("cushion")] *= 0.4
    cushion = parts.rooms(part=("cushion",))
    monkeypatch.setattr(cushion.segmenter, "masks", lambda pictures: segmented)
    with pytest.raises(Undefined, match=r"rooms.part\(cushion\): the segmenter finds none") as caught:
        cushion.at(rooms.images[:3])
    assert caught.value.rows == (1,)


def test_images_of_another_miniature_have_no_parts(rooms: Seen, faces: Seen) -> None:
    mixed = torch.cat([rooms.samples[:2], faces.samples[:8], torch.rand(2, 3, 64, 64)])
    with pytest.raises(Undefined, match=r"rooms.part\(sofa\): the segmenter of rooms does not know such") as caught:
        parts.rooms(part=("sofa",)).at(mixed)
    assert caught.value.rows == tuple(range(2, 12))
    parts.rooms(part=("wall",)).at(rooms.samples)
    parts.faces(part=("hair",)).at(faces.samples)


def test_factors_are_read_from_images(rooms: Seen) -> None:
    names = ("sofa_x", "light_level")
    values = reading.rooms(factor=names)(rooms.images[:5])
    true = rooms.world.factors.share(rooms.factors)[:5, [rooms.world.factors.index(name) for name in names]]
    assert values.shape == (5, 2) and (values - true).abs().max() < 0.25


def test_factors_and_attributes_use_different_networks(faces: Seen) -> None:
    judge, walked = load.regressor(faces.world), load.attributes(faces.world)
    assert {p.shape for p in judge.parameters()} != {p.shape for p in walked.parameters()}
    one, two = reading.faces(factor=("smile",)), reading.faces_attributes(attribute=("smile",))
    assert one.unit == two.unit and not torch.equal(one(faces.images[:4]), two(faces.images[:4]))


def test_identity_is_a_unit_vector_in_cosine_distance(faces: Seen) -> None:
    feature = identity()
    values = feature(faces.images[:6])
    torch.testing.assert_close(values.norm(dim=1), torch.ones(6))
    a, b = values[:3], values[3:]
    distances = feature.distance(a, b)
    torch.testing.assert_close(distances, 1 - (a * b).sum(1), atol=1e-6, rtol=0)
    assert torch.equal(feature.distance(a, a), torch.zeros(3))
    torch.testing.assert_close(feature.radius(float(distances[0]), a)[0], (a - b).norm(dim=1)[0])
    large = faces.world.render(faces.factors[:3], 128)[0]
    assert feature.distance(feature(large), a).max() < 0.1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: parts.rooms(part=("sofer",)), "rooms.part: part 'sofer' is unknown; known parts: wall"),
        (lambda: parts.faces(part=()), "faces.part: no part is named"),
        (lambda: reading.rooms(factor=()), "no factor is named"),
        (
            lambda: reading.faces_attributes(attribute=("age",)),
            "'age' is unknown; known attributes: face_width",
        ),
    ],
)
def test_unknown_names_are_refused(make, message) -> None:
    with pytest.raises(OptionError, match=message):
        make()
