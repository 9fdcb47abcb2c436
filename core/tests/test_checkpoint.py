"""Files of tensors: no code in them is run, and other files are refused with a clear message."""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import pickle
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from eigenwalk.checkpoint import Checkpoint, Kind, into, sharing, state_dict
from eigenwalk.errors import FileError, OptionError, WeightsError


class Hostile:
    """An object whose pickle calls `os.system` when it is opened."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch '{self.mark}'",)


def net() -> nn.Sequential:
    """A small network with buffers, which some old files lack."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))


def under_compile(state: dict) -> dict:
    return {f"_orig_mod.{name}": tensor for name, tensor in state.items()}


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
def test_one_wrapping_prefix_is_removed(tmp_path, wrapper, old):
    state, path = net().state_dict(), tmp_path / "x.pth"
    held = state if wrapper is None else {wrapper: state, "epoch": 3, "optimizer": {"lr": 0.1}}
    torch.save(held, path, _use_new_zipfile_serialization=not old)
    found = state_dict(path)
    assert list(found) == list(state) and all(torch.equal(found[key], state[key]) for key in state)
    assert torch.equal(into(net(), found, "x")[0].weight, state["0.weight"])


@pytest.mark.parametrize("wrapped", [net(), nn.DataParallel(net()).state_dict(), under_compile(net().state_dict())])
def test_prefixes_of_wrappers_are_removed(tmp_path, wrapped):
    torch.save(wrapped, tmp_path / "x.pt")
    assert torch.equal(into(net(), state_dict(tmp_path / "x.pt"), "x")[0].weight, net()[0].weight)


def test_a_layer_called_model_is_not_taken_for_a_wrapper(tmp_path):
    torch.save({"model": torch.ones(2), "state_dict": torch.zeros(1)}, tmp_path / "x.pt")
    assert set(state_dict(tmp_path / "x.pt")) == {"model", "state_dict"}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("ending", ["pt", "safetensors"])
def test_the_dtype_of_the_file_is_kept(tmp_path, dtype, ending):
    state, path = {"weight": torch.ones(2, dtype=dtype)}, tmp_path / f"x.{ending}"
    save_file(state, path) if ending == "safetensors" else torch.save(state, path)
    assert state_dict(path)["weight"].dtype == dtype


@pytest.mark.parametrize("ending", ["pt", "safetensors"])
def test_truncated_files_are_refused_with_a_clear_message(tmp_path, ending):
    path, state = tmp_path / f"x.{ending}", {"weight": torch.ones(64, 64)}
    save_file(state, path) if ending == "safetensors" else torch.save(state, path)
    whole = path.read_bytes()
    for size in (0, 4, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(FileError, match=r"cannot be opened as|is empty|is truncated"):
            state_dict(path)


def test_text_is_refused_as_no_pytorch_file(tmp_path):
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
        (argparse.Namespace(lr=1), "it wants argparse.Namespace"),
    ],
)
def test_files_without_a_state_dict_are_refused(tmp_path, held, words):
    torch.save(held, tmp_path / "x.pt")
    with pytest.raises(FileError, match=words):
        state_dict(tmp_path / "x.pt")


def test_a_missing_file_and_a_web_page_are_refused(tmp_path):
    with pytest.raises(FileError, match="there is no file"):
        state_dict(tmp_path / "x.pt")
    (tmp_path / "x.pt").write_text("<html>Sorry</html>")
    with pytest.raises(FileError, match="is a web page"):
        state_dict(tmp_path / "x.pt")


def test_keys_and_shapes_that_do_not_fit_are_named(tmp_path):
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


TENSORS = {
    "transposed": torch.randn(3, 4, 5).transpose(0, 2),
    "half": torch.randn(7).half(),
    "brain": torch.randn(5).bfloat16(),
    "whole": torch.arange(6).reshape(2, 3),
    "bool": torch.tensor([True, False]),
    "scalar": torch.tensor(3.5),
    "expanded": torch.ones(1, 4).expand(3, 4),
    "empty": torch.zeros(0, 3),
    "complex": torch.randn(2, 2, dtype=torch.complex64),
    "byte": torch.arange(5).to(torch.uint8),
    "unsigned": torch.arange(5).to(torch.uint16),
    "parameter": nn.Parameter(torch.ones(2)),
    "part": torch.arange(10.0)[3:7],
    "double": torch.randn(3).double(),
}


