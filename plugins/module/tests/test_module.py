"""Exported networks give the images of the networks that they are; what would run code is refused."""

from __future__ import annotations

import importlib.util
import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from eigenwalk.errors import FileError, OptionError
from eigenwalk_module import generator
from eigenwalk_module.kinds import kind
from eigenwalk_module.plugin import eigenwalk_open

EXACT = {"rtol": 0, "atol": 1e-5}
_spec = importlib.util.spec_from_file_location("module_files", Path(__file__).with_name("files.py"))
assert _spec is not None
assert _spec.loader is not None
files = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(files)
NETWORK = files.network()


def opened(path: Path, **options):
    """The generator in the file, by the name that the hook gives."""
    spec = eigenwalk_open(path)
    assert spec is not None
    return getattr(generator, spec.name)(path, **options)


def images(z: Tensor) -> Tensor:
    return NETWORK(z) / 2 + 0.5


@pytest.mark.parametrize("name", ["any.pt2", "one.pt2", "traced.pt", "one.pt", "any.onnx", "one.onnx"])
def test_images_are_those_of_the_network(tmp_path, name):
    shape = {"shape": (8,)} if name.endswith(".pt") else {}
    made = opened(files.written(name, tmp_path), **shape)
    z = made.sample(3, seed=0)
    torch.testing.assert_close(made(z), images(z), **EXACT)
    assert made.resolution == (16, 16)
    assert made.facts["range"] == "[-1, 1] (it ends in tanh)"
    assert made.facts["rows at once"] == ("exported for 1: called row by row" if "one" in name else "any")
    # As the walk differentiates: several tangents forward under vmap, and twice backward.
    tangents = torch.randn(2, 3, 8)
    pushed = torch.func.vmap(lambda t: torch.func.jvp(made, (z,), (t,))[1])(tangents)
    wanted = torch.stack([torch.func.jvp(images, (z,), (t,))[1] for t in tangents])
    torch.testing.assert_close(pushed, wanted, **EXACT)
    z = z.requires_grad_()
    u = torch.zeros(3, 3, 16, 16, requires_grad=True)
    (pulled,) = torch.autograd.grad(made(z), z, u, create_graph=True)
    (again,) = torch.autograd.grad(pulled, u, tangents[0])
    torch.testing.assert_close(again, wanted[0], **EXACT)


@pytest.mark.parametrize("name", ["classes.pt2", "classes.onnx"])
def test_further_inputs_are_given_as_numbers(tmp_path, name):
    path = files.written(name, tmp_path)
    with pytest.raises(
        OptionError, match=r"inputs must be 2 numbers.*label \(a one-hot of 3\), which \(a whole number\)"
    ):
        opened(path)
    made = opened(path, inputs=(2, 4), range="bytes")
    z = made.sample(3, seed=0)
    label, which = torch.tensor([[0.0, 0.0, 1.0]]).expand(3, -1), torch.full((3,), 4)
    wanted = files.classes()(z, label, which).movedim(-1, 1) / 255
    torch.testing.assert_close(made(z), wanted, **EXACT)


def test_a_script_does_not_tell_its_latent(tmp_path):
    path = files.written("traced.pt", tmp_path)
    with pytest.raises(OptionError, match=r"shape must be given.*shape=128.*first weight has the shape \(256, 8\)"):
        opened(path)
    with pytest.raises(FileError, match=r"fails on a latent of the shape \(9,\).*shape="):
        opened(path, shape=(9,))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": (9,)}, r"shape must be \(8,\), got \(9,\)"),
        ({"range": "hsv"}, "range must be one of unit, tanh, bytes"),
        ({"inputs": (1,)}, "inputs must be left out"),
        ({"std": 0}, "std must be a positive number"),
    ],
)
def test_options_that_do_not_fit(tmp_path, options, message):
    with pytest.raises(OptionError, match=message):
        opened(files.written("any.pt2", tmp_path), **options)


def test_std_scales_samples(tmp_path):
    path = files.written("any.pt2", tmp_path)
    assert torch.equal(opened(path, std=0.5).sample(4, seed=3), 0.5 * opened(path).sample(4, seed=3))


@pytest.mark.parametrize("name", ["noisy.pt2", "noisy.pt", "noisy.onnx"])
def test_random_numbers_are_refused(tmp_path, name):
    with pytest.raises(FileError, match="draws random numbers"):
        opened(files.written(name, tmp_path), **({"shape": (8,)} if name == "noisy.pt" else {}))


