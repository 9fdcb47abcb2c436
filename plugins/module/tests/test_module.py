"""Exported networks give the images of the original networks; files that would run code are refused."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from eigenwalk.checkpoint import Checkpoint
from eigenwalk.errors import FileError, OptionError
from eigenwalk_module import generator
from eigenwalk_module.bounds import Bounds
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
    checkpoint = Checkpoint(path)
    spec = eigenwalk_open(path, checkpoint)
    assert spec is not None
    return getattr(generator, spec.name)(checkpoint, **options)


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
def test_further_inputs_are_options_with_numbers(tmp_path, name):
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


def test_a_script_needs_its_latent_as_an_option(tmp_path):
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
def test_options_that_do_not_fit_are_refused(tmp_path, options, message):
    with pytest.raises(OptionError, match=message):
        opened(files.written("any.pt2", tmp_path), **options)


def test_std_scales_samples(tmp_path):
    path = files.written("any.pt2", tmp_path)
    assert torch.equal(opened(path, std=0.5).sample(4, seed=3), 0.5 * opened(path).sample(4, seed=3))


@pytest.mark.parametrize("name", ["noisy.pt2", "noisy.pt", "noisy.onnx"])
def test_random_numbers_are_refused(tmp_path, name):
    with pytest.raises(FileError, match="draws random numbers"):
        opened(files.written(name, tmp_path), **({"shape": (8,)} if name == "noisy.pt" else {}))


def test_other_files_are_refused_with_a_clear_message(tmp_path):
    torch.save(files.network().state_dict(), tmp_path / "state.pt")
    (tmp_path / "text.onnx").write_bytes(b"\x08\x01 hello")
    for name in ("state.pt", "text.onnx"):
        assert eigenwalk_open(tmp_path / name, Checkpoint(tmp_path / name)) is None
    with pytest.raises(FileError, match=r"no file of torch\.export or torch\.jit\.save"):
        generator.module(tmp_path / "state.pt")
    with pytest.raises(FileError, match="no ONNX file"):
        generator.onnx(tmp_path / "state.pt")
    with pytest.raises(FileError, match="there is no file"):
        generator.module(tmp_path / "none.pt2")
    with pytest.raises(FileError, match=r"an ONNX file: write onnx\("):
        generator.module(files.written("any.onnx", tmp_path))
    for name in ("any.pt2", "traced.pt"):
        whole = files.written(name, tmp_path).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(FileError, match="truncated or damaged"):
            generator.module(tmp_path / name)


class Twins(nn.Module):
    """Two filters of the same numbers, one of them expanded, which exporters store once."""

    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Linear(6, 3 * 8 * 8)
        self.register_buffer("a", torch.tensor([1.0, 0.5]).reshape(1, 1, 2, 1).repeat(3, 1, 1, 1))
        self.register_buffer("b", torch.tensor([[1.0, 0.5]]).reshape(1, 1, 2, 1).expand(3, 1, 2, 1))

    def forward(self, z: Tensor) -> Tensor:
        x = self.line(z).view(-1, 3, 8, 8)
        for filter in (self.a, self.b):
            x = nn.functional.conv_transpose2d(x, filter, stride=2, groups=3)
        return x.tanh()


@pytest.mark.parametrize("name", ["13.onnx", "17.onnx", "18.onnx", "18.pt2", "18.pt"])
def test_tensors_stored_once_may_be_used_twice(tmp_path, name):
    torch.manual_seed(0)
    network, z, file = Twins().eval().requires_grad_(False), torch.randn(2, 6), tmp_path / name
    if name.endswith("pt2"):
        torch.export.save(torch.export.export(network, (z,), dynamic_shapes=({0: torch.export.Dim.AUTO},)), file)
    elif name.endswith("pt"):
        torch.jit.save(torch.jit.trace(network, z), file)
    else:
        free = {"z": {0: "n"}}
        torch.onnx.export(
            network, (z,), file, dynamo=False, opset_version=int(name[:2]), input_names=["z"], dynamic_axes=free
        )
    made = opened(file, **({"shape": (6,)} if name.endswith(".pt") else {}))
    torch.testing.assert_close(made(z), network(z) / 2 + 0.5, **EXACT)


def test_external_tensors_of_onnx_must_lie_beside_the_file(tmp_path):
    path = files.written("any.onnx", tmp_path)
    z = opened(path).sample(2, 0)
    model = onnx.load(path)
    onnx.save(model, tmp_path / "apart.onnx", save_as_external_data=True, location="apart.onnx.data", size_threshold=0)
    torch.testing.assert_close(opened(tmp_path / "apart.onnx")(z), images(z), **EXACT)
    whole = (tmp_path / "apart.onnx.data").read_bytes()
    (tmp_path / "apart.onnx.data").write_bytes(whole[:-4])
    with pytest.raises(FileError, match=r"end after apart\.onnx\.data, which is truncated"):
        opened(tmp_path / "apart.onnx")
    (tmp_path / "apart.onnx.data").unlink()
    with pytest.raises(FileError, match=r"lie in apart\.onnx\.data, which is not beside it: copy that file"):
        opened(tmp_path / "apart.onnx")
    (tmp_path / "inside").mkdir()
    for place in ("../secret", "/etc/hostname", "..", "inside/x"):
        model = onnx.load(tmp_path / "apart.onnx", load_external_data=False)
        for one in model.graph.initializer:
            next(entry for entry in one.external_data if entry.key == "location").value = place
        (tmp_path / "other.onnx").write_bytes(model.SerializeToString())
        with pytest.raises(FileError, match="only a file beside it is opened"):
            opened(tmp_path / "other.onnx")


def test_a_trace_from_a_gpu_opens_on_the_cpu(tmp_path):
    """A trace writes the device of its tensors into its code."""

    class Grid(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.line = nn.Linear(6, 2 * 4 * 4)

        def forward(self, z: Tensor) -> Tensor:
            row = torch.linspace(-1, 1, 4, device=z.device)[None, None, None].expand(z.shape[0], 1, 4, 4)
            return torch.cat([self.line(z).view(-1, 2, 4, 4), row.to(z.device)], 1).tanh()

    network, z = Grid().eval().requires_grad_(False), torch.randn(2, 6)
    torch.jit.save(torch.jit.trace(network, z), tmp_path / "gpu.pt")
    files.change(tmp_path / "gpu.pt", ".py", lambda code: code.replace(b'device("cpu")', b'device("cuda:0")'))
    torch.testing.assert_close(opened(tmp_path / "gpu.pt", shape=(6,))(z), network(z) / 2 + 0.5, **EXACT)


def test_values_are_dropped_after_their_last_use(tmp_path):
    """An image through 40 layers takes the memory of a few layers."""
    network = nn.Sequential(nn.Linear(8, 3 * 64 * 64), nn.Unflatten(1, (3, 64, 64)), *[nn.SiLU() for _ in range(40)])
    z, size = torch.zeros(1, 8), 3 * 64 * 64 * 4
    torch.export.save(torch.export.export(network, (z,)), tmp_path / "deep.pt2")
    torch.jit.save(torch.jit.trace(network, z), tmp_path / "deep.pt")
    torch.onnx.export(network, (z,), tmp_path / "deep.onnx", dynamo=False, input_names=["z"])
    for name in ("deep.pt2", "deep.pt", "deep.onnx"):
        made = opened(tmp_path / name, range="unit", **({"shape": (8,)} if name == "deep.pt" else {}))
        with torch.no_grad(), Bounds("it") as bounds:
            made.numbers(z)
        assert bounds.most < 8 * size


class Sliced(nn.Module):
    """A network that cuts its images down, and overshoots [0, 1] as one without a last activation does."""

    def __init__(self) -> None:
        super().__init__()
        self.spread = nn.Linear(6, 3 * 10 * 10)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return 0.5 + 0.4 * self.spread(z).view(-1, 3, 10, 10)[:, :, 1:9, 1:9]


@pytest.mark.parametrize("suffix", ["onnx", "pt2"])
def test_slices_and_values_beyond_the_range_are_reproduced(tmp_path, suffix):
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


def test_weights_may_be_nodes_and_shapes_missing(tmp_path):
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
