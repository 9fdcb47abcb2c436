"""Writes networks of a few channels as OpenVINO's files, in the layout of the published MobileStyleGAN."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from eigenwalk_mobilestylegan.network import Mapping, Styled, Synthesis

STYLE, FIRST = 12, 16
CHANNELS = ((4, 16), (4, 4))


def networks(seed: int = 0) -> tuple[Mapping, Synthesis]:
    """Return random networks: latents of 12, images of 32 pixels."""
    torch.manual_seed(seed)
    mapping, synthesis = Mapping(2, STYLE), Synthesis(CHANNELS, FIRST, STYLE)
    for parameter in (*mapping.parameters(), *synthesis.parameters()):
        torch.nn.init.normal_(parameter, std=0.5)
    with torch.no_grad():
        synthesis.colour.weight *= 0.02  # images within [-1, 1] or so
    return mapping.eval(), synthesis.eval()


def write(folder: Path, mapping: Mapping | None = None, synthesis: Synthesis | None = None) -> Path:
    """Write all four files into `folder`, and return the synthesis's."""
    own = networks()
    _write(folder / "MappingNetwork", [(str(i), one) for i, one in enumerate((mapping or own[0]).parameters())])
    return _write(folder / "SynthesisNetwork", list(_constants(synthesis or own[1])))


def _constants(network: Synthesis) -> Iterator[tuple[str, Tensor]]:
    """Yield what the published file holds, in its order, scalars and Haar pairs among it."""
    styles = [("m.layers.6.to_img.conv", network.style)]
    for i, block in reversed(list(enumerate(network.blocks))):
        name = f"m.layers.{i}"
        styles += [(f"{name}.conv2.conv", block.second.style), (f"{name}.conv1.conv", block.first.style)]
        styles += [(f"{name}.up", block.style)]
    for name, style in (*styles, ("m.conv1.conv", network.first.style)):
        yield f"{name}.modulation.weight", style.weight
        yield f"{name}.modulation.bias", style.bias[None]
        yield "gain", torch.ones(1, 1, 1, 1)
    yield "m.input.input", network.constant
    yield from _styled("m.conv1", network.first)
    for i, block in enumerate(network.blocks):
        channels = block.style.out_features // 4
        for shape in ((channels, 1, 1, 2, 1), (channels, 1, 1, 1, 2)):
            yield "haar", torch.full(shape, 0.7)
        yield from _styled(f"m.layers.{i}.conv1", block.first)
        yield from _styled(f"m.layers.{i}.conv2", block.second)
    yield "m.layers.6.to_img.conv.weight", network.colour.weight
    yield "m.layers.6.to_img.bias", network.colour.bias.view(1, -1, 1, 1)


def _styled(name: str, styled: Styled) -> Iterator[tuple[str, Tensor]]:
    if styled.depthwise is not None:
        yield f"{name}.conv.weight_dw", styled.depthwise.weight[:, :, None]
    yield "pointwise", styled.pointwise.weight
    yield "noise", styled.noise
    yield f"{name}.bias", styled.pointwise.bias.view(1, -1, 1, 1)
    yield "slope", torch.tensor([0.2])


def _write(stem: Path, constants: list[tuple[str, Tensor]]) -> Path:
    rows, numbers = ['<?xml version="1.0"?>', f'<net name="{stem.name}" version="10"><layers>'], b""
    for i, (name, tensor) in enumerate(constants):
        data = tensor.detach().contiguous().numpy().tobytes()
        shape = ", ".join(map(str, tensor.shape))
        place = f'element_type="f32" shape="{shape}" offset="{len(numbers)}" size="{len(data)}"'
        rows.append(f'<layer id="{i}" name="{name}" type="Const" version="opset1"><data {place}/></layer>')
        numbers += data
    stem.with_suffix(".bin").write_bytes(numbers)
    stem.with_suffix(".xml").write_text("\n".join([*rows, "</layers></net>"]))
    return stem.with_suffix(".xml")
