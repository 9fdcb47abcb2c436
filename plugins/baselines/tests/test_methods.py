"""Every method on generators whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import eigh

from eigenwalk.errors import CompositionError, OptionError
from eigenwalk.generator import FunctionGenerator
from eigenwalk_baselines.ganspace import GANSpace
from eigenwalk_baselines.interfacegan import InterFaceGAN
from eigenwalk_baselines.localbasis import LocalBasis
from eigenwalk_baselines.lowrankgan import LowRankGAN
from eigenwalk_baselines.random import Random
from eigenwalk_baselines.resefa import ReSeFa
from eigenwalk_baselines.robust import low_rank
from eigenwalk_baselines.sefa import SeFa

from . import toys

CLOSE = {"rtol": 0, "atol": 1e-9}


def same_lines(found: torch.Tensor, expected: torch.Tensor, atol: float = 1e-9) -> None:
    """Rows ``(k, d)`` are the same unit vectors, but for their sense."""
    expected = expected / expected.norm(dim=1, keepdim=True)
    cosines = (found * expected).sum(1).abs()
    torch.testing.assert_close(cosines, torch.ones_like(cosines), rtol=0, atol=atol)


def left(images):
    return images[..., :2].flatten(1)


def right(images):
    return images[..., 2:].flatten(1)


def test_sefa_gives_the_singular_vectors_of_a_linear_generator():
    generator, M = toys.linear()
    found = SeFa().find(toys.See(generator, toys.normal(2, 6)), 4)
    same_lines(found[0], torch.linalg.svd(M)[2][:4])
    rows = M / M.norm(dim=1, keepdim=True)
    found = SeFa(normalised=True).find(toys.See(generator, toys.normal(2, 6)), 4)
    same_lines(found[0], torch.linalg.svd(rows)[2][:4])


def stacked(network, layers):
    return torch.cat([network.convs[i].style.weight for i in layers])


def test_sefa_stacks_the_layers_that_read_w():
    generator = toys.StyleGenerator("w")
    sight = toys.See(generator, generator.sample(2, 0))
    same_lines(SeFa().find(sight, 3)[0], torch.linalg.svd(stacked(generator.network, range(4)))[2][:3])
    same_lines(SeFa("1-2").find(sight, 3)[0], torch.linalg.svd(stacked(generator.network, (1, 2)))[2][:3])


def test_sefa_moves_all_chosen_layers_of_w_plus_equally():
    generator = toys.StyleGenerator("w+")
    found = SeFa("1,3").find(toys.See(generator, generator.sample(1, 0)), 2)[0].unflatten(1, (4, 10))
    expected = torch.linalg.svd(stacked(generator.network, (1, 3)))[2][:2]
    assert torch.equal(found[:, 0], torch.zeros_like(found[:, 0])) and torch.equal(found[:, 1], found[:, 3])
    same_lines(found[:, 1] * 2**0.5, expected)


def test_sefa_reads_through_a_normalisation_of_z():
    generator = toys.StyleGenerator("z")
    found = SeFa().find(toys.See(generator, generator.sample(1, 0)), 2)
    same_lines(found[0], torch.linalg.svd(generator.network.mapping[0].weight)[2][:2])


class Conditional(torch.nn.Module):
    """Two layers that read each half of z, one of them beside a class's embedding, as BigGAN's do."""

    def __init__(self):
        super().__init__()
        self.first = toys.Dense(4, 60, 0.0).double()
        self.second = toys.Dense(3 + 4, 60, 1.0).double()

    def forward(self, z):
        joint = torch.cat([torch.ones(len(z), 3).to(z), z[:, 4:]], 1)
        return (self.first(z[:, :4]) + self.second(joint)).tanh().unflatten(1, (3, 4, 5))


def test_sefa_finds_parts_of_the_latent_beside_a_constant_embedding():
    network = Conditional()
    sight = toys.See(FunctionGenerator(network, 8, (4, 5)), toys.normal(1, 8))
    second = SeFa("1").find(sight, 2)[0]
    same_lines(second[:, 4:], torch.linalg.svd(network.second.weight[:, 3:])[2][:2])
    assert torch.equal(second[:, :4], torch.zeros(2, 4).double())


def test_sefa_is_refused_if_no_layer_reads_the_latent():
    bent = FunctionGenerator(lambda z: z.sin()[:, :3, None, None].expand(-1, -1, 4, 4), 6, (4, 4))
    with pytest.raises(CompositionError, match=r"none is a torch module that does: take another space"):
        SeFa().find(toys.See(bent, toys.normal(1, 6)), 1)
    generator, _ = toys.linear()
    with pytest.raises(OptionError, match="from 0 to 0, of the 1 that read the latent, got '0-1'"):
        SeFa("0-1").find(toys.See(generator, toys.normal(1, 6)), 1)
    with pytest.raises(CompositionError, match="finds 6 directions in this generator, 7"):
        SeFa().find(toys.See(generator, toys.normal(1, 6)), 7)


def test_ganspace_gives_the_principal_components_of_w():
    generator = toys.StyleGenerator("w")
    w = generator.sample(500, 7)
    values, vectors = np.linalg.eigh(np.cov(w.numpy().T))
    found = GANSpace(samples=500, seed=7).find(toys.See(generator, w[:2]), 4)
    same_lines(found[1], torch.from_numpy(vectors.T[::-1].copy())[:4])
    assert values[-1] > values[-2]


def test_ganspace_in_batches_gives_the_same_pca(monkeypatch):
    generator = toys.StyleGenerator("w")
    sight = toys.See(generator, generator.sample(1, 0))
    at_once = GANSpace(samples=500, seed=7).find(sight, 4)
    monkeypatch.setattr("eigenwalk_baselines.ganspace.BATCH", 97)
    torch.testing.assert_close(GANSpace(20, samples=500, seed=7).find(sight, 4), at_once, **CLOSE)


def test_ganspace_maps_the_pca_of_a_linear_generator_back_to_z():
    generator, M = toys.linear()
    z = generator.sample(300, 7).double()
    y = z @ M.T
    _, V = np.linalg.eigh(np.cov(y.numpy().T))
    components = torch.from_numpy(V.T[::-1].copy())[:3]
    x = (y - y.mean(0)) @ components.T
    expected = torch.linalg.lstsq(x, z - z.mean(0)).solution
    same_lines(GANSpace(samples=300, seed=7).find(toys.See(generator, toys.normal(1, 6)), 3)[0], expected)
    many = GANSpace(samples=20_000, seed=7).find(toys.See(generator, toys.normal(1, 6)), 3)[0]
    assert toys.angle(many, torch.linalg.svd(M)[2][:3]) < 0.05  # isotropic: those of M, in the limit


def test_ganspace_in_z_factorises_w():
    generator = toys.StyleGenerator("z")
    z = generator.sample(300, 7)
    w = generator.network.map(z)
    _, V = np.linalg.eigh(np.cov(w.numpy().T))
    components = torch.from_numpy(V.T[::-1].copy())
    x = (w - w.mean(0)) @ components.T
    expected = torch.linalg.lstsq(x, z).solution[:3]
    same_lines(GANSpace(samples=300, seed=7).find(toys.See(generator, z[:1]), 3)[0], expected)


def test_ganspace_refuses_generators_and_options_that_do_not_suit():
    bent = FunctionGenerator(lambda z: z.sin()[:, :3, None, None].expand(-1, -1, 4, 4), 6, (4, 4))
    with pytest.raises(CompositionError, match="no torch module of FunctionGenerator reads the latent"):
        GANSpace(samples=10).find(toys.See(bent, toys.normal(1, 6)), 1)
    generator, _ = toys.linear()
    with pytest.raises(CompositionError, match="has 2 components here, 3 are asked for"):
        GANSpace(components=2, samples=100).find(toys.See(generator, toys.normal(1, 6)), 3)
    with pytest.raises(OptionError, match="samples"):
        GANSpace(samples=1)


def attributes(fixed=()):
    """A sight in which coordinates along known directions are numbers of the image."""
    generator, M = toys.linear(8)
    back = torch.linalg.pinv(M)
    a = toys.normal(3, 8, seed=3) + toys.normal(1, 8, seed=4)  # none orthogonal to another
    a = a / a.norm(dim=1, keepdim=True)

    def number(i):
        return lambda images: ((images.flatten(1) - 0.5) @ back.T) @ a[i][:, None]

    def held(images):
        return torch.cat([number(i)(images) for i in fixed], 1)

    return toys.See(generator, toys.normal(2, 8), number(0), held if fixed else None), a


def test_interfacegan_recovers_a_linear_attribute():
    sight, a = attributes()
    found = InterFaceGAN(samples=2000, share=0.1).find(sight, 1)
    assert toys.angle(found[0], a[:1]) < 0.15
    assert float(found[0, 0] @ a[0]) > 0  # in the sense in which it grows


@pytest.mark.parametrize("fixed", [(1,), (1, 2)])
def test_interfacegan_is_orthogonal_to_the_hyperplanes_of_fixed_numbers(fixed):
    sight, a = attributes(fixed)
    found = InterFaceGAN(samples=2000, share=0.1).find(sight, 1)[0]
    held = a[list(fixed)]
    expected = a[0] - held.T @ torch.linalg.lstsq(held.T, a[0][:, None]).solution[:, 0]
    assert toys.angle(found, expected[None] / expected.norm()) < 0.3
    assert float((found @ held.T).abs().max()) < 0.2 < float((a[0] @ held.T).abs().max())


def test_interfacegan_leaves_out_samples_without_a_value():
    sight, a = attributes()
    sight.limit = 1.5
    found = InterFaceGAN(samples=2000, share=0.1).find(sight, 1)
    assert toys.angle(found[0], a[:1]) < 0.25


def test_interfacegan_refuses_features_that_do_not_suit():
    sight, _ = attributes()
    with pytest.raises(CompositionError, match=r"there are 1; 2 are asked for: take paths=2"):
        InterFaceGAN().find(sight, 2)
    generator, _ = toys.linear(8)
    with pytest.raises(CompositionError, match="40 at most, and the varied features have 60"):
        InterFaceGAN(samples=100).find(toys.See(generator, toys.normal(1, 8)), 1)
    number = toys.See(generator, toys.normal(1, 8), lambda i: i[:, 0, 0, :1], lambda i: i.flatten(1))
    with pytest.raises(CompositionError, match="40 at most, and the fixed features have 60"):
        InterFaceGAN(samples=100).find(number, 1)
    flat = toys.See(generator, toys.normal(1, 8), lambda i: 0 * i[:, 0, 0, :1])
    with pytest.raises(CompositionError, match="the 10 highest of 100 samples are none above the 10 lowest"):
        InterFaceGAN(samples=100).find(flat, 1)
    same = toys.See(generator, toys.normal(1, 8), lambda i: i[:, 0, 0, :1], lambda i: i[:, 0, 0, :1])
    with pytest.raises(CompositionError, match="no direction left"):
        InterFaceGAN(samples=1000).find(same, 1)
    nowhere = toys.See(generator, toys.normal(1, 8), lambda i: i[:, 0, 0, :1])
    nowhere.limit = -100.0
    with pytest.raises(CompositionError, match="0 of 100 have"):
        InterFaceGAN(samples=100).find(nowhere, 1)
    for wrong in (lambda: InterFaceGAN(share=0.6), lambda: InterFaceGAN(share=0.0), lambda: InterFaceGAN(samples=9)):
        with pytest.raises(OptionError, match="of interfacegan must be"):
            wrong()


def parts(generator, latents):
    """A sight that varies the left part of the image and fixes the right one; both Jacobians at each latent."""
    sight = toys.See(generator, latents, left, right)
    J = [
        [torch.func.jacrev(lambda z, f=f: f(generator(z[None]))[0])(z).double() for f in (left, right)] for z in latents
    ]
    return sight, J


def test_resefa_solves_the_generalized_eigenproblem():
    generator = toys.StyleGenerator("w")
    sight, J = parts(generator, generator.sample(3, 0))
    found = ReSeFa(tau=0.01).find(sight, 3)
    for i, (C, F) in enumerate(J):
        A, B = 4 * C.T @ C, F.T @ F / 4
        _, v = eigh(A, B + 0.01 * B.trace() * torch.eye(len(B)))
        same_lines(found[i], torch.from_numpy(v.T[::-1].copy())[:3])
    assert sight.pushed == sight.dim


def test_resefa_and_lowrankgan_need_something_fixed():
    generator = toys.StyleGenerator("w")
    z = generator.sample(1, 0)
    for method in (ReSeFa(), LowRankGAN()):
        with pytest.raises(CompositionError, match="needs something fixed: fix a feature"):
            method.find(toys.See(generator, z), 1)
    number = toys.See(generator, z, left, lambda images: images[:, 0, 0, :1])
    with pytest.raises(CompositionError, match="take tau= above 0"):
        ReSeFa(tau=0).find(number, 1)
    for wrong in (lambda: ReSeFa(tau=-1), lambda: LowRankGAN(sparsity=0), lambda: LowRankGAN(relax=-1)):
        with pytest.raises(OptionError, match="must be"):
            wrong()


def test_the_low_rank_part_is_recovered():
    U = toys.normal(40, 2, seed=1)
    L = U @ U.T
    S = torch.zeros(40, 40).double()
    S[3, 7] = S[7, 3] = 9.0
    S[20, 20] = -7.0
    found = low_rank(L + S, 1 / 40**0.5, 10_000)
    torch.testing.assert_close(found, L, rtol=0, atol=1e-4)
    assert torch.equal(low_rank(0 * L, 0.1, 10), 0 * L)


def two_parts(shared=0.0):
    """A linear generator: coordinates 0 to 2 move the left part, 3 to 5 the right one, and `shared` of 0 both."""
    M = torch.zeros(60, 6).double()
    picture = torch.arange(60).view(3, 4, 5)
    M[picture[..., :2].flatten()[:, None], torch.arange(3)] = toys.normal(24, 3, seed=1)
    M[picture[..., 2:].flatten()[:, None], torch.arange(3, 6)] = toys.normal(36, 3, seed=2)
    M[picture[..., 2:].flatten(), 0] = shared
    return FunctionGenerator(toys.Linear(M), 6, (4, 5)), M


def test_lowrankgan_does_not_move_what_is_fixed():
    generator, M = two_parts()
    sight = toys.See(generator, toys.normal(2, 6), left, right)
    found = LowRankGAN().find(sight, 3)
    c, f = sight.push(found)
    assert float(f.abs().max()) < 1e-9 < 0.1 < float(c.norm(dim=2).min())
    same_lines(found[0, :1, :3], torch.linalg.svd(M[:, :3])[2][:1], atol=0.05)


def test_lowrankgan_with_relaxation_keeps_more_of_what_varies():
    generator, _ = two_parts(shared=0.3)
    sight = toys.See(generator, toys.normal(1, 6), left, right)
    moved = [sight.push(LowRankGAN(relax=relax).find(sight, 1))[0].norm() for relax in (0, 3)]
    assert moved[1] > moved[0]


def test_lowrankgan_fills_up_with_the_jacobian_s_own_vectors():
    generator, _ = two_parts()
    found = LowRankGAN().find(toys.See(generator, toys.normal(1, 6), lambda i: i[:, 0, 0, :1], right), 2)
    assert torch.linalg.matrix_rank(found[0]) == 2


def test_lowrankgan_reports_that_no_direction_is_left():
    generator, _ = two_parts()
    with pytest.raises(CompositionError, match="no direction left"):
        LowRankGAN().find(toys.See(generator, toys.normal(1, 6), right, lambda i: i[..., 2:].flatten(1)), 1)


def test_localbasis_gives_the_mapping_s_right_singular_vectors():
    generator = toys.StyleGenerator("z")
    z = generator.sample(3, 0)
    found = LocalBasis().find(toys.See(generator, z), 4)
    for i in range(3):
        J = torch.func.jacrev(lambda one: generator.network.map(one[None])[0])(z[i])
        same_lines(found[i], torch.linalg.svd(J)[2][:4])


def test_localbasis_uses_the_image_if_there_is_no_mapping():
    generator = toys.StyleGenerator("w")
    w = generator.sample(2, 0)
    found = LocalBasis().find(toys.See(generator, w), 3)
    for i in range(2):
        J = torch.func.jacrev(lambda one: generator(one[None])[0].flatten())(w[i])
        same_lines(found[i], torch.linalg.svd(J)[2][:3])
    linear, M = toys.linear()
    same_lines(LocalBasis().find(toys.See(linear, toys.normal(1, 6)), 3)[0], torch.linalg.svd(M)[2][:3])


def test_localbasis_continues_the_vector_most_like_the_one_before():
    generator = toys.StyleGenerator("z")
    z, method = generator.sample(2, 0), LocalBasis()
    start = method.find(toys.See(generator, z), 3)
    previous = torch.stack([-start[0, 2], start[1, 1]])
    nearby = z + 1e-3 * previous
    on = method.find(toys.See(generator, nearby), 1, previous)
    assert on.shape == (2, 1, 8) and ((on[:, 0] * previous).sum(1) > 0.99).all()
    basis = method.find(toys.See(generator, nearby), 8)
    same_lines(on[:, 0], torch.stack([basis[0, 2], basis[1, 1]]))


class NoBatch(torch.autograd.Function):
    """tanh with a forward-mode rule for one tangent alone."""

    @staticmethod
    def forward(x):
        return x.tanh()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_forward(output)

    @staticmethod
    def jvp(ctx, tangent):
        return tangent * (1 - ctx.saved_tensors[0].square())


def test_localbasis_works_without_a_vmap_rule():
    M = toys.normal(48, 5)
    single = FunctionGenerator(lambda z: NoBatch.apply(z @ M.T).unflatten(1, (3, 4, 4)), 5, (4, 4))
    plain = FunctionGenerator(lambda z: (z @ M.T).tanh().unflatten(1, (3, 4, 4)), 5, (4, 4))
    z = toys.normal(2, 5)
    found, expected = (LocalBasis().find(toys.See(generator, z), 3) for generator in (single, plain))
    torch.testing.assert_close(found, expected, **CLOSE)


def test_random_directions_depend_only_on_their_seed():
    generator, _ = toys.linear()
    sight = toys.See(generator, toys.normal(2, 6))
    assert torch.equal(Random(3).find(sight, 4), Random(3).find(sight, 4))
    assert torch.equal(Random(3).find(sight, 4)[:, :2], Random(3).find(sight, 2))
    assert not torch.equal(Random(3).find(sight, 1), Random(4).find(sight, 1))
    many = Random().find(sight, 4000)[0]
    torch.testing.assert_close(many.T @ many / 4000, torch.eye(6).double() / 6, rtol=0, atol=0.02)
