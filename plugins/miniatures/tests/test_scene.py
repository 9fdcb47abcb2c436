"""The painters of both miniatures, and the factors of rooms: masks exact, labels true."""

from __future__ import annotations

import pytest
import torch

from eigenwalk_miniatures.factors import FactorTable
from eigenwalk_miniatures.paint import Shade, composite
from eigenwalk_miniatures.rooms.factors import FACTORS, PARTS
from eigenwalk_miniatures.rooms.scene import render

from .conftest import Seen


def pair(name: str, low: float = 0.1, high: float = 0.9) -> torch.Tensor:
    """Two rows that differ in one factor alone."""
    shares = torch.full((2, len(FACTORS)), 0.5)
    shares[:, FACTORS.index(name)] = torch.tensor([low, high])
    return FACTORS.scale(shares)


def centroid(mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    places = (torch.arange(mask.shape[-1]) + 0.5) / mask.shape[-1]
    area = mask.sum((1, 2))
    return (mask * places).sum((1, 2)) / area, (mask * places[:, None]).sum((1, 2)) / area


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
def test_a_hue_colours_only_its_own_part(factor: str) -> None:
    part = {"sky_warmth": "window"}.get(factor, factor.removesuffix("_hue"))
    images, masks = render(pair(factor), 64)
    change = (images[0] - images[1]).square().sum(0)
    inside = masks[0, PARTS.index(part)]
    outside = (inside < 1e-6).float()
    # The sky also lights the floor, a little.
    assert (change * inside).sum() / inside.sum() > 20 * (change * outside).sum() / outside.sum()


def test_wrong_input_of_render_is_refused() -> None:
    with pytest.raises(KeyError, match="sofa_x"):
        FACTORS.index("sofa_z")
    with pytest.raises(ValueError, match="first coat"):
        composite([Shade(torch.ones(1, 1, 4, 4))], PARTS)
    assert len(FactorTable(())) == 0


def test_render_is_deterministic_with_independent_rows(seen: Seen) -> None:
    images, masks = seen.world.render(seen.factors[3:7], 64)
    torch.testing.assert_close(images, seen.images[3:7], atol=1e-6, rtol=0)
    torch.testing.assert_close(masks, seen.masks[3:7], atol=1e-6, rtol=0)
    factors = seen.world.factors
    assert torch.equal(factors.sample(5, 3), factors.sample(5, 3))
    assert not torch.equal(factors.sample(5, 3), factors.sample(5, 4))
    torch.testing.assert_close(factors.scale(factors.share(seen.factors)), seen.factors)


def test_images_and_masks_keep_their_ranges_and_show_every_part(seen: Seen) -> None:
    assert seen.images.shape == (200, 3, 64, 64) and seen.masks.shape == (200, len(seen.world.parts), 64, 64)
    assert seen.images.min() >= 0 and seen.images.max() <= 1 and seen.masks.min() >= 0
    torch.testing.assert_close(seen.masks.sum(1), torch.ones(200, 64, 64), atol=1e-5, rtol=0)
    least = dict(zip(seen.world.parts, seen.masks.mean((2, 3)).min(0).values.tolist(), strict=True))
    assert all(share > 0.002 for share in least.values()), least
    large = {"rooms": {"sofa": 0.06}, "faces": {"skin": 0.1, "hair": 0.08, "background": 0.35}}[seen.world.name]
    assert all(least[part] > share for part, share in large.items()), least


def test_a_larger_picture_shows_the_same(seen: Seen) -> None:
    large, masks = seen.world.render(seen.factors[:4], 256)
    assert (torch.nn.functional.avg_pool2d(large, 4) - seen.images[:4]).square().mean().sqrt() < 0.03
    torch.testing.assert_close(masks.mean((2, 3)), seen.masks[:4].mean((2, 3)), atol=0.006, rtol=0)


def test_wrong_factors_are_refused(seen: Seen) -> None:
    with pytest.raises(ValueError, match=rf"factors must be \(batch, {len(seen.world.factors)}\)"):
        seen.world.render(torch.zeros(2, 5), 64)