@pytest.mark.parametrize("zipped", [True, False])
def test_every_kind_of_tensor_equals_what_torch_reads(tmp_path, zipped):
    array = np.arange(6, dtype=">f4").reshape(2, 3, order="F")
    held = {"net": TENSORS, "args": argparse.Namespace(lr=1), "loss": np.float64(3.25), "array": array}
    torch.save(held, tmp_path / "x.pt", _use_new_zipfile_serialization=zipped)
    found = Checkpoint(tmp_path / "x.pt")
    assert found.kind is (Kind.TORCH if zipped else Kind.TORCH_LEGACY)
    assert found.foreign == ("argparse.Namespace",) and found.tree["args"].state == {"lr": 1}
    assert found.tree["loss"] == 3.25 and found.tree["array"].numbers.load().tolist() == array.tolist()
    assert found.words == f"{found.kind} with net (14 tensors), args, loss, array"
    for name, tensor in TENSORS.items():
        lazy = found.tensors[f"net.{name}"]
        assert (lazy.shape, f"torch.{lazy.dtype}") == (tuple(tensor.shape), str(tensor.dtype))
        assert torch.equal(lazy.load(), tensor.detach()), name


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickled_module_is_read_as_its_state_dict(tmp_path, zipped):
    module = net()
    torch.save({"epoch": 3, "netG": module}, tmp_path / "x.pt", _use_new_zipfile_serialization=zipped)
    found = Checkpoint(tmp_path / "x.pt").state_dict("0.weight")
    assert found.key == "netG" and found.load().keys() == module.state_dict().keys()
    assert torch.equal(found.load()["1.running_var"], module.state_dict()["1.running_var"])


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\x08\x07\x3a\x00\x42\x00", Kind.ONNX),
        (b"\x08\x07\x3a\x05\x42\x00", Kind.OTHER),
        (b'<?xml version="1.0"?>\n<net name="g" version="10">', Kind.OPENVINO),
        (b'{"a": 1}', Kind.JSON),
        (b"\x80\x04N.", Kind.PICKLE),
        ((0x280).to_bytes(8, "little") + b"{}" + b" " * 0x27E, Kind.SAFETENSORS),
        (b"hello", Kind.OTHER),
    ],
)
def test_kinds_of_files_are_recognised_by_their_bytes(tmp_path, content, kind):
    (tmp_path / "x.pt").write_bytes(content)
    found = Checkpoint(tmp_path / "x.pt")
    assert found.kind is kind and bytes(found.data) == content
    assert found.sha256 == hashlib.sha256(content).hexdigest()


def test_archives_of_code_are_not_state_dicts(tmp_path):
    torch.jit.script(nn.Linear(2, 3)).save(tmp_path / "x.pt")
    found = Checkpoint(tmp_path / "x.pt")
    assert found.kind is Kind.SCRIPT and not found.has_all("weight")
    with pytest.raises(FileError, match="is a TorchScript file, not a file of tensors"):
        state_dict(tmp_path / "x.pt")
    # Where another test of this process has scripted a class, torch gives it another name the next time.
    (code,) = [name for name in found.members if name.startswith("code/") and name.endswith(".py")]
    assert b"def forward" in bytes(found.members[code])


def test_a_folders_files_can_be_opened(tmp_path):
    (tmp_path / "config.json").write_text('{"a": 1}')
    found = Checkpoint(tmp_path)
    assert found.kind is Kind.FOLDER and not found.has_all("weight")
    assert found.inside("config.json").json() == {"a": 1} and found.inside("other.json") is None
    (tmp_path / "config.json").write_text("[" * 100_000)
    with pytest.raises(FileError, match="nested too deep"):
        found.inside("config.json").json()


