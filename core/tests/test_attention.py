"""Networks with attention are differentiated unchanged, and torch's choice of kernels is restored afterwards."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torch.nn.functional as F
from packaging.version import Version
from torch import Tensor, nn

from eigenwalk.feature import FunctionFeature
from eigenwalk.generator import FunctionGenerator
from eigenwalk.maths.linearise import Linearisation, derivative
from eigenwalk.maths.linearise.attention import SWITCHES, plain_attention

TOKENS, WIDTH = 6, 8


def _module(make: Callable[..., nn.Module], *sizes: int) -> nn.Module:
    torch.manual_seed(0)
    return make(*sizes, batch_first=True).double().eval().requires_grad_(False)


layer = _module(nn.TransformerEncoderLayer, WIDTH, 2, 16)
heads = _module(nn.MultiheadAttention, WIDTH, 2)
ATTENTION: dict[str, Callable[[Tensor], Tensor]] = {
    "function": lambda x: F.scaled_dot_product_attention(x, 2 * x, x.sin()),
    "module": lambda x: heads(x, x, x, need_weights=False)[0],
    "module with weights": lambda x: heads(x, x, x)[0],
    "transformer layer": layer,
}
Z = torch.randn(2, TOKENS * WIDTH, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
V = torch.randn(2, 3, TOKENS * WIDTH, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def _tokens(x: Tensor) -> Tensor:
    return x.flatten(1).unflatten(1, (TOKENS, WIDTH))


def _allowed() -> list[bool]:
    return [is_allowed() for is_allowed, _, _ in SWITCHES]


@pytest.mark.parametrize("where", ["generator", "feature"])
@pytest.mark.parametrize("kind", ATTENTION)
def test_attention_is_differentiated_by_the_first_route(kind, where, monkeypatch):
    """Several tangents use forward mode and one uses two reverse passes; neither falls back on the other way."""
    attend, before = ATTENTION[kind], _allowed()
    images = lambda x: x.reshape(-1, 3, 4, 4)  # noqa: E731
    plain = {"generator": images, "feature": lambda x: x.flatten(1)}
    special = {
        "generator": lambda z: images(attend(_tokens(z))),
        "feature": lambda x: attend(_tokens(x)).flatten(1),
    }
    functions = plain | {where: special[where]}
    generator = FunctionGenerator(functions["generator"], TOKENS * WIDTH, (4, 4))
    look = Linearisation(generator, (("f", FunctionFeature(functions["feature"])),), dtype=torch.float64)
    first = lambda ways: next(iter(ways))()  # noqa: E731
    monkeypatch.setattr(derivative, "first_able", first)
    point = look.at(Z)
    (several,), (one,) = point.push(V), point.push(V[:, :1])
    with torch.no_grad():
        ahead, back = (attend(_tokens(Z + h * V[:, 0])).flatten(1) for h in (1e-6, -1e-6))
    torch.testing.assert_close(one[:, 0], (ahead - back) / 2e-6, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(several[:, :1], one, rtol=1e-10, atol=1e-10)
    u = several[:, 1]
    torch.testing.assert_close((point.pull([u]) * V[:, 1]).sum(1), u.square().sum(1), rtol=1e-10, atol=1e-10)
    assert _allowed() == before


@pytest.mark.skipif(Version(torch.__version__) < Version("2.15"), reason="older versions fuse other shapes")
def test_fused_kernels_lack_these_derivatives():
    """When this fails, torch has rules for them and `plain_attention` can go."""
    attend = ATTENTION["function"]
    with pytest.raises(NotImplementedError):
        torch.func.jvp(attend, (_tokens(Z),), (_tokens(V[:, 0]),))
    with plain_attention():
        torch.func.jvp(attend, (_tokens(Z),), (_tokens(V[:, 0]),))


def test_leaving_the_last_of_overlapping_contexts_restores_the_kernels():
    before, plain = _allowed(), [kind for _, _, kind in SWITCHES]
    assert before != plain
    first, second = plain_attention(), plain_attention()
    with ThreadPoolExecutor(1) as other:
        first.__enter__()
        other.submit(second.__enter__).result()
        first.__exit__(None, None, None)
        assert _allowed() == plain
        other.submit(second.__exit__, None, None, None).result()
    assert _allowed() == before
    with pytest.raises(ZeroDivisionError), plain_attention():
        raise ZeroDivisionError
    assert _allowed() == before
