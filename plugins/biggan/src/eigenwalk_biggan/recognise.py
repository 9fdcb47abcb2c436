"""Which format a file or folder has, by the names of its tensors. No torch here."""

from __future__ import annotations

from dataclasses import dataclass

from eigenwalk.checkpoint import Checkpoint

INSIDE = ("pytorch_model.bin", "model.safetensors")
"""What the weights in a folder of Hugging Face's are called."""


@dataclass(frozen=True)
class Format:
    """One kind of file.

    Attributes:
        name: of the module of `eigenwalk_biggan.formats` that reads it.
        words: what it is, for people.
        names: tensors that all of them hold, and no other network that is known.
    """

    name: str
    words: str
    names: tuple[str, ...]


FORMATS = (
    Format("brock", "BigGAN-deep of BigGAN-PyTorch", ("output_layer.0.gain", "blocks.0.0.bn4.gain.weight")),
    Format("brock", "BigGAN of BigGAN-PyTorch", ("output_layer.0.gain", "blocks.0.0.bn1.gain.weight")),
    Format(
        "huggingface",
        "BigGAN-deep of pytorch-pretrained-biggan",
        ("generator.gen_z.weight_orig", "generator.conv_to_rgb.weight_orig"),
    ),
)


def weights(checkpoint: Checkpoint) -> Checkpoint | None:
    """Return the file itself, or the weights in a folder; None where it has none."""
    if not checkpoint.is_folder:
        return checkpoint
    return next((found for name in INSIDE if (found := checkpoint.inside(name))), None)


def recognise(checkpoint: Checkpoint) -> Format | None:
    """Return the format of the file, or of the weights in the folder; None where it is none of `FORMATS`."""
    found = weights(checkpoint)
    return next((one for one in FORMATS if found and found.has_all(*one.names)), None)
