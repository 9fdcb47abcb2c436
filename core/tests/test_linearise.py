"""Values, pushforwards and pullbacks: against each other, against central differences, and where they fail."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from eigenwalk.errors import ContractError, NumericalError, PluginError, Undefined
from eigenwalk.feature import Feature, FunctionFeature, chain
from eigenwalk.generator import FunctionGenerator, Generator
from eigenwalk.maths.linearise import Linearisation, Meter, derivative
from eigenwalk.path import Cost
from eigenwalk_fourier.bands import high, low
from eigenwalk_masks.mask import mask
from problems import SINES, Defined, Embedding, Frozen, curved, nan_beyond, normal, rounded

G = curved(latent_dim=6, width=12)
FEATURES = {
    "numbers": G.feature(lambda z: z),
    "square": G.feature(lambda z: z.square().sum(1)),
    "table": G.feature(lambda z: (z[:, :, None] * z[:, None]).tanh()),
    "low": low(1),
    "high": high(1),
    "inside": mask(box=(0, 0, 0.6, 1)),
    "outside": mask(box=(0, 0, 0.6, 1)).complement(),
    "low of inside": chain(mask(box=(0, 0, 0.6, 1)), low(1)),
    **{name: G.feature(sine) for name, sine in SINES.items()},
}
Z = normal(3, 6, seed=5)
V = normal(3, 4, 6, seed=6)


def looking(*features: tuple[str, Feature], generator: Generator = G, **options) -> Linearisation:
    return Linearisation(generator, features, dtype=torch.float64, **options)


def central(feature: Feature, z: Tensor, v: Tensor, h: float = 1e-6) -> Tensor:
    """The feature's change ``(batch, values)`` along v ``(batch, latent)`` by central differences."""
    with torch.no_grad():
        return ((feature(G(z + h * v)) - feature(G(z - h * v))) / (2 * h)).reshape(len(z), -1)


