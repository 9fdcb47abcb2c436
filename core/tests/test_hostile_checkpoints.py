# ruff: noqa: F811 - fixtures
"""Hostile files: no code in them runs, sizes that they claim are not allocated, and they are refused within seconds."""

from __future__ import annotations

import io
import os
import pickle
import random
import struct
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from eigenwalk.checkpoint import Checkpoint, Record
from eigenwalk.checkpoint.machine import Machine
from eigenwalk.errors import FileError
from hostile import little_memory, safetensors  # noqa: F401

MAGIC = 0x1950A86A20F9469CFC6C
CLAIM = 10 * 10**9
"""Bytes that a header of a few bytes speaks of."""
COMMAND = "mkdir ran"


def text(word: str) -> bytes:
    return b"X" + struct.pack("<I", len(word.encode())) + word.encode()


def content(data: bytes) -> bytes:
    return b"B" + struct.pack("<I", len(data)) + data


def number(n: int) -> bytes:
    return b"\x8a\x08" + n.to_bytes(8, "little", signed=True)


def call(name: str, *arguments: bytes, by: bytes = b"R") -> bytes:
    module, _, word = name.rpartition(".")
    return f"c{module}\n{word}\n".encode() + b"(" + b"".join(arguments) + b"t" + by


def plain(value: bytes) -> bytes:
    """A pickle of a dictionary with `value` in it."""
    return b"\x80\x04}(" + text("value") + value + b"u."


def identity(kind: bytes, numel: int) -> bytes:
    """Pickle a reference to a storage as PyTorch does."""
    return b"(" + text("storage") + kind + text("0") + text("cpu") + number(numel) + b"Nt"


def storage(kind: bytes, numel: int, held: bytes = b"", head: object = None) -> bytes:
    """A file in PyTorch's older format: one storage that says it has `numel` numbers."""
    parts = [pickle.dumps(one, protocol=2) for one in (MAGIC, 1001, head or {})]
    return (
        b"".join(parts)
        + b"\x80\x02"
        + identity(kind, numel)
        + b"Q."
        + pickle.dumps(["0"], 2)
        + struct.pack("<q", numel)
        + held
    )


FLOATS = b"ctorch\nFloatStorage\n"
RUN = call("os.system", text(COMMAND))
DTYPE = (
    call("numpy.dtype", text("f4"), b"\x89", b"\x88")
    + b"(K\x03"
    + text("<")
    + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
)


def array(shape: bytes, data: bytes) -> bytes:
    made = call("numpy.core.multiarray._reconstruct", b"cnumpy\nndarray\n", b"(K\x00t", content(b"b"))
    return made + b"(K\x01" + shape + DTYPE + b"\x89" + content(data) + b"tb"


def tensor(numbers: int, size: bytes, stride: bytes) -> bytes:
    held = call("torch.storage._load_from_bytes", content(storage(FLOATS, numbers, b"\0" * 4 * numbers)))
    return call(
        "torch._utils._rebuild_tensor_v2", held, b"K\x00", size, stride, b"\x89", call("collections.OrderedDict")
    )


def persistent(state: bytes) -> bytes:
    meta = b"}(" + text("module_src") + text(COMMAND) + text("class_name") + text("Generator")
    return call("torch_utils.persistence._reconstruct_persistent_obj", meta + text("state") + state + b"u")


def archive(value: bytes, method: int = zipfile.ZIP_STORED, storage: bytes = b"") -> bytes:
    """An archive of PyTorch's with `value` in its dictionary."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as held:
        held.writestr("archive/data.pkl", b"\x80\x02" + plain(value)[2:])
        held.writestr("archive/data/0", storage, method)
        held.writestr("archive/version", b"3")
    return made.getvalue()


def legacy(value: bytes, keys: bytes = pickle.dumps([], 2)) -> bytes:
    """A file in PyTorch's older format with `value` in its dictionary."""
    return b"".join(pickle.dumps(one, 2) for one in (MAGIC, 1001, {})) + b"\x80\x02" + plain(value)[2:] + keys


def laughs(levels: int) -> bytes:
    """Pickle nested tuples that refer twice to the next: few bytes, but 2^levels leaves."""
    return b"K\x01" + b"2\x86" * levels


