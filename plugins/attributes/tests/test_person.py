"""Age and gender: the numbers that ONNX Runtime gives from the same weights, and files that are refused in words."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnx_files
import pytest
import torch
from onnx import numpy_helper
from torch import Tensor

from eigenwalk.errors import EigenwalkError, FileError, WeightsError
from eigenwalk_attributes.person import age, gender
from eigenwalk_attributes.plugin import eigenwalk_features
from eigenwalk_attributes.published import AGE, GENDER
from eigenwalk_face.portraits import portraits

YEARS, LOG_ODDS = (40.228346, 40.255893), (0.944235, 0.700371)
"""Of `images`, what ONNX Runtime 1.32 gives with the weights of `onnx_files` in the published graphs."""
LOGITS = ((-1.434536, -0.431417, -2.726876), (-1.668962, -0.315739, -2.672430))
"""The first logits of the ages."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with files of both networks."""
    path = tmp_path_factory.mktemp("onnx")
    onnx_files.prepare(path)
    return path


def images(side: int) -> Tensor:
    """Two images ``(2, 3, side, side)`` of whole grey levels."""
    x = torch.arange(side, dtype=torch.float64) / side
    y = x[:, None]
    waves = [[(9 * x * (c + 1) + 5 * y + k).sin() * (7 * y - c + 3 * k * x).cos() for c in range(3)] for k in (0, 1)]
    return (torch.stack([torch.stack(one) for one in waves]) * 100 + 127.5).round().float() / 255


def test_age_is_what_onnx_runtime_gives(folder):
    feature, seen = age(file=str(folder / "age.onnx"), box=(0, 0, 1, 1)), images(64)
    with torch.no_grad():
        torch.testing.assert_close(feature.at(seen)(seen), torch.tensor(YEARS), rtol=0, atol=1e-4)
        normal = (seen * 255 - torch.tensor([122.782, 117.001, 104.298])[:, None, None]) / 256
        torch.testing.assert_close(feature.network(normal)[:, :3], torch.tensor(LOGITS), rtol=0, atol=5e-5)
    assert feature.distance(torch.tensor([30.0]), torch.tensor([42.0])).tolist() == [12]


def test_gender_is_the_log_odds_of_what_onnx_runtime_gives(folder):
    feature, seen = gender(file=str(folder / "gender.onnx"), box=(0, 0, 1, 1)), images(32)
    with torch.no_grad():
        torch.testing.assert_close(feature.at(seen)(seen), torch.tensor(LOG_ODDS), rtol=0, atol=5e-5)


def test_faces_are_found_and_followed(folder):
    for feature in (age(file=str(folder / "age.onnx")), gender(file=str(folder / "gender.onnx"))):
        frozen = feature.at(portraits())
        assert feature.memories == len(frozen.remembered) == 1 and frozen(portraits()).shape == (3,)


def changed(folder: Path, tmp_path: Path, change) -> Path:
    """A copy of the file of ages whose tensors, by name, `change` has replaced."""
    model = onnx.load(folder / "age.onnx")
    tensors = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    change(tensors)
    del model.graph.initializer[:]
    model.graph.initializer.extend(numpy_helper.from_array(rows, name) for name, rows in tensors.items())
    onnx.save(model, tmp_path / "age.onnx")
    return tmp_path / "age.onnx"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda found: found.pop("layer_1_bias"), "layer 1 holds weights, as no layer"),
        (lambda found: [found.pop(f"layer_1_{part}") for part in ("weights", "bias")], "11 layers .* 12 are expected"),
        (lambda found: found.update(layer_1_weights=found["layer_1_weights"].T.copy()), "layer 12 has shape"),
        (lambda found: found.update(layer_1_bias=found["layer_1_bias"] * float("nan")), "NaN or infinity"),
        (lambda found: found.update(layer_99_scale=found["layer_2_scale"][:, :1]), "layer 99 holds scale"),
        (lambda found: found.clear(), "no layers by the names"),
    ],
)
def test_another_network_is_refused(folder, tmp_path, change, said):
    place = changed(folder, tmp_path, change)
    with pytest.raises(EigenwalkError, match=said) as caught:
        age(file=str(place), box="ffhq")
    assert isinstance(caught.value, (FileError, WeightsError)) and str(place) in str(caught.value)


def test_a_file_that_is_no_onnx_or_cut_is_refused(folder, tmp_path):
    with pytest.raises(WeightsError, match="layers with weights"):
        age(file=str(folder / "gender.onnx"), box="ffhq")
    whole = (folder / "age.onnx").read_bytes()
    for name, data in (("text", b"hello" * 100), ("cut", whole[: len(whole) // 2])):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(FileError, match="an ONNX file was expected"):
            age(file=str(tmp_path / name), box="ffhq")
    with pytest.raises(FileError, match="there is no file"):
        gender(file=str(tmp_path / "none"), box="ffhq")


def test_what_is_needed_follows_from_the_options():
    specs = {one.name: one for one in eigenwalk_features()}
    assert specs["age"].needed({}) == (AGE,) and specs["gender"].needed({"box": "ffhq"}) == (GENDER,)
    assert specs["age"].needed({"file": "own.onnx"}) == ()


def test_without_weights_it_says_how_to_get_them():
    with pytest.raises(WeightsError, match=r'(?s)10\.8 MB.*CC0.*weights fetch "age"'):
        age()
