"""Folders as diffusers saves them, of models with some ten thousand random parameters: no weights of anybody's."""

# pyright: reportPrivateImportUsage=false
# (diffusers imports its names when they are first used.)

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import diffusers
import torch
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

TOKENS, WIDTH = 16, 8
"""Tokens that a prompt may have, the first and the last mark among them, and channels of a text's embedding."""
TURBO = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "timestep_spacing": "trailing"}
"""What sd-turbo's scheduler is configured with."""


def tokenizer(folder: Path) -> CLIPTokenizer:
    """A tokenizer of letters, in the files of published folders."""
    folder.mkdir(parents=True)
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    words = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    marks = {"bos_token": words[-2], "eos_token": words[-1], "unk_token": words[-1], "pad_token": words[-1]}
    config = {"tokenizer_class": "CLIPTokenizer", "model_max_length": TOKENS, **marks}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return CLIPTokenizer.from_pretrained(folder)


def text_encoder(projected: bool = False, seed: int = 1) -> Any:
    torch.manual_seed(seed)
    config = CLIPTextConfig(
        vocab_size=54,
        hidden_size=WIDTH,
        intermediate_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        max_position_embeddings=TOKENS,
        projection_dim=WIDTH,
        bos_token_id=52,
        eos_token_id=53,
        pad_token_id=53,
    )
    return (CLIPTextModelWithProjection if projected else CLIPTextModel)(config).eval()


def lively(model: Any) -> Any:
    """`model` with larger weights, so that images have contrast and attention is not uniform."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                parameter.mul_(1.5 if "norm" not in name else 1)
    return model.eval()


def kl(seed: int = 2, **options: Any) -> diffusers.AutoencoderKL:
    torch.manual_seed(seed)
    settings: dict[str, Any] = {
        "down_block_types": ("DownEncoderBlock2D",) * 2,
        "up_block_types": ("UpDecoderBlock2D",) * 2,
        "block_out_channels": (8, 8),
        "norm_num_groups": 4,
        "latent_channels": 4,
        "sample_size": 8,
    }
    return lively(diffusers.AutoencoderKL(**(settings | options)))


def small(seed: int = 3, **options: Any) -> diffusers.AutoencoderTiny:
    torch.manual_seed(seed)
    settings: dict[str, Any] = {
        "encoder_block_out_channels": (8, 8),
        "decoder_block_out_channels": (8, 8),
        "num_encoder_blocks": (1, 1),
        "num_decoder_blocks": (1, 1),
    }
    model = diffusers.AutoencoderTiny(**(settings | options))
    torch.nn.init.constant_(model.decoder.layers[-1].bias, 0.5)  # pyright: ignore
    return lively(model)


def vq(seed: int = 4, **options: Any) -> diffusers.VQModel:
    torch.manual_seed(seed)
    settings: dict[str, Any] = {
        "down_block_types": ("DownEncoderBlock2D",) * 2,
        "up_block_types": ("UpDecoderBlock2D",) * 2,
        "block_out_channels": (8, 8),
        "norm_num_groups": 4,
        "num_vq_embeddings": 16,
        "sample_size": 8,
    }
    return lively(diffusers.VQModel(**(settings | options)))


def unet(seed: int = 5, **options: Any) -> diffusers.UNet2DConditionModel:
    torch.manual_seed(seed)
    settings: dict[str, Any] = {
        "block_out_channels": (8, 16),
        "layers_per_block": 1,
        "sample_size": 4,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "cross_attention_dim": WIDTH,
        "attention_head_dim": 2,
        "norm_num_groups": 4,
    }
    return lively(diffusers.UNet2DConditionModel(**(settings | options)))


def pixels(classes: int | None = None, seed: int = 6, **options: Any) -> diffusers.UNet2DModel:
    torch.manual_seed(seed)
    settings: dict[str, Any] = {
        "sample_size": 8,
        "block_out_channels": (8, 16),
        "layers_per_block": 1,
        "down_block_types": ("ResnetDownsampleBlock2D", "AttnDownBlock2D"),
        "up_block_types": ("AttnUpBlock2D", "ResnetUpsampleBlock2D"),
        "attention_head_dim": 4,
        "norm_num_groups": 4,
        "resnet_time_scale_shift": "scale_shift",
        "num_class_embeds": classes,
    }
    return lively(diffusers.UNet2DModel(**(settings | options)))


def consistency(folder: Path, classes: int | None = None) -> Any:
    """A consistency model in pixels, saved in `folder`."""
    scheduler = diffusers.CMStochasticIterativeScheduler(num_train_timesteps=40)
    pipeline = diffusers.ConsistencyModelPipeline(pixels(classes), scheduler)  # pyright: ignore
    return saved(pipeline, folder)


def turbo(folder: Path, **parts: Any) -> Any:
    """A pipeline like sd-turbo's, saved in `folder`; `parts` take the place of its own."""
    return saved(diffusers.StableDiffusionPipeline(**_one(folder, **parts)), folder)


def latent_consistency(folder: Path, **parts: Any) -> Any:
    """A latent consistency model, which takes guidance as an input."""
    own: dict[str, Any] = {
        "unet": unet(time_cond_proj_dim=6),
        "scheduler": diffusers.LCMScheduler(beta_schedule="scaled_linear", original_inference_steps=50),
    }
    return saved(diffusers.LatentConsistencyModelPipeline(**_one(folder, **(own | parts))), folder)


def turbo_xl(folder: Path, **parts: Any) -> Any:
    """A pipeline like sdxl-turbo's, with two text encoders."""
    times = {"addition_embed_type": "text_time", "addition_time_embed_dim": 4}
    both = {"cross_attention_dim": 2 * WIDTH, "projection_class_embeddings_input_dim": 6 * 4 + WIDTH}
    own: dict[str, Any] = {
        "vae": kl(),
        "unet": unet(**times, **both),
        "scheduler": diffusers.EulerAncestralDiscreteScheduler(**TURBO),
        "text_encoder": text_encoder(),
        "text_encoder_2": text_encoder(projected=True, seed=7),
        "tokenizer": tokenizer(folder / "tokenizer"),
        "tokenizer_2": tokenizer(folder / "tokenizer_2"),
    }
    return saved(diffusers.StableDiffusionXLPipeline(**(own | parts), add_watermarker=False), folder)


def saved(model: Any, folder: Path) -> Any:
    """`model`, saved in `folder`."""
    model.save_pretrained(folder)
    if hasattr(model, "set_progress_bar_config"):
        model.set_progress_bar_config(disable=True)
    return model


def _one(folder: Path, **parts: Any) -> dict[str, Any]:
    own: dict[str, Any] = {
        "vae": kl(),
        "unet": unet(),
        "scheduler": diffusers.EulerDiscreteScheduler(**TURBO),
        "text_encoder": text_encoder(),
        "tokenizer": tokenizer(folder / "tokenizer"),
        "safety_checker": None,
        "feature_extractor": None,
        "requires_safety_checker": False,
    }
    return own | parts
