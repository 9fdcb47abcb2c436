"""A file of dlib's recogniser with weights of our own: the layers with weights, as dlib 19 and 20 write them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from eigenwalk_face.dlib import resnet
from eigenwalk_identity.dlib import GROUPS


def numbers(count: int, layer: int) -> Tensor:
    """`count` numbers around 0 with a standard deviation of 1, the same everywhere."""
    return (
        (torch.arange(1, count + 1, dtype=torch.float64).mul(12.9898).add(layer).sin() * 43758.5453).frac()
        * 12**0.5
        / 2
    )


def whole(number: int) -> bytes:
    """A whole number: how many bytes, 128 for a minus, then these."""
    data = abs(number).to_bytes((max(1, abs(number)).bit_length() + 7) // 8, "little")
    return bytes([len(data) | (128 if number < 0 else 0)]) + data


def text(words: str) -> bytes:
    """A text after its length."""
    return whole(len(words)) + words.encode()


def tensor(rows: Tensor, *sizes: int) -> bytes:
    """Version 2, four sizes, and the numbers."""
    return b"".join(map(whole, (2, *sizes))) + rows.float().numpy().astype("<f4").tobytes()


def layers() -> Iterator[tuple[str, Tensor, tuple[int, ...]]]:
    """Yield name, numbers and sizes of every layer with weights: (after, height, width), or (after, before)."""
    network = resnet(GROUPS, 128, bias=False)
    for number, place in enumerate(one for one in network.modules() if isinstance(one, (nn.Conv2d, nn.Linear))):
        count, after = place.weight.numel(), len(place.weight)
        spread = (2 * after / count) ** 0.5
        if isinstance(place, nn.Linear):
            yield "fc_2", numbers(count, number) * spread, (after, place.in_features)
            continue
        kernel, bias = numbers(count, number) * spread, numbers(after, number + 100) * 0.1
        yield "con_4", torch.cat([kernel, bias]), (after, *place.kernel_size)
        scale, shift = 0.7 + numbers(after, number + 200) * 0.1, numbers(after, number + 300) * 0.1
        yield "affine_", torch.cat([scale, shift]), ()


def write(path: Path) -> None:
    """Write the file."""
    head = whole(1) * 3 + text("loss_metric_2") + whole(1) * 150 + text("input_rgb_image_sized") + whole(150) * 2
    flags = whole(1) + whole(-4) + whole(0) * 9
    body = b""
    for name, rows, sizes in layers():
        body += text("relu_") + flags + text(name)
        if name == "fc_2":
            body += b"".join(map(whole, sizes)) + tensor(rows, sizes[1], sizes[0], 1, 1)
        else:
            body += tensor(rows, len(rows), 1, 1, 1) + b"".join(map(whole, sizes))
        body += flags
    path.write_bytes(head + body)
