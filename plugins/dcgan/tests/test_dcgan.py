"""The inferred architecture is right: images equal those of the module that was saved."""

from __future__ import annotations

import importlib.util
import os
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils import spectral_norm, weight_norm

from eigenwalk.checkpoint import Checkpoint
from eigenwalk.errors import FileError, OptionError
from eigenwalk_dcgan.generator import dcgan
from eigenwalk_dcgan.layout import UnknownNetwork, read_layout
from eigenwalk_dcgan.others import other_kind
from eigenwalk_dcgan.plugin import eigenwalk_open

ROOT = Path(__file__).parents[3]
REAL = Path(os.path.normpath(ROOT / "../shared/real"))
EXACT = {"rtol": 0, "atol": 1e-6}


def assert_same(generator, net, ended=lambda x: x):
    """The generator's images are those of the network."""
    z = generator.sample(3, seed=5)
    wanted = ended(net(z)).expand(-1, 3, -1, -1)
    assert generator.resolution == tuple(wanted.shape[2:])
    torch.testing.assert_close(generator(z), wanted, **EXACT)


@pytest.mark.skipif(not REAL.is_dir(), reason="the trained generators lie in ../shared/real")
@pytest.mark.parametrize(("example", "file"), [("anime_dcgan", ".safetensors"), ("faces_vae", ".pt")])
def test_trained_networks_give_the_images_of_hand_written_loaders(example, file):
    spec = importlib.util.spec_from_file_location(example, ROOT / f"docs/examples/{example}.py")
    assert spec is not None
    assert spec.loader is not None
    loader = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loader)
    path = REAL / f"{example}{file}"
    assert eigenwalk_open(Checkpoint(path)) is not None
    generator, wanted = dcgan(path), loader.build(str(path))
    assert (generator.latent_dim, generator.resolution) == (wanted.latent_dim, wanted.resolution)
    z = generator.sample(4, seed=0)
    assert torch.equal(z, wanted.sample(4, seed=0))
    assert torch.equal(generator(z), wanted(z))


@pytest.mark.parametrize(
    ("name", "activation"),
    [
        ("main", "relu"),
        ("upsampled", "leaky ReLU, slope 0.2"),
        ("upsampled-28", "leaky ReLU, slope 0.2"),
        ("bilinear", "leaky ReLU, slope 0.2"),
        ("relu-after", "relu"),
        ("relu-before", "relu"),
        ("elu-before", "elu"),
        ("leaky", "leaky ReLU, slope 0.2"),
        ("leaky-0.1", "leaky ReLU, slope 0.1"),
        ("silu", "silu"),
        ("gelu", "gelu"),
        ("tanh", "tanh"),
        ("no-output-padding", "relu"),
        ("sixes", "relu"),
        ("pointwise", "relu"),
        ("from-48", "relu"),
        ("to-rgb", "relu"),
        ("alternating", "relu"),
        ("shuffled", "relu"),
    ],
)
def test_statistics_and_names_decide_the_architecture(networks, tmp_path, name, activation):
    net = networks.network(name)
    save_file(net.state_dict(), tmp_path / "net.safetensors")  # its names are sorted
    torch.save(net.state_dict(), tmp_path / "net.pth")
    for path in tmp_path.iterdir():
        generator = dcgan(path, range="unit")
        assert generator.facts["activation"].startswith(activation)
        assert_same(generator, net)


@pytest.mark.parametrize(
    ("name", "question", "answer"),
    [
        ("cropped", "resolution must be given.*28, 30 or 32 pixels", {"resolution": 28}),
        ("cropped-4", "resolution must be given.*28 or 32 pixels", {"resolution": 28}),
        ("no-padding", "resolution must be given.*of 1.9", {"resolution": 28}),
        ("no-padding", "resolution must be given", {"sizes": (6, 13, 28)}),
        ("fives", "resolution must be given.*sizes=", {"resolution": 32}),
        ("fives", "resolution must be given.*scales=", {"scales": (2, 2, 2)}),
        ("valid", "resolution must be given", {"resolution": 64, "after_linear": False}),
        ("autoencoder", "activation must be given", {"activation": "leaky", "slope": 0.01}),
        (
            "autoencoder-bare",
            "square must be given: the kernels of final_layer.0",
            {"square": "transposed", "resolution": 32, "activation": "leaky", "slope": 0.01, "after_linear": False},
        ),
    ],
)
def test_ambiguous_details_are_asked_for_as_options(networks, tmp_path, name, question, answer):
    path = networks.write(name, tmp_path)
    with pytest.raises(OptionError, match=question):
        dcgan(path, range="unit")
    assert_same(dcgan(path, range="unit", **answer), networks.network(name))


