"""Files made to harm, of each known kind: what they are, and what the error says of them."""

from __future__ import annotations

import json
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

MAGIC = 0x1950A86A20F9469CFC6C
CLAIM = 10 * 10**9
"""Bytes that a header of a few bytes speaks of."""
Write = Callable[[Path, str], Path]
"""Writes a file into a folder; the text is a command that it tries to run."""


def text(word: str) -> bytes:
    return b"X" + struct.pack("<I", len(word.encode())) + word.encode()


def content(data: bytes) -> bytes:
    return b"B" + struct.pack("<I", len(data)) + data


def number(n: int) -> bytes:
    return b"\x8a\x08" + n.to_bytes(8, "little", signed=True)


def call(name: str, *arguments: bytes, by: bytes = b"R") -> bytes:
    module, _, word = name.rpartition(".")
    return f"c{module}\n{word}\n".encode() + b"(" + b"".join(arguments) + b"t" + by


def nvidia(value: bytes) -> Write:
    """A pickle that is taken for one of NVIDIA's, with `value` where the generator stands."""

    def write(folder: Path, command: str) -> Path:
        marks = text("torch_utils.persistence _reconstruct_persistent_obj")
        body = value.replace(content(b"COMMAND"), content(command.encode())).replace(text("COMMAND"), text(command))
        path = folder / "network.pkl"
        path.write_bytes(b"\x80\x04}(" + marks + b"N" + text("G_ema") + body + b"u.")
        return path

    return write


def identity(kind: bytes, numel: int) -> bytes:
    """How a pickle of PyTorch's speaks of a storage."""
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
RUN = call("os.system", text("COMMAND"))
DTYPE = (
    call("numpy.dtype", text("f4"), b"\x89", b"\x88")
    + b"(K\x03"
    + text("<")
    + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
)
TABLE = {"g_ema": 0, "convs.0.conv.modulation.weight": 0}
"""What a checkpoint of rosinality's is known by."""


def array(shape: bytes, data: bytes) -> bytes:
    made = call("numpy.core.multiarray._reconstruct", b"cnumpy\nndarray\n", b"(K\x00t", content(b"b"))
    return made + b"(K\x01" + shape + DTYPE + b"\x89" + content(data) + b"tb"


def tensor(numbers: int, size: bytes, stride: bytes) -> bytes:
    held = call("torch.storage._load_from_bytes", content(storage(FLOATS, numbers, b"\0" * 4 * numbers)))
    return call(
        "torch._utils._rebuild_tensor_v2", held, b"K\x00", size, stride, b"\x89", call("collections.OrderedDict")
    )


def persistent(source: bytes, state: bytes) -> bytes:
    meta = b"}(" + text("type") + text("class") + text("module_src") + source + text("class_name") + text("Generator")
    return call("torch_utils.persistence._reconstruct_persistent_obj", meta + text("state") + state + b"u")


def checkpoint(body: bytes, method: int = zipfile.ZIP_STORED, storage: bytes = b"", first: bytes = b"") -> Write:
    """An archive of PyTorch's that is taken for rosinality's, with `body` as one of its values."""

    def write(folder: Path, command: str) -> Path:
        path = folder / "network.pt"
        known = b"}(" + text("g_ema") + b"N" + text("convs.0.conv.modulation.weight")
        with zipfile.ZipFile(path, "w") as archive:
            said = body.replace(text("COMMAND"), text(command))
            archive.writestr("archive/data.pkl", b"\x80\x02" + first + known + said + b"u.")
            archive.writestr("archive/data/0", storage, method)
            archive.writestr("archive/version", b"3")
        return path

    return write


def older(file: bytes) -> Write:
    def write(folder: Path, command: str) -> Path:
        path = folder / "network.pt"
        path.write_bytes(file)
        return path

    return write


def converted(configuration: object, size: int | None = None) -> Write:
    """A file of safetensors that is taken for a converted one."""

    def write(folder: Path, command: str) -> Path:
        told = {"format": "eigenwalk-stylegan", "version": "1", "configuration": json.dumps(configuration)}
        head = json.dumps({"__metadata__": told, "constant": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}})
        if size is not None:
            claim = {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]}
            head = json.dumps({"__metadata__": told, "constant": claim})
        path = folder / "network.safetensors"
        path.write_bytes(struct.pack("<Q", len(head)) + head.encode() + b"\0" * 4)
        return path

    return write


def laughs(levels: int) -> bytes:
    """A tuple of two of a tuple of two of …: few bytes, 2^levels leaves for who walks through."""
    return b"K\x01" + b"2\x86" * levels


