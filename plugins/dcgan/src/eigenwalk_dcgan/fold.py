"""Prepare a layer's tensors for its module, with spectral norm and weight norm folded into the weight."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from eigenwalk.errors import FileError
from eigenwalk_dcgan.layout import Layer

KEPT = ("weight", "bias", "running_mean", "running_var")


def fold(layer: Layer, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weight, bias and running statistics of `layer`, float32.

    Spectral norm (Miyato et al. 2018, arXiv 1802.05957): W / σ with σ = uᵀ W v and the vectors that the file keeps; the
    matrix has a row for each output. Weight norm (Salimans and Kingma 2016, arXiv 1602.07868): g w / |w|.

    Raises:
        FileError: one of the vectors is missing.
    """
    before = f"{layer.module.name}." if layer.module.name else ""
    own = {part: state[f"{before}{part}"].detach().float() for part in layer.module.parts if "num_" not in part}
    found = {name: own[name] for name in KEPT if name in own}
    try:
        if "weight_orig" in own:
            found["weight"] = _spectral(own["weight_orig"], own["weight_u"], own["weight_v"], layer.kind)
        elif "parametrizations.weight.original" in own:
            u, v = own["parametrizations.weight.0._u"], own["parametrizations.weight.0._v"]
            found["weight"] = _spectral(own["parametrizations.weight.original"], u, v, layer.kind)
        elif "weight_g" in own or "weight_v" in own:
            found["weight"] = _normed(own["weight_g"], own["weight_v"])
        elif "parametrizations.weight.original1" in own:
            found["weight"] = _normed(
                own["parametrizations.weight.original0"], own["parametrizations.weight.original1"]
            )
    except KeyError as error:
        raise FileError(f"{layer.module.name} was trained under spectral or weight norm and lacks {error}") from None
    return found


def _spectral(weight: Tensor, u: Tensor, v: Tensor, kind: str) -> Tensor:
    matrix = (weight.transpose(0, 1) if kind == "deconv" else weight).flatten(1)
    return weight / torch.dot(u, matrix @ v)


def _normed(g: Tensor, v: Tensor) -> Tensor:
    axes = [axis for axis in range(v.ndim) if g.shape[axis] == 1]
    return g * v / torch.linalg.vector_norm(v, dim=axes, keepdim=True)