def test_assumptions_are_noted(networks, tmp_path):
    generator = dcgan(networks.write("classes", tmp_path), range="unit")
    assert generator.notes[0].startswith("activation: relu (assumed)")
    assert_same(generator, networks.network("classes"))


def test_a_class_follows_the_latent(networks, tmp_path):
    generator = dcgan(networks.write("classes", tmp_path), range="unit", latent_dim=6, label=2)
    z = generator.sample(2, seed=1)
    wanted = networks.network("classes")(torch.cat([z, torch.tensor([[0.0, 0.0, 1.0]]).expand(2, -1)], 1))
    torch.testing.assert_close(generator(z), wanted.expand(-1, 3, -1, -1), **EXACT)
    with pytest.raises(OptionError, match="label must be from 0 to 2"):
        dcgan(tmp_path / "classes.pt", range="unit", latent_dim=6, label=3)


def test_the_first_weights_reveal_a_class(networks, tmp_path):
    torch.manual_seed(0)
    net = networks.NETWORKS["main"]()
    next(net.parameters()).data[9:] *= 3
    networks.settle(net, 12, classes=3)
    torch.save(net.state_dict(), tmp_path / "net.pt")
    generator = dcgan(tmp_path / "net.pt", range="unit", label=1)
    assert (generator.latent_dim, generator.facts["label"][:14]) == (9, "1 of 3 classes")
    z = generator.sample(2, seed=1)
    wanted = net(torch.cat([z, torch.tensor([[0.0, 1.0, 0.0]]).expand(2, -1)], 1))
    torch.testing.assert_close(generator(z), wanted, **EXACT)


def test_statistics_that_no_architecture_explains_are_reported(networks, tmp_path):
    path = networks.write("main", tmp_path, lambda s: {k: v * 9 + 3 if "running" in k else v for k, v in s.items()})
    with pytest.raises(OptionError, match=r"activation must be given: .* fit no network that was tried"):
        dcgan(path, range="unit")
    assert dcgan(path, range="unit", activation="relu").resolution == (16, 16)


@pytest.mark.parametrize("seed", range(3))
def test_eps_is_torchs_unless_another_fits_clearly_better(networks, tmp_path, seed):
    torch.manual_seed(seed)
    net = networks.NETWORKS["main"]()
    for module in net.modules():
        if isinstance(module, nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0, 0.02)
    networks.settle(net, 12)
    torch.save(net.state_dict(), tmp_path / "net.pt")
    assert_same(dcgan(tmp_path / "net.pt", range="unit"), net)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: {"epoch": 3, "netG": s, "netD": {"main.0.weight": torch.ones(8, 3, 4, 4)}},
        lambda s: {"generator": {k: 2 * v for k, v in s.items()}, "g_ema": s},
        lambda s: {"state_dict": {f"generator.module.{k}": v for k, v in s.items()} | {"disc.a.weight": torch.ones(4)}},
    ],
    ids=["netG beside netD", "the average before the last", "prefixes"],
)
def test_checkpoints_are_unwrapped(networks, tmp_path, wrap):
    path = networks.write("main", tmp_path, wrap)
    assert eigenwalk_open(Checkpoint(path)) is not None
    generator = dcgan(path, range="tanh")
    assert ("averaged weights" in "".join(generator.notes)) == ("g_ema" in Checkpoint(path).tree)
    assert_same(generator, networks.network("main"), lambda x: (x.tanh() + 1) / 2)


def test_the_option_key_chooses_the_network(networks, tmp_path):
    path = networks.write("main", tmp_path, lambda s: {"mine": s, "yours": {"a.weight": torch.ones(2)}})
    assert_same(dcgan(path, key="mine", range="unit"), networks.network("main"))
    with pytest.raises(OptionError, match=r"key=theirs stands for nothing.*mine, yours"):
        dcgan(path, key="theirs")


