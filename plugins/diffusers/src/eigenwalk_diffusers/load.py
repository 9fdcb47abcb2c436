"""Networks from the parts of a folder: classes from closed lists, weights complete, nothing fetched and nothing run."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from eigenwalk.errors import FileError, WeightsError
from eigenwalk_diffusers.attention import made_plain
from eigenwalk_diffusers.folder import CONFIG, class_of, described, weights

STEM = "diffusion_pytorch_model"
"""How diffusers' files of weights begin; transformers' are called model.safetensors and pytorch_model.bin."""
BROKEN = (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError, AttributeError)
"""What the libraries raise of damaged files and of configurations that do not fit."""


def network(folder: Path, supported: tuple[str, ...], remedy: str = "") -> Any:
    """The model of diffusers in `folder`, float32, frozen, in eval mode, its attention plain.

    Raises:
        FileError: it is not there, damaged, quantised, or of a class that is not among `supported`.
        WeightsError: some of its weights are missing.
    """
    import diffusers

    kind = getattr(diffusers, class_of(folder, CONFIG, supported, remedy))
    if described(folder, CONFIG).get("quantization_config"):
        raise FileError(f"{folder} is quantised, which has no derivatives: take the weights in float16 or float32")
    safe, variant = weights(folder, STEM, STEM)
    with _opening(folder):
        model, told = kind.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=safe,
            variant=variant,
            torch_dtype=torch.float32,
            output_loading_info=True,
        )
    return made_plain(_complete(model, told, folder))


def text_encoder(folder: Path, name: str) -> Any:
    """The text encoder of class `name` of transformers in `folder`, float32, frozen; raises as `network` does."""
    import transformers

    if name not in ("CLIPTextModel", "CLIPTextModelWithProjection"):
        raise FileError(
            f"{folder} is of the class {name}; supported text encoders are CLIPTextModel, CLIPTextModelWithProjection"
        )
    described(folder, CONFIG)
    safe, variant = weights(folder, "model", "pytorch_model")
    with _opening(folder):
        model, told = getattr(transformers, name).from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=safe,
            variant=variant,
            dtype=torch.float32,
            output_loading_info=True,
        )
    return _complete(model, told, folder)


def tokenizer(folder: Path) -> Any:
    """The tokenizer of CLIP in `folder`.

    Raises:
        FileError: it is not there or damaged.
    """
    import transformers

    described(folder, "tokenizer_config.json")
    if not (folder / "tokenizer.json").is_file() and not (folder / "vocab.json").is_file():
        raise FileError(f"{folder} has no vocab.json with merges.txt, and no tokenizer.json: copy the whole folder")
    with _opening(folder):
        return transformers.CLIPTokenizer.from_pretrained(folder, local_files_only=True)


def scheduler(folder: Path) -> Any:
    """The scheduler in `folder`, which clips nothing: an image is never clipped before it is shown.

    Raises:
        FileError: it is not there, damaged, or none of diffusers'.
    """
    import diffusers
    from diffusers.schedulers.scheduling_utils import SchedulerMixin

    config = described(folder, "scheduler_config.json")
    name = config.get("_class_name")
    kind = getattr(diffusers, name, None) if isinstance(name, str) and name.isidentifier() else None
    if not (isinstance(kind, type) and issubclass(kind, SchedulerMixin)):
        raise FileError(
            f"{folder} names the class {name!r}, which is no scheduler of diffusers {diffusers.__version__}"
        )
    clips = {key: False for key in ("clip_sample", "clip_denoised", "thresholding") if key in config}
    with _opening(folder):
        return kind.from_config({**config, **clips})  # pyright: ignore[reportAttributeAccessIssue]


def _complete(model: nn.Module, told: dict[str, Any], folder: Path) -> Any:
    """`model`, frozen, all of whose weights were in the file."""
    missing = sorted(told.get("missing_keys") or ())
    if missing:
        few = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        raise WeightsError(f"the weights in {folder} lack {few}: copy the files again, or take those of its config")
    return model.eval().requires_grad_(False)


@contextmanager
def _opening(folder: Path) -> Iterator[None]:
    """Damage is told as a FileError that names `folder`; what the libraries say to themselves is not printed."""
    from transformers.utils import logging as bars

    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    loggers = [logging.getLogger(name) for name in ("diffusers", "transformers")]
    levels = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.ERROR)
    try:
        yield
    except BROKEN as error:
        told = " ".join(str(error).split())[:300] or type(error).__name__
        raise FileError(
            f"{folder} cannot be opened, it is damaged or does not fit its configuration: {told}"
        ) from error
    finally:
        for one, level in zip(loggers, levels, strict=True):
            one.setLevel(level)
        if shown:
            bars.enable_progress_bar()
