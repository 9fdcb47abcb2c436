"""Networks of timm by name: created without a download, filled from a file, frozen."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import timm
import torch
from timm.models import clean_state_dict
from torch import Tensor, nn

from eigenwalk import store
from eigenwalk.checkpoint import fill, state_dict
from eigenwalk.errors import OptionError, WeightsError
from eigenwalk_attributes.published import BACKBONES


def create(architecture: str, outputs: int, arguments: Mapping[str, Any]) -> nn.Module:
    """Create a network of timm with `outputs` values and random weights.

    Raises:
        OptionError: timm has no such architecture, or it does not take the `arguments` of ``timm.create_model``.
    """
    name, _, tag = architecture.partition(".")
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), 4) or ["resnet18", "vit_small_patch16_224"]
        raise OptionError(f"timm {timm.__version__} has no network {architecture!r}: nearest are {', '.join(near)}")
    try:
        return timm.create_model(architecture, pretrained=False, num_classes=outputs, **arguments)
    except RuntimeError as error:
        tags = timm.list_pretrained(f"{name}.*")
        if tag and architecture not in tags:
            known = f"its tags are {', '.join(one.partition('.')[2] for one in tags)}" if tags else "it has none"
            raise OptionError(f"timm's {name} has no tag {tag!r}: {known}; or leave the tag out") from None
        raise OptionError(f"timm cannot make {architecture}: {error}") from error
    except (TypeError, ValueError, AssertionError, KeyError) as error:
        given = ", ".join(f"{key}={value!r}" for key, value in arguments.items()) or "no arguments"
        raise OptionError(f"timm cannot make {architecture} with {given}: {error!r}") from error


def load(
    architecture: str, outputs: int, arguments: Mapping[str, Any], state: Mapping[str, Tensor], what: str
) -> nn.Module:
    """Create a frozen network with the weights of `state`, in timm's layout or the publisher's that timm converts.

    `what` names the file in messages.

    Raises:
        OptionError: as `create`.
        FileError, WeightsError: the weights do not fit, or hold NaN; the message names keys and shapes.
    """
    build, state = partial(create, architecture, outputs, arguments), clean_state_dict(dict(state))
    try:
        return fill(build, state, what)
    except WeightsError as error:
        with torch.device("meta"):
            model = build()
        convert = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
        if convert is None:
            raise
        try:
            return fill(build, convert(state, model), what)
        except Exception:  # a converter meets weights that it was not written for
            raise error from None


def backbone(architecture: str, weights: str | Path | None, size: int | None, wanted: str) -> nn.Module:
    """Open a frozen network without its head, with the weights of a file, or the published ones of the store.

    `wanted` is the expression or command that asks, for messages.

    Raises:
        OptionError: timm has no such network, or it cannot see `size` pixels.
        FileError, WeightsError: the weights are not there, damaged, or another network's.
    """
    arguments = size_arguments(architecture, size)
    with torch.device("meta"):
        model = create(architecture, 0, arguments)
    if weights is None:
        if architecture not in BACKBONES:
            raise WeightsError(
                f"{wanted} needs weights, and none are known for {architecture}: download them from where they are "
                f"published, and name the file, weights=FILE. Published weights are known of {', '.join(BACKBONES)}"
            )
        path = store.find(BACKBONES[architecture], wanted)
    else:
        path = Path(weights).expanduser()
    state = _without_head(model, _in_timm_s_names(clean_state_dict(state_dict(path)), model))
    return load(architecture, 0, arguments, state, f"{path}, for {architecture},")


def size_arguments(architecture: str, size: int | None) -> dict[str, Any]:
    """Arguments with which timm makes the network for images of `size` pixels; none if it takes any size.

    Raises:
        OptionError: `size` is too small.
    """
    if size is None:
        return {}
    if size < 16:
        raise OptionError(f"size must be at least 16 pixels, got {size}")
    config = timm.get_pretrained_cfg(architecture, allow_unregistered=False) if timm.is_model(architecture) else None
    return {"img_size": size} if config is not None and config.fixed_input_size else {}


def _in_timm_s_names(state: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Rename the weights of an EfficientNet of efficientnet-pytorch, whose layers stand in the same order as timm's.

    Its classifier, which `model` does not have, is left out.
    """
    if "_conv_stem.weight" not in state:
        return state
    theirs, own = [key for key in state if not key.startswith("_fc.")], list(model.state_dict())
    if len(theirs) != len(own):  # another depth: the misfit is told as of any other file
        return state
    return {name: state[key] for key, name in zip(theirs, own, strict=True)}


def _without_head(model: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`state` without the classifier, which `model` does not have."""
    names = getattr(model, "pretrained_cfg", {}).get("classifier") or ()
    heads = tuple(f"{head}." for head in ((names,) if isinstance(names, str) else names))
    own = model.state_dict()
    return {key: value for key, value in state.items() if key in own or not key.startswith(heads or ("\0",))}
