"""What is inferred is what the network was: images are those of the module whose state dict it is."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils import spectral_norm, weight_norm

from eigenwalk.errors import FileError, OptionError
from eigenwalk_dcgan.generator import dcgan
from eigenwalk_dcgan.plugin import eigenwalk_open

ROOT = Path(__file__).parents[3]
REAL = Path(os.path.normpath(ROOT / "../shared/real"))
EXACT = {"rtol": 0, "atol": 1e-5}


def same(generator, networks, name, ended):
    """Whether the generator's images are those of the network of this name."""
    z = generator.sample(3, seed=5)
    torch.testing.assert_close(generator(z), ended(networks.network(name)(networks.shaped(name, z))), **EXACT)


@pytest.mark.skipif(not REAL.is_dir(), reason="the trained generators lie in ../shared/real")
@pytest.mark.parametrize(("example", "file"), [("anime_dcgan", ".safetensors"), ("faces_vae", ".pt")])
def test_trained_networks_give_the_images_of_loaders_written_by_hand(example, file):
    spec = importlib.util.spec_from_file_location(example, ROOT / f"docs/examples/{example}.py")
    assert spec is not None
    assert spec.loader is not None
    loader = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loader)
    path = REAL / f"{example}{file}"
    assert eigenwalk_open(path) is not None
    generator, wanted = dcgan(path), loader.build(str(path))
    assert (generator.latent_dim, generator.resolution) == (wanted.latent_dim, wanted.resolution)
    z = generator.sample(4, seed=0)
    assert torch.equal(z, wanted.sample(4, seed=0))
    assert torch.equal(generator(z), wanted(z))


@pytest.mark.parametrize(
    ("name", "activation", "order"),
    [
        ("main", "relu", "norm-activation"),
        ("relu-after", "relu", "norm-activation"),
        ("relu-before", "relu", "activation-norm"),
        ("leaky-after", "leaky ReLU, slope 0.2", "norm-activation"),
        ("elu-before", "elu", "activation-norm"),
        ("tanh-after", "tanh", "norm-activation"),
    ],
)
def test_norms_tell_the_activation_and_its_place(networks, tmp_path, name, activation, order):
    generator = dcgan(networks.written(name, tmp_path), range="sigmoid")
    assert generator.facts["activation"] == f"{activation} (inferred from running statistics)"
    assert generator.facts["norm"].startswith(order)
    same(generator, networks, name, torch.sigmoid)


def test_sorted_names_are_put_together_from_their_channels(networks, tmp_path):
    path = tmp_path / "net.safetensors"
    save_file(networks.network("relu-before").state_dict(), path)
    same(dcgan(path, range="sigmoid"), networks, "relu-before", torch.sigmoid)


def test_convolutions_after_upsampling_want_the_resolution(networks, tmp_path):
    path = networks.written("upsampled", tmp_path)
    with pytest.raises(OptionError, match=r"resolution must be given: 3 convolutions follow 8 x 8.*scales="):
        dcgan(path, range="unit")
    for generator in (dcgan(path, range="unit", resolution=32), dcgan(path, range="unit", scales=(2, 2, 1))):
        assert generator.resolution == (32, 32)
        assert generator.facts["activation"] == "leaky ReLU, slope 0.2 (inferred from running statistics)"
        assert "eps 0.8 (inferred from running statistics)" in generator.facts["norm"]
        same(generator, networks, "upsampled", lambda x: x)
    with pytest.raises(OptionError, match=r"scales must be given.*to 48 in 3 layers"):
        dcgan(path, range="unit", resolution=48)


