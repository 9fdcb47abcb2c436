"""The face mesh: its crop, its groups, faces that are none, and files that are no mesh."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from eigenwalk.errors import FileError, OptionError, Undefined, WeightsError
from eigenwalk_face.mesh import Mesh
from eigenwalk_face.parts import PARTS
from eigenwalk_face.portraits import portrait, portraits
from eigenwalk_face.tflite.writer import Graph, drawn_points, write_mesh
from eigenwalk_landmarks.landmarks import landmarks

BOX = (0.2, 0.15, 0.8, 0.9)


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> str:
    """A face mesh that draws nearly the same face into each crop."""
    return str(write_mesh(tmp_path_factory.mktemp("mesh") / "mesh.tflite"))


def test_points_come_out_of_the_crop_where_the_mesh_lays_them(file):
    images = portraits()
    feature = landmarks(model="mesh", file=file).at(images)
    points = feature(images)
    assert points.shape == (3, 468, 2) and feature.memories == 1
    low, high = points.amin(1), points.amax(1)
    drawn = drawn_points()
    within = (points - low[:, None]) / (high - low).amax(1)[:, None, None]
    expected = (drawn - drawn.amin(0)) / (drawn.amax(0) - drawn.amin(0)).max()
    assert (within - expected).norm(dim=2).mean() < 0.05


def test_a_mesh_that_is_tilted_is_read_in_a_tilted_crop(file):
    class Tilted(Mesh):
        """A mesh that sees every face turned by 0.4 in an upright crop, and upright in others."""

        def points(self, crops):
            points = drawn_points().expand(len(crops), -1, -1).to(crops)
            turn = torch.tensor([[0.921061, 0.389418], [-0.389418, 0.921061]])
            return (points - 0.5) @ turn + 0.5

    images = portraits()[:1]
    crop = Tilted(file).crop(torch.tensor([[20.0, 20, 70, 80]]), images)
    assert crop.turn.angle().item() == pytest.approx(0.4, abs=1e-3)
    across = crop.outward(torch.tensor([[[0.0, 0.5], [1.0, 0.5]]]))[0].diff(dim=0)[0]
    assert torch.atan2(across[1], across[0]).item() == pytest.approx(0.4, abs=1e-3)
    assert crop(images).shape == (1, 3, 32, 32)


def test_groups_are_outlines_and_the_eyes_are_the_unit(file):
    images = portraits()[:1]
    whole = landmarks(model="mesh", file=file, box=BOX).at(images)
    lips = landmarks("lips", model="mesh", file=file, box=BOX).at(images)
    part = [*PARTS["lips"].filled[0], *PARTS["lips"].cut[0]]
    torch.testing.assert_close(lips(images), whole(images)[:, part])
    eyes = torch.stack([whole(images)[:, list(ring)].mean(1) for ring in PARTS["eyes"].filled])
    assert whole.eyes.item() == pytest.approx((eyes[1] - eyes[0]).norm().item(), rel=1e-5)


def test_the_same_face_aligned_has_one_shape(file):
    images = torch.stack([portrait(128), portrait(128, x=0.42, y=0.46, size=0.24)])
    feature = landmarks(model="mesh", file=file, aligned=True).at(images)
    assert float(feature.distance(*feature(images).split(1))) < 0.05


def test_what_the_mesh_takes_for_no_face_is_undefined(tmp_path):
    file = str(write_mesh(tmp_path / "mesh.tflite", presence=-3))
    with pytest.raises(Undefined, match="sees no face") as caught:
        landmarks(model="mesh", file=file, box=BOX).at(portraits())
    assert caught.value.rows == (0, 1, 2)


def test_other_networks_are_refused(tmp_path):
    graph = Graph()
    source = graph.tensor(1, 8, 8, 3)
    graph.write(tmp_path / "net.tflite", [source], [graph.operation("RELU", [source], (1, 8, 8, 3))])
    with pytest.raises(FileError, match=r"no face mesh: it takes 8 x 8 pixels and gives \[\(1, 3, 8, 8\)\]"):
        landmarks(model="mesh", file=str(tmp_path / "net.tflite"))


def test_without_its_file_the_command_that_fetches_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("EIGENWALK_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsError, match=r"eigenwalk weights fetch .landmarks\(model=mesh\)"):
        landmarks(model="mesh")


def test_wrong_groups():
    with pytest.raises(
        OptionError, match=r"no 'jaw' \(model=fan has it\); points: eyes, brows, nose, lips, mouth, oval"
    ):
        landmarks("jaw", model="mesh")


def test_the_published_file_is_one_for_all_features():
    from eigenwalk_landmarks.plugin import MESH

    assert MESH.file == "face/face_landmark.tflite" and MESH.option == ("model", "mesh")
    assert Path(str(MESH.member)).name == Path(MESH.file).name