@pytest.mark.parametrize(
    "wrap",
    [spectral_norm, weight_norm, nn.utils.parametrizations.spectral_norm, nn.utils.parametrizations.weight_norm],
    ids=["spectral", "weight", "spectral, parametrized", "weight, parametrized"],
)
@pytest.mark.filterwarnings("ignore:.*weight_norm.*is deprecated:FutureWarning")
def test_norms_of_weights_are_folded(tmp_path, wrap):
    torch.manual_seed(0)
    net = nn.Sequential(wrap(nn.ConvTranspose2d(6, 8, 4)), nn.ReLU(), wrap(nn.ConvTranspose2d(8, 3, 4, 2, 1)))
    for _ in range(3):
        net(torch.randn(4, 6, 1, 1))
    net.eval().requires_grad_(False)
    torch.save(net.state_dict(), tmp_path / "net.pt")
    assert_same(dcgan(tmp_path / "net.pt", range="unit"), lambda z: net(z[:, :, None, None]))


def test_the_kind_of_norms_without_statistics_is_asked_for(tmp_path):
    net = nn.Sequential(
        nn.Linear(5, 64), nn.Unflatten(1, (16, 2, 2)), nn.GroupNorm(4, 16), nn.ReLU(), nn.Conv2d(16, 12, 3, 1, 1),
        nn.PixelShuffle(2),
    ).eval()  # fmt: skip
    torch.save(net.state_dict(), tmp_path / "net.pt")
    with pytest.raises(OptionError, match=r"norm must be given: 2 has 16 weights.*norm=instance.*norm=group"):
        dcgan(tmp_path / "net.pt", range="unit")
    assert_same(dcgan(tmp_path / "net.pt", range="unit", norm="group", groups=4), net)


def test_contrast_and_shape_decide_the_range(networks, tmp_path):
    path = networks.write("relu-after", tmp_path)
    with pytest.raises(OptionError, match=r"range must be given.*range=tanh.*range=sigmoid.*Inferred: 6 layers, 32 x"):
        dcgan(path)
    path = networks.write("main", tmp_path)  # numbers of the size that a trained GAN of low contrast gives to its tanh
    assert_same(dcgan(path), networks.network("main"), lambda x: (x.tanh() + 1) / 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"range": "hsv"}, "range must be one of tanh, sigmoid"),
        ({"activation": "mish"}, "activation must be one of relu"),
        ({"square": "round"}, "square must be one of transposed"),
        ({"slope": 0.1, "activation": "relu"}, "slope belongs to activation=leaky"),
        ({"latent": "cauchy"}, "latent must be one of normal, uniform"),
        ({"scales": (2, 2)}, "scales must be 1 whole numbers, one for each of 3"),
        ({"sizes": (40,)}, "sizes must fit: 3 cannot make 40 x 40 of 4 x 4"),
        ({"start": (3, 3)}, "start must be left out: 0 makes 4 x 4"),
        ({"latent_dim": 13}, "latent_dim must be from 1 to 12"),
        ({"label": 1}, "label=1 was given, and all 12 inputs are the latent"),
        ({"resolution": 17}, "scales must be given: no way was found from 4 x 4 to 17"),
    ],
)
def test_options_that_do_not_fit_are_refused(tmp_path, options, message):
    net = nn.Sequential(nn.ConvTranspose2d(12, 4, 4), nn.ReLU(), nn.ReLU(), nn.ConvTranspose2d(4, 3, 4, 2, 1))
    torch.save(net.state_dict(), tmp_path / "x.pt")
    with pytest.raises(OptionError, match=message):
        dcgan(tmp_path / "x.pt", **{"range": "unit", **options})


def others():
    """State dicts of networks that are no stack from a latent to an image, and what is said of them."""
    down = nn.Sequential(nn.Conv2d(3, 8, 4, 2, 1, bias=False), nn.LeakyReLU(), nn.Conv2d(8, 16, 4, 2, 1, bias=False))
    discriminator = nn.Sequential(*down, nn.BatchNorm2d(16), nn.Conv2d(16, 1, 4, bias=False))
    yield "discriminator", discriminator.state_dict(), "its first layer"
    yield (
        "classifier",
        nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Linear(8, 10)).state_dict(),
        "no convolution in it",
    )
    yield "image to image", nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 3, 3)).state_dict(), "its first layer"
    good = nn.Sequential(nn.Linear(8, 64), nn.ConvTranspose2d(16, 8, 4, 2, 1), nn.ConvTranspose2d(8, 3, 4, 2, 1))
    good = good.state_dict()
    yield "styles", good | {"style.weight": torch.ones(16, 8), "style.bias": torch.ones(16)}, "leave others over: style"
    yield "unknown tensors", good | {"noise.strength": torch.ones(1)}, "noise.strength"
    branches = {f"{name.replace('1', 'fc.res1')}": one for name, one in good.items()}
    yield "branches", branches, "fc.res1"
    up = nn.Sequential(nn.ConvTranspose2d(16, 8, 3, 2, 1, 1), nn.ReLU(), nn.ConvTranspose2d(8, 3, 3, 2, 1, 1))
    yield "code is an image", nn.ModuleDict({"encoder": down, "decoder": up}).state_dict(), "encoder has convolutions"


