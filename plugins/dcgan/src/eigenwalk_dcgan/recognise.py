"""What a file is, told by its tensors' names and shapes. No torch here."""

from __future__ import annotations

from pathlib import Path

from eigenwalk_dcgan import heads, names
from eigenwalk_dcgan.layout import UnknownNetwork, read_layout


def recognised(path: Path) -> str | None:
    """What the file at `path` is, in words; None where its tensors are no stack of layers that makes images."""
    tree = heads.shapes(path)
    if tree is None:
        return None
    tensors, _ = names.chosen(names.flat(tree, lambda one: one if isinstance(one, heads.Shape) else None))
    try:
        found = read_layout(tensors, sorted_names=path.suffix == ".safetensors")
    except UnknownNetwork:
        return None
    return "a decoder, its encoder beside it" if found.encoded else "a DCGAN or a decoder"
