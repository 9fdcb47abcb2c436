"""Names and options that this package offers to eigenwalk; no torch."""

from __future__ import annotations

from pathlib import Path

from eigenwalk.checkpoint import Checkpoint
from eigenwalk.hookspecs import hookimpl
from eigenwalk.spec import GeneratorSpec, Option
from eigenwalk_biggan.recognise import recognise

CITES = ("Brock et al. 2019, arXiv 1809.11096",)
SPACES = ("z", "embedding", "both")
OPTIONS = (
    Option("label", "str", None, 'the class, by name or by index: golden_retriever, "207"'),
    Option("space", "str", "z", "where the walk happens: z, the class's embedding, or both side by side", SPACES),
    Option("base", "int", 0, "seed of the z that stays in space embedding"),
    Option(
        "truncation",
        "float",
        None,
        "over 0, up to 1: z from a normal distribution cut at 2, times this; without it, z as the network was trained",
    ),
    Option("names", "path", None, "a text file of the classes' names, one a line; 1000 classes are ImageNet's"),
    Option("config", "path", None, "Hugging Face's config.json, where it does not lie beside the weights"),
    Option("eps", "float", None, "BN_eps of BigGAN-PyTorch's training, where it was not 1e-5"),
    Option("key", "str", None, "where the generator stands in the file, such as G; by default the averaged weights"),
    Option("depth", "int", None, "G_depth of BigGAN-PyTorch's BigGAN-deep, where the tensors do not tell it"),
)


@hookimpl
def eigenwalk_open(path: Path, checkpoint: Checkpoint) -> GeneratorSpec | None:
    """BigGAN: G_ema.pth of BigGAN-PyTorch, config.json and pytorch_model.bin of pytorch-pretrained-biggan."""
    found = recognise(checkpoint)
    return None if found is None else _spec(found.words, OPTIONS)


@hookimpl
def eigenwalk_generators() -> list[GeneratorSpec]:
    file = Option("path", "path", None, "the file: BigGAN-PyTorch's G_ema.pth, Hugging Face's folder", required=True)
    return [_spec("a BigGAN or BigGAN-deep from its file", (file, *OPTIONS))]


def _spec(summary: str, options: tuple[Option, ...]) -> GeneratorSpec:
    return GeneratorSpec(
        name="biggan",
        load="eigenwalk_biggan.generator:biggan",
        summary=summary,
        options=options,
        cites=CITES,
        spaces=SPACES,
        api=1,
    )
