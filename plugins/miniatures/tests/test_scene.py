"""The painter: deterministic, its masks exact, its labels true."""

from __future__ import annotations

import pytest
import torch

from eigenwalk_miniatures.factors import FactorTable
from eigenwalk_miniatures.paint import Shade, composite
from eigenwalk_miniatures.rooms.factors import FACTORS, PARTS
from eigenwalk_miniatures.rooms.scene import render


def middle() -> torch.Tensor:
    return FACTORS.scale(torch.full((1, len(FACTORS)), 0.5))


def pair(name: str, low: float = 0.1, high: float = 0.9) -> torch.Tensor:
    """Two rows that differ in one factor alone."""
    shares = torch.full((2, len(FACTORS)), 0.5)
    shares[:, FACTORS.index(name)] = torch.tensor([low, high])
    return FACTORS.scale(shares)


def centroid(mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    places = (torch.arange(mask.shape[-1]) + 0.5) / mask.shape[-1]
    area = mask.sum((1, 2))
    return (mask * places).sum((1, 2)) / area, (mask * places[:, None]).sum((1, 2)) / area


def test_render_is_deterministic_and_rows_do_not_meet(renders: tuple) -> None:
    factors, images, masks = renders
    again, masks_again = render(factors[:7], 64)
    torch.testing.assert_close(again, images[:7], atol=1e-6, rtol=0)
    torch.testing.assert_close(masks_again, masks[:7], atol=1e-6, rtol=0)
    assert torch.equal(FACTORS.sample(5, 3), FACTORS.sample(5, 3))
    assert not torch.equal(FACTORS.sample(5, 3), FACTORS.sample(5, 4))


def test_images_and_masks_keep_their_ranges(renders: tuple) -> None:
    _, images, masks = renders
    assert images.shape == (200, 3, 64, 64)
    assert masks.shape == (200, len(PARTS), 64, 64)
    assert images.min() >= 0 and images.max() <= 1
    assert masks.min() >= 0
    torch.testing.assert_close(masks.sum(1), torch.ones(200, 64, 64), atol=1e-5, rtol=0)


def test_every_part_is_visible_in_every_render(renders: tuple) -> None:
    _, _, masks = renders
    least = dict(zip(PARTS, masks.mean((2, 3)).min(0).values.tolist(), strict=True))
    assert least["sofa"] > 0.06
    assert all(share > 0.002 for share in least.values()), least


@pytest.mark.parametrize(
    ("factor", "part", "axis"),
    [
        ("sofa_x", "sofa", 0),
        ("window_x", "window", 0),
        ("window_y", "window", 1),
        ("picture_x", "picture", 0),
        ("picture_y", "picture", 1),
        ("lamp_x", "lamp", 0),
        ("rug_x", "rug", 0),
    ],
)
def test_a_position_moves_its_own_part(factor: str, part: str, axis: int) -> None:
    rows = pair(factor)
    _, masks = render(rows, 64)
    before, after = centroid(masks[:, PARTS.index(part)])[axis]
    moved = rows[1, FACTORS.index(factor)] - rows[0, FACTORS.index(factor)]
    # The sofa hides part of the rug, so that its visible centroid moves a little more or less.
    assert 0.6 * moved < after - before < 1.6 * moved


@pytest.mark.parametrize(
    ("factor", "part"),
    [
        ("sofa_width", "sofa"),
        ("sofa_height", "sofa"),
        ("window_width", "window"),
        ("window_height", "window"),
        ("picture_size", "picture"),
        ("rug_width", "rug"),
        ("cushion_size", "cushion"),
        ("lamp_height", "lamp"),
    ],
)
def test_a_size_enlarges_its_own_part(factor: str, part: str) -> None:
    small, large = render(pair(factor), 64)[1][:, PARTS.index(part)].mean((1, 2))
    assert large > 1.03 * small


def test_every_factor_changes_the_picture() -> None:
    images = render(torch.cat([pair(factor) for factor in FACTORS.names]), 64)[0].unflatten(0, (len(FACTORS), 2))
    change = (images[:, 0] - images[:, 1]).square().mean((1, 2, 3)).sqrt()
    assert (change > 0.005).all(), dict(zip(FACTORS.names, change.tolist(), strict=True))


@pytest.mark.parametrize("factor", ["sofa_hue", "cushion_hue", "rug_hue", "picture_hue", "sky_warmth"])
def test_a_hue_colours_its_own_part_alone(factor: str) -> None:
    part = {"sky_warmth": "window"}.get(factor, factor.removesuffix("_hue"))
    images, masks = render(pair(factor), 64)
    change = (images[0] - images[1]).square().sum(0)
    inside = masks[0, PARTS.index(part)]
    outside = (inside < 1e-6).float()
    # The sky also lights the floor, a little.
    assert (change * inside).sum() / inside.sum() > 20 * (change * outside).sum() / outside.sum()


def test_a_larger_picture_shows_the_same_room() -> None:
    small, masks = render(middle(), 64)
    large, large_masks = render(middle(), 256)
    pooled = torch.nn.functional.avg_pool2d(large, 4)
    assert (pooled - small).square().mean().sqrt() < 0.03
    shares, large_shares = masks.mean((2, 3)), large_masks.mean((2, 3))
    torch.testing.assert_close(shares, large_shares, atol=0.004, rtol=0)


def test_shares_and_values_are_inverse() -> None:
    values = FACTORS.sample(9, seed=1)
    torch.testing.assert_close(FACTORS.scale(FACTORS.share(values)), values)


def test_wrong_input_is_told() -> None:
    with pytest.raises(ValueError, match=r"factors must be \(batch, 33\)"):
        render(torch.zeros(2, 5))
    with pytest.raises(KeyError, match="sofa_x"):
        FACTORS.index("sofa_z")
    with pytest.raises(ValueError, match="first coat"):
        composite([Shade(torch.ones(1, 1, 4, 4))], PARTS)
    assert len(FactorTable(())) == 0
