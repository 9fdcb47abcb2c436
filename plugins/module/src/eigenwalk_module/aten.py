"""The operations of ATen that a network from a file may use.

The list is closed. It holds what networks that make images are built of: arithmetic, shapes, norms, convolutions,
resampling, attention, Fourier transforms. What is not on it is refused: operations that open files or put another
storage under a tensor, sparse and quantised tensors, sizes that depend on numbers, and internal operations that trust
their arguments. Where exporters write such an internal operation, the public one, which checks, is carried out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from eigenwalk_module.opened import Refusal

ARITHMETIC = """
__and__ __or__ __xor__ _prelu_kernel abs absolute acos acosh add addcdiv addcmul angle asin asinh atan atan2 atanh
bitwise_and bitwise_not bitwise_or bitwise_xor ceil celu clamp clamp_max clamp_min clip complex conj copysign cos cosh
deg2rad div divide elu eq erf erfc erfinv exp exp2 expm1 fix float_power floor floor_divide fmax fmin fmod frac ge
gelu glu greater greater_equal gt hardshrink hardsigmoid hardswish hardtanh heaviside hypot imag isclose isfinite
isinf isnan isneginf isposinf le leaky_relu lerp less less_equal log log10 log1p log2 log_sigmoid logaddexp
logical_and logical_not logical_or logical_xor logit lt masked_fill maximum minimum mish mul multiply nan_to_num ne
neg negative not_equal polar pow prelu rad2deg real reciprocal relu relu6 remainder resolve_conj round rsqrt rsub selu
sgn sigmoid sign signbit silu sin sinc sinh softplus softshrink special_expit special_expm1 special_log1p special_sinc
sqrt square sub subtract tan tanh threshold true_divide trunc view_as_complex view_as_real where xlogy
"""
REDUCTIONS = """
all amax amin aminmax any argmax argmin argsort cosine_similarity count_nonzero cummax cummin cumprod cumsum
frobenius_norm linalg_norm linalg_vector_norm log_softmax logcumsumexp logsumexp max mean median min nansum norm
norm_except_dim prod softmax sort std std_mean sum topk var var_mean
"""
SHAPES = """
_conj _conj_physical _shape_as_tensor _to_copy _unsafe_index _unsafe_view alias as_strided atleast_1d atleast_2d
atleast_3d broadcast_tensors broadcast_to cat channel_shuffle chunk clone column_stack concat concatenate contiguous
copy copy_ detach detach_copy diag diag_embed diagonal dstack embedding expand expand_as expand_copy flatten flip
fliplr flipud gather hsplit hstack index index_add index_copy index_fill index_put index_select lift_fresh
lift_fresh_copy mH mT masked_fill meshgrid moveaxis movedim narrow numpy_T one_hot permute permute_copy pixel_shuffle
pixel_unshuffle ravel repeat reshape reshape_as roll rot90 row_stack scatter scatter_add select select_scatter slice
slice_scatter split split_with_sizes squeeze stack swapaxes swapdims t take_along_dim tensor_split tile to transpose
tril tril_indices triu triu_indices type_as unbind unflatten unfold unsafe_chunk unsafe_split unsafe_split_with_sizes
unsqueeze unsqueeze_copy view view_as view_copy vsplit vstack
"""
NEW = """
arange eye fill full full_like linspace logspace new_full new_ones new_zeros ones ones_like scalar_tensor zero zeros
zeros_like sym_numel sym_size
"""
PRODUCTS = """
addbmm addmm addmv addr baddbmm bilinear bmm chain_matmul cross dot einsum ger inner inverse linalg_cross linalg_inv
linalg_matmul linalg_multi_dot linear matmul mm mv outer scaled_dot_product_attention tensordot
"""
IMAGES = """
_adaptive_avg_pool2d _convolution _convolution_mode _pad_circular _pad_enum _upsample_bicubic2d_aa
_upsample_bilinear2d_aa _upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d
adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool2d affine_grid_generator avg_pool1d
avg_pool2d avg_pool3d batch_norm col2im constant_pad_nd conv1d conv2d conv3d conv_transpose1d conv_transpose2d
conv_transpose3d convolution grid_sampler grid_sampler_2d group_norm im2col instance_norm layer_norm max_pool1d
max_pool2d max_pool2d_with_indices max_pool3d pad reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d
replication_pad2d replication_pad3d rms_norm upsample_bicubic2d upsample_bilinear2d upsample_linear1d
upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_trilinear3d
"""
FOURIER = """
fft_fft fft_fft2 fft_fftfreq fft_fftn fft_fftshift fft_hfft fft_ifft fft_ifft2 fft_ifftn fft_ifftshift fft_ihfft
fft_irfft fft_irfft2 fft_irfftn fft_rfft fft_rfft2 fft_rfftfreq fft_rfftn
"""
ALLOWED = frozenset(" ".join((ARITHMETIC, REDUCTIONS, SHAPES, NEW, PRODUCTS, IMAGES, FOURIER)).split())
RANDOM = frozenset({
    "bernoulli", "cauchy", "exponential", "geometric", "log_normal", "multinomial", "normal", "normal_functional",
    "poisson", "rand", "rand_like", "randint", "randint_like", "randn", "randn_like", "random", "randperm",
    "uniform",
})  # fmt: skip
CHECKS = frozenset({
    "_assert_async", "_assert_scalar", "_assert_tensor_metadata", "_functional_assert_async",
    "_functional_assert_scalar", "sym_constrain_range", "sym_constrain_range_for_size", "warn",
})  # fmt: skip
"""Operations that only check what the exporter assumed, or warn: they are left out."""
OTHER_OVERLOADS = frozenset({"out", "dimname", "generator", "names", "grad_input"})
"""Words of overloads that write into a given tensor, name axes, or draw random numbers."""


def lookup(name: str, overload: str | None = None) -> Callable[..., Any]:
    """Return the function for ATen's operation `name`: one overload, or a packet that chooses by its arguments.

    Raises:
        Refusal: it is not on the list, draws random numbers, or torch has no such overload.
    """
    plain = name if name in ALLOWED or name.endswith("__") else name.removesuffix("_")
    if plain in REPLACED:
        return REPLACED[plain]
    if plain in RANDOM:
        raise Refusal(f"aten::{name} draws random numbers: export it with noise as an input, or as a constant")
    if plain not in ALLOWED or (overload and OTHER_OVERLOADS & set(overload.lower().split("_"))):
        shown = f"{name}.{overload}" if overload not in (None, "default") else name
        raise Refusal(f"it uses aten::{shown[:80]}, which is not on the list of operations that are carried out")
    packet = getattr(torch.ops.aten, name, None)
    found = packet if overload is None else getattr(packet, overload, None)
    if found is None:
        raise Refusal(f"it uses aten::{name} ({overload or 'any'}), which torch {torch.__version__} does not have")
    return found


def check_eval(name: str, training: Any) -> None:
    """Raise Refusal if `training` is true, except for norms that know no other mode."""
    if training and name not in ("instance_norm", "_native_batch_norm_legit"):
        raise Refusal(f"aten::{name} is in training mode: export the network after .eval()")


def _unchanged(name: str) -> Callable[..., Tensor]:
    """Return a dropout in eval mode, which returns its input."""

    def dropout(x: Tensor, p: float = 0.5, train: bool = True) -> Tensor:
        check_eval(name, train)
        return x

    return dropout


def _rrelu(
    x: Tensor, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, generator: None = None
) -> Tensor:
    check_eval("rrelu", training)
    return functional.leaky_relu(x, (lower + upper) / 2)


def _zeros(name: str) -> Callable[..., Tensor]:
    """Return an operation that gives zeros in place of an uninitialised tensor."""

    def empty(*given: Any, **named: Any) -> Tensor:
        return getattr(torch.ops.aten, name)(*given, **named).zero_()

    return empty


def _repeat_interleave(x: Tensor, repeats: Any, dim: int | None = None, **other: Any) -> Tensor:
    if not isinstance(repeats, int):
        raise Refusal("it uses aten::repeat_interleave with repeats that are a tensor: sizes must be numbers")
    return x.repeat_interleave(repeats, dim)


def _batch_norm(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, mean: Tensor, var: Tensor, momentum: float, eps: float
) -> tuple[Tensor, None, None]:
    return functional.batch_norm(x, mean, var, weight, bias, False, momentum, eps), None, None


def _batch_statistics(x: Tensor, weight: Tensor | None, bias: Tensor | None, *given: Any) -> tuple[Tensor, None, None]:
    """Normalise by the statistics of the images themselves, as an instance norm does."""
    if len(given) > 3:  # with running statistics
        mean, var, training, momentum, eps = given
        check_eval("batch_norm", training)
        return _batch_norm(x, weight, bias, mean, var, momentum, eps)
    eps = list(given)[-1]
    return functional.batch_norm(x, None, None, weight, bias, True, 0.0, eps), None, None


def _layer_norm(
    x: Tensor, shape: list[int], weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, None, None]:
    return functional.layer_norm(x, shape, weight, bias, eps), None, None


def _group_norm(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, n: int, c: int, hw: int, groups: int, eps: float
) -> tuple[Tensor, None, None]:
    return functional.group_norm(x, groups, weight, bias, eps), None, None


def _weight_norm(v: Tensor, g: Tensor, dim: int = 0) -> Tensor:
    """Return g v / |v| (Salimans, Kingma 2016, arXiv 1602.07868, equation 2); the norm is over all axes but `dim`."""
    return v * (g / torch.norm_except_dim(v, 2, dim))


def _fourier(x: Tensor, dim: list[int], normalization: int, onesided: bool) -> Tensor:
    norm = ("backward", "ortho", "forward")[normalization]
    return torch.fft.rfftn(x, dim=dim, norm=norm) if onesided else torch.fft.fftn(x, dim=dim, norm=norm)


def _complex_fourier(x: Tensor, dim: list[int], normalization: int, forward: bool) -> Tensor:
    if forward:
        return torch.fft.fftn(x, dim=dim, norm=("backward", "ortho", "forward")[normalization])
    return torch.fft.ifftn(x, dim=dim, norm=("forward", "ortho", "backward")[normalization])


def _real_fourier(x: Tensor, dim: list[int], normalization: int, last: int) -> Tensor:
    sizes = [*(x.shape[one] for one in dim[:-1]), last]
    return torch.fft.irfftn(x, sizes, dim, norm=("forward", "ortho", "backward")[normalization])


def _attention(
    q: Tensor, k: Tensor, v: Tensor, dropout: float = 0.0, causal: bool = False, *given: Any, **named: Any
) -> tuple[Any, ...]:
    mask = named.get("attn_mask")
    return functional.scaled_dot_product_attention(q, k, v, mask, 0.0, causal, scale=named.get("scale")), *[None] * 8


def _masked_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    sums: bool,
    dropout: float = 0.0,
    causal: bool = False,
    **n: Any,
) -> tuple[Any, ...]:
    return _attention(q, k, v, dropout, causal, attn_mask=mask, **n)


def _multi_head_attention(
    query: Tensor, key: Tensor, value: Tensor, width: int, heads: int, weight: Tensor, bias: Tensor, out: Tensor,
    out_bias: Tensor, mask: Tensor | None = None, need_weights: bool = True, average: bool = True, kind: Any = None,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """Compute what torch.nn.MultiheadAttention traces to in eval mode, batch first."""
    if mask is not None:
        raise Refusal("it uses attention with a mask in the fused form: trace it with autograd switched on")
    parts = zip((query, key, value), weight.chunk(3), bias.chunk(3), strict=True)
    q, k, v = (functional.linear(*part).unflatten(-1, (heads, -1)).transpose(1, 2) for part in parts)
    weights = ((q * (width // heads) ** -0.5) @ k.transpose(-1, -2)).softmax(-1)
    result = functional.linear((weights @ v).transpose(1, 2).flatten(2), out, out_bias)
    return result, (weights.mean(1) if average else weights) if need_weights else None


def _log_or_softmax(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda x, dim, half_to_float: function(x, dim)


REPLACED: dict[str, Callable[..., Any]] = {
    **{name: _unchanged(name) for name in ("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout")},
    **{name: _zeros(name) for name in ("empty", "empty_like", "empty_strided", "empty_permuted", "new_empty")},
    "native_dropout": lambda x, p, train: (_unchanged("native_dropout")(x, p, train), None),
    "rrelu": _rrelu,
    "repeat_interleave": _repeat_interleave,
    "_softmax": _log_or_softmax(torch.softmax),
    "_log_softmax": _log_or_softmax(torch.log_softmax),
    "_native_batch_norm_legit_no_training": _batch_norm,
    "_native_batch_norm_legit": _batch_statistics,
    "native_layer_norm": _layer_norm,
    "native_group_norm": _group_norm,
    "_fused_rms_norm": lambda x, shape, weight, eps: (functional.rms_norm(x, shape, weight, eps), None),
    "_weight_norm": _weight_norm,
    "_weight_norm_interface": lambda v, g, dim=0: (_weight_norm(v, g, dim), None),
    "_fft_r2c": _fourier,
    "_fft_c2c": _complex_fourier,
    "_fft_c2r": _real_fourier,
    "_scaled_dot_product_flash_attention": _attention,
    "_scaled_dot_product_flash_attention_for_cpu": _attention,
    "_scaled_dot_product_efficient_attention": _masked_attention,
    "_native_multi_head_attention": _multi_head_attention,
}
"""Public functions, which check their arguments, in place of operations that do not, or that are not wanted as such."""
