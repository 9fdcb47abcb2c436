"""Frequency bands: what they keep, and that they add up to the image."""

from __future__ import annotations

import pytest
import torch

from eigenwalk.errors import OptionError
from eigenwalk_fourier.bands import Band, band, high, low

SHAPES = [(2, 3, 16, 24), (2, 3, 15, 13)]
EDGES = ["smooth", "ideal"]


def wave(cycles: float, height: int, width: int) -> torch.Tensor:
    """A cosine of so many cycles along the shorter side, upright and lying, as images (2, 3, height, width)."""
    side = min(height, width)
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    both = torch.stack([torch.cos(2 * torch.pi * cycles * axis.double() / side) for axis in (x, y)])
    return both[:, None].expand(-1, 3, -1, -1)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_bands_add_up_to_the_image(shape, edge, dtype):
    images = torch.rand(shape, dtype=dtype)
    tolerance = {"rtol": 0, "atol": 1e-6 if dtype == torch.float32 else 1e-14}
    torch.testing.assert_close(low(3, edge)(images) + high(3, edge)(images), images, **tolerance)
    three = low(2, edge)(images) + band(2, 5, edge)(images) + high(5, edge)(images)
    torch.testing.assert_close(three, images, **tolerance)
    torch.testing.assert_close(band(2, 5, edge).complement()(images), images - band(2, 5, edge)(images), **tolerance)


@pytest.mark.parametrize("size", [(32, 32), (32, 64), (64, 32)])
@pytest.mark.parametrize("edge", EDGES)
def test_cycles_count_along_the_shorter_side(size, edge):
    slow, fast = wave(2, *size), wave(12, *size)
    kept = low(5, edge)(slow + fast)
    torch.testing.assert_close(kept, slow, rtol=0, atol=1e-12)
    torch.testing.assert_close(high(5, edge)(slow + fast), fast, rtol=0, atol=1e-12)
    torch.testing.assert_close(band(6, 24, edge)(slow + fast), fast, rtol=0, atol=1e-12)


def test_a_smooth_edge_is_half_at_the_cut_and_spans_its_width():
    images = [wave(cycles, 64, 64) for cycles in (4, 8, 16)]
    gains = [float(low(8, width=2)(image).norm() / image.norm()) for image in images]
    assert gains == pytest.approx([1, 0.5, 0], abs=1e-9)


def test_an_ideal_band_is_a_projection():
    images = torch.rand(2, 3, 20, 20, dtype=torch.float64)
    once = band(2, 6, "ideal")(images)
    torch.testing.assert_close(band(2, 6, "ideal")(once), once, rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: low(0), "positive"),
        (lambda: high(-1), "positive"),
        (lambda: band(5, 2), "low < high"),
        (lambda: low(3, "round"), "smooth or ideal"),
        (lambda: low(3, width=0), "octaves"),
        (lambda: Band(3, 3), "low < high"),
        (lambda: high(100)(torch.rand(1, 3, 16, 16)), "highest frequency is 11.31 cycles"),
    ],
)
def test_wrong_options_are_refused(make, message):
    with pytest.raises(OptionError, match=message):
        make()
