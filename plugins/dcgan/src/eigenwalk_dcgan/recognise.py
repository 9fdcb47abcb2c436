"""Tell whether a file holds a DCGAN or a decoder, by its tensors' names and shapes. No torch here."""

from __future__ import annotations

import re
from collections.abc import Mapping

from eigenwalk.checkpoint import Checkpoint, Kind, LazyTensor, StateDict
from eigenwalk.errors import FileError
from eigenwalk_dcgan.layout import IMAGE_CODE, Layout, UnknownNetwork, read_layout


def recognise(checkpoint: Checkpoint, key: str | None = None) -> tuple[StateDict, Layout]:
    """Return the generator's tensors in `checkpoint`, and the layers that they belong to.

    Raises:
        FileError: it holds no tensors, or no stack of layers that makes images; the message says what it is.
        OptionError: nothing stands under `key`.
    """
    state = checkpoint.state_dict(key=key)
    assert state is not None  # without names of tensors, there always is one
    shapes = {name: one.shape for name, one in state.items()}
    try:
        layout = read_layout(shapes, sorted_names=checkpoint.kind is Kind.SAFETENSORS)
        beside = {name: one for name, one in checkpoint.tensors.items() if re.search(r"(^|[._])enc", name)}
        if layout.layers[0].kind == "deconv" and not (key or checkpoint.key) and _is_convolutional(beside):
            raise UnknownNetwork(IMAGE_CODE)
        return state, layout
    except UnknownNetwork as error:
        raise FileError(
            f"{checkpoint} is no DCGAN or decoder that is known here: {error}. If it holds several networks, key=netG "
            "picks one"
        ) from None


def summarise(checkpoint: Checkpoint) -> str | None:
    """Describe the generator in `checkpoint`; None for a file without convolutions, or of another format.

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


def _is_convolutional(tensors: Mapping[str, LazyTensor]) -> bool:
    """Whether these have kernels, and no matrix."""
    ranks = {len(one.shape) for one in tensors.values()}
    return 4 in ranks and 2 not in ranks
