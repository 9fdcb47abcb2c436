"""Say what a file of another architecture is, by the names of its tensors. No torch here."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice

NAMES = 4_000
"""Tensors whose names are looked at."""
KINDS = {
    r"time_emb(ed|edding|_proj)?[._]|(^|\.)time_mlp\.": "it is a diffusion U-Net, which removes noise step by step",
    r"(mid_block|(up|down)_blocks\.\d+)\.(resnets|attentions)\.": "it is an autoencoder of diffusers: give its folder, "
    "the one with config.json, not the file",
    r"(^|\.)mid\.(block|attn)_\d\.": "it is an autoencoder in the layout of latent diffusion: convert it to diffusers "
    "and give that folder",
    r"\.modulation\.|(^|\.)synthesis\.b\d+\.|(^|\.)mapping\.fc\d": "it is a StyleGAN: eigenwalk-stylegan opens the "
    "pickle or checkpoint that its own code wrote",
    r"\.rdb\d|(^|\.)conv_first\.|(^|\.)body\.\d+\.body\.\d": "it is a super-resolution network, which takes an image",
    r"(^|\.)layer[1-4]\.\d+\.(conv|bn)\d\.": "it is a ResNet, which reads images",
    r"(^|\.)(cls_token|pos_embed|patch_embed)|\.(q_proj|in_proj_weight|qkv|self_attn|self_attention)\b": "it is a "
    "transformer",
}  # fmt: skip
PATTERN = re.compile("|".join(f"(?P<k{i}>{pattern})" for i, pattern in enumerate(KINDS)))


def other_kind(names: Iterable[str]) -> str | None:
    """Say which other kind of network has such `names`; None if no known one has.

    >>> other_kind(["layer1.0.conv1.weight"])
    'it is a ResNet, which reads images'
    """
    matches = (PATTERN.search(name) for name in islice(names, NAMES))
    found = {str(one.lastgroup) for one in matches if one}
    kinds = list(KINDS.values())
    return next((words for i, words in enumerate(kinds) if any(group == f"k{i}" for group in found)), None)
