"""Attention written out in operations that have every derivative.

The fused kernels behind `scaled_dot_product_attention` have no forward mode and no second gradient on most backends,
and diffusers' own plain form rounds to float32 in the middle, float64 too.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class PlainAttention:
    """softmax(q kᵀ / √d) v, with the softmax in float32 at least (Vaswani et al. 2017, arXiv 1706.03762, equation 1).

    What stands around it (norms, projections, the residual) is what `diffusers` computes in its `AttnProcessor`.
    """

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        """The layer's output, shaped as `hidden_states`: (batch, channels, height, width) or (batch, n, channels).

        Raises:
            ValueError: there is a mask, which none of the supported models uses.
        """
        if attention_mask is not None:
            raise ValueError("attention masks are not supported")
        x = hidden_states if attn.spatial_norm is None else attn.spatial_norm(hidden_states, temb)
        x = x.flatten(2).transpose(1, 2) if x.ndim == 4 else x
        if attn.group_norm is not None:
            x = attn.group_norm(x.transpose(1, 2)).transpose(1, 2)
        context = x if encoder_hidden_states is None else encoder_hidden_states
        if encoder_hidden_states is not None and attn.norm_cross:
            context = attn.norm_encoder_hidden_states(context)
        q, k, v = (self.headed(y, attn.heads) for y in (attn.to_q(x), attn.to_k(context), attn.to_v(context)))
        y = self.mixed(q, k, v, attn.scale, attn.upcast_attention).transpose(1, 2).flatten(2)
        y = attn.to_out[1](attn.to_out[0](y))
        if hidden_states.ndim == 4:
            y = y.transpose(1, 2).reshape(hidden_states.shape)
        return (y + hidden_states if attn.residual_connection else y) / attn.rescale_output_factor

    @staticmethod
    def headed(x: Tensor, heads: int) -> Tensor:
        """`x` (batch, n, heads d) as (batch, heads, n, d)."""
        return x.unflatten(-1, (heads, -1)).transpose(1, 2)

    @staticmethod
    def mixed(q: Tensor, k: Tensor, v: Tensor, scale: float, upcast: bool) -> Tensor:
        """softmax(scale q kᵀ) v; with `upcast` the product is in float32 at least, where float16 would overflow."""
        wide = torch.promote_types(q.dtype, torch.float32)
        if upcast:
            q, k = q.to(wide), k.to(wide)
        return ((scale * q) @ k.transpose(-1, -2)).softmax(-1, dtype=wide).to(v.dtype) @ v


def made_plain(network: nn.Module) -> nn.Module:
    """`network`, every attention layer of which is a `PlainAttention`."""
    from diffusers.models.attention_processor import Attention

    for module in network.modules():
        if isinstance(module, Attention):
            module.set_processor(PlainAttention())  # pyright: ignore[reportArgumentType]
    return network