G, EMA = torch.zeros(1), torch.ones(1)
LAYERS = {"a.weight": G, "a.bias": G, "b.weight": G}
AVERAGES = dict.fromkeys(LAYERS, EMA)


def under(prefix: str, layers: dict) -> dict:
    return {f"{prefix}{name}": tensor for name, tensor in layers.items()}


@pytest.mark.parametrize(
    ("held", "key", "averaged"),
    [
        (LAYERS, "", False),
        ({"state_dict": under("module.", LAYERS)}, "state_dict.module", False),
        ({"netG": under("_orig_mod.", LAYERS)}, "netG", False),
        ({"model": {"generator": under("_orig_mod.module.", LAYERS)}}, "model.generator.module", False),
        ({"g": LAYERS, "g_ema": AVERAGES, "d": LAYERS}, "g_ema", True),
        ({"gen": LAYERS, "gen_ema": AVERAGES}, "gen_ema", True),
        ({"params": LAYERS, "params_ema": AVERAGES}, "params_ema", True),
        ({"model": LAYERS, "ema": {"decay": 0.99, "shadow": AVERAGES}}, "ema.shadow", True),
        ({"state_dict": under("G.", LAYERS) | under("G_ema.", AVERAGES)}, "state_dict.G_ema", True),
        ({"state_dict": under("ema_model.", AVERAGES) | under("online_model.", LAYERS)}, "state_dict.ema_model", True),
        ({"n_averaged": EMA, **under("module.", LAYERS)}, "module", False),
        ({"generator": LAYERS, "generator_smooth": AVERAGES, "discriminator": LAYERS}, "generator_smooth", True),
        ({"discriminator": LAYERS, "generator": LAYERS}, "generator", False),
        ({"optimizer_ema": AVERAGES, "generator": LAYERS}, "generator", False),
    ],
)
def test_averaged_weights_are_preferred_under_any_prefix(tmp_path, held, key, averaged):
    torch.save(held, tmp_path / "x.pt")
    checkpoint = Checkpoint(tmp_path / "x.pt")
    assert checkpoint.has_all("a.weight", "b.weight") and not checkpoint.has_all("a.weight", "c.weight")
    found = checkpoint.state_dict("a.weight", "b.weight")
    assert (found.key, found.load().keys()) == (key, LAYERS.keys())
    assert bool(found.load()["a.weight"]) is averaged
    assert ("averaged weights" in found.choice) is averaged


def test_buffers_missing_among_averages_come_from_the_live_copy(tmp_path):
    torch.save({"g": LAYERS | {"a.running_var": 2 * EMA}, "ema": {"shadow": AVERAGES}}, tmp_path / "x.pt")
    found = Checkpoint(tmp_path / "x.pt").state_dict("a.weight")
    assert found.choice == "ema.shadow, averaged weights; also there: g, of which the buffers are"
    assert {name: float(one) for name, one in found.load().items()} == {
        "a.weight": 1, "a.bias": 1, "b.weight": 1, "a.running_var": 2
    }  # fmt: skip


def test_averages_under_names_without_dots_are_found(tmp_path):
    live = under("decoder.", LAYERS | {"a.running_var": 2 * EMA})
    averages = {f"model_ema.{name.replace('.', '')}": EMA for name in under("decoder.", LAYERS)}
    torch.save({"state_dict": live | averages}, tmp_path / "x.pt")
    found = Checkpoint(tmp_path / "x.pt").state_dict("a.weight")
    assert found.choice == "state_dict.decoder, with the averaged weights of model_ema"
    assert float(sum(found.load().values())) == 5 and set(found) == {*LAYERS, "a.running_var"}


def test_netG_is_taken_for_the_generator(tmp_path):
    torch.save({"netD": LAYERS, "netG": LAYERS, "netG_ema": AVERAGES, "epoch": 3}, tmp_path / "x.pt")
    found = Checkpoint(tmp_path / "x.pt").state_dict()
    assert (found.key, found.choice) == ("netG_ema", "netG_ema, averaged weights; also there: netG")


