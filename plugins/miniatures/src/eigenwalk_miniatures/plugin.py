"""What this package offers; no torch here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eigenwalk.checkpoint import Checkpoint, Kind
from eigenwalk.hookspecs import hookimpl
from eigenwalk.spec import FeatureSpec, GeneratorSpec, Option
from eigenwalk_miniatures.miniature import NAMES, Miniature, miniature
from eigenwalk_miniatures.shipped import shipped

LICENCE = "Apache-2.0"
STYLEGAN2 = "Karras et al. 2020, arXiv 1912.04958"
RESNETV2 = "He et al. 2016, arXiv 1603.05027"
UNET = "Ronneberger et al. 2015, arXiv 1505.04597"
OURS = ("w_mean", "constant", "first.style.weight", "mapping.0.weight", "widen.0.weight", "refine.0.weight")
"""Names of tensors by which a miniature's generator is recognised."""
OPTIONS = (
    Option("space", "str", "z", "where the walk happens: before (z) or after (w) the mapping", ("z", "w")),
    Option("truncation", "float", 1.0, "1 leaves samples as they are, 0 gives the mean image"),
)


@hookimpl
def eigenwalk_open(path: Path, checkpoint: Checkpoint) -> GeneratorSpec | None:
    """Miniatures: generator.safetensors that their training writes."""
    if checkpoint.kind is not Kind.SAFETENSORS or not checkpoint.has_all(*OURS):
        return None
    return GeneratorSpec(
        name="miniature",
        load="eigenwalk_miniatures.generator:open_trained",
        summary="a miniature's generator from its training",
        options=OPTIONS,
        cites=(STYLEGAN2,),
        spaces=("z", "w"),
        api=1,
    )


@hookimpl
def eigenwalk_generators() -> list[GeneratorSpec]:
    """One generator for each miniature: `rooms`, `faces`."""
    return [_generator(miniature(name)) for name in NAMES]


@hookimpl
def eigenwalk_features() -> list[FeatureSpec]:
    """Parts and factors of each miniature; if it shows people, also attributes and identity."""
    specs = []
    for world in map(miniature, NAMES):
        factors = world.factors.names
        specs += [
            _feature(
                world,
                "part",
                f"parts:{world.name}",
                f"the pixels of named parts of the picture, as the segmenter of {world.name} finds them",
                "segmenter",
                "RMS pixel inside the mask",
                world.parts,
                cites=(UNET,),
                kind="projection",
            ),
            _feature(
                world,
                "factor",
                f"reading:{world.name}",
                f"named factors of the scene, as the regressor of {world.name} reads them",
                "regressor",
                "share of the factor's range",
                factors,
            ),
        ]
        if world.identity:
            name = world.name
            specs += [
                _feature(
                    world,
                    "attribute",
                    f"reading:{name}_attributes",
                    f"named factors of {name}, read by a second network, so that {name}.factor can judge",
                    "attributes",
                    "share of the factor's range",
                    factors,
                    cites=(RESNETV2,),
                ),
                _feature(
                    world,
                    "identity",
                    f"identity:{name}",
                    f"who is on the picture, whatever the hair, expression, pose, clothes and light of {name}",
                    "embedder",
                    "cosine distance",
                ),
            ]
    return specs


def _feature(
    world: Miniature,
    word: str,
    load: str,
    summary: str,
    network: str,
    unit: str,
    choices: tuple[str, ...] = (),
    **others: Any,
) -> FeatureSpec:
    """The spec of ``world.word``, which reads `network`; its one option, if it has `choices`, is called `word` too."""
    option = Option(word, "words", summary=f"one {word} or several", choices=choices, required=True)
    return FeatureSpec(
        name=f"{world.name}.{word}",
        load=f"eigenwalk_miniatures.{load}",
        summary=summary,
        options=(option,) if choices else (),
        weights=shipped(world, network, LICENCE),
        licence=LICENCE,
        unit=unit,
        api=1,
        **others,
    )


def _generator(world: Miniature) -> GeneratorSpec:
    return GeneratorSpec(
        name=world.name,
        load=f"eigenwalk_miniatures.generator:{world.name}",
        summary=world.summary,
        options=OPTIONS,
        weights=shipped(world, "generator", LICENCE),
        licence=LICENCE,
        cites=(STYLEGAN2,),
        spaces=("z", "w"),
        api=1,
    )
