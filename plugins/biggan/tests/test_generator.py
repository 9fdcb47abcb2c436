"""Labels, spaces, samples and derivatives."""

from __future__ import annotations

from typing import Any, cast

import biggan_files
import pytest
import torch

from eigenwalk.errors import FileError, OptionError
from eigenwalk_biggan import classes
from eigenwalk_biggan.generator import SPACES, biggan


def test_every_imagenet_class_has_a_name() -> None:
    names = classes.names(1000, None)
    assert len(set(names)) == 1000
    assert all(name == classes.plain_name(name) and name.isidentifier() for name in names)
    for i, name in {0: "tench", 207: "golden_retriever", 340: "zebra", 985: "daisy", 999: "toilet_tissue"}.items():
        assert names[i] == name
        assert classes.index(name, names, 1000) == classes.index(str(i), names, 1000) == i
    assert classes.index("Golden Retriever", names, 1000) == 207
    assert classes.names(10, None) == []


@pytest.mark.parametrize(
    ("label", "says"),
    [
        ("golden_retreiver", "near it are golden_retriever"),
        ("retriever", "near it are flat_coated_retriever, curly_coated_retriever, golden_retriever"),
        ("1000", "label must be from 0 to 999, got 1000"),
        ("-1", "label must be from 0 to 999, got -1"),
        ("qqqqqq", "must be one of the 1000 classes, by name or number, got 'qqqqqq'$"),
    ],
)
def test_a_wrong_class_suggests_near_names(label, says) -> None:
    with pytest.raises(OptionError, match=says):
        classes.index(label, classes.names(1000, None), 1000)


def test_names_of_classes_may_come_from_a_file(file, tmp_path) -> None:
    path, listed = file("biggan-32"), tmp_path / "names.txt"
    with pytest.raises(OptionError, match="Name them with names=FILE"):
        biggan(path, label="sofa")
    listed.write_text("Sofa\nlamp\nfloor lamp\nchair\nbed\n")
    assert biggan(path, label="floor_lamp", names=listed).label == 2
    with pytest.raises(OptionError, match="such as label=floor_lamp"):
        biggan(path, names=listed)
    with pytest.raises(OptionError, match="near it are lamp, floor_lamp"):
        biggan(path, label="lam", names=listed)
    listed.write_text("sofa\n")
    with pytest.raises(OptionError, match=r"must be a file of 5 lines.*has 1"):
        biggan(path, label="sofa", names=listed)
    with pytest.raises(FileError, match="cannot be read as a list of names"):
        biggan(path, label="sofa", names=tmp_path / "none.txt")


def test_a_missing_class_or_unknown_space_is_refused(file) -> None:
    with pytest.raises(OptionError, match="label must be given in space z: one of the 5 classes"):
        biggan(file("biggan-32"))
    with pytest.raises(OptionError, match="space must be one of z, embedding, both"):
        biggan(file("biggan-32"), label=1, space="w")


def test_a_network_of_one_class_has_only_space_z(tmp_path) -> None:
    held = biggan_files.state_dict("biggan-32")
    held["shared.weight"] = held["shared.weight"][:1].clone()
    torch.save(held, tmp_path / "g.pth")
    assert biggan(tmp_path / "g.pth").label == 0
    with pytest.raises(OptionError, match="space must be z, as the network has one class alone"):
        biggan(tmp_path / "g.pth", space="both")


def test_class_coordinates_have_unit_variance_and_invert() -> None:
    random = torch.Generator().manual_seed(0)
    for count, width in ((40, 6), (4, 6), (3, 3)):
        scales = torch.tensor([3.0, 1, 0.3, 0.1, 0.01, 5])[:width]
        table = torch.randn(count, width, generator=random) * scales + 2
        mean, root, c = classes.standardise(table)
        torch.testing.assert_close(mean + c @ root, table.double(), rtol=0, atol=1e-5)
        assert float(c.mean(0).abs().max()) < 1e-6
        # As many directions of variance 1 as the classes spread in, and none else.
        values = torch.linalg.eigvalsh(c.T @ c / (count - 1))
        expected = torch.tensor([0.0] * (width - min(width, count - 1)) + [1.0] * min(width, count - 1)).double()
        torch.testing.assert_close(values, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["biggan-32", "biggan-32-unshared", "biggan-128-hier", "deep-64", "hf-32-edge"])
