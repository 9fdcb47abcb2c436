"""The names and options that this package offers to eigenwalk; no torch."""

from __future__ import annotations

from eigenwalk.checkpoint import Checkpoint
from eigenwalk.hookspecs import hookimpl
from eigenwalk.spec import GeneratorSpec, Option
from eigenwalk_dcgan.recognise import summarise

RANGES = ("tanh", "sigmoid", "unit", "symmetric")
ACTIVATIONS = ("relu", "leaky", "elu", "silu", "gelu", "selu", "tanh", "sigmoid", "softplus")
LATENTS = ("normal", "uniform")
SQUARES = ("transposed", "plain")
UPSAMPLINGS = ("nearest", "bilinear")
ORDERS = ("norm-activation", "activation-norm")
OPTIONS = (
    Option("key", "str", None, "name under which a checkpoint keeps the generator, such as netG"),
    Option(
        "range", "str", None, "what ends the network; unit: nothing, pixels in [0, 1]; symmetric: in [-1, 1]", RANGES
    ),
    Option("activation", "str", None, "between layers", ACTIVATIONS),
    Option("slope", "float", None, "of a leaky activation, below zero: 0.2 is usual"),
    Option("order", "str", None, "of a norm and the activation, where names do not tell", ORDERS),
    Option("after_linear", "bool", None, "whether an activation stands behind a linear layer that has no norm"),
    Option("resolution", "int", None, "side of the images, where layers do not tell"),
    Option("scales", "numbers", None, "how many times larger each convolution makes the image"),
    Option("sizes", "numbers", None, "side of the image after each convolution, such as (7, 14, 28)"),
    Option("square", "str", None, "what kernels with as many inputs as outputs are", SQUARES),
    Option("start", "numbers", None, "(height, width) of the channels that a linear layer makes"),
    Option("upsample", "str", None, "how images are enlarged before convolutions", UPSAMPLINGS),
    Option("padding", "str", None, "side on which an odd row is cut off", ("torch", "keras")),
    Option("norm", "str", None, "what a norm without running statistics is", ("group", "instance")),
    Option("groups", "int", None, "of group norms"),
    Option("eps", "float", None, "what norms add to the variance"),
    Option("latent", "str", None, "what the network was trained on: standard normal, or uniform in [-1, 1]", LATENTS),
    Option("latent_dim", "int", None, "coordinates of the latent, where a one-hot class follows it"),
    Option("label", "int", 0, "class of a conditional network, from 0"),
)


@hookimpl
def eigenwalk_open(checkpoint: Checkpoint) -> GeneratorSpec | None:
    """DCGANs and decoders: .pt, .pth, .ckpt and .safetensors of state dicts whose layers follow from one another."""
    words = summarise(checkpoint)
    return None if words is None else _spec(words, OPTIONS)


@hookimpl
def eigenwalk_generators() -> list[GeneratorSpec]:
    file = Option("path", "path", None, "the file: .pt, .pth, .ckpt or .safetensors", required=True)
    return [_spec("a DCGAN or a decoder from its state dict", (file, *OPTIONS))]


def _spec(summary: str, options: tuple[Option, ...]) -> GeneratorSpec:
    return GeneratorSpec(
        name="dcgan",
        load="eigenwalk_dcgan.generator:dcgan",
        summary=summary,
        options=options,
        cites=("Radford et al. 2016, arXiv 1511.06434",),
        api=1,
    )
