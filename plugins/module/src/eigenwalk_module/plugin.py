"""Names and options that this package offers to eigenwalk; no torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from eigenwalk.hookspecs import hookimpl
from eigenwalk.spec import GeneratorSpec, Option

if TYPE_CHECKING:
    from eigenwalk.checkpoint import Checkpoint

RANGES = ("unit", "tanh", "bytes")
OPTIONS = (
    Option("shape", "numbers", None, "of one latent, such as 128 or (100, 1, 1), where the file does not tell"),
    Option("range", "str", None, "of its images: unit, [0, 1]; tanh, [-1, 1]; bytes, [0, 255]", RANGES),
    Option("inputs", "numbers", None, "a number for each input beside the latent, such as a class"),
    Option("std", "float", 1.0, "standard deviation of sampled latents"),
)


@hookimpl
def eigenwalk_open(path: Path, checkpoint: Checkpoint) -> GeneratorSpec | None:
    """Exported networks: .pt2 of torch.export, TorchScript, ONNX."""
    known = {
        "PROGRAM": ("module", "a network that torch.export saved"),
        "SCRIPT": ("module", "a network in TorchScript"),
        "ONNX": ("onnx", "a network in ONNX"),
    }
    found = known.get(checkpoint.kind.name)
    return _spec(*found, OPTIONS) if found else None


@hookimpl
def eigenwalk_generators() -> list[GeneratorSpec]:
    module = Option("path", "path", None, "the file: .pt2 of torch.export, or .pt of torch.jit.save", required=True)
    graph = Option("path", "path", None, "the file: .onnx", required=True)
    return [
        _spec("module", "a network from torch.export or TorchScript", (module, *OPTIONS)),
        _spec("onnx", "a network from an ONNX file", (graph, *OPTIONS)),
    ]


def _spec(name: str, summary: str, options: tuple[Option, ...]) -> GeneratorSpec:
    return GeneratorSpec(name=name, load=f"eigenwalk_module.generator:{name}", summary=summary, options=options, api=1)
