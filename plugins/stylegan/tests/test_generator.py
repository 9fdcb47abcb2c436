"""The generator's contract in every space, its derivatives, and its options."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from eigenwalk.errors import OptionError
from eigenwalk_stylegan.description import Network
from eigenwalk_stylegan.generator import StyleGAN, parse_layers, stylegan
from eigenwalk_stylegan.recognise import load

SPACES = ("z", "w", "w+", "s")


@pytest.fixture(scope="module", params=["ada-16", "sg3-t-16"])
def network(request, file) -> Network:
    return load(file(request.param))[0].double()


def images(generator: StyleGAN, latents: Tensor) -> Tensor:
    with torch.no_grad():
        return generator(latents.double())


def close(a: Tensor, b: Tensor, within: float = 1e-5) -> None:
    torch.testing.assert_close(a, b, rtol=0, atol=within)


@pytest.mark.parametrize("space", SPACES)
def test_samples_in_every_space_give_the_same_images(network, space) -> None:
    for truncation in (1.0, 0.6):
        expected = StyleGAN(network, truncation=truncation)
        generator = StyleGAN(network, space=space, truncation=truncation)
        latents = generator.sample(3, seed=5)
        assert latents.dtype == torch.float32
        assert latents.shape == (3, generator.latent_dim)
        assert torch.equal(latents[:2], generator.sample(2, seed=5))
        assert generator.sample(0, seed=5).shape == (0, generator.latent_dim)
        found = images(generator, latents)
        assert found.shape == (3, 3, 16, 16)
        close(found, images(expected, expected.sample(3, seed=5)), 1e-4)
        close(found[1:2], images(generator, latents[1:2]), 1e-9)


@pytest.mark.parametrize("space", SPACES)
def test_layers_that_are_not_chosen_keep_the_bases_w(network, space) -> None:
    whole = StyleGAN(network, space="w+")
    some = StyleGAN(network, space=space, layers="2-3", base=4)
    both = whole.sample(1, seed=4).unflatten(1, (network.sizes.layers, -1))
    close(images(some, some.sample(1, seed=4)), images(whole, both.flatten(1)), 1e-4)
    both[:, 2:4] = whole.sample(1, seed=9).unflatten(1, (network.sizes.layers, -1))[:, 2:4]
    close(images(some, some.sample(1, seed=9)), images(whole, both.flatten(1)), 1e-4)


def test_truncation_with_a_cutoff_changes_only_the_first_layers(network) -> None:
    plain, cut = StyleGAN(network, space="w+"), StyleGAN(network, space="w+", truncation=0.5, cutoff=2)
    a, b = (one.sample(1, 3).unflatten(1, (network.sizes.layers, -1))[0].double() for one in (plain, cut))
    close(b[2:], a[2:], 1e-6)
    close(b[:2], (a[:2] + network.mapping.mean) / 2, 1e-6)
    z = StyleGAN(network, truncation=0.5, cutoff=2)
    close(images(z, z.sample(1, 3)), images(cut, cut.sample(1, 3)), 1e-4)
    mean = StyleGAN(network, truncation=0.0)
    close(images(mean, mean.sample(2, 1))[0], images(mean, mean.sample(2, 1))[1], 1e-9)


@pytest.mark.parametrize("space", SPACES)
def test_pushforward_pullback_and_differences_agree(network, space) -> None:
    generator = StyleGAN(network, space=space, layers="1-4")
    z = generator.sample(1, 5).double()
    v = torch.nn.functional.normalize(torch.randn(3, z.shape[1], generator=torch.Generator().manual_seed(0)).double())
    pushed = torch.func.vmap(lambda t: torch.func.jvp(generator, (z,), (t[None],))[1])(v)
    for row in range(3):
        step = 1e-6 * v[row]
        central = (images(generator, z + step) - images(generator, z - step)) / 2e-6
        # Where a difference straddles the kink of a leaky ReLU it sees both slopes, and the derivative one.
        apart = (pushed[row] - central).abs() > 1e-6 + 1e-4 * pushed[row].abs()
        assert apart.float().mean() < 0.01
    assert pushed.abs().max() > 1e-4
    found, pull = torch.func.vjp(generator, z)[:2]
    u = torch.randn(found.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    close((u * pushed[0]).sum(), (pull(u)[0] * v[0]).sum(), 1e-9)


def test_it_can_be_differentiated_twice_backwards(network) -> None:
    generator = StyleGAN(network)
    z = generator.sample(1, 5).double().requires_grad_()
    v = torch.randn(z.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = generator(z)
    u = torch.zeros_like(found, requires_grad=True)
    (pulled,) = torch.autograd.grad(found, z, u, create_graph=True)
    (pushed,) = torch.autograd.grad(pulled, u, v)
    close(pushed, torch.func.jvp(generator, (z.detach(),), (v,))[1], 1e-9)


def test_noise_is_fixed_or_none(file) -> None:
    network, _ = load(file("ada-16"))
    z = StyleGAN(network).sample(1, 0)
    with_noise, without = StyleGAN(network), StyleGAN(network, noise="none")
    assert torch.equal(with_noise(z), with_noise(z))
    assert (with_noise(z) - without(z)).abs().max() > 0.01


def test_a_conditional_model_needs_a_class(file) -> None:
    network, _ = load(file("ada-32-labels-clamp"))
    z = StyleGAN(network, label=0).sample(1, 0)
    assert (StyleGAN(network, label=0)(z) - StyleGAN(network, label=2)(z)).abs().max() > 0.01
    for label in (None, 3, -1):
        with pytest.raises(OptionError, match="from 0 to 2"):
            StyleGAN(network, label=label)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"space": "p"}, "space must be one of"),
        ({"truncation": -1.0}, "truncation must be"),
        ({"cutoff": 99}, "cutoff must be from 0 to 6"),
        ({"cutoff": 2, "space": "w"}, "take w\\+ instead"),
        ({"label": 0}, "has no classes"),
        ({"noise": "random"}, "const or none"),
        ({"layers": "4-9"}, "from 0 to 5"),
        ({"layers": "5-4"}, "layers must be such as"),
        ({"layers": "a"}, "layers must be such as"),
    ],
)
def test_wrong_options_raise(file, options, says) -> None:
    with pytest.raises(OptionError, match=says):
        stylegan(file("ada-16"), **options)


def test_dtype_and_name(file) -> None:
    generator = stylegan(str(file("ada-16")), space="w+", layers="0,2-3")
    latents = generator.sample(1, 0)
    assert generator(latents).dtype == torch.float32
    assert generator(latents.double()).dtype == torch.float64
    assert generator.latent_dim == 3 * 16
    assert repr(generator) == "<StyleGAN2, a pickle of PyTorch, 16 x 16 pixels, space w+ of 48 coordinates>"
    assert not any(parameter.requires_grad for parameter in generator.network.parameters())
    assert parse_layers(None, 3) == (0, 1, 2)


def test_a_torgb_layer_uses_the_next_convolutions_w(file) -> None:
    """The style of a toRGB layer is that of the next convolution's w, as in the published code."""
    network, _ = load(file("ada-16"))
    assert [layer for layer, _ in network.affines()] == [0, 1, 1, 2, 3, 3, 4, 5]
