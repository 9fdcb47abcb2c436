"""The shipped portraits: what the networks find on renders and on samples, and what they refuse."""

from __future__ import annotations

import pytest
import torch

from eigenwalk.errors import OptionError
from eigenwalk_miniatures import load, parts, reading
from eigenwalk_miniatures.identity import faces as identity
from eigenwalk_miniatures.miniature import Miniature
from training import measures
from training.measures import one


def test_one_face_in_97_of_100_samples(people: Miniature, faces: torch.Tensor) -> None:
    masks = load.segmenter(people).masks(faces)
    face = masks[:, [people.parts.index(part) for part in people.subject_parts]].sum(1)
    assert sum(one(mask) for mask in face) >= 97
    shares = dict(zip(people.parts, masks.mean((0, 2, 3)).tolist(), strict=True))
    assert all(shares[part] > 0.003 for part in ("eyes", "brows", "nose", "mouth", "hair")), shares


def test_samples_differ_from_each_other_as_portraits_do(faces: torch.Tensor, portraits: tuple) -> None:
    def spread(images: torch.Tensor) -> torch.Tensor:
        return torch.cdist(images[:100].flatten(1), images[:100].flatten(1)).mean()

    assert spread(faces) > 0.75 * spread(portraits[1])


def test_segmenter_finds_the_parts_of_fresh_portraits(people: Miniature, portraits: tuple) -> None:
    _, images, masks = portraits
    found = load.segmenter(people).masks(images)
    overlap = dict(zip(people.parts, measures.overlap(found, masks).tolist(), strict=True))
    assert overlap["skin"] > 0.9 and overlap["hair"] > 0.9
    assert min(overlap.values()) > 0.65, overlap


@pytest.mark.parametrize("network", ["regressor", "attributes"])
def test_both_networks_read_fresh_portraits(people: Miniature, portraits: tuple, network: str) -> None:
    factors, images, _ = portraits
    read = getattr(load, network)(people)(images)
    r2 = dict(zip(people.factors.names, measures.explained(read, people.factors.share(factors)).tolist(), strict=True))
    assert sum(r2.values()) / len(r2) > 0.9, r2
    assert min(r2[name] for name in ("hair_length", "hair_lightness", "yaw", "skin_lightness")) > 0.95, r2
    # Waves show on long hair alone, and ears hardly.
    assert all(value > 0.75 for name, value in r2.items() if name not in ("hair_wave", "ear_size")), r2
    assert min(r2["hair_wave"], r2["ear_size"]) > 0.3, r2


def test_the_readers_are_two_networks(people: Miniature, portraits: tuple) -> None:
    judge, walked = load.regressor(people), load.attributes(people)
    assert {p.shape for p in judge.parameters()} != {p.shape for p in walked.parameters()}
    assert reading.faces(factor=("smile",)).unit == reading.faces_attributes(attribute=("smile",)).unit
    images = portraits[1][:4]
    assert not torch.equal(
        reading.faces(factor=("smile",))(images), reading.faces_attributes(attribute=("smile",))(images)
    )


def test_identity_is_a_unit_vector_in_cosine_distance(portraits: tuple) -> None:
    feature = identity()
    values = feature(portraits[1][:6])
    torch.testing.assert_close(values.norm(dim=1), torch.ones(6))
    a, b = values[:3], values[3:]
    torch.testing.assert_close(feature.distance(a, b), 1 - (a * b).sum(1), atol=1e-6, rtol=0)
    assert torch.equal(feature.distance(a, a), torch.zeros(3))
    distance = float(feature.distance(a, b)[0])
    torch.testing.assert_close(feature.radius(distance, a)[0], (a - b).norm(dim=1)[0])


def test_identity_takes_any_size_and_dtype(people: Miniature, portraits: tuple) -> None:
    feature = identity()
    large = people.render(portraits[0][:3], 128)[0]
    assert feature.distance(feature(large), feature(portraits[1][:3])).max() < 0.1
    assert feature(portraits[1][:2].double()).dtype == torch.float64
    assert feature(portraits[1][:2]).dtype == torch.float32


def test_a_part_of_a_portrait_and_its_outside_make_the_image(faces: torch.Tensor) -> None:
    images = faces[:3]
    hair = parts.faces(part=("hair",)).at(images)
    outside = parts.faces(part=("hair",)).complement().at(images)
    torch.testing.assert_close(hair(images) + outside(images), images)


def test_unknown_names_are_told() -> None:
    with pytest.raises(OptionError, match=r"faces.part: part 'beard' is unknown; known parts: background"):
        parts.faces(part=("beard",))
    with pytest.raises(OptionError, match=r"faces.attribute: attribute 'age' is unknown; known attributes: face_width"):
        reading.faces_attributes(attribute=("age",))
    with pytest.raises(OptionError, match="no attribute is named"):
        reading.faces_attributes(attribute=())
