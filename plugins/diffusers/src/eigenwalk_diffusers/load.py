"""Build networks from the parts of a folder: classes and arguments from closed lists, all weights, no download.

The libraries' own ``from_pretrained`` is not used. A network is built without numbers, which takes no memory whatever
its configuration says; then each of its tensors is taken from the core's reader of checkpoints, if its shape fits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from eigenwalk.checkpoint import Checkpoint, LazyTensor
from eigenwalk.errors import EigenwalkError, FileError, WeightsError
from eigenwalk_diffusers.arguments import LARGEST, MODELS, SCHEDULERS, TEXT_ENCODERS, arguments
from eigenwalk_diffusers.folder import CONFIG, class_of, described, weights

STEM = "diffusion_pytorch_model"
"""How diffusers' files of weights begin; transformers' are called model.safetensors and pytorch_model.bin."""
BROKEN = (OSError, ValueError, TypeError, LookupError, RuntimeError, AttributeError, ArithmeticError)
"""What the libraries raise of configurations that do not fit."""
OLDER = {".to_q.": ".query.", ".to_k.": ".key.", ".to_v.": ".value.", ".to_out.0.": ".proj_attn."}
"""Names of an autoencoder's attention, and what they were called before diffusers 0.15."""


def network(folder: Path, supported: tuple[str, ...], remedy: str = "") -> Any:
    """Return the model of diffusers in `folder`, float32, frozen, in eval mode.

    Raises:
        FileError: it is not there, damaged, quantised, or of a class that is not among `supported`.
        WeightsError: some of its weights are missing.
    """
    import diffusers

    kind = getattr(diffusers, class_of(folder, CONFIG, supported, remedy))
    config = described(folder, CONFIG)
    if config.get("quantization_config"):
        raise FileError(f"{folder} is quantised, which has no derivatives: take the weights in float16 or float32")
    with _blame(folder), torch.device("meta"):
        model = kind(**arguments(kind.__init__, config, MODELS, folder / CONFIG))
    return _fill(model, folder, weights(folder, STEM, STEM))


def text_encoder(folder: Path, name: str) -> Any:
    """Return the text encoder in `folder`, of transformers' class `name`, float32, frozen; raises as `network` does."""
    import transformers

    if name not in ("CLIPTextModel", "CLIPTextModelWithProjection"):
        raise FileError(
            f"{folder} is of the class {name}; supported text encoders are CLIPTextModel, CLIPTextModelWithProjection"
        )
    config = described(folder, CONFIG)
    if config.get("quantization_config"):
        raise FileError(f"{folder} is quantised, which is not supported: take the weights in float16 or float32")
    with _blame(folder):
        made = transformers.CLIPTextConfig(
            **arguments(transformers.CLIPTextConfig.__init__, config, TEXT_ENCODERS, folder / CONFIG),
            attn_implementation="eager",  # pyright: ignore[reportCallIssue]
        )
        with torch.device("meta"):
            model = getattr(transformers, name)(made)
    return _fill(model, folder, weights(folder, "model", "pytorch_model"))


