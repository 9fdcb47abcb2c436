"""OpenVINO's intermediate representation, version 10, as plain numbers: XML that names places in a file of floats.

Only constants are read. What the graph computes is not interpreted: `network` was written from the paper, and the
constants must come in the order and the shapes that it asks for, or the file is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar
from xml.etree import ElementTree

import torch
from torch import Tensor, nn

from eigenwalk.checkpoint import Checkpoint, Kind
from eigenwalk.errors import FileError
from eigenwalk_mobilestylegan.network import Mapping, Styled, Synthesis

Network = TypeVar("Network", bound=nn.Module)
AROUND, PER_BLOCK = 10, 14
"""Constants of a synthesis outside its blocks and in each of them."""
LARGEST = 4 << 20
"""Bytes of XML: the real files have 0.4 MB."""


def constants(file: Checkpoint) -> Iterator[tuple[str, Tensor]]:
    """Yield the names and numbers of all float32 constants of more than two numbers, in the file's order.

    Left out are scalars (slopes, gains) and the pairs of the Haar transform, ``(channels, 1, 1, 2, 1)``.

    Raises:
        FileError: no such file, not OpenVINO's, larger than 4 MB, or a constant that lies outside the numbers' file.
    """
    if file.kind != Kind.OPENVINO:
        raise FileError(f"{file} is {file.kind}, where an OpenVINO network (.xml) was expected")
    text = bytes(file.data[: LARGEST + 1])
    if len(text) > LARGEST or b"<!" in text:
        raise FileError(f"{file} has more than {LARGEST >> 20} MB of XML, or declarations: it is not opened")
    try:
        layers = ElementTree.fromstring(text).iterfind("layers/layer[@type='Const']")
    except ElementTree.ParseError as error:
        raise FileError(f"{file} is damaged XML: {error}") from None
    numbers = Checkpoint.of(Path(file).with_suffix(".bin")).data
    for layer in layers:
        data = layer.find("data")
        if data is None or data.get("element_type") != "f32":
            continue
        name = layer.get("name", "")
        try:
            shape = [int(side) for side in data.get("shape", "").split(",") if side.strip()]
            offset, size = int(data.get("offset", "")), int(data.get("size", ""))
        except ValueError:
            raise FileError(f"{file}: constant {name!r} has no shape, offset or size in numbers") from None
        count = torch.Size(shape).numel()
        if offset < 0 or size != 4 * count or min(shape, default=1) < 0 or offset + size > len(numbers):
            raise FileError(f"{file}: constant {name!r} does not lie within the file of numbers beside it")
        if count > 2 and shape[1:] not in ([1, 1, 2, 1], [1, 1, 1, 2]):
            yield name, torch.frombuffer(bytearray(numbers[offset : offset + size]), dtype=torch.float32).view(shape)


def load_mapping(file: Checkpoint) -> Mapping:
    """Return the mapping network in `file`; raises as `constants`, and where it holds another network."""
    found = list(constants(file))
    if not found or len(found) % 2 or found[0][1].ndim != 2:
        raise FileError(f"{file} is an OpenVINO network, but no mapping of a MobileStyleGAN")
    network = Mapping(len(found) // 2, found[0][1].shape[0])
    return _fill(network, [one for layer in network.layers for one in (layer.weight, layer.bias)], found, file)


def load_synthesis(file: Checkpoint) -> Synthesis:
    """Return the synthesis network in `file`; raises as `constants`, and where it holds another network."""
    found = list(constants(file))
    blocks, left = divmod(len(found) - AROUND, PER_BLOCK)
    if blocks < 1 or left:
        raise FileError(
            f"{file} is an OpenVINO network with {len(found)} constants, as no MobileStyleGAN has: of OpenVINO's files "
            "only that generator is read; export others to ONNX or torch.export"
        )
    shapes = [numbers.shape for _, numbers in found]
    start = 6 * blocks + 4  # styles: those of the colours, three a block, that of the first convolution
    constant, pointwise = shapes[start], start + 5  # after the constant, kernel, noise and bias, and a depthwise kernel
    channels = [(shapes[n - 1][0], shapes[n][0]) for n in range(pointwise, pointwise + 8 * blocks, 8)]
    network = Synthesis(channels, constant[1], shapes[0][-1], constant[-1])
    styles = [network.style]
    for block in reversed(network.blocks):
        styles += [block.second.style, block.first.style, block.style]
    wanted: list[Any] = [one for style in (*styles, network.first.style) for one in (style.weight, style.bias)]
    wanted.append(network.constant)
    for styled in (network.first, *(one for block in network.blocks for one in (block.first, block.second))):
        wanted += _parameters(styled)
    return _fill(network, [*wanted, network.colour.weight, network.colour.bias], found, file)


def _parameters(styled: Styled) -> list[Tensor]:
    depthwise = [] if styled.depthwise is None else [styled.depthwise.weight]
    assert styled.pointwise.bias is not None
    return [*depthwise, styled.pointwise.weight, styled.noise, styled.pointwise.bias]


def _fill(network: Network, wanted: Sequence[Any], found: list[tuple[str, Tensor]], file: Checkpoint) -> Network:
    with torch.no_grad():
        for place, (name, numbers) in zip(wanted, found, strict=True):
            if numbers.numel() != place.numel() or _sides(numbers.shape) != _sides(place.shape):
                raise FileError(
                    f"{file} is no MobileStyleGAN: constant {name!r} has shape {tuple(numbers.shape)}, where "
                    f"{tuple(place.shape)} is expected"
                )
            place.copy_(numbers.view(place.shape))
    return network.eval().requires_grad_(False)


def _sides(shape: torch.Size) -> list[int]:
    """Return the sides of a shape that are not 1: OpenVINO and PyTorch write some of those differently."""
    return [side for side in shape if side != 1]
