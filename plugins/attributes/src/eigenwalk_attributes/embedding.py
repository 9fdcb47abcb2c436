"""What a backbone computes inside, as a feature: `embedding(vit_small_patch16_224.dino)`."""

from __future__ import annotations

import difflib
import math
from typing import Any

import torch
from torch import Tensor, nn

from eigenwalk.errors import OptionError
from eigenwalk.feature import Feature, move_like
from eigenwalk.shapes import Distances, Images, Values
from eigenwalk_attributes.network import backbone
from eigenwalk_attributes.preprocessing import Preprocessing


class _Reached(Exception):
    """Ends a forward pass once the layer has answered."""

    def __init__(self, value: Any) -> None:
        self.value = value


class Embedding(Feature):
    """Features of a backbone: pooled to unit vectors ``(batch, channels)``, or with ``pool="none"`` the map itself.

    The distance of vectors is the cosine distance ``1 - a·b``, that of maps the RMS of their difference.
    """

    def __init__(
        self, model: nn.Module, preprocessing: Preprocessing, layer: str | None = None, pool: str | None = None
    ) -> None:
        if pool is not None and layer is None:
            raise OptionError(
                "embedding takes pool with layer alone: without a layer the network pools as its head does"
            )
        self.model, self.preprocessing, self.layer = model, preprocessing, layer
        self.pool = "mean" if layer is not None and pool is None else pool
        self.pooled = self.pool != "none"
        self.unit = "cosine distance" if self.pooled else "RMS value"
        self._module = None if layer is None else _module(model, layer)

    def __call__(self, images: Images) -> Values:
        """The values of images ``(batch, 3, height, width)``."""
        model, prepared = move_like(self.model, images), self.preprocessing(images)
        output = model(prepared) if self._module is None else _output_of(self._module, model, prepared)
        if not isinstance(output, Tensor) or output.ndim < 2 or len(output) != len(images):
            got = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise OptionError(f"layer {self.layer!r} gives {got}, where one tensor a batch was expected: name another")
        if not self.pooled:
            return output
        vectors = self._pool(output)
        return vectors / vectors.norm(dim=1, keepdim=True).clamp(min=torch.finfo(vectors.dtype).tiny ** 0.5)

    def distance(self, a: Values, b: Values) -> Distances:
        """``1 - a·b``, as ``|a - b|² / 2``, which is exact near 0; of maps, the RMS of ``a - b``."""
        return (a - b).square().sum(1) / 2 if self.pooled else super().distance(a, b)

    def radius(self, distance: float, values: Values) -> Distances:
        """The length of a cosine distance t between unit vectors: √(2t)."""
        if not self.pooled:
            return super().radius(distance, values)
        return values.new_full((len(values),), math.sqrt(2 * distance))

    def _pool(self, output: Tensor) -> Tensor:
        """Pool a layer's output (vectors, tokens, or a map of either layout) to vectors ``(batch, channels)``."""
        prefix = int(getattr(self.model, "num_prefix_tokens", 0))
        if self.pool == "token":
            if output.ndim != 3 or prefix == 0:
                raise OptionError(
                    f"pool=token takes the class token; layer {self.layer!r}, {tuple(output.shape[1:])}, has none: "
                    "write pool=mean"
                )
            return output[:, 0]
        if output.ndim == 3:  # tokens, of which the prefix is no place in the image
            return output[:, prefix:].mean(1)
        if output.ndim == 4:
            return output.mean((1, 2) if getattr(self.model, "output_fmt", "NCHW") == "NHWC" else (2, 3))
        return output.flatten(1)


def embedding(
    model: str,
    weights: str | None = None,
    layer: str | None = None,
    pool: str | None = None,
    size: int | None = None,
) -> Embedding:
    """Open a backbone of timm, with a file of weights or the published ones in the store.

    Raises:
        OptionError: timm has no such network, or the network no such layer.
        FileError, WeightsError: the weights are not there, damaged, or another network's.
    """
    network = backbone(model, weights, size, f"embedding({model})")
    entries = {} if size is None else {"input_size": (3, size, size)}
    return Embedding(network, Preprocessing.of(network, entries), layer, pool)


def _output_of(module: nn.Module, model: nn.Module, prepared: Tensor) -> Any:
    """Run `model` on `prepared` images as far as `module`, and return what that gives."""

    def reached(module: nn.Module, inputs: Any, output: Any) -> None:
        raise _Reached(output)

    hook = module.register_forward_hook(reached)
    try:
        model(prepared)
    except _Reached as answer:
        return answer.value
    finally:
        hook.remove()
    raise OptionError(
        f"the layer, a {type(module).__name__}, takes no part in the network's forward pass: name another"
    )


def _module(model: nn.Module, layer: str) -> nn.Module:
    known = dict(model.named_modules())
    if layer and layer in known:
        return known[layer]
    near = difflib.get_close_matches(layer, known, 4, 0.4)
    meant = f"nearest are {', '.join(near)}; " if near else ""
    outer = ", ".join(name for name, _ in model.named_children())
    raise OptionError(f"{type(model).__name__} has no layer {layer!r}: {meant}its parts are {outer}")
