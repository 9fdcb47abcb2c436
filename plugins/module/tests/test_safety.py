"""No code in a file runs, and no small file takes all memory or time."""

from __future__ import annotations

import importlib.util
import io
import pickle
import time
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from eigenwalk.errors import FileError
from eigenwalk_module import bounds, generator

_spec = importlib.util.spec_from_file_location("module_files", Path(__file__).with_name("files.py"))
assert _spec is not None
assert _spec.loader is not None
files = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(files)


class Evil:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def nodes(described: dict) -> list[dict]:
    return described["graph_module"]["graph"]["nodes"]


def argument(name: str, kind: int = 1, **value: object) -> dict:
    return {"name": name, "arg": value, "kind": kind}


def node(target: str, out: str, *inputs: dict) -> dict:
    """A node of a program that makes the tensor `out`."""
    outputs = [{"as_tensor": {"name": out}}]
    return {"target": f"torch.ops.aten.{target}", "inputs": list(inputs), "outputs": outputs, "metadata": {}}


def program(folder: Path, *first: dict) -> Path:
    """A program that carries out the nodes `first` before its own."""
    path = files.written("any.pt2", folder)

    def insert(described: dict) -> None:
        described["graph_module"]["graph"]["nodes"] = [*first, *nodes(described)]

    return files.change(path, "models/model.json", files.in_json(insert))


def script(folder: Path, *lines: str) -> Path:
    """A trace whose ``forward`` begins with `lines`."""
    path = files.written("traced.pt", folder)
    start = b"z: Tensor) -> Tensor:\n"

    def insert(code: bytes) -> bytes:
        head, found, rest = code.partition(b"class Small(Module)")
        before, colon, after = rest.partition(start)
        return (
            head + found + before + colon + "".join(f"    {line}\n" for line in lines).encode() + after
            if found
            else code
        )

    return files.change(path, ".py", insert)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("torch.os.system", "only ATen's operations"),
        ("torch.load", "only ATen's operations"),
        ("torch.ops.mine.relu.default", "only ATen's operations"),
        ("#hop", "only ATen's operations"),
        ("_operator.pow", "only ATen's operations"),
        ("torch.ops.aten.__class__.mro", "not on the list"),
        ("torch.ops.aten.from_file.default", "not on the list"),
        ("torch.ops.aten.set_.source_Tensor", "not on the list"),
        ("torch.ops.aten._sparse_coo_tensor_unsafe.default", "not on the list"),
        ("torch.ops.aten._reshape_alias.default", "not on the list"),
        ("torch.ops.aten.quantize_per_tensor.default", "not on the list"),
        ("torch.ops.aten.resize_.default", "not on the list"),
        ("torch.ops.aten.add.out", "not on the list"),
        ("torch.ops.aten.randn_like.default", "draws random numbers"),
        ("torch.ops.aten.normal_.default", "draws random numbers"),
    ],
)
def test_a_program_may_call_only_listed_operations(tmp_path, target, message):
    path = files.written("any.pt2", tmp_path)
    files.change(path, "models/model.json", files.in_json(lambda one: nodes(one)[1].update(target=target)))
    with pytest.raises(FileError, match=message):
        generator.module(path)


def test_internal_operations_take_sizes_only_from_their_tensors(tmp_path):
    """Torch's own operations, given larger sizes than their tensors have, would read beyond them."""
    z, running = argument("input", as_tensor={"name": "z"}), argument("g", as_tensor={"name": "b_norm_running_mean"})
    sizes = [argument(name, as_int=value) for name, value in (("N", 1), ("C", 8), ("HxW", 1 << 30), ("group", 4))]
    nothing = [argument(name, as_none=True) for name in ("weight", "bias")]
    norm = node("native_group_norm.default", "x", z, *nothing, *sizes, argument("eps", as_float=1e-5))
    weight_norm = node("_weight_norm_interface.default", "y", z, running, argument("dim", as_int=0))
    assert generator.module(program(tmp_path, norm, weight_norm)).resolution == (16, 16)


