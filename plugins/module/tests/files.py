"""Small networks, and their files in each format."""

from __future__ import annotations

import json
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn


class Small(nn.Module):
    """Eight numbers to images of 16 pixels; `rows` fixes how many at once, as an exporter does."""

    def __init__(self, rows: int = -1) -> None:
        super().__init__()
        self.rows = rows
        self.linear = nn.Linear(8, 16 * 4 * 4)
        self.up1, self.norm, self.up2 = nn.ConvTranspose2d(16, 8, 4, 2, 1), nn.BatchNorm2d(8), nn.Conv2d(8, 3, 3, 1, 1)
        nn.init.normal_(self.norm.bias, 0, 0.3)
        nn.init.normal_(self.up2.weight, 0, 0.2)

    def forward(self, z: Tensor) -> Tensor:
        x = torch.relu(self.linear(z)).view(self.rows, 16, 4, 4)
        x = nn.functional.interpolate(nn.functional.leaky_relu(self.norm(self.up1(x)), 0.2), scale_factor=2.0)
        return torch.tanh(self.up2(x))


class Classes(nn.Module):
    """A latent, a one-hot class, and a whole number; images of channels last, sums without an end of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.grow = nn.Linear(7, 3 * 4 * 4), nn.Embedding(5, 1)

    def forward(self, z: Tensor, label: Tensor, which: Tensor) -> Tensor:
        x = self.linear(torch.cat([z, label], 1)) * (2 + self.grow(which))
        return torch.sigmoid(x).view(-1, 4, 4, 3) * 255


class Noisy(nn.Module):
    """Draws numbers."""

    def forward(self, z: Tensor) -> Tensor:
        return (z[:, :1] + torch.randn(1, 1)).reshape(-1, 1, 1, 1).expand(-1, 3, 4, 4)


def network(rows: int = -1) -> Small:
    """The small network, the same each time, in eval mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return Small(rows).eval().requires_grad_(False)


def classes() -> Classes:
    """The network with a class, the same each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return Classes().eval().requires_grad_(False)


def written(name: str, folder: Path) -> Path:
    """The file of this name in `folder`: ``any``, ``one`` or ``traced``, ``classes`` or ``noisy`` by its stem."""
    stem, _, ending = name.partition(".")
    path, z = folder / name, torch.zeros(1 if stem == "one" else 2, 8)
    made: nn.Module = {"one": lambda: network(1), "classes": classes, "noisy": Noisy}.get(stem, network)()
    given = (torch.zeros(2, 4), torch.zeros(2, 3), torch.zeros(2, dtype=torch.int64)) if stem == "classes" else (z,)
    with warnings.catch_warnings(action="ignore"):
        if ending == "pt2":
            rows = torch.export.Dim("rows", min=1)
            free = None if stem == "one" else tuple({0: rows} for _ in given)
            torch.export.save(torch.export.export(made, given, dynamic_shapes=free), path)
        elif ending == "pt":
            torch.jit.save(torch.jit.trace(made, given, check_trace=False), str(path))
        else:
            names = ["z", "label", "which"][: len(given)]
            free = None if stem == "one" else {one: {0: "rows"} for one in names}
            torch.onnx.export(
                made, given, str(path), dynamo=False, input_names=names, dynamic_axes=free, opset_version=13
            )
    return path


def change(path: Path, member: str, edit: Callable[[bytes], bytes]) -> Path:
    """The archive at `path`, the members whose names end in `member` edited."""
    with zipfile.ZipFile(path) as archive:
        held = [(one, archive.read(one)) for one in archive.infolist()]
    assert any(edit(data) != data for one, data in held if one.filename.endswith(member))
    with zipfile.ZipFile(path, "w") as archive:
        for one, data in held:
            archive.writestr(one.filename, edit(data) if one.filename.endswith(member) else data, one.compress_type)
    return path


def in_json(edit: Callable[[dict], None]) -> Callable[[bytes], bytes]:
    """An edit of a JSON file from one of what it holds."""

    def edited(data: bytes) -> bytes:
        described = json.loads(data)
        edit(described)
        return json.dumps(described).encode()

    return edited
