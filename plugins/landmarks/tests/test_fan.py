"""FAN: the library's own network, its points to fractions of a cell, and its file."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest
import torch
from torch.func import vjp

from eigenwalk.errors import PluginError, WeightsError
from eigenwalk_landmarks import models
from eigenwalk_landmarks.landmarks import landmarks
from eigenwalk_landmarks.models import Fan

BOX = (0.2, 0.2, 0.8, 0.9)


def bumps(places: torch.Tensor) -> torch.Tensor:
    """Heat maps ``(1, 68, 64, 64)`` as FAN was trained to give: Gaussians of one cell's spread at places (x, y)."""
    middles = torch.arange(64, dtype=places.dtype) + 0.5
    x, y = ((middles - places[:, i, None]).square() for i in (0, 1))
    return torch.exp(-(y[:, :, None] + x[:, None, :]) / 2)[None]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """An untrained FAN in the layout of the published file: an old format, without the counters of later versions."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        state = models.fan().state_dict()
    path = tmp_path_factory.mktemp("fan") / "2DFAN4.pth.tar"
    kept = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    torch.save(kept, path, _use_new_zipfile_serialization=False)
    return path


@pytest.fixture
def stub(monkeypatch):
    """A FAN whose network gives the heat maps that it is told."""
    fan = Fan.__new__(Fan)
    fan.network = torch.nn.Identity()
    monkeypatch.setattr(fan, "heat", lambda crops: crops)
    return fan


def test_points_are_found_to_fractions_of_a_cell(stub):
    places = 4 + 56 * torch.rand(68, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    heat = bumps(places)
    found = stub.points(heat, stub.windows(heat))[0] * 64
    assert (found - places).abs().max() < 0.02  # the library's own quarter cells are off by up to 0.25


def test_a_point_follows_its_bump_out_of_the_middle_of_its_window(stub):
    places = torch.full((68, 2), 30.2, dtype=torch.float64)
    windows = stub.windows(bumps(places))
    moved = stub.points(bumps(places + 0.3), windows)[0] * 64
    assert (moved - places - 0.3).abs().max() < 0.05


def test_a_window_stays_within_the_heat_map(stub):
    places = torch.tensor([[0.5, 63.5]] * 68, dtype=torch.float64)
    windows = stub.windows(bumps(places))
    assert windows.min() >= 0 and windows.max() < 64 * 64
    found = stub.points(bumps(places), windows)[0] * 64
    assert (found - places).abs().max() < 1  # half of the bump lies outside


def test_the_region_equals_face_alignments():
    face = torch.tensor([[100.0, 80.0, 200.0, 220.0]])
    side = 200 * (100 + 140) / 195
    assert Fan.crop(Fan.__new__(Fan), face, torch.zeros(1, 3, 300, 300)).boxes[0].tolist() == pytest.approx(
        [150 - side / 2, 150 - 0.12 * 140 - side / 2, 150 + side / 2, 150 - 0.12 * 140 + side / 2]
    )


def test_heat_maps_equal_the_librarys(weights):
    library = models.fan()
    library.load_state_dict(torch.load(weights, weights_only=True))
    crops = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        theirs, fan = library.eval()(crops)[-1], Fan(weights)
        assert torch.equal(fan.heat(crops), theirs)
        points = fan.points(crops, fan.windows(crops))[0] * 64
    highest = theirs[0].flatten(1).argmax(1)
    cells = torch.stack([highest % 64, highest // 64], 1) + 0.5
    assert (points - cells).abs().max() <= 2 * Fan.reach  # within the window, which is pushed inside at the border


def test_points_are_differentiable(weights):
    images = torch.rand(1, 3, 40, 48, generator=torch.Generator().manual_seed(2))
    feature = landmarks(model="fan", file=str(weights), points=("jaw", "brows"), box=BOX).at(images)
    with torch.no_grad():
        assert feature(images).shape == (1, 27, 2)
    random = torch.Generator().manual_seed(3)
    v, u = torch.randn(images.shape, generator=random), torch.randn(1, 27, 2, generator=random)
    pull = vjp(feature, images)[1]
    h = 0.001
    with torch.no_grad():
        central = ((feature(images + h * v) - feature(images - h * v)) / (2 * h) * u).sum()
    assert float((pull(u)[0] * v).sum()) == pytest.approx(float(central), rel=0.02)


def test_the_package_around_the_network_is_not_imported():
    heavy = '{"face_alignment", "numba", "skimage"}'  # facenet-pytorch imports OpenCV where it finds it
    program = f"import sys; from eigenwalk_landmarks import models; models.fan(); assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_without_the_library_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PluginError, match=r"pip install .*eigenwalk-landmarks\[fan\]"):
        models.fan()


def test_without_weights_the_error_says_how_to_get_them(monkeypatch, tmp_path):
    monkeypatch.setenv("EIGENWALK_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsError, match=r"(?s)95\.6 MB.*BSD-3-Clause.*weights fetch \"landmarks\(model=fan\)\""):
        landmarks(model="fan")