def test_spaces_agree_on_the_same_image(file, name) -> None:
    path, options = file(name), cast(Any, {"truncation": 0.5})
    z = biggan(path, label=2, **options)
    both = biggan(path, label=2, space="both", **options)
    one = biggan(path, label=2, space="embedding", base=7, **options)
    expected = z(z.sample(1, 7))
    assert both.latent_dim == z.latent_dim + one.latent_dim
    torch.testing.assert_close(both(both.sample(1, 7)), expected, rtol=0, atol=1e-4)
    # In space embedding a walk starts at its label, whatever the seed, and other rows are other classes.
    for seed in (0, 1):
        torch.testing.assert_close(one(one.sample(1, seed)), expected, rtol=0, atol=1e-4)
    others = one(one.sample(3, 0))
    assert float((others[1:] - expected).abs().amax((1, 2, 3)).min()) > 1e-3


def test_samples_are_the_same_for_fewer_rows(file) -> None:
    for space in SPACES:
        generator = biggan(file("biggan-64-hier-standing"), label="4" if space == "z" else None, space=space)
        many = generator.sample(7, 3)
        assert many.dtype == torch.float32
        assert torch.equal(generator.sample(3, 3), many[:3])
        assert not torch.equal(generator.sample(7, 4), many)
        assert generator.sample(0, 3).shape == (0, generator.latent_dim)
    # Ten classes, none twice.
    drawn = biggan(file("biggan-64-hier-standing"), space="embedding").sample(10, 3)
    assert float(torch.cdist(drawn, drawn).fill_diagonal_(9).min()) > 0.5


def test_z_is_normal_or_truncated_at_two(file) -> None:
    z = biggan(file("biggan-32"), label=1).sample(4000, 0)
    assert 0.99 < float(z.std()) < 1.01
    assert float(z.abs().max()) > 3
    for truncation in (1.0, 0.4):
        z = biggan(file("biggan-32"), label=1, truncation=truncation).sample(4000, 0)
        assert 1.99 * truncation < float(z.abs().max()) <= 2 * truncation
        # The deviation of a normal distribution that is cut at ±2 is 0.8796.
        assert abs(float(z.std()) / truncation - 0.8796) < 0.01
    assert float(biggan(file("hf-64"), label=1).sample(500, 0).abs().max()) <= 2


def test_truncation_selects_hugging_faces_statistics(file) -> None:
    a, b = (biggan(file("hf-64"), label=1, truncation=t) for t in (0.4, 1.0))
    z = a.sample(1, 0)
    assert float((a(z) - b(z)).abs().max()) > 0.01


@pytest.mark.parametrize("space", SPACES)
def test_pushforward_pullback_and_differences_agree(file, space) -> None:
    generator = biggan(file("biggan-32"), label="1", space=space).to("cpu", torch.float64)
    z = generator.sample(1, 5).double()
    v = torch.nn.functional.normalize(torch.randn(2, z.shape[1], generator=torch.Generator().manual_seed(0)).double())
    pushed = torch.func.vmap(lambda t: torch.func.jvp(generator, (z,), (t[None],))[1])(v)
    for row in range(2):
        central = (generator(z + 1e-6 * v[row]) - generator(z - 1e-6 * v[row])) / 2e-6
        # Where a difference straddles the kink of a ReLU it sees both slopes, and the derivative one.
        apart = (pushed[row] - central).abs() > 1e-6 + 1e-4 * pushed[row].abs()
        assert apart.float().mean() < 0.02
    assert pushed.abs().max() > 1e-3
    found, pull = torch.func.vjp(generator, z)[:2]
    u = torch.randn(found.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close((u * pushed[0]).sum(), (pull(u)[0] * v[0]).sum(), rtol=1e-9, atol=1e-9)


def test_facts_of_the_generator_are_given(file) -> None:
    generator = biggan(file("deep-64"), label=1, space="both")
    assert repr(generator) == "<BigGAN-deep of BigGAN-PyTorch, 64 x 64 pixels, space both of 14 coordinates>"
    assert not any(parameter.requires_grad for parameter in generator.network.parameters())
    assert generator(generator.sample(1, 0)).dtype == torch.float32
    assert generator(generator.sample(1, 0).double()).dtype == torch.float64