def test_no_part_of_a_program_is_unpickled_or_evaluated(tmp_path):
    path, touched = files.written("any.pt2", tmp_path), tmp_path / "touched"
    buffer = io.BytesIO()
    torch.save(Evil(touched), buffer)
    files.change(path, "sample_inputs/model.pt", lambda _: buffer.getvalue())
    text = f"__import__('pathlib').Path({str(touched)!r}).touch()"

    def poison(described: dict) -> None:
        described["guards_code"] = [text]
        size = {"as_expr": {"expr_str": text, "hint": None}}
        described["graph_module"]["graph"]["tensor_values"]["z"]["sizes"][0] = size

    files.change(path, "models/model.json", files.in_json(poison))
    made = generator.module(path)
    z = made.sample(2, seed=0)
    torch.testing.assert_close(made(z), files.network()(z) / 2 + 0.5, rtol=0, atol=1e-5)
    assert not touched.exists()
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever it stumbles over, having run the text
        torch.export.load(path)
    assert touched.exists()  # so the file is one that torch's own loader does run


def test_pickled_and_truncated_weights_are_refused(tmp_path):
    path, touched = files.written("any.pt2", tmp_path), tmp_path / "touched"
    files.change(path, "weights/weight_0", lambda data: data[:-4])
    with pytest.raises(FileError, match="the file is damaged"):
        generator.module(path)
    files.change(path, "weights/weight_0", lambda _: pickle.dumps(Evil(touched)))
    marked = files.in_json(lambda one: next(iter(one["config"].values())).update(use_pickle=True))
    files.change(path, "model_weights_config.json", marked)
    with pytest.raises(FileError, match="is a pickle"):
        generator.module(path)
    assert not touched.exists()


def test_a_program_in_training_mode_is_refused(tmp_path):
    def train(described: dict) -> None:
        norm = next(node for node in nodes(described) if "batch_norm" in node["target"])
        next(one for one in norm["inputs"] if one["name"] == "training")["arg"]["as_bool"] = True

    path = files.change(files.written("any.pt2", tmp_path), "models/model.json", files.in_json(train))
    with pytest.raises(FileError, match=r"training mode: export the network after \.eval"):
        generator.module(path)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["x = torch.from_file('/etc/hostname', False, 1)"], "aten::from_file, which is not on the list"),
        (["x = torch.save(z, 'there')"], "aten::save, which is not on the list"),
        (["x = ops.mine.write(z)"], "not torch's own"),
        (["x = ops.prim.PythonOp(z)"], "prim::PythonOp, which is not carried out"),
        (["x = ().__class__"], "reads '__class__' of a tuple"),
        (["x = torch.os.system('touch there')"], "names torch, which is not there"),
        (["x = __import__('os')"], "names __import__, which is not there"),
        (["import os"], "statement Import"),
        (["x = [i for i in [1]]"], "expression ListComp"),
        (["x = lambda: 1"], "expression Lambda"),
        (["x = self.forward(z)"], "more than 60 functions within each other"),
        (["self.up1 = z"], "changes an attribute of the network"),
        (["x = torch.normal_(z)"], "draws random numbers"),
        (["x = torch.mul([0], 1000000000)"], "multiplies what are no numbers"),
        (["x = 9", *["x = torch.mul(x, x)"] * 9], "more than 64 bits"),
        (["i = 0", "while True:", "  i = torch.add(i, 1)"], "more than 100,000 statements"),
        (["for i in range(9223372036854775807):", "  x = i"], "more than 100,000 statements"),
    ],
)
def test_a_script_may_use_only_listed_operations(tmp_path, monkeypatch, lines, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileError, match=message):
        generator.module(script(tmp_path, *lines), shape=(8,))
    assert not (tmp_path / "there").exists()


class Stateful(nn.Module):
    """A module whose code would run while torch loads it."""

    def __init__(self) -> None:
        super().__init__()
        self.k = torch.zeros(1)

    @torch.jit.export
    def __getstate__(self) -> tuple[Tensor, bool]:
        return (self.k, self.training)

    @torch.jit.export
    def __setstate__(self, state: tuple[Tensor, bool]) -> None:
        self.k, self.training = state[0] + 1, state[1]

    def forward(self, z: Tensor) -> Tensor:
        return z.view(-1, 1, 2, 4) + self.k


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_a_script_that_runs_code_when_loaded_is_refused(tmp_path):
    torch.jit.save(torch.jit.script(Stateful()), tmp_path / "stateful.pt")
    with pytest.raises(FileError, match=r"Stateful whose state is none that torch\.jit\.save writes"):
        generator.module(tmp_path / "stateful.pt", shape=(8,))


def test_pickles_of_a_script_are_read_as_data(tmp_path):
    path, touched = files.written("traced.pt", tmp_path), tmp_path / "touched"
    for member in ("constants.pkl", "data.pkl"):
        files.change(path, member, lambda _: pickle.dumps({"x": Evil(touched)}, protocol=2))
        with pytest.raises(FileError, match=r"was not opened|is no TorchScript"):
            generator.module(path, shape=(8,))
    assert not touched.exists()


