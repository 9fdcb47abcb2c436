"""The checks of generator and features before a walk starts."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from eigenwalk.errors import ContractError
from eigenwalk.feature import FunctionFeature
from eigenwalk.generator import FunctionGenerator
from eigenwalk.maths.contract import check_contract
from eigenwalk.maths.linearise import Linearisation
from problems import Anchored, Defined, curved

G = curved()
Z = G.sample(1, 3)
noise = torch.Generator().manual_seed(0)
BAD = {
    "differ from call to call": lambda x: x.flatten(1) + 0.1 * torch.randn(x[0].numel(), generator=noise).to(x),
    "what else is in the batch": lambda x: (x - x.mean(0)).flatten(1),
    "are float64 for images of float32": lambda x: x.double().flatten(1),
}


def looking(*functions, generator=G, dtype=torch.float32) -> Linearisation:
    named = tuple((f"feature {i}", FunctionFeature(function)) for i, function in enumerate(functions))
    return Linearisation(generator, named, dtype=dtype)


@pytest.mark.parametrize("says", BAD)
def test_a_feature_that_breaks_the_contract_is_named(says):
    with pytest.raises(ContractError, match=f"the values of feature 1 .*{says}"):
        check_contract(looking(lambda x: x.mean((1, 2, 3)), BAD[says]), Z.float())


@pytest.mark.parametrize("says", list(BAD)[:2])
def test_a_generator_that_breaks_the_contract_is_named(says):
    generator = FunctionGenerator(lambda z: BAD[says](G(z)).unflatten(1, (3, *G.resolution)), 6, G.resolution)
    with pytest.raises(ContractError, match=f"the images of the generator FunctionGenerator .*{says}"):
        check_contract(looking(generator=generator), Z.float())


def test_a_zero_derivative_is_noted_and_a_missing_one_refused():
    look = looking(lambda x: (8 * x.mean((2, 3))).round(), lambda x: x.mean((2, 3)))
    (note,) = check_contract(look, Z.float())
    assert "the derivative of feature 0 at the start is zero" in note
    with pytest.raises(ContractError, match="the values of feature 0 carry no gradient"):
        check_contract(looking(lambda x: x.detach().mean((2, 3))), Z.float())
    assert check_contract(replace(look, differences=0.1), Z.float()) == []


def test_features_that_keep_the_contract_pass():
    features = [("constant", FunctionFeature(lambda x: 0 * x.mean((1, 2, 3)))), ("anchored", Anchored(G))]
    # It has a value at the first sample, and perhaps at no other.
    features += [("part", Defined(G, float(G.read(G(Z))[0, 0]) + 0.01))]
    (note,) = check_contract(Linearisation(G, tuple(features), dtype=torch.float64), Z.double())
    assert "the derivative of constant" in note
    check_contract(looking(lambda x: x.float().flatten(1), dtype=torch.float64), Z.double())
