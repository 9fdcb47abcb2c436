"""Names and options that this package offers to eigenwalk; no torch."""

from __future__ import annotations

from pathlib import Path

from eigenwalk.checkpoint import Checkpoint
from eigenwalk.hookspecs import hookimpl
from eigenwalk.spec import CommandSpec, GeneratorSpec, Option
from eigenwalk_stylegan.recognise import recognise

CITES = (
    "Karras et al. 2020, arXiv 1912.04958",
    "Karras et al. 2020, arXiv 2006.06676",
    "Karras et al. 2021, arXiv 2106.12423",
)
LABEL = Option("label", "int", None, "class of a conditional model, from 0")
KEY = Option("key", "str", None, "where the generator stands in the file, such as g; by default the averaged weights")
SPACES = ("z", "w", "w+", "s")
OPTIONS = (
    Option("space", "str", "z", "where the walk happens: z, w, a w for each layer, or the styles themselves", SPACES),
    Option("layers", "str", None, 'the layers that move, such as "4-7" or "0-3,8"; the others stay those of base'),
    Option("base", "int", 0, "seed of the sample whose other layers stay"),
    Option("truncation", "float", 1.0, "1 leaves samples as they are, 0 gives the mean image"),
    Option("cutoff", "int", None, "truncation only in layers below this one"),
    LABEL,
    Option(
        "noise", "str", "const", "const: the file's noise inputs, always the same; none: without", ("const", "none")
    ),
    KEY,
)


@hookimpl
def eigenwalk_open(path: Path, checkpoint: Checkpoint) -> GeneratorSpec | None:
    """StyleGAN2, StyleGAN3, R3GAN: .pkl, .pt of rosinality's, .pth of genforce's and Hammer's, converted."""
    found = recognise(checkpoint)
    if found is not None and found.name == "r3gan":
        return _r3gan(found.words, (LABEL, KEY))
    return None if found is None else _spec(found.words, OPTIONS)


@hookimpl
def eigenwalk_generators() -> list[GeneratorSpec]:
    file = Option("path", "path", None, "the file: NVIDIA's .pkl, rosinality's .pt, genforce's .pth, …", required=True)
    pickle = Option("path", "path", None, "the file: a .pkl of R3GAN's code", required=True)
    return [
        _spec("a StyleGAN2 or StyleGAN3 from its file", (file, *OPTIONS)),
        _r3gan("an R3GAN from its file", (pickle, LABEL, KEY)),
    ]


@hookimpl
def eigenwalk_commands() -> list[CommandSpec]:
    return [
        CommandSpec("convert", "eigenwalk_stylegan.convert:app", "Write a StyleGAN to safetensors, free of pickles.")
    ]


def _spec(summary: str, options: tuple[Option, ...]) -> GeneratorSpec:
    return GeneratorSpec(
        name="stylegan",
        load="eigenwalk_stylegan.generator:stylegan",
        summary=summary,
        options=options,
        cites=CITES,
        spaces=SPACES,
        api=1,
    )


def _r3gan(summary: str, options: tuple[Option, ...]) -> GeneratorSpec:
    return GeneratorSpec(
        name="r3gan",
        load="eigenwalk_stylegan.formats.r3gan:r3gan",
        summary=summary,
        options=options,
        cites=("Huang et al. 2024, arXiv 2501.05441",),
        api=1,
    )
