"""Check what a folder's JSON files pass to a constructor: listed entries, plain and bounded. No torch here.

A library hands on whatever stands in a configuration: ``quantization_config`` and ``attn_implementation`` choose code,
``vocab_file`` opens another file, and 100,000 blocks are built before any weight is read.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from eigenwalk.errors import FileError

MODELS = """
act_fn add_attention addition_embed_type addition_embed_type_num_heads addition_time_embed_dim attention_head_dim
attention_type attn_norm_num_groups block_out_channels center_input_sample class_embed_type class_embeddings_concat
conv_in_kernel conv_out_kernel cross_attention_dim cross_attention_norm decoder_block_out_channels down_block_types
downsample_padding downsample_type dropout dual_cross_attention encoder_block_out_channels encoder_hid_dim
encoder_hid_dim_type flip_sin_to_cos force_upcast freq_shift in_channels latent_channels latent_magnitude latent_shift
latents_mean latents_std layers_per_block lookup_from_codebook mid_block_add_attention mid_block_only_cross_attention
mid_block_scale_factor mid_block_type norm_eps norm_num_groups norm_type num_attention_heads num_class_embeds
num_decoder_blocks num_encoder_blocks num_train_timesteps num_vq_embeddings only_cross_attention out_channels
projection_class_embeddings_input_dim resnet_out_scale_factor resnet_skip_time_act resnet_time_scale_shift
reverse_transformer_layers_per_block sample_size scaling_factor shift_factor time_cond_proj_dim time_embedding_act_fn
time_embedding_dim time_embedding_type timestep_post_act transformer_layers_per_block up_block_types upcast_attention
upsample_fn upsample_type upsampling_scaling_factor use_linear_projection use_post_quant_conv use_quant_conv
vq_embed_dim
"""
SCHEDULERS = """
algorithm_type beta_end beta_schedule beta_start clip_denoised clip_sample clip_sample_range disable_corrector
dynamic_thresholding_ratio eta euler_at_final final_sigmas_type flow_shift interpolation_type invert_sigmas
lambda_min_clipped lower_order_final num_train_timesteps original_inference_steps predict_x0 prediction_type
rescale_betas_zero_snr rho s_noise sample_max_value set_alpha_to_one shift sigma_data sigma_max sigma_min
sigma_schedule skip_prk_steps solver_order solver_type steps_offset stochastic_sampling thresholding
timestep_scaling timestep_spacing timestep_type trained_betas use_beta_sigmas use_dynamic_shifting
use_exponential_sigmas use_flow_sigmas use_karras_sigmas use_lu_lambdas variance_type
"""
TEXT_ENCODERS = """
attention_dropout bos_token_id eos_token_id hidden_act hidden_size initializer_factor initializer_range
intermediate_size layer_norm_eps max_position_embeddings num_attention_heads num_hidden_layers pad_token_id
projection_dim vocab_size
"""
BOOKKEEPING = """
architectures chunk_size_feed_forward dtype id2label is_encoder_decoder label2id output_hidden_states problem_type
return_dict transformers_version
"""
"""Entries that say nothing about the network: left out."""
COUNTS = """
layers_per_block num_decoder_blocks num_encoder_blocks num_hidden_layers solver_order transformer_layers_per_block
reverse_transformer_layers_per_block
"""
"""Entries that say how many layers there are."""
LAYERS, BLOCKS = 100, 16
SIDE = 4096
"""Pixels, or numbers of a latent, of an image's side."""
LARGEST = 1 << 20
"""Of whole numbers, such as channels or words of a vocabulary."""
LONGEST = 10_000
"""Numbers in a row, which are noise levels or a latent's mean; characters of a word."""


def arguments(function: Any, config: Mapping[str, Any], listed: str, what: object) -> dict[str, Any]:
    """Return the entries of `config` that `function` takes, leaving out all others; `what` names the file.

    Raises:
        FileError: an entry that it takes is not among the words of `listed`, or is no plain value within bounds.
    """
    taken, names = inspect.signature(function).parameters, frozenset(listed.split())
    found = {}
    for key, value in config.items():
        if key not in taken or key in BOOKKEEPING.split() or value == taken[key].default:
            continue
        if key not in names:
            raise FileError(f"{what} has an entry {key}, which is not on the list of those that are passed on")
        _check(key, value, what)
        found[key] = tuple(value) if isinstance(value, list) and "trained" not in key else value
    return found


def _check(key: str, value: Any, what: object, depth: int = 0) -> None:
    counts = key in COUNTS.split()
    largest = LAYERS if counts else SIDE if key == "sample_size" else LARGEST
    most = BLOCKS if counts or "block" in key else LONGEST
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, list) and depth < 2:
            _check(key, one, what, depth + 1)
        elif one is not None and not isinstance(one, (str, int, float)):
            raise FileError(f"{what} has an entry {key} that is no plain value")
        elif isinstance(one, int) and abs(one) > largest:
            raise FileError(f"{what} has an entry {key} that is larger than {largest:,}")
        elif isinstance(one, str) and len(one) > LONGEST:
            raise FileError(f"{what} has an entry {key} of more than {LONGEST:,} characters")
    if isinstance(value, list) and len(value) > most:
        raise FileError(f"{what} has an entry {key} of more than {most:,} parts")
