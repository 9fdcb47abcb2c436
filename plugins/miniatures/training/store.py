"""Saves what training keeps: states, networks, picture grids; if it is killed, the old file stays whole."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import save
from torch import Tensor, nn

from eigenwalk.store import open_whole, write_whole


def save_state(path: Path, state: dict) -> None:
    """Save `state` so that `path` is at any time either the old file or the new one."""
    with open_whole(path) as file:
        torch.save(state, file)


def save_network(path: Path, network: nn.Module, about: dict[str, str]) -> None:
    """Save the tensors of `network` and the notes `about` as safetensors."""
    tensors = {name: tensor.detach().contiguous() for name, tensor in network.state_dict().items()}
    write_whole(path, save(tensors, about))


def save_grid(path: Path, images: Tensor, columns: int) -> None:
    """Save `images (n, 3, height, width)`, cut to [0, 1], as one picture of `columns` columns."""
    n, _, h, w = images.shape
    rows = -(-n // columns)
    padded = torch.ones(rows * columns, 3, h, w)
    padded[:n] = images.detach().float().clamp(0, 1)
    sheet = padded.view(rows, columns, 3, h, w).permute(0, 3, 1, 4, 2).reshape(rows * h, columns * w, 3)
    Image.fromarray((sheet * 255 + 0.5).to(torch.uint8).numpy()).save(path)
