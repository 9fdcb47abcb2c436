"""The network compared with its parts, files compared with the networks that wrote them, and errors."""

from __future__ import annotations

import openvino_files
import pytest
import torch
import torch.nn.functional as F

from eigenwalk.checkpoint import Checkpoint
from eigenwalk.errors import FileError, OptionError
from eigenwalk_mobilestylegan.generator import MobileStyleGAN, opened
from eigenwalk_mobilestylegan.ir import load_mapping, load_synthesis
from eigenwalk_mobilestylegan.network import inverse_haar
from eigenwalk_mobilestylegan.plugin import eigenwalk_open


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """The file of a synthesis, with all that belongs to it beside it."""
    return openvino_files.write(tmp_path_factory.mktemp("files"))


def test_the_inverse_haar_transform_is_four_transposed_convolutions():
    """Two steps of one-dimensional filters, as OpenVINO's graph computes it: rows first, then columns."""
    x = torch.randn(2, 12, 5, 5, generator=torch.Generator().manual_seed(0))
    half = 0.5**0.5
    low, high = (torch.tensor([half, sign * half]) for sign in (1, -1))

    def rows(part, pair):
        return F.conv_transpose2d(part, pair.view(1, 1, 2, 1).expand(3, -1, -1, -1), stride=(2, 1), groups=3)

    def columns(part, pair):
        return F.conv_transpose2d(part, pair.view(1, 1, 1, 2).expand(3, -1, -1, -1), stride=(1, 2), groups=3)

    a, (b, c, d) = x[:, :3], x[:, 3:].unflatten(1, (3, 3)).unbind(2)
    expected = columns(rows(a, low) + rows(b, high), low) + columns(rows(c, low) + rows(d, high), high)
    torch.testing.assert_close(inverse_haar(x), expected)


def test_files_open_as_the_networks_that_wrote_them(file):
    mapping, synthesis = openvino_files.networks()
    z = torch.randn(3, openvino_files.STYLE, generator=torch.Generator().manual_seed(1))
    w = mapping(z)
    assert torch.equal(load_mapping(Checkpoint.of(file.with_name("MappingNetwork.xml")))(z), w)
    assert torch.equal(load_synthesis(Checkpoint.of(file))(w), synthesis(w))


def test_sizes_are_exact_averages_and_truncation_draws_towards_the_mean(file):
    whole = opened(file, truncation=1.0)
    assert whole.resolution == (32, 32)
    images = whole(whole.sample(2, 0))
    for size in (16, 8):
        small = opened(file, truncation=1.0, size=size)
        torch.testing.assert_close(small(small.sample(2, 0)), F.avg_pool2d(images, 32 // size), rtol=0, atol=2e-5)
    still = opened(file, truncation=0.0)
    torch.testing.assert_close(*still(still.sample(2, 0)))
    in_w = opened(file, space="w", truncation=0.5)
    both = opened(file, truncation=0.5)
    torch.testing.assert_close(in_w(in_w.sample(2, 3)), both(both.sample(2, 3)))
    layered = opened(file, space="w+", truncation=0.5)
    assert layered.latent_dim == layered.synthesis.depth * in_w.latent_dim
    torch.testing.assert_close(layered(layered.sample(2, 3)), both(both.sample(2, 3)))
    moved = layered.sample(1, 3)
    moved[:, -in_w.latent_dim :] += 1  # the last w has the colours alone
    assert not torch.allclose(layered(moved), both(both.sample(1, 3)))
    for options, said in (({"size": 24}, "size must be one of 32, 16, 8"), ({"truncation": 3.0}, "from 0 to 2")):
        with pytest.raises(OptionError, match=said):
            MobileStyleGAN(*openvino_files.networks(), **options)


def refused(file, old, new, said):
    """Change the XML of `file`, read it, and put it back."""
    before = file.read_text()
    file.write_text(before.replace(old, new, 1))
    try:
        with pytest.raises(FileError, match=said):
            load_synthesis(Checkpoint.of(file))
    finally:
        file.write_text(before)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('offset="0"', 'offset="99999999"', "does not lie within"),
        ('offset="0"', 'offset="-4"', "does not lie within"),
        ('size="768"', 'size="196"', "does not lie within"),
        ('shape="4, 12"', 'shape="12, 4"', "no MobileStyleGAN"),
        ('shape="4, 12"', 'shape="four"', "in numbers"),
        ('element_type="f32"', 'element_type="i64"', "no MobileStyleGAN has"),
        ("<layers>", "<!-- <!ENTITY --><layers>", "declarations"),
        ("</net>", "", "damaged XML"),
    ],
)
def test_a_damaged_file_is_refused(file, old, new, said):
    assert old in file.read_text()
    refused(file, old, new, said)


def test_other_networks_of_openvino_are_refused_with_a_clear_message(tmp_path, file):
    assert eigenwalk_open(file, Checkpoint.of(file)).load.endswith(":opened")
    other = tmp_path / "other.xml"
    other.write_text('<?xml version="1.0"?><net name="other" version="10"><layers></layers></net>')
    with pytest.raises(FileError, match="only MobileStyleGAN's synthesis"):
        eigenwalk_open(other, Checkpoint.of(other))
    other.write_text("no XML at all")
    assert eigenwalk_open(other, Checkpoint.of(other)) is None