def tokenizer(folder: Path) -> Any:
    """Return the tokenizer of CLIP in `folder`, made of its words and merges.

    Raises:
        FileError: it is not there or damaged, or adds words of its own.
    """
    import transformers

    config = described(folder, "tokenizer_config.json")
    opened = Checkpoint.of(folder)
    vocabulary, merges, whole = (opened.inside(name) for name in ("vocab.json", "merges.txt", "tokenizer.json"))
    if not (vocabulary and merges) and not whole:
        raise FileError(f"{folder} has no vocab.json with merges.txt, and no tokenizer.json: copy the whole folder")
    with _blame(folder):
        if vocabulary and merges:
            words = vocabulary.json()
            lines = str(merges.data[:LARGEST], "utf-8").splitlines()
            pairs: Any = [tuple(one.split()) for one in lines if one and not one.startswith("#version")]
        else:
            assert whole is not None
            words, pairs = whole.json()["model"]["vocab"], whole.json()["model"]["merges"]
            pairs = [tuple(one.split()) if isinstance(one, str) else tuple(one) for one in pairs]
        added = [one["content"] for one in (config.get("added_tokens_decoder") or {}).values()]
        if not all(word in words for word in added):
            raise FileError(f"{folder} adds words to its vocabulary, which is not supported")
        named = {key: config.get(key) for key in ("unk_token", "bos_token", "eos_token", "pad_token")}
        tokens = {key: one["content"] if isinstance(one, dict) else one for key, one in named.items() if one}
        if not all(isinstance(one, str) and one in words for one in tokens.values()):
            raise FileError(f"{folder / 'tokenizer_config.json'} names a token that is not in the vocabulary")
        longest = min(int(config.get("model_max_length", 77)), LARGEST)
        return transformers.CLIPTokenizer(vocab=words, merges=pairs, model_max_length=longest, **tokens)


def scheduler(folder: Path) -> Any:
    """Return the scheduler in `folder`, which clips nothing: an image is never clipped before it is shown.

    Raises:
        FileError: it is not there, damaged, or none of diffusers'.
    """
    import diffusers
    from diffusers.schedulers.scheduling_utils import SchedulerMixin

    file = "scheduler_config.json"
    config = described(folder, file)
    name = config.get("_class_name")
    kind = getattr(diffusers, name, None) if isinstance(name, str) and name.isidentifier() else None
    if not (isinstance(kind, type) and issubclass(kind, SchedulerMixin)):
        raise FileError(
            f"{folder} names the class {name!r}, which is no scheduler of diffusers {diffusers.__version__}"
        )
    clips = {key: False for key in ("clip_sample", "clip_denoised", "thresholding") if key in config}
    with _blame(folder):
        return kind(**arguments(kind.__init__, {**config, **clips}, SCHEDULERS, folder / file))


def _fill(model: nn.Module, folder: Path, files: list[Path]) -> Any:
    """Return `model` with the numbers in `files`, float32, frozen, in eval mode."""
    held: dict[str, LazyTensor] = {}
    for file in files:
        held |= Checkpoint.of(file).tensors
    wanted = model.state_dict()
    found = {name: _find(held, name) for name in wanted}
    missing = sorted(name for name, tensor in found.items() if tensor is None)
    if missing:
        few = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        raise WeightsError(f"the weights in {folder} lack {few}: copy the files again, or take those of its config")
    for name, tensor in found.items():
        if tensor.shape != tuple(wanted[name].shape):  # type: ignore
            raise FileError(
                f"{folder} does not fit its configuration: {name} is {tensor.shape} where "  # type: ignore
                f"{tuple(wanted[name].shape)} is expected"
            )
    with _blame(folder):
        model.load_state_dict({name: one.load().float() for name, one in found.items()}, assign=True)  # type: ignore
        for module in model.modules():
            positions = getattr(module, "position_ids", None)
            if isinstance(positions, torch.Tensor) and positions.is_meta:
                module.register_buffer("position_ids", torch.arange(positions.shape[-1])[None], persistent=False)
    return model.eval().requires_grad_(False)


def _find(held: Mapping[str, LazyTensor], name: str) -> LazyTensor | None:
    """Find the tensor `name`, also under an older name or the prefix of transformers before version 5."""
    older = name
    for new, old in OLDER.items():
        older = older.replace(new, old)
    return next((held[one] for one in (name, f"text_model.{name}", older) if one in held), None)


@contextmanager
def _blame(folder: Path) -> Iterator[None]:
    """Re-raise the libraries' errors about damaged files as FileError naming `folder`."""
    try:
        yield
    except EigenwalkError:
        raise
    except BROKEN as error:
        told = " ".join(str(error).split())[:300] or type(error).__name__
        raise FileError(
            f"{folder} cannot be opened, it is damaged or does not fit its configuration: {told}"
        ) from error
