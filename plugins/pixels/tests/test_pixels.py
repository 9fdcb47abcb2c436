"""The image itself, and in grey."""

from __future__ import annotations

import pytest
import torch

from eigenwalk.errors import CompositionError, OptionError
from eigenwalk_pixels.pixels import Luminance, Pixels


def test_pixels_are_averaged():
    images = torch.arange(16.0).reshape(1, 1, 4, 4).expand(1, 3, 4, 4)
    torch.testing.assert_close(Pixels(size=2)(images)[0, 0], torch.tensor([[2.5, 4.5], [10.5, 12.5]]))
    assert Pixels()(images) is images


def test_luminance_and_colour_add_up_to_the_image():
    images = torch.rand(2, 3, 4, 4, dtype=torch.float64)
    grey, colour = Luminance()(images), Luminance().complement()(images)
    torch.testing.assert_close(grey + colour, images)
    torch.testing.assert_close(Luminance()(grey), grey)
    torch.testing.assert_close(Luminance()(colour), torch.zeros_like(grey), rtol=0, atol=1e-15)


def test_wrong_options_are_refused():
    with pytest.raises(OptionError, match="at least 1"):
        Pixels(size=0)
    with pytest.raises(OptionError, match=r"shorter side, 4, got 8"):
        Pixels(size=8)(torch.rand(1, 3, 4, 6))
    with pytest.raises(CompositionError, match="leaves nothing out"):
        Pixels().complement()
