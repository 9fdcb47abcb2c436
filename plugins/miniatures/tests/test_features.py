"""Parts and factors: what they find, what they freeze, what they refuse."""

from __future__ import annotations

import pytest
import torch

from eigenwalk.errors import OptionError, Undefined
from eigenwalk_miniatures import load, parts, reading
from eigenwalk_miniatures.miniature import Miniature
from training import measures
from training.fit import wear


def test_segmenter_finds_the_parts_of_fresh_renders(world: Miniature, renders: tuple) -> None:
    _, images, masks = renders
    found = load.segmenter(world).masks(images)
    overlap = dict(zip(world.parts, measures.overlap(found, masks).tolist(), strict=True))
    assert overlap["sofa"] > 0.93
    assert min(overlap.values()) > 0.75, overlap


def test_segmenter_stands_wear(world: Miniature, renders: tuple) -> None:
    _, images, masks = renders
    worn = wear(images, torch.Generator().manual_seed(0))
    found = load.segmenter(world).masks(worn)
    assert measures.overlap(found, masks)[world.parts.index("sofa")] > 0.88


def test_segmenter_masks_larger_pictures(world: Miniature, renders: tuple) -> None:
    images, masks = world.render(renders[0][:8], 128)
    found = load.segmenter(world).masks(images)
    assert found.shape == masks.shape
    assert measures.overlap(found, masks)[world.parts.index("sofa")] > 0.85


def test_regressor_reads_fresh_renders(world: Miniature, renders: tuple) -> None:
    factors, images, _ = renders
    read = load.regressor(world)(images)
    r2 = dict(zip(world.factors.names, measures.explained(read, world.factors.share(factors)).tolist(), strict=True))
    # Wide cushions on a narrow sofa leave no room to move: their place is then no longer visible.
    assert r2.pop("cushion_offset") > 0.6
    assert min(r2.values()) > 0.9, r2


def test_a_part_and_its_outside_make_the_image(samples: torch.Tensor) -> None:
    images = samples[:4]
    sofa = parts.rooms(part=("sofa",)).at(images)
    outside = parts.rooms(part=("sofa",)).complement().at(images)
    torch.testing.assert_close(sofa(images) + outside(images), images)
    torch.testing.assert_close(sofa.complement()(images), outside(images))
    torch.testing.assert_close(outside.complement()(images), sofa(images))


def test_the_mask_is_frozen_row_by_row(samples: torch.Tensor) -> None:
    sofa = parts.rooms(part=("sofa",)).at(samples[:2])
    ones = torch.ones_like(samples[:2])
    torch.testing.assert_close(sofa(ones)[1], parts.rooms(part=("sofa",)).at(samples[1:2])(ones[1:2])[0])
    assert sofa.at(samples[2:4]) is sofa
    tangent = torch.func.jvp(sofa, (samples[:2],), (ones,))[1]
    torch.testing.assert_close(tangent, sofa(ones))


def test_several_parts_add_up(samples: torch.Tensor) -> None:
    one, two = (parts.rooms(part=(name,)).masks(samples[:3]) for name in ("sofa", "cushion"))
    torch.testing.assert_close(parts.rooms(part=("sofa", "cushion")).masks(samples[:3]), one + two)


def test_distance_does_not_depend_on_the_area(renders: tuple) -> None:
    images = renders[1][:3]
    for name in ("sofa", "picture"):
        part = parts.rooms(part=(name,)).at(images)
        a, b = part(images), part(images + 0.1)
        torch.testing.assert_close(part.distance(a, b), torch.full((3,), 0.1))
        torch.testing.assert_close(part.radius(0.1, a), (a - b).flatten(1).norm(dim=1))


def test_an_image_without_the_part_is_undefined(
    world: Miniature, renders: tuple, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, images, masks = renders
    found = masks[:3].clone()
    found[1, world.parts.index("cushion")] *= 0.4
    cushion = parts.rooms(part=("cushion",))
    monkeypatch.setattr(cushion.segmenter, "masks", lambda pictures: found)
    with pytest.raises(Undefined, match=r"rooms.part\(cushion\): the segmenter finds none") as caught:
        cushion.at(images[:3])
    assert caught.value.rows == (1,)


def test_images_of_another_miniature_have_no_parts(samples: torch.Tensor, faces: torch.Tensor) -> None:
    mixed = torch.cat([samples[:2], faces[:8], torch.rand(2, 3, 64, 64)])
    with pytest.raises(Undefined, match=r"rooms.part\(sofa\): the segmenter of rooms does not know such") as caught:
        parts.rooms(part=("sofa",)).at(mixed)
    assert caught.value.rows == tuple(range(2, 12))
    parts.rooms(part=("wall",)).at(samples)
    parts.faces(part=("hair",)).at(faces)


def test_factors_are_read_and_differentiable(world: Miniature, renders: tuple) -> None:
    factors, images, _ = renders
    feature = reading.rooms(factor=("sofa_x", "light_level"))
    values = feature(images[:5])
    true = world.factors.share(factors)[:5, [world.factors.index(n) for n in ("sofa_x", "light_level")]]
    assert values.shape == (5, 2)
    assert (values - true).abs().max() < 0.25
    tangent = torch.func.jvp(feature, (images[:1],), (torch.ones(1, 3, 64, 64),))[1]
    assert tangent[0, 1] > 0


def test_unknown_names_are_told() -> None:
    with pytest.raises(OptionError, match="known parts: wall"):
        parts.rooms(part=("sofer",))
    with pytest.raises(OptionError, match="no factor is named"):
        reading.rooms(factor=())
