"""What the conformance kit checks of this package: small networks that the tests make."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

from eigenwalk.testing import Case


def small(name: str) -> Callable[[Path], None]:
    """A function that writes the state dict of one of `networks` into a folder."""

    def write(folder: Path) -> None:
        spec = importlib.util.spec_from_file_location("dcgan_networks", Path(__file__).with_name("networks.py"))
        assert spec is not None
        assert spec.loader is not None
        networks = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(networks)
        networks.write(name, folder)

    return write


CASES = [
    Case('dcgan("{folder}/main.pt", range=tanh)', prepare=small("main"), kind="generator"),
    Case('dcgan("{folder}/upsampled.pt", range=sigmoid, resolution=32)', prepare=small("upsampled"), kind="generator"),
    Case('dcgan("{folder}/classes.pt", range=unit, latent_dim=6, label=1)', prepare=small("classes"), kind="generator"),
]