def test_a_class_follows_the_latent_and_grey_becomes_three_channels(networks, tmp_path):
    generator = dcgan(networks.written("classes", tmp_path), range="unit", latent_dim=6, label=2)
    z = generator.sample(2, seed=1)
    wanted = networks.network("classes")(torch.cat([z, torch.tensor([[0.0, 0.0, 1.0]]).expand(2, -1)], 1))
    torch.testing.assert_close(generator(z), wanted.expand(-1, 3, -1, -1), **EXACT)
    assert generator.facts["label"].startswith("2 of 3 classes")
    with pytest.raises(OptionError, match="label must be from 0 to 2"):
        dcgan(tmp_path / "classes.pt", range="unit", latent_dim=6, label=3)


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda s: {"epoch": 3, "netG": s, "netD": {"main.0.weight": torch.ones(8, 3, 4, 4)}},
        lambda s: {"g_ema": s, "generator": {k: 2 * v for k, v in s.items()}},
        lambda s: {"state_dict": {f"generator.module.{k}": v for k, v in s.items()} | {"disc.a.weight": torch.ones(4)}},
        lambda s: {f"module.main.{k}": v for k, v in s.items()},
    ],
    ids=["netG beside netD", "the average before the last", "prefixes", "module.main"],
)
def test_checkpoints_are_unwrapped(networks, tmp_path, wrapped):
    path = networks.written("main", tmp_path, wrapped)
    assert eigenwalk_open(path) is not None
    same(dcgan(path, range="tanh"), networks, "main", lambda x: (x.tanh() + 1) / 2)


def test_a_key_picks_the_network(networks, tmp_path):
    path = networks.written("main", tmp_path, lambda s: {"mine": s, "yours": {"a.weight": torch.ones(2)}})
    same(dcgan(path, key="mine", range="unit"), networks, "main", lambda x: x)
    with pytest.raises(OptionError, match=r"key=theirs stands for nothing.*mine, yours"):
        dcgan(path, key="theirs")


@pytest.mark.parametrize("kind", ["spectral", "weight", "spectral, parametrized", "weight, parametrized"])
def test_norms_of_weights_are_folded(tmp_path, kind):
    torch.manual_seed(0)
    convolutions = [nn.ConvTranspose2d(6, 8, 4), nn.ConvTranspose2d(8, 3, 4, 2, 1)]
    wrap = {
        "spectral": spectral_norm,
        "weight": weight_norm,
        "spectral, parametrized": nn.utils.parametrizations.spectral_norm,
        "weight, parametrized": nn.utils.parametrizations.weight_norm,
    }[kind]
    net = nn.Sequential(wrap(convolutions[0]), nn.ReLU(), wrap(convolutions[1]))
    for _ in range(3):
        net(torch.randn(4, 6, 1, 1))
    net.eval().requires_grad_(False)
    torch.save(net.state_dict(), tmp_path / "net.pt")
    generator = dcgan(tmp_path / "net.pt", range="unit")
    z = generator.sample(2, seed=0)
    torch.testing.assert_close(generator(z), net(z[:, :, None, None]), **EXACT)


def test_norms_without_statistics_are_asked_for(tmp_path):
    net = nn.Sequential(
        nn.Linear(5, 64), nn.Unflatten(1, (16, 2, 2)), nn.GroupNorm(4, 16), nn.ReLU(), nn.Conv2d(16, 12, 3, 1, 1),
        nn.PixelShuffle(2),
    ).eval()  # fmt: skip
    torch.save(net.state_dict(), tmp_path / "net.pt")
    with pytest.raises(OptionError, match=r"norm must be given: 2 has 16 weights.*norm=instance.*norm=group"):
        dcgan(tmp_path / "net.pt", range="unit")
    generator = dcgan(tmp_path / "net.pt", range="unit", norm="group", groups=4)
    z = generator.sample(2, seed=0)
    torch.testing.assert_close(generator(z), net(z), **EXACT)
    assert generator.resolution == (4, 4)


