"""Networks of timm by name: made without a download, filled from a file, frozen."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
from timm.models import clean_state_dict
from torch import Tensor, nn

from eigenwalk import store
from eigenwalk.checkpoint import into, state_dict
from eigenwalk.errors import OptionError, WeightsError
from eigenwalk_attributes.published import BACKBONES


def made(architecture: str, outputs: int, arguments: Mapping[str, Any]) -> nn.Module:
    """A network of timm with `outputs` values and random weights; `arguments` go to ``timm.create_model``.

    Raises:
        OptionError: timm has no such architecture, or it does not take the arguments.
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
            told = f"its tags are {', '.join(one.partition('.')[2] for one in tags)}" if tags else "it has none"
            raise OptionError(f"timm's {name} has no tag {tag!r}: {told}; or leave the tag out") from None
        raise OptionError(f"timm cannot make {architecture}: {error}") from error
    except (TypeError, ValueError, AssertionError, KeyError) as error:
        given = ", ".join(f"{key}={value!r}" for key, value in arguments.items()) or "no arguments"
        raise OptionError(f"timm cannot make {architecture} with {given}: {error!r}") from error


def filled(model: nn.Module, state: Mapping[str, Tensor], what: str) -> nn.Module:
    """`model` with the weights of `state`, in timm's layout or in the publisher's that timm converts.

    Raises:
        WeightsError: they do not fit; names keys and shapes.
    """
    state = clean_state_dict(dict(state))
    try:
        return into(model, state, what)
    except WeightsError as error:
        convert = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
        if convert is None:
            raise
        try:
            return into(model, convert(dict(state), model), what)
        except Exception:  # a converter meets weights that it was not written for
            raise error from None


def frozen(model: nn.Module) -> nn.Module:
    """`model` in eval mode, without parameters that want a gradient, and with every derivative."""
    for module in model.modules():
        if getattr(module, "fused_attn", False):
            module.fused_attn = False  # type: ignore[assignment]  # the fused kernel has no forward mode
    return model.eval().requires_grad_(False)


def backbone(architecture: str, weights: str | Path | None, size: int | None, wanted: str) -> nn.Module:
    """A network without its head, with the weights of a file, or the published ones of the store.

    `wanted` is the expression or command that asks, for messages.

    Raises:
        OptionError: timm has no such network, or it cannot see `size` pixels.
        FileError, WeightsError: the weights are not there, damaged, or another network's.
    """
    model = made(architecture, 0, sized(architecture, size))
    if weights is None:
        if architecture not in BACKBONES:
            raise WeightsError(
                f"{wanted} needs weights, and none are known for {architecture}: download them from where they are "
                f"published, and name the file, weights=FILE. Published weights are known of {', '.join(BACKBONES)}"
            )
        path = store.find(BACKBONES[architecture], wanted)
    else:
        path = Path(weights).expanduser()
    state = clean_state_dict(state_dict(path))
    return filled(model, _headless(model, state), f"{path}, for {architecture},")


def sized(architecture: str, size: int | None) -> dict[str, Any]:
    """Arguments with which timm makes the network for images of `size` pixels: none for one that takes any size.

    Raises:
        OptionError: `size` is too small.
    """
    if size is None:
        return {}
    if size < 16:
        raise OptionError(f"size must be at least 16 pixels, got {size}")
    told = timm.get_pretrained_cfg(architecture, allow_unregistered=False) if timm.is_model(architecture) else None
    return {"img_size": size} if told is not None and told.fixed_input_size else {}


def _headless(model: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`state` without the classifier, which the network that is asked for its features does not have."""
    told = getattr(model, "pretrained_cfg", {}).get("classifier") or ()
    heads = tuple(f"{head}." for head in ((told,) if isinstance(told, str) else told))
    own = model.state_dict()
    return {key: value for key, value in state.items() if key in own or not key.startswith(heads or ("\0",))}