@pytest.mark.parametrize(("name", "state", "message"), list(others()), ids=[name for name, *_ in others()])
@pytest.mark.parametrize("ending", [".pt", ".safetensors"])
def test_other_networks_are_not_opened(tmp_path, name, state, message, ending):
    path = tmp_path / f"other{ending}"
    save_file(state, path) if ending == ".safetensors" else torch.save(state, path)
    with pytest.raises(FileError, match=f"no DCGAN or decoder that is known here.*{re.escape(message)}"):
        eigenwalk_open(Checkpoint(path))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("decoder.mid_block.resnets.0.conv1.weight", "diffusers: give its folder"),
        ("first_stage_model.decoder.mid.block_1.conv1.weight", "layout of latent diffusion"),
        ("time_embedding.linear_1.weight", "diffusion U-Net"),
        ("convs.0.conv.modulation.weight", "StyleGAN"),
        ("params_ema.body.0.rdb1.conv1.weight", "super-resolution"),
        ("layer1.0.conv1.weight", "ResNet"),
        ("blocks.0.attn.qkv.weight", "transformer"),
        ("main.0.weight", None),
    ],
)
def test_other_networks_are_recognised_by_names(name, kind):
    words = other_kind([name])
    assert (words is None) if kind is None else kind in (words or "")


class Counting(dict):
    """Counts how often its items are read."""

    reads = 0

    def items(self):
        for pair in super().items():
            self.reads += 1
            yield pair


@pytest.mark.parametrize("width", ["same", "alternating"])
@pytest.mark.parametrize("count", [300, 30_000])
def test_recognition_reads_a_bounded_number_of_tensors(monkeypatch, width, count):
    # Layers of one width that any order connects, behind names that tell no order.
    other = 8 if width == "same" else 16
    names = Counting({f"{chr(97 + i % 26)}{chr(97 + i // 26 % 26)}{i}.weight": (8, other, 3, 3) for i in range(count)})
    names |= {"last.weight": (3, 8, 3, 3)}
    tries = []
    before = read_layout.__globals__["_before"]
    monkeypatch.setitem(read_layout.__globals__, "_before", lambda *a: tries.append(1) or before(*a))
    with pytest.raises(UnknownNetwork):
        read_layout(names)
    assert names.reads <= count + 1
    assert len(tries) < 500_000


def test_files_of_the_older_format_and_pickled_modules_are_recognised(networks, tmp_path):
    net = networks.network("main")
    torch.save(net.state_dict(), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    torch.save(net, tmp_path / "module.pt")
    for path in tmp_path.iterdir():
        assert eigenwalk_open(Checkpoint(path)) is not None
        assert_same(dcgan(path, range="unit"), net)


def test_files_without_a_network_are_refused(tmp_path):
    with pytest.raises(FileError, match="there is no file"):
        dcgan(tmp_path / "none.pt")
    (tmp_path / "text.pt").write_text("hello")
    torch.save(nn.Linear(2, 2), tmp_path / "module.pt")
    torch.save(torch.ones(3), tmp_path / "tensor.pt")
    for name, message in (("text", "cannot be opened"), ("module", "no conv"), ("tensor", "no layer known")):
        assert eigenwalk_open(Checkpoint(tmp_path / f"{name}.pt")) is None
        with pytest.raises(FileError, match=message):
            dcgan(tmp_path / f"{name}.pt")
    broken = nn.Sequential(nn.Linear(8, 16), nn.ConvTranspose2d(4, 3, 4, 2, 1)).state_dict()
    broken["0.weight"][0, 0] = torch.nan
    torch.save(broken, tmp_path / "nan.pt")
    with pytest.raises(FileError, match=r"0\.weight holds NaN"):
        dcgan(tmp_path / "nan.pt", range="unit")


def test_latents_may_be_uniform(networks, tmp_path):
    generator = dcgan(networks.write("main", tmp_path), range="unit", latent="uniform", activation="relu")
    z = generator.sample(50, seed=0)
    assert 0.9 < z.abs().max() <= 1
    assert torch.equal(z[:3], generator.sample(3, seed=0))
    assert generator.facts["latent"] == "12 coordinates, uniform (as given)"