def test_the_option_key_chooses_a_copy(tmp_path):
    torch.save({"g": LAYERS, "g_ema": AVERAGES}, tmp_path / "x.pt")
    assert Checkpoint(tmp_path / "x.pt", key="g").state_dict("a.weight").key == "g"
    with pytest.raises(OptionError, match=r"key=netG stands for nothing in .* it holds g, g_ema"):
        Checkpoint(tmp_path / "x.pt", key="netG").state_dict("a.weight")


def test_a_file_with_two_networks_asks_for_a_key(tmp_path):
    torch.save({"netG_A": LAYERS, "netG_B": LAYERS, "netD_A": LAYERS}, tmp_path / "x.pt")
    with pytest.raises(OptionError, match="holds 2 networks, netG_A, netG_B: write key=netG_A or key=netG_B"):
        Checkpoint(tmp_path / "x.pt").state_dict("a.weight")
    assert Checkpoint(tmp_path / "x.pt", key="netG_B").state_dict("a.weight").key == "netG_B"


def test_a_file_that_changes_is_read_again(tmp_path):
    path = tmp_path / "x.pt"
    torch.save({"a": torch.zeros(1)}, path)
    with sharing() as files:
        first = Checkpoint.of(path)
        assert Checkpoint.of(str(path)) is first and Checkpoint.of(first) is first and files == {path: first}
        torch.save({"a": torch.ones(1), "b": torch.ones(1)}, path)
        assert first.is_stale and Checkpoint.of(path) is not first
        with pytest.raises(FileError, match="has changed while it was read"):
            first.sha256  # noqa: B018


def test_a_walk_opens_a_file_once(tmp_path):
    """A generator's file is opened once to be recognised, built and hashed."""
    torch.save({"a.weight": torch.ones(3, 8)}, tmp_path / "g.pt")
    (tmp_path / "count.py").write_text(COUNT)
    done = subprocess.run([sys.executable, "count.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["1", hashlib.sha256((tmp_path / "g.pt").read_bytes()).hexdigest()], done.stderr


COUNT = """
import os, sys, types
opened = []
sys.addaudithook(lambda event, given: opened.append(given) if event == "open" and str(given[0]) == "g.pt" else None)
import torch
from eigenwalk.checkpoint import Checkpoint
from eigenwalk.feature import FunctionFeature
from eigenwalk.generator import FunctionGenerator
from eigenwalk.hookspecs import hookimpl
from eigenwalk.names.registry import Registry
from eigenwalk.runs.api import start
from eigenwalk.runs.recipe import Recipe
from eigenwalk.spec import FeatureSpec, GeneratorSpec


def build(path):
    assert isinstance(path, Checkpoint)
    weight = path.state_dict("a.weight").load()["a.weight"]
    flat = lambda z: torch.sigmoid(z @ weight.T)[:, :, None, None].expand(-1, 3, 8, 8)
    return FunctionGenerator(flat, latent_dim=8, resolution=(8, 8))


def mean():
    return FunctionFeature(lambda images: images.mean((2, 3)))


class Plugin:
    __name__ = "toy"

    @hookimpl
    def eigenwalk_features(self):
        return [FeatureSpec("mean", "toy_plugin:mean", "")]

    @hookimpl
    def eigenwalk_open(self, path, checkpoint):
        return GeneratorSpec("toy", "toy_plugin:build", "") if checkpoint.has_all("a.weight") else None


class Older:
    __name__ = "older"

    @hookimpl
    def eigenwalk_open(self, path):
        return None


sys.modules["toy_plugin"] = types.ModuleType("toy_plugin")
sys.modules["toy_plugin"].build, sys.modules["toy_plugin"].mean = build, mean
extra = [(Older(), "eigenwalk-older", "1"), (Plugin(), "eigenwalk-toy", "1")]
registry = Registry.discover(extra, installed=False)
prepared = start(Recipe.of(generator="g.pt", vary=["mean"], steps=1, paths=1), registry=registry)
assert [front.index for front in prepared.fronts()] == [0, 1]
opened = [given for given in opened if given[1] is not None]  # once by open, and by os.open inside it
print(len(opened), prepared.recipe.files["g.pt"])
"""
