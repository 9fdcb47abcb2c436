"""Build a network from layers, their sizes, and the choices that tensors do not show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from eigenwalk.errors import FileError, OptionError
from eigenwalk_dcgan.fold import fold
from eigenwalk_dcgan.geometry import Sizing
from eigenwalk_dcgan.layout import Layer, Layout

ACTIVATIONS = {
    "relu": nn.ReLU, "leaky": nn.LeakyReLU, "elu": nn.ELU, "silu": nn.SiLU, "gelu": nn.GELU, "selu": nn.SELU,
    "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "softplus": nn.Softplus,
}  # fmt: skip
LARGE = 0.1
"""An eps beyond this is a slip, ``BatchNorm2d(128, 0.8)``, of a code that very many copied; its first norm lacks it."""
ORDERS = ("norm-activation", "activation-norm")


@dataclass(frozen=True)
class Choices:
    """What tensors do not show.

    Attributes:
        activation: one of `ACTIVATIONS`.
        slope: of a leaky one, below zero.
        order: of the norm and the activation behind a convolution, if names do not show it.
        after_linear: whether an activation stands behind a linear layer that has no norm.
        eps: what a norm adds to the variance.
        latent: ``normal`` or ``uniform`` in [-1, 1].
        norm: what a norm without running statistics is: ``group`` or ``instance``.
        groups: of a group norm.
        upsample: ``nearest`` or ``bilinear``.
    """

    activation: str = "relu"
    slope: float = 0.2
    order: str = ORDERS[0]
    after_linear: bool = True
    eps: float = 1e-5
    latent: str = "normal"
    norm: str | None = None
    groups: int | None = None
    upsample: str = "nearest"

    def __str__(self) -> str:
        return f"leaky ReLU, slope {self.slope:g}" if self.activation == "leaky" else self.activation


class Transposed(nn.ConvTranspose2d):
    """A transposed convolution whose image is `sizing.excess` rows and columns smaller than without padding.

    An even number is cut off on both sides alike. Of an odd one, torch's idiom pads one more and adds a row below
    (``output_padding=1``); Keras's ``same`` cuts the larger half off below.
    """

    def __init__(self, layer: Layer, sizing: Sizing, padding: str, bias: bool):
        excess, below = max(sizing.excess, 0), max(-sizing.excess, 0)
        pad, self.cut = excess // 2, 0
        if excess % 2 and padding == "torch" and sizing.stride > 1:
            pad, below = pad + 1, 1
        elif excess % 2:
            self.cut = 1
        super().__init__(layer.inputs, layer.outputs, layer.kernel, sizing.stride, pad, below, bias=bias)

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """`x`, larger."""
        x = super().forward(x)
        return x[..., : -self.cut, : -self.cut] if self.cut else x


class Decoder(nn.Module):
    """The layers in order, up to the numbers that become pixels ``(batch, 3 or 1, height, width)``.

    A latent that is narrower than the first layer is followed by the one-hot `label`.
    """

    one_hot: Tensor

    def __init__(self, steps: Sequence[nn.Module], one_hot: Tensor, spatial: bool):
        super().__init__()
        self.steps = nn.Sequential(*steps)
        self.spatial = spatial
        self.register_buffer("one_hot", one_hot)
        self.eval().requires_grad_(False)

    def forward(self, z: Tensor) -> Tensor:
        """Return the output before its activation."""
        if len(self.one_hot):
            z = torch.cat([z, self.one_hot.to(z.dtype).expand(len(z), -1)], 1)
        return self.steps(z[:, :, None, None] if self.spatial else z)


class Blueprint:
    """Layers with their tensors, of which modules are made under any choices and sizes.

    Raises:
        FileError: a tensor is NaN or infinite, or one that weights are folded with is missing.
    """

    def __init__(self, layout: Layout, start: tuple[int, int], padding: str, state: Mapping[str, Tensor]):
        self.layers, self.start, self.padding, self.state = layout.layers, start, padding, state
        self.spatial = self.layers[0].kind == "deconv"
        self.tensors = [fold(layer, state) for layer in self.layers]
        for layer, tensors in zip(self.layers, self.tensors, strict=True):
            broken = next((name for name, tensor in tensors.items() if not bool(tensor.isfinite().all())), None)
            if broken:
                raise FileError(
                    f"{layer.module.name}.{broken} holds NaN or infinity: the network was saved after it diverged"
                )

    def decoder(self, choices: Choices, sizings: Mapping[int, Sizing], one_hot: Tensor) -> Decoder:
        """Return the network, float32, in eval mode, frozen; `sizings` has the convolutions by their index."""
        steps = [module for i in range(len(self.layers)) for module in self.modules(i, choices, sizings)]
        return Decoder(steps, one_hot, self.spatial)

    def modules(self, at: int, choices: Choices, sizings: Mapping[int, Sizing]) -> list[nn.Module]:
        """Return the modules between layer ``at - 1`` and layer `at`, and layer `at` itself.

        Raises:
            OptionError: the kind of a norm must be given.
        """
        layer, sizing, modules = self.layers[at], sizings.get(at), []
        if self.is_activated(at, choices, sizings):
            slope = (choices.slope,) if choices.activation == "leaky" else ()
            modules.append(ACTIVATIONS[choices.activation](*slope))
        if at == self._unflattened:
            modules.append(nn.Unflatten(1, (layer.inputs, *self.start)))
        if sizing and sizing.upsamples and not layer.shuffled:
            corners = False if choices.upsample == "bilinear" else None
            modules.append(nn.Upsample(scale_factor=sizing.stride, mode=choices.upsample, align_corners=corners))
        tensors = self.tensors[at]
        if sizing and sizing.kind != layer.kind:
            tensors = fold(replace(layer, kind=sizing.kind), self.state)
        with torch.device("meta"):  # neither memory nor random numbers for weights that are replaced
            module = self._module(at, choices, sizing or Sizing(layer.kind, 1, 0))
        counted = {"num_batches_tracked": torch.tensor(0)} if "running_mean" in tensors else {}
        module.load_state_dict(tensors | counted, strict=False, assign=True)
        modules.append(module)
        if layer.shuffled:
            modules.append(nn.PixelShuffle(2))
        return [one.eval().requires_grad_(False) for one in modules]

    @property
    def _unflattened(self) -> int | None:
        """The index of the layer before which a linear layer's numbers become channels."""
        if self.spatial:
            return None
        first = next(i for i, layer in enumerate(self.layers) if layer.is_convolution)
        while self.layers[first - 1].kind != "linear" and self.layers[first - 1].outputs == self.layers[first].inputs:
            first -= 1
        return first

    def is_activated(self, at: int, choices: Choices, sizings: Mapping[int, Sizing]) -> bool:
        """Whether an activation stands before layer `at`: as the gap in the numbers shows, else by convention."""
        if at == 0 or "prelu" in (self.layers[at - 1].kind, self.layers[at].kind):
            return False
        before, layer = self.layers[at - 1], self.layers[at]
        if before.gap is not None:
            upsampled = at in sizings and sizings[at].upsamples and not layer.shuffled
            return before.gap - upsampled - before.shuffled >= 1
        if before.kind == "norm":
            known = at > 1 and self.layers[at - 2].gap is not None
            return not self.is_activated(at - 1, choices, sizings) and (choices.order == ORDERS[0] or known)
        if layer.kind == "norm":
            return choices.order == ORDERS[1]
        return choices.after_linear if before.kind == "linear" else True

    def _module(self, at: int, choices: Choices, sizing: Sizing) -> nn.Module:
        layer = self.layers[at]
        bias = "bias" in layer.module.parts
        if layer.kind == "linear":
            return nn.Linear(layer.inputs, layer.outputs, bias)
        if layer.kind == "prelu":
            return nn.PReLU(layer.module.weight[0])
        if layer.kind == "norm":
            return self._norm(at, choices)
        if sizing.kind == "deconv":
            return Transposed(layer, sizing, self.padding, bias)
        pad = (layer.kernel - 1 - sizing.excess) // 2
        return nn.Conv2d(layer.inputs, layer.outputs, layer.kernel, 1, pad, bias=bias)

    def _norm(self, at: int, choices: Choices) -> nn.Module:
        layer, flat = self.layers[at], self._unflattened is not None and at < self._unflattened
        parts, size, eps = layer.module.parts, layer.outputs, choices.eps
        if self.layers[at - 1].kind == "linear" and eps > LARGE:
            eps = 1e-5
        if "running_mean" in parts:
            return (nn.BatchNorm1d if flat else nn.BatchNorm2d)(size, eps, affine="weight" in parts)
        if choices.norm == "instance" and not flat:
            return nn.InstanceNorm2d(size, eps, affine=True)
        if choices.norm == "group" and choices.groups and size % choices.groups == 0:
            return nn.GroupNorm(choices.groups, size, eps)
        raise OptionError(
            f"norm must be given: {layer.module.name} has {size} weights and no running statistics; write "
            f"norm=instance, or norm=group with groups=…, a divisor of {size} (1 for a layer norm)"
        )


def pixels(numbers: Tensor, output: str) -> Tensor:
    """Return images ``(batch, 3, height, width)`` in [0, 1] of the last layer's numbers, grey ones threefold."""
    if output == "tanh":
        numbers = (torch.tanh(numbers) + 1) / 2
    elif output == "sigmoid":
        numbers = torch.sigmoid(numbers)
    elif output == "symmetric":
        numbers = (numbers + 1) / 2
    return numbers if numbers.shape[1] == 3 else numbers.expand(-1, 3, -1, -1)
