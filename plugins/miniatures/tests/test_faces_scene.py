"""The painter of portraits: deterministic, its masks exact, a person apart from everything else."""

from __future__ import annotations

import pytest
import torch

from eigenwalk_miniatures.faces.factors import FACTORS, IDENTITY, PARTS
from eigenwalk_miniatures.faces.scene import render

INNER = (
    "skin_lightness",
    "skin_hue",
    "eye_spacing",
    "eye_size",
    "eye_tilt",
    "iris_hue",
    "brow_thickness",
    "brow_angle",
    "nose_length",
    "nose_width",
    "mouth_width",
    "lip_thickness",
)
"""Factors of the person that change nothing but what lies on the face, or its colour."""

COLOURS = (
    "skin_lightness",
    "skin_hue",
    "iris_hue",
    "hair_hue",
    "hair_lightness",
    "clothes_hue",
    "clothes_lightness",
    "background_hue",
    "background_lightness",
    "light_warmth",
    "light_direction",
)

OWN = {
    "face_width": "skin",
    "chin_length": "skin",
    "eye_size": "eyes",
    "brow_thickness": "brows",
    "nose_width": "nose",
    "nose_length": "nose",
    "mouth_width": "mouth",
    "lip_thickness": "mouth",
    "hair_length": "hair",
    "hair_volume": "hair",
    "fringe": "hair",
    "mouth_opening": "mouth",
    "neckline": "neck",
}


def pair(name: str, seed: int = 0) -> torch.Tensor:
    """Four portraits twice, `(8, factors)`: first with a low, then with a high value of one factor."""
    shares = FACTORS.share(FACTORS.sample(4, seed)).repeat(2, 1)
    shares[:4, FACTORS.index(name)], shares[4:, FACTORS.index(name)] = 0.1, 0.9
    return FACTORS.scale(shares)


def test_at_most_half_of_the_factors_belong_to_the_person() -> None:
    assert FACTORS.names[: len(IDENTITY)] == IDENTITY
    assert 10 <= len(IDENTITY) <= len(FACTORS) - len(IDENTITY)


def test_every_factor_changes_the_picture() -> None:
    images = render(torch.cat([pair(factor) for factor in FACTORS.names]), 64)[0].unflatten(0, (len(FACTORS), 2, 4))
    change = (images[:, 0] - images[:, 1]).square().mean((2, 3, 4)).sqrt().mean(1)
    assert (change > 0.005).all(), dict(zip(FACTORS.names, change.tolist(), strict=True))


def test_the_picture_is_differentiable_in_every_factor() -> None:
    n = len(FACTORS)
    factors, units = FACTORS.sample(2, 5).double().repeat(n, 1), torch.eye(n).double().repeat_interleave(2, 0)
    slopes = torch.func.jvp(lambda f: render(f, 64)[0], (factors,), (units,))[1]
    assert slopes.isfinite().all()
    central = (render(factors + 1e-7 * units, 64)[0] - render(factors - 1e-7 * units, 64)[0]) / 2e-7
    # Where a difference straddles a kink (a mouth's edge on the middle of a pixel) it sees both slopes.
    apart = ((slopes - central).abs() > 1e-4 + 1e-3 * slopes.abs()).double().unflatten(0, (n, 2)).mean((1, 2, 3, 4))
    assert (apart < 0.01).all(), apart
    assert (slopes.unflatten(0, (n, 2)).abs().amax((1, 2, 3, 4)) > 1e-4).all()


@pytest.mark.parametrize("factor", INNER)
def test_parts_of_the_face_change_only_the_face(factor: str) -> None:
    masks = render(pair(factor), 64)[1]
    for part in ("background", "clothes"):
        before, after = masks[:, PARTS.index(part)].chunk(2)
        assert torch.equal(before, after), part
    # Brows and eyes may reach beyond a narrow face, and a wide open mouth beyond a short one.
    for part in ("hair", "neck"):
        before, after = masks[:, PARTS.index(part)].chunk(2)
        assert (before - after).abs().mean() < 0.005 * before.mean(), part


@pytest.mark.parametrize("factor", COLOURS)
def test_colours_change_no_mask(factor: str) -> None:
    before, after = render(pair(factor), 64)[1].chunk(2)
    assert torch.equal(before, after)


@pytest.mark.parametrize("factor", ["hair_hue", "hair_lightness", "clothes_hue", "background_hue"])
def test_colours_that_are_not_the_persons_do_not_change_the_face(factor: str) -> None:
    images, masks = render(pair(factor), 64)
    own = {"hair": "hair", "clot": "clothes", "back": "background"}[factor[:4]]
    elsewhere = (masks[:4, PARTS.index(own)] < 1e-6).unsqueeze(1)
    change = ((images[:4] - images[4:]).abs() * elsewhere).amax((1, 2, 3))
    assert change.max() < 1e-6


@pytest.mark.parametrize("factor", OWN)
def test_a_size_enlarges_its_own_part(factor: str) -> None:
    small, large = render(pair(factor), 64)[1][:, PARTS.index(OWN[factor])].mean((1, 2)).chunk(2)
    assert (large > small).all()
    assert large.mean() > 1.03 * small.mean()


@pytest.mark.parametrize(("factor", "axis"), [("yaw", 0), ("pitch", 1)])
def test_a_turn_moves_the_features(factor: str, axis: int) -> None:
    masks = render(pair(factor), 64)[1]
    places = (torch.arange(64) + 0.5) / 64
    for part in ("eyes", "nose", "mouth"):
        mask = masks[:, PARTS.index(part)]
        weighted = mask * (places if axis == 0 else places[:, None])
        before, after = (weighted.sum((1, 2)) / mask.sum((1, 2))).chunk(2)
        assert (after > before + 0.01).all(), part