class Evil:
    """What writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def changed(path: Path, member: str, change: Callable[[bytes], bytes]) -> Path:
    """`path` with one member changed."""
    with zipfile.ZipFile(path) as archive:
        held = [(one, archive.read(one)) for one in archive.infolist()]
    assert any(one.filename.endswith(member) for one, _ in held)
    with zipfile.ZipFile(path, "w") as archive:
        for one, data in held:
            archive.writestr(one.filename, change(data) if one.filename.endswith(member) else data, one.compress_type)
    return path


def in_json(change: Callable[[dict], None]) -> Callable[[bytes], bytes]:
    def made(data: bytes) -> bytes:
        described = json.loads(data)
        change(described)
        return json.dumps(described).encode()

    return made


def nodes(described: dict) -> list[dict]:
    return described["graph_module"]["graph"]["nodes"]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("torch.os.system", "only ATen's operations"),
        ("torch.load", "only ATen's operations"),
        ("torch.ops.mine.relu.default", "only ATen's operations"),
        ("torch.ops.aten.__class__.mro", "does not have"),
        ("torch.ops.aten.from_file.default", "reaches beyond its tensors"),
        ("torch.ops.aten.randn_like.default", "draws random numbers"),
        ("#hop", "only ATen's operations"),
    ],
)
def test_a_program_calls_nothing_but_aten(tmp_path, target, message):
    path = files.written("any.pt2", tmp_path)
    changed(path, "models/model.json", in_json(lambda one: nodes(one)[1].update(target=target)))
    with pytest.raises(FileError, match=message):
        opened(path)


def test_no_member_of_a_program_is_unpickled_nor_its_text_evaluated(tmp_path):
    path, touched = files.written("any.pt2", tmp_path), tmp_path / "touched"
    buffer = io.BytesIO()
    torch.save(Evil(touched), buffer)
    changed(path, "sample_inputs/model.pt", lambda _: buffer.getvalue())
    text = f"__import__('pathlib').Path({str(touched)!r}).touch()"

    def poison(described: dict) -> None:
        described["guards_code"] = [text]
        described["graph_module"]["graph"]["tensor_values"]["z"]["sizes"][0] = {
            "as_expr": {"expr_str": text, "hint": None}
        }

    changed(path, "models/model.json", in_json(poison))
    made = opened(path)
    z = made.sample(2, seed=0)
    torch.testing.assert_close(made(z), images(z), **EXACT)
    assert not touched.exists()
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever it stumbles over, having run the text
        torch.export.load(path)
    assert touched.exists()  # so the file is one that torch's own loader does run


def test_pickled_weights_are_refused(tmp_path):
    path, touched = files.written("any.pt2", tmp_path), tmp_path / "touched"
    changed(path, "weights/weight_0", lambda _: pickle.dumps(Evil(touched)))
    marked = in_json(lambda one: next(iter(one["config"].values())).update(use_pickle=True))
    changed(path, "model_weights_config.json", marked)
    with pytest.raises(FileError, match="is a pickle"):
        opened(path)
    assert not touched.exists()


def test_weights_lie_within_their_member(tmp_path):
    path = changed(files.written("any.pt2", tmp_path), "weights/weight_0", lambda data: data[:-4])
    with pytest.raises(FileError, match="the file is damaged"):
        opened(path)


def test_a_program_in_training_mode_is_refused(tmp_path):
    def train(described: dict) -> None:
        norm = next(node for node in nodes(described) if "batch_norm" in node["target"])
        next(one for one in norm["inputs"] if one["name"] == "training")["arg"]["as_bool"] = True

    path = changed(files.written("any.pt2", tmp_path), "models/model.json", in_json(train))
    with pytest.raises(FileError, match=r"training mode: export the network after \.eval"):
        opened(path)


class Saves(nn.Module):
    """Writes a file when it is called."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def forward(self, z: Tensor) -> Tensor:
        torch.save(z, self.path)
        return z.view(-1, 1, 2, 4)


class Maps(nn.Module):
    """Maps a file when it is called."""

    def forward(self, z: Tensor) -> Tensor:
        return z.view(-1, 1, 2, 4) + torch.from_file("/etc/hostname", False, 1)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize(("made", "word"), [(Saves("there"), "save"), (Maps(), "from_file")])
def test_a_script_that_reaches_files_is_refused(tmp_path, monkeypatch, made, word):
    monkeypatch.chdir(tmp_path)
    torch.jit.save(torch.jit.script(made), "reaching.pt")
    with pytest.raises(FileError, match=f"was not opened: its code .* has the word '{word}'"):
        opened(tmp_path / "reaching.pt", shape=(8,))
    assert not (tmp_path / "there").exists()


