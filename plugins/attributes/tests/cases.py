"""The cases of the conformance kit, and the small networks of timm that they and the tests open: random, seeded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx_files
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from eigenwalk.testing import Case
from eigenwalk_face.portraits import portraits

CONVOLUTIONS, TRANSFORMER = "test_resnet", "test_vit"
"""Both of timm, made to be small: 0.5 and 0.4 million parameters, 160 pixels."""


def network(architecture: str, outputs: int, seed: int = 0, **arguments: Any) -> nn.Module:
    """A network of timm with random weights; statistics and heads that do not start at zero."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = timm.create_model(architecture, num_classes=outputs, **arguments)
        for name, one in model.state_dict().items():
            if "running_var" in name:
                one.uniform_(0.5, 1.5)
            elif "running_mean" in name or (name.endswith(".bias") and one.ndim == 1):
                one.normal_(0, 0.1)
            elif name.startswith(("fc.", "head.")):
                one.normal_(0, 0.5)
    return model.eval()


def classifier(
    folder: Path, labels: tuple[str, ...] = ("smile", "glasses"), name: str = "net.safetensors", **entries: Any
) -> Path:
    """A network with these labels, as `fit` saves one; `entries` of its labels in place of the usual ones."""
    told = {
        "architecture": CONVOLUTIONS,
        "labels": list(labels),
        "preprocessing": {"input_size": [3, 48, 48]},
        **entries,
    }
    model = network(told["architecture"], len(labels), **told.get("arguments", {}))
    folder.mkdir(parents=True, exist_ok=True)
    save_file(model.state_dict(), folder / name, {"eigenwalk.attributes": json.dumps(told)})
    return folder / name


def state(folder: Path, architecture: str, outputs: int = 0, name: str = "weights.pth") -> Path:
    """A network's plain state dict."""
    torch.save(network(architecture, outputs).state_dict(), folder / name)
    return folder / name


def labelled(folder: Path) -> None:
    """A network of two labels."""
    classifier(folder)


def mixed(folder: Path) -> None:
    """A network whose labels have different units."""
    classifier(folder, ("smile", "age"), units=["logit", "years"], scale=[2.0, 10.0])


def fitted(folder: Path) -> None:
    """A network where `fit` leaves it."""
    classifier(folder / "weights/attributes", ("smile",), "smile.safetensors")


def convolutions(folder: Path) -> None:
    """The weights of a convolutional backbone."""
    state(folder, CONVOLUTIONS)


def transformer(folder: Path) -> None:
    """The weights of a transformer."""
    state(folder, TRANSFORMER)


def picture(height: int, width: int, seed: int = 0) -> Image.Image:
    """A smooth random image with a few hard edges."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    pixels = np.array(small.resize((width, height), Image.Resampling.BICUBIC))
    pixels[height // 3 : height // 2, width // 4 : width // 2] = rng.integers(0, 256, 3)
    return Image.fromarray(pixels)


def tensor(image: Image.Image) -> torch.Tensor:
    """The image as ``(1, 3, height, width)`` in [0, 1]."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255


CASES = [
    Case('attributes(smile, model="{folder}/net.safetensors")', prepare=labelled),
    Case(
        'attributes((age, smile), model="{folder}/net.safetensors")',
        prepare=mixed,
        expected={"declared": "the unit is the labels' own, which the labels file tells and the spec cannot"},
    ),
    Case("attributes(smile)", prepare=fitted),
    Case('embedding(test_resnet, weights="{folder}/weights.pth", size=64)', prepare=convolutions),
    Case('embedding(test_vit, weights="{folder}/weights.pth", size=48)', prepare=transformer),
    Case('embedding(test_vit, weights="{folder}/weights.pth", layer="blocks.1", size=48)', prepare=transformer),
    Case(
        'embedding(test_resnet, weights="{folder}/weights.pth", layer=layer2, pool=none, size=64)', prepare=convolutions
    ),
    Case('age(file="{folder}/age.onnx")', images=portraits, prepare=onnx_files.prepare),
    Case('age(file="{folder}/age.onnx", box=ffhq)', prepare=onnx_files.prepare),
    Case('gender(file="{folder}/gender.onnx")', images=portraits, prepare=onnx_files.prepare),
    Case('gender(file="{folder}/gender.onnx", box=ffhq)', prepare=onnx_files.prepare),
]