PRIME = (1 << 61) - 1
COLLIDING = b"}(" + b"".join(b"\x8a\x0a" + (PRIME * k).to_bytes(10, "little", signed=True) + b"N" for k in range(1, 9))
FOREIGN = {
    "REDUCE to os.system": (plain(RUN), "os.system"),
    "REDUCE to eval": (plain(call("builtins.eval", text("open('ran', 'w')"))), "builtins.eval"),
    "NEWOBJ of subprocess.Popen": (plain(call("subprocess.Popen", text(COMMAND), by=b"\x81")), "subprocess.Popen"),
    "a name by STACK_GLOBAL": (plain(text("os") + text("system") + b"\x93(" + text(COMMAND) + b"tR"), "os.system"),
    "a dotted name in a known module": (
        plain(text("dnnlib.util") + text("EasyDict.__init__.__globals__") + b"\x93)R"),
        "dnnlib.util.EasyDict.__init__.__globals__",
    ),
    "a chain of getattr": (
        plain(call("builtins.getattr", b"cdnnlib.util\nEasyDict\n", text("__subclasses__"))),
        "builtins.getattr",
    ),
    "a function by dill": (
        plain(call("dill._dill._create_function", call("dill._dill._create_code", text(COMMAND)))),
        "dill._dill._create_function",
    ),
    "os.system in a checkpoint": (archive(RUN), "os.system"),
    "os.system in an older one": (legacy(RUN), "os.system"),
    "bytearray(10**10)": (archive(call("__builtin__.bytearray", number(CLAIM))), "__builtin__.bytearray"),
    "torch.Tensor(10**5, 10**5)": (archive(call("torch.Tensor", number(10**5), number(10**5))), "torch.Tensor"),
    "bytearray(10**10), an archive behind it": (
        legacy(call("__builtin__.bytearray", number(CLAIM))) + archive(b"N"),
        "__builtin__.bytearray",
    ),
}  # fmt: skip
"""What stays a record: the file, and the name in it that is not called."""
REFUSED = {
    "INST of os.system": (plain(b"(" + text(COMMAND) + b"ios\nsystem\n"), "opcode INST"),
    "an extension's code": (plain(b"\x82\x01)R"), "opcode EXT1"),
    "a pickle inside a storage's bytes": (
        plain(call("torch.storage._load_from_bytes", content(b"\x80\x02cos\nsystem\n" + text("true") + b"\x85R."))),
        "it is no file of PyTorch",
    ),
    "a pickle inside PyTorch's header": (
        plain(call("torch.storage._load_from_bytes", content(storage(b"cos\nsystem\n", 1)))),
        "where a storage was expected",
    ),
    "__setstate__ by BUILD": (
        plain(b"cdnnlib.util\nEasyDict\n}" + text("__setstate__") + text(COMMAND) + b"sb"),
        "gives state to a global dnnlib.util.EasyDict",
    ),
    "a call of what a call gave": (plain(call("collections.OrderedDict") + b")R"), "it calls a Items"),
    "10 GB of bytes": (plain(b"\x8e" + struct.pack("<Q", CLAIM)), "claims 10 GB"),
    "10 GB of text": (plain(b"\x8d" + struct.pack("<Q", CLAIM)), "claims 10 GB"),
    "a frame of 10 GB": (plain(b"\x95" + struct.pack("<Q", CLAIM)), "claims 10 GB"),
    "a buffer of 10 GB": (plain(b"\x96" + struct.pack("<Q", CLAIM)), "claims 10 GB"),
    "an integer of 2 GB": (plain(b"\x8b" + struct.pack("<I", 2**31 - 1)), "an integer of 2.15 GB"),
    "an array of 10 GB": (plain(array(b"(" + number(CLAIM // 4) + b"t", b"")), "a tensor of shape"),
    "an array of objects": (plain(call("numpy.dtype", text("O8"), b"\x89", b"\x88")), "plain numbers are expected"),
    "an order of bytes that never ends as text": (
        plain(call("numpy.dtype", text("f4"), b"\x89", b"\x88") + b"K\x03" + laughs(200) + b"\x86b"),
        "order of bytes tuple",
    ),
    "a storage of 10 GB": (
        plain(call("torch.storage._load_from_bytes", content(storage(FLOATS, CLAIM // 4)))),
        "storages claim more",
    ),
    "a tensor of 40 GB over one number": (
        plain(tensor(1, b"(" + number(10**5) * 2 + b"t", b"K\x01K\x01\x86")),
        "a tensor of shape",
    ),
    "the same bytes copied again and again": (
        plain(text("x" * 10**6) + b"q\x000(" + (b"c_codecs\nencode\n(h\x00" + text("latin1") + b"tR") * 400 + b"t"),
        "expand to more than its own size",
    ),
    "tuples of tuples as a key": (plain(b"}" + laughs(200) + b"Ns"), "a key of type tuple"),
    "integers that hash alike": (legacy(COLLIDING + b"u"), "a key of type int"),
    "a module inside itself": (
        plain(persistent(b"}q\x00(" + text("_parameters") + b"}" + text("_buffers") + b"}"
              + text("_modules") + b"}q\x01u") + b"q\x02h\x01" + text("again") + b"h\x02s0"),
        "nested without end",
    ),
    "dictionaries in dictionaries, 2^40 leaves": (
        plain(b"}q\x000" + b"".join(
            b"}(" + text("a") + b"h" + bytes([k]) + text("b") + b"h" + bytes([k]) + b"uq" + bytes([k + 1]) + b"0"
            for k in range(28)) + b"h\x1c"),
        "nested without end",
    ),
    "an older file's storage of 10 GB": (
        legacy(call("torch._utils._rebuild_tensor_v2", identity(FLOATS, CLAIM // 4) + b"Q", b"K\x00", b")", b")")),
        "claim more than",
    ),
    "an archive's storage of 10 GB": (
        archive(identity(FLOATS, CLAIM // 4) + b"Q", storage=b"\0" * 4),
        "claims 2500000000 numbers",
    ),
    "a compressed archive": (archive(b"N", zipfile.ZIP_DEFLATED, storage=bytes(10**8)), "more than the file has room"),
    "an archive with a member twice": (archive(b"N") [:-22] , "truncated"),
    "safetensors of 10 GB": (
        safetensors({"a": {"dtype": "F32", "shape": [CLAIM // 4], "data_offsets": [0, CLAIM]}}),
        "cannot be opened as safetensors",
    ),
    "a header of 10 GB": (safetensors(b"{}", CLAIM), "header is longer than the file"),
    "a header nested a million times": (safetensors(b'{"a":' * 10**6), "nested too deep"),
}  # fmt: skip
"""What is refused: the file, and what is said."""


@pytest.mark.parametrize("name", FOREIGN)
def test_calls_in_a_pickle_are_recorded_and_not_made(name, tmp_path, little_memory):
    data, foreign = FOREIGN[name]
    (tmp_path / "x.pt").write_bytes(data)
    found = Checkpoint(tmp_path / "x.pt")
    assert found.trouble == ""
    assert isinstance(found.tree["value"], Record)
    assert foreign in found.foreign
    assert not found.tensors
    assert os.listdir(tmp_path) == ["x.pt"]


@pytest.mark.parametrize("name", REFUSED)
def test_hostile_files_are_refused_with_a_clear_message(name, tmp_path, little_memory):
    data, says = REFUSED[name]
    (tmp_path / "x.pt").write_bytes(data)
    with pytest.raises(FileError, match=says) as error:
        Checkpoint(tmp_path / "x.pt").tensors  # noqa: B018
    assert len(str(error.value)) < 600
    assert os.listdir(tmp_path) == ["x.pt"]


def test_pickle_itself_runs_the_first_hostile_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pickle.loads(FOREIGN["REDUCE to os.system"][0])
    assert (tmp_path / "ran").is_dir()


def test_a_pickle_of_too_many_operations_is_refused():
    with pytest.raises(FileError, match="more than 100 opcodes"):
        Machine(memoryview(b"N0" * 100 + b"N."), {}, "it", 1000, steps=100).load()


def test_pipes_and_devices_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.pt")
    for path in (tmp_path / "pipe.pt", Path("/dev/zero")):
        with pytest.raises(FileError, match="no regular file"):
            Checkpoint(path)


def test_tensors_of_one_storage_cannot_take_more_memory_than_allowed(tmp_path):
    held = {f"w{i}": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} for i in range(1000)}
    (tmp_path / "x.safetensors").write_bytes(safetensors(held))
    assert Checkpoint(tmp_path / "x.safetensors").state_dict("w0").load()["w7"] == 0
    one = call("torch._utils._rebuild_tensor_v2", identity(FLOATS, 1) + b"Q", b"K\x00", b"(" + number(10**6) + b"t",
               b"K\x00\x85")  # fmt: skip
    (tmp_path / "x.pt").write_bytes(archive(one, storage=b"\0" * 4))
    found = Checkpoint(tmp_path / "x.pt")
    assert found.tensors["value"].shape == (10**6,)
    with pytest.raises(FileError, match="more than the file has room for"):
        found.state_dict("value").load()


@pytest.mark.hostile
@pytest.mark.parametrize("kind", ["zip", "legacy", "pickle", "safetensors"])
def test_a_damaged_file_opens_or_raises_file_error(kind, tmp_path):
    """With changed bytes, flipped bits, cut ends or repeated parts, nothing but FileError is raised."""
    held, path = {"g": {"a.weight": torch.randn(8, 8), "b": torch.ones(3)}, "epoch": 3}, tmp_path / "x"
    if kind == "safetensors":
        save_file(held["g"], path)
    elif kind == "pickle":
        path.write_bytes(pickle.dumps(held))
    else:
        torch.save(held, path, _use_new_zipfile_serialization=kind == "zip")
    whole, draw = path.read_bytes(), random.Random(0)
    for turn in range(400):
        data = bytearray(whole)
        at = draw.randrange(len(data))
        if turn % 4 == 0:
            data[at] = draw.randrange(256)
        elif turn % 4 == 1:
            data[at] ^= 1 << draw.randrange(8)
        elif turn % 4 == 2:
            del data[at:]
        else:
            data[at:at] = data[draw.randrange(at + 1) : at]
        path.write_bytes(data)
        with suppress(FileError):
            found = Checkpoint(path).state_dict("a.weight")
            assert found is None or found.load()
