"""A prompt as the network's inputs, encoded once by the folder's own text encoders."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from eigenwalk.errors import FileError, OptionError
from eigenwalk_diffusers.load import text_encoder, tokenizer

CLASSES = ("LatentConsistencyModelPipeline", "StableDiffusionPipeline", "StableDiffusionXLPipeline")
"""The pipelines with a prompt."""
EMBEDDED = 8.5
"""The guidance of a model that takes it as an input, where none is given: what the authors' pipeline has."""


class Prompt(nn.Module):
    """The network's inputs other than latent and timestep, the same for all images.

    With guidance by two runs of the network (Ho, Salimans 2022, arXiv 2207.12598) there are two rows, the negative
    prompt's first; otherwise one.

    Attributes:
        rows: 1 or 2.
        guidance: its scale.
    """

    def __init__(self, guidance: float, inputs: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.guidance, self.names = guidance, tuple(inputs)
        self.rows = len(inputs["encoder_hidden_states"])
        for name, value in inputs.items():
            self.register_buffer(name, value.detach().clone())

    def inputs(self, batch: int) -> dict[str, Any]:
        """Return the network's keyword arguments for `batch` images, those of each row together."""
        told: dict[str, Any] = {}
        for name in self.names:
            value: Tensor = getattr(self, name)
            told[name] = value[:, None].expand(-1, batch, *value.shape[1:]).flatten(0, 1)
        added = {name: told.pop(name) for name in ("text_embeds", "time_ids") if name in told}
        return told | ({"added_cond_kwargs": added} if added else {})

    def guided(self, output: Tensor) -> Tensor:
        """Return the network's output ``(batch, ...)`` from that of all rows ``(rows batch, ...)``."""
        if self.rows == 1:
            return output
        without, with_prompt = output.chunk(2)
        return without + self.guidance * (with_prompt - without)


def encoded(
    folder: Path,
    index: Mapping[str, Any],
    unet: Any,
    resolution: tuple[int, int],
    prompt: str,
    negative: str | None,
    guidance: float | None,
) -> Prompt:
    """Return the `Prompt` of the pipeline in `folder`, described by `index`, for its network `unet`.

    Raises:
        FileError: text encoder or tokenizer are missing, damaged or unsupported.
        OptionError: a prompt is longer than the model reads; `negative` is given and there is no guidance.
    """
    width = unet.config.time_cond_proj_dim
    scale = (0.0 if width is None else EMBEDDED) if guidance is None else guidance
    twice = scale > 1 and width is None
    if negative is not None and not twice:
        raise OptionError(
            "negative must be left out: it has an effect with guidance above 1 alone, in a model that is not given "
            f"guidance as an input; guidance is {scale:g}"
        )
    pipeline = _pipeline(folder, index)
    for text in (prompt, negative or ""):
        _check_length(pipeline, text)
    with torch.inference_mode(False), torch.no_grad():
        parts = pipeline.encode_prompt(
            prompt=prompt,
            device=torch.device("cpu"),
            num_images_per_prompt=1,
            do_classifier_free_guidance=twice,
            negative_prompt=negative,
        )
    inputs = {"encoder_hidden_states": _stacked(parts[0], parts[1] if twice else None)}
    if len(parts) == 4:
        inputs["text_embeds"] = _stacked(parts[2], parts[3] if twice else None)
        height, wide = resolution
        # Original size, crop, target size: those of the image itself (Podell et al. 2023, arXiv 2307.01952, 2.2).
        sizes = torch.tensor([[height, wide, 0, 0, height, wide]], dtype=torch.float32)
        inputs["time_ids"] = sizes.expand(2 if twice else 1, -1)
    if width is not None:
        inputs["timestep_cond"] = pipeline.get_guidance_scale_embedding(torch.tensor([scale - 1]), embedding_dim=width)
    return Prompt(scale, inputs)


def _pipeline(folder: Path, index: Mapping[str, Any]) -> Any:
    """Return the pipeline with what encodes text, and nothing else."""
    import diffusers

    name = index["_class_name"]
    two = name == "StableDiffusionXLPipeline"
    parts: dict[str, Any] = {"vae": None, "unet": None, "scheduler": None}
    for end in ("", "_2") if two else ("",):
        told = index.get(f"text_encoder{end}")
        if not (isinstance(told, list) and len(told) == 2 and isinstance(told[1], str)):
            raise FileError(f"{folder} has no text_encoder{end}, which reads the prompt: copy the whole folder")
        parts[f"text_encoder{end}"] = text_encoder(folder / f"text_encoder{end}", told[1])
        parts[f"tokenizer{end}"] = tokenizer(folder / f"tokenizer{end}")
    kind = getattr(diffusers, name)
    if two:
        empty = bool(index.get("force_zeros_for_empty_prompt", True))
        return kind(**parts, force_zeros_for_empty_prompt=empty, add_watermarker=False)
    return kind(**parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False)


def _check_length(pipeline: Any, text: str) -> None:
    read = pipeline.tokenizer
    tokens, most = len(read(text).input_ids), read.model_max_length
    if tokens > most:
        raise OptionError(f"a prompt must have at most {most - 2} tokens, this one has {tokens - 2}: {text[:60]}…")


def _stacked(prompt: Tensor, negative: Tensor | None) -> Tensor:
    return prompt if negative is None else torch.cat([negative, prompt])
