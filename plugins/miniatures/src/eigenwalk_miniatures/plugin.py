"""What this package offers to eigenwalk: names and options alone, no torch."""

from __future__ import annotations

from pathlib import Path

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
"""Tensors by which a miniature's generator is known."""
OPTIONS = (
    Option("space", "str", "z", "where the walk happens: before (z) or after (w) the mapping", ("z", "w")),
    Option("truncation", "float", 1.0, "1 leaves samples as they are, 0 gives the mean image"),
)


@hookimpl
def eigenwalk_open(path: Path, checkpoint: Checkpoint) -> GeneratorSpec | None:
    """Miniatures: .safetensors that this package's training wrote."""
    if checkpoint.kind is not Kind.SAFETENSORS or not checkpoint.has_all(*OURS):
        return None
    return GeneratorSpec(
        name="miniature",
        load="eigenwalk_miniatures.generator:opened",
        summary="a miniature's generator from its training",
        options=OPTIONS,
        cites=(STYLEGAN2,),
        spaces=("z", "w"),
        api=1,
    )


@hookimpl
def eigenwalk_generators() -> list[GeneratorSpec]:
    """One generator a miniature: `rooms`, `faces`."""
    return [_generator(miniature(name)) for name in NAMES]


@hookimpl
def eigenwalk_features() -> list[FeatureSpec]:
    """Parts and factors of every miniature; where it shows people, also attributes and identity."""
    specs = []
    for world in map(miniature, NAMES):
        specs += [_part(world), _factor(world)]
        if world.identity:
            specs += [_attribute(world), _identity(world)]
    return specs


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


def _part(world: Miniature) -> FeatureSpec:
    return FeatureSpec(
        name=f"{world.name}.part",
        load=f"eigenwalk_miniatures.parts:{world.name}",
        summary=f"the pixels of named parts of the picture, as the segmenter of {world.name} finds them",
        options=(Option("part", "words", summary="one part or several", choices=world.parts, required=True),),
        weights=shipped(world, "segmenter", LICENCE),
        licence=LICENCE,
        cites=(UNET,),
        kind="projection",
        unit="RMS pixel inside the mask",
        api=1,
    )


def _factor(world: Miniature) -> FeatureSpec:
    names = world.factors.names
    return FeatureSpec(
        name=f"{world.name}.factor",
        load=f"eigenwalk_miniatures.reading:{world.name}",
        summary=f"named factors of the scene, as the regressor of {world.name} reads them",
        options=(Option("factor", "words", summary="one factor or several", choices=names, required=True),),
        weights=shipped(world, "regressor", LICENCE),
        licence=LICENCE,
        unit="share of the factor's range",
        api=1,
    )


def _attribute(world: Miniature) -> FeatureSpec:
    names = world.factors.names
    return FeatureSpec(
        name=f"{world.name}.attribute",
        load=f"eigenwalk_miniatures.reading:{world.name}_attributes",
        summary=f"named factors of {world.name}, read by a second network, so that {world.name}.factor can judge",
        options=(Option("attribute", "words", summary="one attribute or several", choices=names, required=True),),
        weights=shipped(world, "attributes", LICENCE),
        licence=LICENCE,
        cites=(RESNETV2,),
        unit="share of the factor's range",
        api=1,
    )


def _identity(world: Miniature) -> FeatureSpec:
    return FeatureSpec(
        name=f"{world.name}.identity",
        load=f"eigenwalk_miniatures.identity:{world.name}",
        summary=f"who is on the picture, whatever the hair, expression, pose, clothes and light of {world.name}",
        weights=shipped(world, "embedder", LICENCE),
        licence=LICENCE,
        unit="cosine distance",
        api=1,
    )