@pytest.mark.parametrize("name", FEATURES)
def test_the_pushforward_equals_the_central_difference(name):
    (pushed,) = looking((name, FEATURES[name])).at(Z).push(V)
    for k in range(V.shape[1]):
        torch.testing.assert_close(pushed[:, k], central(FEATURES[name], Z, V[:, k]), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", FEATURES)
def test_pushforward_and_pullback_are_adjoint(name):
    point = looking((name, FEATURES[name])).at(Z)
    (pushed,) = point.push(V)
    u = normal(*pushed[:, 0].shape, seed=7)
    pulled = point.pull([u])
    left = torch.einsum("nkp,np->nk", pushed, u)
    torch.testing.assert_close(left, torch.einsum("nd,nkd->nk", pulled, V), rtol=1e-10, atol=1e-10)
    assert left.abs().min() > 1e-3


@pytest.mark.parametrize("record", ["twice", "once"])
def test_every_route_gives_the_same_derivatives(monkeypatch, record):
    """Tangents go through the recorded gradient if that is kept, else by forward mode; each stands in."""
    went: list[str] = []
    for rung in ("transpose", "jvp"):
        inner = getattr(derivative, rung)
        monkeypatch.setattr(derivative, rung, lambda *a, inner=inner, rung=rung: went.append(rung) or inner(*a))
    flat = Embedding(6)
    for name, sine in SINES.items():
        went.clear()
        (pushed,) = looking((name, flat.feature(sine)), generator=flat, record=record).at(Z).push(V)
        torch.testing.assert_close(pushed, Z[:, None].cos() * V, rtol=1e-12, atol=1e-12)
        if record == "twice":
            assert ("jvp" in went) == (name == "no second gradient"), name
        else:
            assert ("transpose" in went) == (name in ("no forward mode", "no torch.func")), name


def test_the_test_features_lack_the_rules_that_they_should_lack():
    """Otherwise the routes after the first would never be tested."""
    push = lambda f: torch.func.jvp(f, (Z,), (V[:, 0],))[1]  # noqa: E731
    every = lambda f: torch.func.vmap(lambda v: torch.func.jvp(f, (Z,), (v,))[1])(V.transpose(0, 1))  # noqa: E731
    every(SINES["all tangents at once"])
    push(SINES["one tangent at a time"])
    with pytest.raises(RuntimeError):
        every(SINES["one tangent at a time"])
    for name in ("no forward mode", "no torch.func"):
        with pytest.raises((RuntimeError, NotImplementedError)):
            push(SINES[name])


@pytest.mark.parametrize("sine", SINES)
def test_every_route_works_for_the_generator(sine):
    generator = Embedding(6, SINES[sine])
    (pushed,) = looking(("numbers", generator.feature(lambda z: z)), generator=generator).at(Z).push(V)
    torch.testing.assert_close(pushed, Z[:, None].cos() * V, rtol=1e-12, atol=1e-12)


def test_all_features_share_one_pullback():
    chosen = [(name, FEATURES[name]) for name in ("square", "low", "inside")]
    point = looking(*chosen).at(Z)
    u = [normal(len(value), value[0].numel(), seed=i) for i, value in enumerate(point.values)]
    alone = [looking(pair).at(Z).pull([one]) for pair, one in zip(chosen, u, strict=True)]
    torch.testing.assert_close(point.pull(u), sum(alone), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(point.pull([u[0], None, u[2]]), alone[0] + alone[2], rtol=1e-12, atol=1e-12)
    assert point.meter.cost == Cost(forwards=1, pullbacks=2)


def test_all_features_share_the_generators_pushforward():
    calls = []

    def generate(z: Tensor) -> Tensor:
        calls.append(z.shape)
        return G(z)

    generator = FunctionGenerator(generate, 6, G.resolution)
    for record, passes in (("twice", 0), ("once", 1)):
        point = looking(*FEATURES.items(), generator=generator, record=record).at(Z)
        calls.clear()
        point.push(V)
        assert len(calls) == passes
    assert point.meter.cost == Cost(forwards=1, pushforwards=4)


def test_cost_is_counted_by_the_given_meter():
    meter = Meter(Cost(3, 2, 1))
    point = looking(("numbers", FEATURES["numbers"])).at(Z, meter)
    point.push(V[:, :2])
    assert meter.cost == Cost(4, 4, 1)


def test_rows_of_a_batch_are_independent():
    chosen = looking(
        *((name, FEATURES[name]) for name in ("table", "low of inside", "no forward mode")), ("frozen", Frozen(G))
    )
    together = chosen.at(Z)
    u = [normal(len(value), value[0].numel(), seed=i) for i, value in enumerate(together.values)]
    pushed, pulled = together.push(V), together.pull(u)
    for i in range(len(Z)):
        alone = chosen.at(Z[i : i + 1])
        for whole, part in zip(pushed, alone.push(V[i : i + 1]), strict=True):
            torch.testing.assert_close(whole[i : i + 1], part, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(pulled[i : i + 1], alone.pull([v[i : i + 1] for v in u]), rtol=1e-10, atol=1e-12)


def test_a_frozen_feature_does_not_move_with_the_image():
    point = looking(("frozen", Frozen(G))).at(Z)
    m = G.read(G(Z))
    numbers = looking(("numbers", FEATURES["numbers"])).at(Z).push(V)[0]
    torch.testing.assert_close(point.values[0], m * m)
    # The derivative of m z with m held, where that of z² would be twice as much.
    torch.testing.assert_close(point.push(V)[0], m[:, None] * numbers, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("tangents", [1, 3, 6, 7, 100])
def test_chunks_of_tangents_change_nothing(tangents):
    chosen = [(name, FEATURES[name]) for name in ("table", "low", "one tangent at a time")]
    whole = looking(*chosen).at(Z).push(V)
    parts = looking(*chosen, tangents=tangents, record="once").at(Z).push(V)
    for a, b in zip(whole, parts, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(("tangents", "passes"), [(None, 1), (12, 1), (11, 2), (6, 2), (5, 4), (1, 4)])
def test_no_chunk_exceeds_the_limit(tangents, passes):
    """Three rows of four tangents are twelve."""
    calls = []
    generator = FunctionGenerator(lambda z: calls.append(z.shape) or G(z), 6, G.resolution)
    point = looking(generator=generator, tangents=tangents, record="once").at(Z)
    calls.clear()
    point.push(V)
    assert len(calls) == passes


def test_a_feature_without_gradient_is_pushed_by_central_differences():
    flat = Embedding(6)
    feature = flat.feature(rounded, differentiable=False)
    point = looking(("rounded", feature), ("numbers", flat.feature(lambda z: z)), generator=flat).at(Z)
    pushed = point.push(V)[0][:, :, 0]
    exact = 2 * torch.einsum("nd,nkd->nk", Z, V)
    # The image moves by `step` (RMS pixel) each way, and the value is known to half a thousandth.
    moved = feature.step * math.sqrt(3 * math.prod(flat.resolution)) / V.norm(dim=2)
    assert ((pushed - exact).abs() <= 0.0005 / moved + 1e-9).all()
    assert (pushed - exact).abs().max() > 1e-6  # a derivative was not secretly taken
    u = [torch.ones(3, 1, dtype=torch.float64), torch.zeros(3, 6, dtype=torch.float64)]
    assert point.pull(u).eq(0).all()


def test_a_constant_feature_changes_by_nothing():
    constant = FunctionFeature(lambda images: images.new_ones(len(images), 2))
    point = looking(("constant", constant), ("flat", FunctionFeature(lambda images: 0 * images.mean((1, 2, 3))))).at(Z)
    assert all(pushed.eq(0).all() for pushed in point.push(V))
    assert point.push(V)[0].shape == (3, 4, 2)
    assert point.pull([torch.ones(3, 2).double(), torch.ones(3, 1).double()]).eq(0).all()
    assert point.pull([torch.ones(3, 2).double(), None]).eq(0).all()


def test_the_published_rule_uses_forward_differences():
    h = 1e-5
    look = looking(("square", FEATURES["square"]), ("table", FEATURES["table"]), differences=h)
    point = look.at(Z)
    for pushed, feature in zip(point.push(V), (FEATURES["square"], FEATURES["table"]), strict=True):
        want = torch.stack([(feature(G(Z + h * v)) - feature(G(Z))).reshape(3, -1) / h for v in V.unbind(1)], 1)
        torch.testing.assert_close(pushed, want, rtol=1e-9, atol=1e-9)
    assert point.meter.cost == Cost(forwards=1 + V.shape[1])


# What goes wrong


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (lambda images: images.mean(), r"\(batch, \.\.\.\)"),
        (lambda images: images[:1].flatten(1), "3 images"),
        (lambda images: images.flatten(1).long(), "floating-point"),
        (lambda images: [1.0, 2.0, 3.0], "list"),
    ],
)
def test_a_feature_of_the_wrong_shape_is_refused(broken, says):
    with pytest.raises(ContractError, match=says) as caught:
        looking(("my.feature", FunctionFeature(broken))).at(Z)
    assert "my.feature" in str(caught.value)


@pytest.mark.parametrize(
    "broken",
    [
        lambda z: G(z)[:, :1],
        lambda z: G(z)[:2],
        lambda z: G(z)[..., :-1],
        lambda z: (G(z) * 255).to(torch.uint8),
        lambda z: None,
    ],
)
def test_a_generator_of_the_wrong_shape_is_refused(broken):
    with pytest.raises(ContractError, match=r"\(batch, 3, height, width\) = \(3, 3, 2, 3\)"):
        looking(generator=FunctionGenerator(broken, 6, G.resolution)).at(Z)


@pytest.mark.parametrize("error", [KeyError("hair"), SystemExit("hair")])
def test_exceptions_of_plugins_name_the_feature(error):
    def broken(images):
        raise error

    with pytest.raises(PluginError, match=r"my\.feature.*hair"):
        looking(("my.feature", FunctionFeature(broken))).at(Z)
    with pytest.raises(PluginError, match=r"generator.*hair"):
        looking(generator=FunctionGenerator(broken, 6, (2, 3))).at(Z)

    class BrokenAt(Frozen):
        def at(self, images):
            raise error

    with pytest.raises(PluginError, match=r"my\.feature.*at\(\).*hair"):
        looking(("my.feature", BrokenAt(G))).at(Z)


@pytest.mark.parametrize("where", ["derivative", "pullback"])
def test_exceptions_in_derivatives_name_the_feature(where):
    class Broken(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, *cotangents):
            raise KeyError("hair")

    feature = G.feature(lambda z: Broken.apply(z))
    point = looking(("fine", low(1)), ("my.feature", feature)).at(Z)
    ones = [torch.ones_like(value).flatten(1) for value in point.values]
    with pytest.raises(PluginError, match=r"my\.feature.*hair"):
        _ = point.push(V) if where == "derivative" else point.pull(ones)


def test_a_nan_error_names_the_feature_and_the_rows():
    flat = Embedding(6)
    z = torch.zeros(4, 6).double()
    z[1, 0] = z[3, 0] = 2.0
    with pytest.raises(NumericalError) as caught:
        looking(("fine", flat.feature(lambda z: z)), ("root", flat.feature(nan_beyond(1.0))), generator=flat).at(z)
    assert (caught.value.feature, caught.value.rows) == ("root", (1, 3))


def test_the_error_of_a_derivative_that_is_not_finite_names_feature_and_rows():
    z = torch.tensor([[1.0, 0.0], [0.0, 0.0], [2.0, 0.0]]).double()
    exact = FunctionGenerator(lambda z: torch.cat([z, z[:, :1]], 1)[:, :, None, None], 2, (1, 1))
    corner = FunctionFeature(lambda images: images[:, 0, 0].abs().sqrt())
    point = looking(("fine", low(1)), ("corner", corner), generator=exact).at(z)
    with pytest.raises(NumericalError) as caught:
        point.push(torch.ones(3, 1, 2).double())
    assert (caught.value.feature, caught.value.rows) == ("corner", (1,))
    with pytest.raises(NumericalError) as caught:
        point.pull([torch.ones_like(value).flatten(1) for value in point.values])
    assert (caught.value.feature, caught.value.rows) == ("corner", (1,))


def test_an_image_that_is_not_finite_is_blamed_on_the_generator():
    generator = FunctionGenerator(lambda z: G(z) / (z[:, :1, None, None] > Z[1, 0]), 6, G.resolution)
    with pytest.raises(NumericalError) as caught:
        looking(("fine", low(1)), generator=generator).at(Z)
    assert caught.value.feature is None
    assert caught.value.rows == tuple(i for i in range(3) if not Z[i, 0] > Z[1, 0])
    assert "generator" in str(caught.value)


@pytest.mark.parametrize("tell", [True, False])
def test_the_error_of_an_undefined_value_names_feature_and_rows(tell):
    flat = Embedding(6)
    z = torch.zeros(4, 6).double()
    z[0, 0] = z[2, 0] = 2.0
    with pytest.raises(Undefined) as caught:
        looking(("fine", low(1)), ("part", Defined(flat, 1.0, tell)), generator=flat).at(z)
    assert (caught.value.feature, caught.value.rows) == ("part", (0, 2))


def test_a_generator_without_gradients_is_refused():
    with pytest.raises(ContractError, match="no_grad"):
        looking(generator=FunctionGenerator(torch.no_grad()(G), 6, G.resolution)).at(Z)
    looking(generator=FunctionGenerator(torch.no_grad()(G), 6, G.resolution), differences=1e-3).at(Z)


def test_undefined_raised_by_a_feature_names_it_and_its_rows():
    def absent(images: Tensor) -> Tensor:
        raise Undefined("no face", rows=(1,))

    with pytest.raises(Undefined) as caught:
        looking(("face", FunctionFeature(absent))).at(Z)
    assert (caught.value.feature, caught.value.rows) == ("face", (1,))
