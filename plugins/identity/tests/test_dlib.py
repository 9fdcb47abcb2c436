"""dlib's recogniser: the numbers that dlib itself gives from the same weights, and files that are refused in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dlib_files
import pytest
import torch
from torch import Tensor

from eigenwalk.errors import EigenwalkError, FileError, OptionError, WeightsError
from eigenwalk_face.portraits import portraits
from eigenwalk_identity.dlib import recogniser
from eigenwalk_identity.identity import identity
from eigenwalk_identity.plugin import DLIB, WEIGHTS, eigenwalk_features

GOLDEN = (
    (-3.710559, 0.883411, 0.683510, -0.770118, -6.352470, 2.706422),
    (-4.751938, 0.789915, -0.319242, -1.359259, -4.723958, 2.706204),
)
"""First numbers of what dlib 20.0.1 gives for `chips` from the weights of `dlib_files`, written into its own file."""
APART = 10.684979
"""How far dlib's embeddings of the two chips lie apart."""


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    """A file of the recogniser with made weights."""
    path = tmp_path_factory.mktemp("dlib") / "made.dat"
    dlib_files.write(path)
    return path


def chips() -> Tensor:
    """Two images ``(2, 3, 150, 150)`` of whole grey levels."""
    y, x = (torch.arange(150, dtype=torch.float64) / 150 for _ in "yx")
    y = y[:, None]
    waves = [[(9 * x * (c + 1) + 5 * y + k).sin() * (7 * y - c + 3 * k * x).cos() for c in range(3)] for k in (0, 1)]
    levels = torch.stack([torch.stack(one) for one in waves]) * 100 + 127.5
    return levels.round().float() / 255


def test_the_embedding_is_dlib_s_own(file):
    feature = identity(model="dlib", file=str(file), box=(0, 0, 1, 1))
    images = chips()
    with torch.no_grad():
        found = feature.at(images)(images)
    assert found.shape == (2, 128) and feature.unit == "Euclidean distance"
    torch.testing.assert_close(found[:, :6], torch.tensor(GOLDEN), rtol=0, atol=2e-5)
    assert float(feature.distance(found[:1], found[1:])) == pytest.approx(APART, abs=5e-5)
    assert feature.radius(0.3, found).tolist() == pytest.approx([0.3, 0.3])


def test_a_found_face_is_cut_upright(file):
    feature, images = identity(model="dlib", file=str(file)), portraits()
    frozen = feature.at(images)
    assert feature.memories == len(frozen.remembered) == 1
    turned = images.rot90(1, (2, 3)).rot90(3, (2, 3))
    with torch.no_grad():
        torch.testing.assert_close(frozen(images), feature.follow(turned, frozen.remembered)(turned))


def damaged(file: Path, tmp_path: Path, change) -> Path:
    """A copy of `file` whose bytes `change` has replaced."""
    place = tmp_path / "changed.dat"
    place.write_bytes(change(file.read_bytes()))
    return place


FIRST = dlib_files.text("con_4") + dlib_files.whole(2)
"""What stands before the sizes of the first tensor."""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data[: len(data) // 2], "ends after the file"),
        (lambda data: data[: data.index(FIRST) + len(FIRST) + 1], "a whole number was expected"),
        (lambda data: data[: data.index(b"affine_")], "layers with weights, where 30 are expected"),
        (lambda data: b"not of dlib at all" * 1000, "no network of dlib's"),
        (lambda data: data.replace(FIRST, FIRST[:-1] + b"\x01", 1), "version 1"),
        (lambda data: data.replace(FIRST, FIRST + b"\x08" + b"\xff" * 8, 1), "sizes"),
        (lambda data: data.replace(FIRST, FIRST + b"\x04\xff\xff\xff\x7f" * 3, 1), "ends after the file"),
        (lambda data: data.replace(FIRST, FIRST + b"\x84\xff\xff\xff\x7f", 1), "sizes"),
        (lambda data: data.replace(b"\x01\x05con_4", b"\x01\x06con_4", 1), "another length"),
        (lambda data: data.replace(b"\x01\x20\x01\x07\x01\x07", b"\x01\x21\x01\x07\x01\x07", 1), "are no convolution"),
        (lambda data: data.replace(b"\x01\x20\x01\x07\x01\x07", b"\x01\x00\x01\x07\x01\x07", 1), "are no convolution"),
        (
            lambda data: data.replace(b"\x01\x20\x01\x07\x01\x07", b"\x01\x20\x01\x15\x01\x07", 1),
            "is another network's",
        ),
    ],
)
def test_a_file_that_is_cut_foreign_or_hostile_is_refused(file, tmp_path, change, said):
    place = damaged(file, tmp_path, change)
    assert place.read_bytes() != file.read_bytes()
    with pytest.raises(EigenwalkError, match=said) as caught:
        recogniser(place)
    assert isinstance(caught.value, (FileError, WeightsError)) and str(place) in str(caught.value)


def test_layers_without_end_are_not_collected(tmp_path):
    layer = dlib_files.text("affine_") + dlib_files.tensor(torch.ones(2), 2, 1, 1, 1)
    (tmp_path / "long.dat").write_bytes(layer * 200_000)
    with pytest.raises(WeightsError, match="does not fit what stands before it"):
        recogniser(tmp_path / "long.dat")
    layer = dlib_files.text("con_4") + dlib_files.tensor(torch.ones(2), 2, 1, 1, 1) + dlib_files.whole(1) * 3
    (tmp_path / "long.dat").write_bytes(layer * 200_000)
    with pytest.raises(WeightsError, match="has 1000 layers"):
        recogniser(tmp_path / "long.dat")


def test_facenet_s_options_are_refused():
    every: list[dict[str, Any]] = [{"size": 150}, {"margin": 0.0}, {"pretrained": "casia-webface"}]
    for options in every:
        with pytest.raises(OptionError, match="facenet's"):
            identity(model="dlib", file="never-opened.dat", **options)


def test_what_is_needed_follows_from_the_options():
    (spec,) = eigenwalk_features()
    facenet, dlib = WEIGHTS["vggface2"], DLIB
    assert spec.needed({}) == (facenet,) and spec.needed({"model": "dlib"}) == (dlib,)
    assert spec.needed({"file": "own.pt"}) == spec.needed({"model": "dlib", "file": "own.dat"}) == ()