MAPPING = {"z_dim": 8, "w_dim": 8, "hidden": 8, "layers": 2}
CALLED = {
    "REDUCE to os.system": (nvidia(RUN), "wants 'os.system'"),
    "REDUCE to eval": (nvidia(call("builtins.eval", text("__import__('os').system('COMMAND')"))), "'builtins.eval'"),
    "NEWOBJ of subprocess.Popen": (nvidia(call("subprocess.Popen", text("COMMAND"), by=b"\x81")), "'subprocess.Popen'"),
    "INST of os.system": (nvidia(b"(" + text("COMMAND") + b"ios\nsystem\n"), "opcode INST"),
    "a name by STACK_GLOBAL": (nvidia(text("os") + text("system") + b"\x93)R"), "'os.system'"),
    "a dotted name in a listed module": (
        nvidia(text("dnnlib.util") + text("EasyDict.__init__.__globals__") + b"\x93)R"),
        "EasyDict.__init__.__globals__",
    ),
    "a chain of getattr": (
        nvidia(call("builtins.getattr", b"cdnnlib.util\nEasyDict\n", text("__subclasses__"))),
        "'builtins.getattr'",
    ),
    "an extension's code": (nvidia(b"\x82\x01)R"), "opcode EXT1"),
    "a function by dill": (
        nvidia(call("dill._dill._create_function", call("dill._dill._create_code", text("COMMAND")))),
        "'dill._dill._create_function'",
    ),
    "a pickle inside a storage's bytes": (
        nvidia(call("torch.storage._load_from_bytes", content(b"\x80\x02cos\nsystem\n" + text("true") + b"\x85R."))),
        "'os.system'",
    ),
    "a pickle inside PyTorch's header": (
        nvidia(call("torch.storage._load_from_bytes", content(storage(b"cos\nsystem\n", 1)))),
        "'os.system'",
    ),
    "source in module_src": (nvidia(persistent(text("COMMAND"), b"}")), "holds no StyleGAN that is known here"),
    "state for a class": (nvidia(b"cdnnlib.util\nEasyDict\n}" + text("get") + RUN + b"sb"), "'os.system'"),
    "__setstate__ by BUILD": (
        nvidia(b"cdnnlib.util\nEasyDict\n}" + text("__setstate__") + text("COMMAND") + b"sb"),
        "gives state to a global dnnlib.util.EasyDict",
    ),
    "a call of what a call gave": (nvidia(call("collections.OrderedDict") + b")R"), "it calls a Items"),
    "os.system in a checkpoint": (checkpoint(RUN), "'os.system'"),
}  # fmt: skip
CLAIMED = {
    "10 GB of bytes": (nvidia(b"\x8e" + struct.pack("<Q", CLAIM)), "claims 10 GB"),
    "10 GB of text": (nvidia(b"\x8d" + struct.pack("<Q", CLAIM)), "claims 10 GB"),
    "a frame of 10 GB": (nvidia(b"\x95" + struct.pack("<Q", CLAIM)), "claims 10 GB"),
    "a buffer of 10 GB": (nvidia(b"\x96" + struct.pack("<Q", CLAIM)), "claims 10 GB"),
    "an integer of 2 GB": (nvidia(b"\x8b" + struct.pack("<I", 2**31 - 1)), "an integer of 2.15 GB"),
    "value 4,294,967,295 to remember": (nvidia(b"Nr\xff\xff\xff\xff"), "no generator G_ema"),
    "an array of 10 GB": (nvidia(array(b"(" + number(CLAIM // 4) + b"t", b"")), "claims shape"),
    "an array of objects": (nvidia(call("numpy.dtype", text("O8"), b"\x89", b"\x88")), "plain numbers are expected"),
    "a storage of 10 GB": (
        nvidia(call("torch.storage._load_from_bytes", content(storage(FLOATS, CLAIM // 4)))),
        "storages claim more",
    ),
    "a tensor of 40 GB over one number": (
        nvidia(tensor(1, b"(" + number(10**5) * 2 + b"t", b"K\x00K\x00\x86")),
        "a tensor of shape",
    ),
    "the same bytes copied again and again": (
        nvidia(text("x" * 10**6) + b"q\x000(" + b"c_codecs\nencode\n(h\x00" + text("latin1") + b"tR" * 1 + b"1"
               + b"(" + (b"c_codecs\nencode\n(h\x00" + text("latin1") + b"tR") * 400 + b"t"),
        "expand to more than its own size",
    ),
    "tuples of tuples, 2^200 leaves": (nvidia(laughs(200)), "no generator G_ema: it holds"),
    "tuples of tuples as a key": (nvidia(b"}" + laughs(200) + b"Ns"), "a key that is a tuple"),
    "a module inside itself": (
        nvidia(persistent(text(""), b"}q\x00(" + text("_parameters") + b"}" + text("_buffers") + b"}"
               + text("_modules") + b"}q\x01u") + b"q\x02h\x01" + text("again") + b"h\x02s0"),
        "one inside itself",
    ),
    "an older file's storage of 10 GB": (older(storage(FLOATS, CLAIM // 4, head=TABLE)), "storages claim more"),
    "an archive's storage of 10 GB": (
        checkpoint(identity(FLOATS, CLAIM // 4) + b"Q", storage=b"\0" * 4),
        "claims 2500000000 numbers",
    ),
    "a compressed archive": (checkpoint(b"N", zipfile.ZIP_DEFLATED, storage=bytes(10**8)), "not compressed"),
    "bytearray(10**10), which weights_only runs": (
        checkpoint(call("__builtin__.bytearray", number(CLAIM))),
        "'__builtin__.bytearray'",
    ),
    "torch.Tensor(10**5, 10**5), which weights_only runs": (
        checkpoint(call("torch.Tensor", number(10**5), number(10**5))),
        "'torch.Tensor'",
    ),
    "a converted file of 10 GB": (converted({}, CLAIM), "cannot be opened as a converted generator"),
    "a converted file's network of 2^60 layers": (
        converted({"network": "stylegan3", "mapping": MAPPING, "resolution": 64, "layers_between": 2**60}),
        "layers must be a whole number",
    ),
    "a converted file's network of 500 GB": (
        converted({"network": "stylegan2", "mapping": MAPPING, "channels": [60000, 60000]}),
        "does not fit Network",
    ),
}  # fmt: skip


def all_kinds() -> Iterator[tuple[str, Write, str]]:
    """Every kind: its name, what writes it, and what the error says."""
    for kinds in (CALLED, CLAIMED):
        for name, (write, says) in kinds.items():
            yield name, write, says
