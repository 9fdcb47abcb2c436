"""Cases of the conformance kit: every method on the kit's own generator."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from eigenwalk.testing import Case


def colours(images: Tensor) -> Tensor:
    """Three numbers of an image: what InterFaceGAN can vary."""
    return images.mean((2, 3))


def corner(images: Tensor) -> Tensor:
    """One number of an image: what InterFaceGAN can hold."""
    return images[:, :1, :8, :8].mean((2, 3))


def axes(folder: Path) -> None:
    """Write the axes of the kit's generator, as `distilled` opens them."""
    save_file({"directions": torch.eye(12)}, folder / "axes.safetensors")


CASES = [
    Case("ganspace(samples=500)"),
    Case("sefa"),
    Case("sefa(normalised=true)"),
    Case("interfacegan(samples=500, share=0.1)", fix=[corner], vary=[colours]),
    Case("lowrankgan"),
    Case("resefa"),
    Case("localbasis"),
    Case('distilled("{folder}/axes.safetensors")', prepare=axes),
    Case("random(seed=3)"),
]
