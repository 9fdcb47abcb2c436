"""Comparison with the authors' own code on the same network, `toys.Style`, whose weights follow a formula.

``published.json`` contains only directions, in single precision, computed by

- genforce/sefa 0d16060, `factorize_weight` (all layers);
- harskish/ganspace 5a704c4, `decomposition.compute` (w, 10,000 samples, ipca);
- genforce/interfacegan 8da3fc0, `train_boundary` (4,000 samples, a share of 0.05) and `project_boundary`;
- zhujiapeng/resefa 973889c, ``compute_direction.py --full_rank``, at two latents;
- zhujiapeng/LowRankGAN 90bf639, ``compute_directions.py``, at two latents;
- isno0907/localbasis d53c477, `get_random_local_basis` and `get_iter_trvs_latent` (second vector, 30 steps).
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from eigenwalk_baselines.ganspace import GANSpace
from eigenwalk_baselines.interfacegan import InterFaceGAN
from eigenwalk_baselines.localbasis import LocalBasis
from eigenwalk_baselines.lowrankgan import LowRankGAN
from eigenwalk_baselines.resefa import ReSeFa
from eigenwalk_baselines.sefa import SeFa

from . import toys

PUBLISHED = json.loads(Path(__file__).with_name("published.json").read_text(encoding="utf-8"))


def same(found: torch.Tensor, name_or_rows, degrees: float) -> None:
    """Every row is a unit vector of the authors', but for its sense."""
    theirs = torch.tensor(PUBLISHED[name_or_rows] if isinstance(name_or_rows, str) else name_or_rows).double()
    theirs = theirs / theirs.norm(dim=1, keepdim=True)
    sines = (found - (found * theirs).sum(1, keepdim=True) * theirs).norm(dim=1)
    assert float(torch.rad2deg(sines.clamp(max=1).asin()).max()) < degrees


def test_sefa():
    generator = toys.StyleGenerator("w")
    same(SeFa(normalised=True).find(toys.See(generator, generator.sample(1, 0)), 3)[0], "sefa", 0.01)


def test_ganspace():
    generator = toys.StyleGenerator("w")
    same(GANSpace(components=10).find(toys.See(generator, generator.sample(1, 0)), 3)[0], "ganspace", 0.01)


@pytest.mark.parametrize("held", [0, 1, 2, 3])
def test_interfacegan(held):
    generator = toys.StyleGenerator("w")

    def read(images):
        parts = (
            images.mean((1, 2, 3)),
            images[:, 0, :4].mean((1, 2)),
            images[:, 1, :, 4:].std((1, 2)),
            images[:, 2, 2, 2],
        )
        return torch.stack(parts, 1)

    sight = toys.See(generator, generator.sample(1, 0), lambda i: read(i)[:, :1], lambda i: read(i)[:, 1 : 1 + held])
    found = InterFaceGAN(samples=4000, share=0.05, seed=7).find(sight, 1)[0]
    # The machine ends at a tolerance of 1e-3, and theirs saw the samples in another order.
    same(found, [PUBLISHED["interfacegan"][held]], 1)
    assert float(found @ torch.tensor(PUBLISHED["interfacegan"][held]).double()) > 0


def parts():
    """A sight of two latents that varies three columns of pixels and fixes the others, in pixels."""
    generator = toys.StyleGenerator("w")
    left, right = (lambda i: i[..., :3].flatten(1) / 2), (lambda i: 2 * i[..., 3:].flatten(1))
    return toys.See(generator, generator.sample(2, 0), left, right)


def test_resefa():
    found = ReSeFa().find(parts(), 3)
    for row, theirs in zip(found, PUBLISHED["resefa"], strict=True):
        same(row, theirs, 1e-4)


def test_lowrankgan():
    found = LowRankGAN().find(parts(), 1)
    for row, theirs in zip(found, PUBLISHED["lowrankgan"], strict=True):
        same(row, theirs[:1], 1e-3)


def test_localbasis():
    generator = toys.StyleGenerator("z")
    same(LocalBasis().find(toys.See(generator, generator.sample(1, 0)), 3)[0], "localbasis", 0.01)


def test_localbasis_follows_the_authors_curve():
    generator = toys.StyleGenerator("z")
    z, theirs = generator.sample(1, 0), torch.tensor(PUBLISHED["curve"]).double()
    v = torch.tensor(PUBLISHED["localbasis"][1:2]).double()
    for _ in range(30):
        z = z + 4 / 30 * v
        v = LocalBasis().find(toys.See(generator, z), 1, v)[:, 0]
    w = generator.network.map(z)[0]
    torch.testing.assert_close(w, theirs, rtol=0, atol=1e-4)