def test_the_range_is_asked_for_where_nothing_tells_it(networks, tmp_path):
    with pytest.raises(
        OptionError, match=r"range must be given.*range=tanh.*range=sigmoid.*Inferred: 5 layers, 16 x 16"
    ):
        dcgan(networks.written("main", tmp_path))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"range": "hsv"}, "range must be one of tanh, sigmoid"),
        ({"activation": "mish"}, "activation must be one of relu"),
        ({"slope": 0.1, "activation": "relu"}, "slope belongs to activation=leaky"),
        ({"latent": "cauchy"}, "latent must be one of normal, uniform"),
        ({"scales": (2, 2)}, "scales must be 1 whole numbers, one for each of 3"),
        ({"start": (3, 3)}, "start must be left out: 0 makes 4 x 4"),
        ({"latent_dim": 13}, "latent_dim must be from 1 to 12"),
        ({"label": 1}, "label=1 was given, and all 12 inputs are the latent"),
        ({"resolution": 17}, "scales must be given: no way was found from 4 x 4 to 17"),
    ],
)
def test_options_that_do_not_fit(networks, tmp_path, options, message):
    torch.save(
        nn.Sequential(
            nn.ConvTranspose2d(12, 4, 4), nn.ReLU(), nn.ReLU(), nn.ConvTranspose2d(4, 3, 4, 2, 1)
        ).state_dict(),
        tmp_path / "x.pt",
    )
    with pytest.raises(OptionError, match=message):
        dcgan(tmp_path / "x.pt", **{"range": "unit", **options})


def others():
    """State dicts of networks that are no stack from a latent to an image."""
    down = nn.Sequential(nn.Conv2d(3, 8, 4, 2, 1, bias=False), nn.LeakyReLU(), nn.Conv2d(8, 16, 4, 2, 1, bias=False))
    yield "discriminator", nn.Sequential(*down, nn.BatchNorm2d(16), nn.Conv2d(16, 1, 4, bias=False)).state_dict()
    yield "classifier", nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 10)).state_dict()
    yield "image to image", nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 3, 3)).state_dict()
    yield "linear", nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 48)).state_dict()
    good = nn.Sequential(nn.Linear(8, 64), nn.ConvTranspose2d(16, 8, 4, 2, 1), nn.ConvTranspose2d(8, 3, 4, 2, 1))
    yield "styles", good.state_dict() | {"style.weight": torch.ones(16, 8), "style.bias": torch.ones(16)}
    yield "unknown tensors", good.state_dict() | {"noise.strength": torch.ones(1)}


@pytest.mark.parametrize(("name", "state"), list(others()), ids=[name for name, _ in others()])
@pytest.mark.parametrize("ending", [".pt", ".safetensors"])
def test_other_networks_are_neither_claimed_nor_opened(tmp_path, name, state, ending):
    path = tmp_path / f"other{ending}"
    save_file(state, path) if ending == ".safetensors" else torch.save(state, path)
    assert eigenwalk_open(path) is None
    with pytest.raises(FileError, match="no DCGAN or decoder that is known here"):
        dcgan(path)


def test_files_of_the_older_format_are_recognised(networks, tmp_path):
    torch.save(networks.network("main").state_dict(), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert eigenwalk_open(tmp_path / "old.pth") is not None
    same(dcgan(tmp_path / "old.pth", range="unit"), networks, "main", lambda x: x)


def test_files_that_are_none(tmp_path):
    with pytest.raises(FileError, match="there is no file"):
        dcgan(tmp_path / "none.pt")
    (tmp_path / "text.pt").write_text("hello")
    torch.save(nn.Linear(2, 2), tmp_path / "module.pt")
    torch.save(torch.ones(3), tmp_path / "tensor.pt")
    for name, message in (
        ("text", "cannot be opened"),
        ("module", "nothing of it was run"),
        ("tensor", "holds a Tensor"),
    ):
        assert eigenwalk_open(tmp_path / f"{name}.pt") is None
        with pytest.raises(FileError, match=message):
            dcgan(tmp_path / f"{name}.pt")
    broken = nn.Sequential(nn.Linear(8, 16), nn.ConvTranspose2d(4, 3, 4, 2, 1)).state_dict()
    broken["0.weight"][0, 0] = torch.nan
    torch.save(broken, tmp_path / "nan.pt")
    with pytest.raises(FileError, match=r"0\.weight holds NaN"):
        dcgan(tmp_path / "nan.pt", range="unit")


def test_latents_may_be_uniform(networks, tmp_path):
    generator = dcgan(networks.written("main", tmp_path), range="unit", latent="uniform")
    z = generator.sample(50, seed=0)
    assert 0.9 < z.abs().max() <= 1
    assert torch.equal(z[:3], generator.sample(3, seed=0))
    assert generator.facts["latent"] == "12 coordinates, uniform (as given)"
