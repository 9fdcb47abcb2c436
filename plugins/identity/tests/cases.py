"""What the conformance kit checks of this package, and what it needs: drawn faces, and weights that a test makes."""

from __future__ import annotations

from pathlib import Path

import dlib_files
import torch
from facenet_pytorch import InceptionResnetV1

from eigenwalk.testing import Case
from eigenwalk_face.portraits import portraits


def write_recogniser(path: Path, seed: int = 0) -> None:
    """An untrained InceptionResnetV1 in the layout of the published files: with a layer for the people, old format.

    Its normalisations are set for the images of this module: else all embeddings are nearly the same.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = InceptionResnetV1(classify=True, num_classes=8)
        some = torch.nn.functional.interpolate(torch.rand(6, 3, 10, 10), (160, 160), mode="bicubic")
    for module in network.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.momentum = None  # the mean over all batches, which is one
    network.dropout.eval()
    with torch.no_grad():
        network((some * 255 - 127.5) / 128)
    torch.save(network.eval().state_dict(), path, _use_new_zipfile_serialization=False)


def prepare_dlib(folder: Path) -> None:
    """Writes ``made.dat``."""
    dlib_files.write(folder / "made.dat")


def prepare(folder: Path) -> None:
    """Writes ``facenet.pt``."""
    write_recogniser(folder / "facenet.pt")


CASES = [  # small crops: a quarter of the time
    Case('identity(file="{folder}/facenet.pt", size=80)', images=portraits, prepare=prepare),
    Case('identity(file="{folder}/facenet.pt", size=80, box=(0.2, 0.1, 0.83, 0.9))', prepare=prepare),
    Case('identity(model=dlib, file="{folder}/made.dat")', images=portraits, prepare=prepare_dlib),
    Case('identity(model=dlib, file="{folder}/made.dat", box=ffhq)', prepare=prepare_dlib),
]