def test_an_archive_behind_another_file_is_refused(tmp_path):
    """Another reader may look at the start of the file, which the checks of the archive skip."""
    path = files.written("traced.pt", tmp_path)
    path.write_bytes(b"PK\x03\x04PTMF" + bytes(100) + path.read_bytes())
    with pytest.raises(FileError, match="another file stands before"):
        generator.module(path, shape=(8,))


LONG = argument("size", as_ints=[1 << 33])
BOMBS: dict[str, Callable[[Path], Path]] = {
    "zeros": lambda folder: program(folder, node("zeros.default", "x", LONG)),
    "expanded": lambda folder: program(
        folder,
        node("zeros.default", "x", argument("size", as_ints=[1])),
        node("expand.default", "y", argument("self", as_tensor={"name": "x"}), LONG),
        node("clone.default", "w", argument("self", as_tensor={"name": "y"})),
    ),
    "many": lambda folder: program(
        folder, *(node("ones.default", f"x{i}", argument("size", as_ints=[1 << 28])) for i in range(40)),
        node("cat.default", "x", argument("t", as_tensors=[{"name": f"x{i}"} for i in range(40)])),
    ),
    "script": lambda folder: script(folder, "x = torch.add(torch.expand(torch.zeros([1]), [8589934592]), 1)"),
    "constant.onnx": lambda folder: graph(folder, "ConstantOfShape", [0x200000000]),
    "expand.onnx": lambda folder: graph(folder, "Expand", [0x200000000, 1, 1, 1]),
}  # fmt: skip


def graph(folder: Path, kind: str, shape: list[int]) -> Path:
    """An ONNX graph of one node that makes more than it is given."""
    size = numpy_helper.from_array(torch.tensor(shape).numpy(), "size")
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, 4, 4]) for name in ("z", "image")]
    made = [
        helper.make_node(kind, ["size"] if kind == "ConstantOfShape" else ["z", "size"], ["x"]),
        helper.make_node("ReduceSum", ["x"], ["s"]),
        helper.make_node("Add", ["z", "s"], ["image"]),
    ]
    model = helper.make_model(helper.make_graph(made, "g", ends[:1], ends[1:], [size]))
    onnx.save(model, folder / "bomb.onnx")
    return folder / "bomb.onnx"


@pytest.mark.parametrize("name", BOMBS)
def test_images_that_would_take_all_memory_are_refused_in_advance(tmp_path, name):
    path = BOMBS[name](tmp_path)
    open_it = generator.onnx if name.endswith(".onnx") else generator.module
    with pytest.raises(FileError, match=f"images of one latent take more than {bounds.MEMORY >> 30} GB"):
        open_it(path, **({"shape": (8,)} if name == "script" else {}))


def test_images_that_would_take_hours_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(bounds, "WORK", 1e4)
    with pytest.raises(FileError, match=r"take more than 1e\+04 multiplications \(aten\."):
        generator.module(files.written("any.pt2", tmp_path))


def test_descriptions_that_are_too_long_or_deep_are_refused_in_seconds(tmp_path):
    start = time.monotonic()
    for text in (b"[" * 200_000, b"[" + b"[]," * 2_000_000 + b"0]"):
        path = files.change(files.written("any.pt2", tmp_path), "models/model.json", lambda _, text=text: text)
        with pytest.raises(FileError, match=r"RecursionError|too long"):
            generator.module(path)
    for code in (b"x = " + b"(" * 100_000, b"x = " + b"-" * 100_000 + b"1", b"x = 1\n" * 1_000_000):
        path = files.change(files.written("traced.pt", tmp_path), ".py", lambda _, code=code: code)
        with pytest.raises(FileError, match=r"none that torch writes|more than 4 MB"):
            generator.module(path, shape=(8,))
    many = b"\x0a\x00" * 1_500_000  # a graph of empty nodes
    size = len(many)
    length = bytes([size & 127 | 128, size >> 7 & 127 | 128, size >> 14 & 127 | 128, size >> 21])
    (tmp_path / "many.onnx").write_bytes(b"\x08\x08\x42\x02\x10\x12\x3a" + length + many)
    with pytest.raises(FileError, match=r"more than 2,000,000 fields|no operations"):
        generator.onnx(tmp_path / "many.onnx")
    assert time.monotonic() - start < 60
