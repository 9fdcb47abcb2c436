"""Files of tensors: nothing in them is run, what is no file of tensors is refused in words."""

from __future__ import annotations

import argparse
import io
import os
import pickle
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from eigenwalk.checkpoint import into, state_dict
from eigenwalk.errors import FileError, WeightsError


class Hostile:
    """What a pickle does that wants to harm: a call of `os.system` when it is opened."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch '{self.mark}'",)


def net() -> nn.Sequential:
    """A small network with buffers, which some old files lack."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))


@pytest.mark.parametrize("where", ["top", "inside", "old format", "bare pickle", "named safetensors"])
def test_a_hostile_pickle_is_not_run(tmp_path, where):
    mark, path = tmp_path / "harmed", tmp_path / "x.pt"
    if where == "bare pickle":
        path.write_bytes(pickle.dumps({"weight": Hostile(mark)}))
    elif where == "named safetensors":
        path = tmp_path / "x.safetensors"
        torch.save(Hostile(mark), path)
    else:
        held = Hostile(mark) if where == "top" else {"weight": torch.ones(2), "more": Hostile(mark)}
        torch.save(held, path, _use_new_zipfile_serialization=where != "old format")
    with pytest.raises(
        FileError,
        match=r"holds more than tensors|it is no PyTorch file, and was not run|cannot be opened as safetensors",
    ) as told:
        state_dict(path)
    assert not mark.exists()
    if where in ("top", "inside", "old format"):
        assert "it wants posix.system" in str(told.value) and "nothing of it was run" in str(told.value)
    with suppress(RuntimeError):  # of a pickle that is not PyTorch's, after it was run
        torch.load(io.BytesIO(path.read_bytes()), weights_only=False)
    assert mark.exists(), "the file is as hostile as is claimed"


@pytest.mark.parametrize("old", [True, False])
@pytest.mark.parametrize("wrapper", [None, "state_dict", "model", "model_state"])
def test_one_wrapper_is_taken_off(tmp_path, wrapper, old):
    state, path = net().state_dict(), tmp_path / "x.pth"
    held = state if wrapper is None else {wrapper: state, "epoch": 3, "optimizer": {"lr": 0.1}}
    torch.save(held, path, _use_new_zipfile_serialization=not old)
    found = state_dict(path)
    assert list(found) == list(state) and all(torch.equal(found[key], state[key]) for key in state)
    assert torch.equal(into(net(), found, "x")[0].weight, state["0.weight"])


def test_a_layer_called_model_is_no_wrapper(tmp_path):
    torch.save({"model": torch.ones(2), "state_dict": torch.zeros(1)}, tmp_path / "x.pt")
    assert set(state_dict(tmp_path / "x.pt")) == {"model", "state_dict"}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("ending", ["pt", "safetensors"])
def test_the_dtype_of_the_file_is_kept(tmp_path, dtype, ending):
    state, path = {"weight": torch.ones(2, dtype=dtype)}, tmp_path / f"x.{ending}"
    save_file(state, path) if ending == "safetensors" else torch.save(state, path)
    assert state_dict(path)["weight"].dtype == dtype


@pytest.mark.parametrize("ending", ["pt", "safetensors"])
def test_truncated_files_are_refused_in_words(tmp_path, ending):
    path, state = tmp_path / f"x.{ending}", {"weight": torch.ones(64, 64)}
    save_file(state, path) if ending == "safetensors" else torch.save(state, path)
    whole = path.read_bytes()
    for size in (0, 4, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(FileError, match=r"cannot be opened as|is empty|is truncated"):
            state_dict(path)


def test_text_is_refused_without_words_of_the_reader(tmp_path):
    (tmp_path / "x.pt").write_text("hello\n")
    with pytest.raises(FileError, match="no PyTorch file") as told:
        state_dict(tmp_path / "x.pt")
    assert "KeyError" not in str(told.value)


@pytest.mark.parametrize(
    ("held", "words"),
    [
        ({}, "is empty"),
        (torch.ones(2), "holds a Tensor"),
        ({"weight": torch.ones(2), "epoch": 3}, r"more than tensors by name: epoch \(int\)"),
        ({"epoch": 3, "model": {}}, "is empty"),
        (net(), "it wants torch.nn.modules"),
        (argparse.Namespace(lr=1), "it wants argparse.Namespace"),
    ],
)
def test_what_holds_no_state_dict(tmp_path, held, words):
    torch.save(held, tmp_path / "x.pt")
    with pytest.raises(FileError, match=words):
        state_dict(tmp_path / "x.pt")


def test_no_file_and_a_text(tmp_path):
    with pytest.raises(FileError, match="there is no file"):
        state_dict(tmp_path / "x.pt")
    (tmp_path / "x.pt").write_text("<html>Sorry</html>")
    with pytest.raises(FileError, match="is a web page"):
        state_dict(tmp_path / "x.pt")


def test_what_does_not_fit_is_named(tmp_path):
    state = dict(net().state_dict())
    state["2.weight"] = torch.ones(3, 4)
    del state["0.bias"]
    state |= {f"head.{i}": torch.ones(1) for i in range(6)}
    with pytest.raises(WeightsError) as told:
        into(net(), state, "identity: x.pt")
    assert str(told.value) == (
        "identity: x.pt does not fit Sequential: missing: 0.bias; unexpected: head.0, head.1, head.2, head.3 and 2 "
        "more; shapes: 2.weight (3, 4) where (2, 4) is wanted"
    )