def test_a_script_with_a_strange_pickle_is_refused(tmp_path):
    path, touched = files.written("traced.pt", tmp_path), tmp_path / "touched"
    changed(path, "constants.pkl", lambda _: pickle.dumps(Evil(touched), protocol=2))
    with pytest.raises(FileError, match=r"constants\.pkl in it wants"):
        opened(path, shape=(8,))
    assert not touched.exists()


def test_files_that_are_none(tmp_path):
    torch.save(files.network().state_dict(), tmp_path / "state.pt")
    (tmp_path / "text.onnx").write_bytes(b"\x08\x01 hello")
    for name in ("state.pt", "text.onnx"):
        assert kind(tmp_path / name) is None
        assert eigenwalk_open(tmp_path / name) is None
    with pytest.raises(FileError, match=r"no file of torch\.export or torch\.jit\.save"):
        generator.module(tmp_path / "state.pt")
    with pytest.raises(FileError, match="is no ONNX file"):
        generator.onnx(tmp_path / "state.pt")
    with pytest.raises(FileError, match="there is no file"):
        generator.module(tmp_path / "none.pt2")
    with pytest.raises(FileError, match=r"an ONNX file: write onnx\("):
        generator.module(files.written("any.onnx", tmp_path))
    whole = files.written("any.pt2", tmp_path).read_bytes()
    (tmp_path / "half.pt2").write_bytes(whole[: len(whole) // 2])
    assert kind(tmp_path / "half.pt2") is None


def test_an_operation_that_is_not_converted_is_named(tmp_path):
    import onnx
    from onnx import TensorProto, helper

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, 4, 4]) for name in ("z", "images")]
    node = helper.make_node("Mish", ["z"], ["images"])
    model = helper.make_model(
        helper.make_graph([node], "g", ends[:1], ends[1:]), opset_imports=[helper.make_opsetid("", 18)]
    )
    onnx.save(model, tmp_path / "mish.onnx")
    with pytest.raises(FileError, match=r"without a torch counterpart here: .*Mish.*torch\.export"):
        opened(tmp_path / "mish.onnx")


def test_tensors_in_other_files_are_not_opened(tmp_path):
    import onnx

    model = onnx.load(files.written("any.onnx", tmp_path))
    onnx.save(model, tmp_path / "apart.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    with pytest.raises(FileError, match="keeps its tensors in other files"):
        opened(tmp_path / "apart.onnx")


class Sliced(nn.Module):
    """A network that cuts its images down, and overshoots [0, 1] as one without a last activation does."""

    def __init__(self) -> None:
        super().__init__()
        self.spread = nn.Linear(6, 3 * 10 * 10)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return 0.5 + 0.4 * self.spread(z).view(-1, 3, 10, 10)[:, :, 1:9, 1:9]


@pytest.mark.parametrize("suffix", ["onnx", "pt2"])
def test_slices_and_an_overshoot_are_read_as_they_were_exported(tmp_path, suffix):
    torch.manual_seed(0)
    network, z = Sliced().eval(), torch.randn(2, 6)
    file = tmp_path / f"sliced.{suffix}"
    if suffix == "pt2":
        torch.export.save(torch.export.export(network, (z,)), file)
    else:
        torch.onnx.export(network, (z,), str(file), dynamo=False, opset_version=13)
    made = opened(file)
    assert made.facts["range"].startswith("[0, 1]")
    assert torch.allclose(made(z), network(z), atol=1e-6)


def test_weights_may_be_nodes_and_shapes_left_out(tmp_path):
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weight = torch.randn(3, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    arrays = {"shape": torch.tensor([-1, 2, 4, 4]), "weight": weight, "one": torch.ones(3), "zero": torch.zeros(3)}
    nodes = [
        *(
            helper.make_node("Constant", [], [name], value=numpy_helper.from_array(x.numpy()))
            for name, x in arrays.items()
        ),
        helper.make_node("Reshape", ["z", "shape"], ["spread"]),
        helper.make_node("Conv", ["spread", "weight"], ["convolved"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["convolved", "one", "zero", "zero", "one"], ["images"], epsilon=1e-5),
    ]
    ends = [
        helper.make_tensor_value_info("z", TensorProto.FLOAT, ["n", 32]),
        helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, 4, 4]),
    ]
    model = helper.make_model(
        helper.make_graph(nodes, "g", ends[:1], ends[1:]), opset_imports=[helper.make_opsetid("", 13)], ir_version=8
    )
    onnx.save(model, tmp_path / "nodes.onnx")
    made = generator.onnx(tmp_path / "nodes.onnx", range="unit")
    z = made.sample(2, 0)
    expected = nn.functional.conv2d(z.view(2, 2, 4, 4), weight, padding=1)
    assert torch.allclose(made(z), expected, atol=1e-4)
