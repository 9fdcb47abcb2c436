"""Tell whether a file holds a DCGAN or a decoder, by its tensors' names and shapes. No torch here."""

from __future__ import annotations

from eigenwalk.checkpoint import Checkpoint, Kind, StateDict
from eigenwalk.errors import FileError
from eigenwalk_dcgan.layout import Layout, UnknownNetwork, read_layout


def recognise(checkpoint: Checkpoint, key: str | None = None) -> tuple[StateDict, Layout]:
    """The generator's tensors in `checkpoint`, and the layers that they belong to.

    Raises:
        FileError: it holds no tensors, or no stack of layers that makes images; the message says what it is.
        OptionError: nothing stands under `key`.
    """
    state = checkpoint.state_dict(key=key)
    assert state is not None  # without names of tensors, there always is one
    shapes = {name: one.shape for name, one in state.items()}
    try:
        return state, read_layout(shapes, sorted_names=checkpoint.kind is Kind.SAFETENSORS)
    except UnknownNetwork as error:
        raise FileError(
            f"{checkpoint} is no DCGAN or decoder that is known here: {error}. If it holds several networks, key=netG "
            "picks one"
        ) from None


def summarise(checkpoint: Checkpoint) -> str | None:
    """What the generator in `checkpoint` is, in words; None for a file without convolutions, or of another format.

    Raises:
        FileError: it is some other network.
    """
    if not checkpoint.kind.holds_tensors or checkpoint.trouble:
        return None
    # eigenwalk-stylegan writes that its files are its own.
    if checkpoint.metadata.get("format", "pt").startswith("eigenwalk"):
        return None
    if not any(len(one.shape) == 4 for one in checkpoint.tensors.values()):
        return None
    _, layout = recognise(checkpoint)
    return "a decoder, its encoder beside it" if layout.encoded else "a DCGAN or a decoder"
