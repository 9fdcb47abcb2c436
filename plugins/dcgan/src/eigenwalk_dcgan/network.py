"""The network that a layout, its sizes and the choices that tensors do not show describe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from eigenwalk.errors import FileError, OptionError
from eigenwalk_dcgan.fold import folded
from eigenwalk_dcgan.geometry import CONVOLUTIONS, Geometry
from eigenwalk_dcgan.layout import Layer, Layout

ACTIVATIONS = ("relu", "leaky", "elu", "silu", "gelu", "selu", "tanh", "sigmoid", "softplus")
LARGE = 0.1
"""An eps beyond this is a slip, ``BatchNorm2d(128, 0.8)``, of a code that very many copied; its first norm lacks it."""
ORDERS = ("norm-activation", "activation-norm")


@dataclass(frozen=True)
class Choices:
    """What tensors do not show.

    Attributes:
        activation: one of `ACTIVATIONS`.
        slope: of a leaky one, below zero.
        order: of the norm and the activation behind a convolution, where names do not tell.
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

    @property
    def words(self) -> str:
        """The activation for people."""
        return f"leaky ReLU, slope {self.slope:g}" if self.activation == "leaky" else self.activation


class Transposed(nn.ConvTranspose2d):
    """A transposed convolution that makes the image exactly `scale` times larger, or k x k from 1 x 1.

    A kernel that is too wide by an even number of pixels is padded on both sides alike. By an odd number, torch's
    idiom pads one more and adds a row below (``output_padding=1``); Keras's ``same`` cuts the larger half off below.
    """

    def __init__(self, layer: Layer, scale: int, padding: str, bias: bool):
        excess = 0 if scale == 0 else layer.kernel - scale
        below = max(-excess, 0)
        pad, self.cut = max(excess, 0) // 2, 0
        if excess > 0 and excess % 2:
            if padding == "torch" and scale > 1:
                pad, below = pad + 1, 1
            else:
                self.cut = 1
        super().__init__(layer.inputs, layer.outputs, layer.kernel, max(scale, 1), pad, below, bias=bias)

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """`x`, larger."""
        x = super().forward(x)
        return x[..., : -self.cut, : -self.cut] if self.cut else x


class Decoder(nn.Module):
    """The layers in order, up to the numbers that become pixels ``(batch, 3 or 1, height, width)``.

    A latent that is narrower than the first layer is followed by the one-hot `label`.
    """

    one_hot: Tensor

    def __init__(self, steps: list[nn.Module], one_hot: Tensor, spatial: bool):
        super().__init__()
        self.steps = nn.Sequential(*steps)
        self.spatial = spatial
        self.register_buffer("one_hot", one_hot)

    def forward(self, z: Tensor) -> Tensor:
        """Numbers before the output's own activation."""
        return self.steps(self.entered(z))

    def entered(self, z: Tensor) -> Tensor:
        """What the first layer is given."""
        if len(self.one_hot):
            z = torch.cat([z, self.one_hot.to(z.dtype).expand(len(z), -1)], 1)
        return z[:, :, None, None] if self.spatial else z

    def normed(self, z: Tensor) -> Iterator[tuple[nn.Module, Tensor]]:
        """Every batch norm with what it is given."""
        x = self.entered(z)
        for step in self.steps:
            if isinstance(step, (nn.BatchNorm1d, nn.BatchNorm2d)):
                yield step, x
            x = step(x)


def decoder(layout: Layout, sizes: Geometry, choices: Choices, state: Mapping[str, Tensor], one_hot: Tensor) -> Decoder:
    """The network with its tensors, float32, in eval mode, frozen.

    Raises:
        OptionError: what a norm is must be said.
        FileError: a tensor is NaN or infinite.
    """
    steps = list(_steps(layout, sizes, choices, state))
    return Decoder(steps, one_hot, layout.layers[0].kind == "deconv").eval().requires_grad_(False)


def _steps(layout: Layout, sizes: Geometry, choices: Choices, state: Mapping[str, Tensor]) -> Iterator[nn.Module]:
    layers, scales = layout.layers, iter(sizes.scales)
    scale = dict.fromkeys(range(len(layers)), 0)
    scale |= {i: next(scales) for i, layer in enumerate(layers) if i and layer.kind in CONVOLUTIONS}
    flat, activated = layers[0].kind == "linear", False
    for i, layer in enumerate(layers):
        following = layers[i + 1] if i + 1 < len(layers) else None
        if layer.kind in CONVOLUTIONS and flat:
            yield nn.Unflatten(1, (layer.inputs, *sizes.start))
            flat = False
        if layer.kind == "norm" and flat and not _wide(layers, i):
            yield nn.Unflatten(1, (layer.inputs, *sizes.start))
            flat = False
        if layer.kind == "conv" and not layer.shuffled and scale[i] > 1:
            yield _upsampling(scale[i], choices.upsample)
        own = choices
        if layer.kind == "norm" and layers[i - 1].kind == "linear" and choices.eps > LARGE:
            own = replace(choices, eps=1e-5)
        yield _filled(_module(layer, scale[i], sizes.padding, own, flat), layer, state)
        if layer.shuffled:
            yield nn.PixelShuffle(2)
        if layer.kind not in ("norm", "prelu"):
            activated = False
        between = 0 if following is None else int(_grows(following, scale[i + 1])) + int(layer.shuffled)
        if following is not None and _acts(layer, following, layers[i - 1], between, activated, choices):
            yield activation(choices)
            activated = True


def _wide(layers: tuple[Layer, ...], at: int) -> bool:
    """Whether the norm at `at` belongs to a linear layer's numbers, before they become channels."""
    following = next(layer for layer in layers[at:] if layer.kind not in ("norm", "prelu"))
    return following.kind == "linear" or following.inputs != layers[at].outputs


def _grows(layer: Layer, scale: int) -> bool:
    return layer.kind == "conv" and not layer.shuffled and scale > 1


def _acts(layer: Layer, following: Layer, before: Layer, between: int, activated: bool, choices: Choices) -> bool:
    """Whether an activation stands between two layers: as the gap in their numbers tells, else by convention."""
    if following.kind == "prelu" or layer.kind == "prelu":
        return False
    if layer.gap is not None:
        return layer.gap - between >= 1
    if layer.kind == "norm":
        return not activated and (choices.order == ORDERS[0] or before.gap is not None)
    if following.kind == "norm":
        return choices.order == ORDERS[1]
    return choices.after_linear if layer.kind == "linear" else True


def _module(layer: Layer, scale: int, padding: str, choices: Choices, flat: bool) -> nn.Module:
    bias = "bias" in layer.module.parts
    if layer.kind == "linear":
        return nn.Linear(layer.inputs, layer.outputs, bias)
    if layer.kind == "prelu":
        return nn.PReLU(layer.module.weight[0])
    if layer.kind == "norm":
        return _norm(layer, choices, flat)
    if layer.kind == "deconv":
        return Transposed(layer, scale, padding, bias)
    if layer.kernel % 2 == 0:
        raise OptionError(
            f"{layer.module.name} is a convolution with a kernel of {layer.kernel}, whose padding is not known here: "
            "only odd kernels keep an image's size; write a function that builds the network instead"
        )
    return nn.Conv2d(layer.inputs, layer.outputs, layer.kernel, 1, layer.kernel // 2, bias=bias)


def _norm(layer: Layer, choices: Choices, flat: bool) -> nn.Module:
    parts, size = layer.module.parts, layer.outputs
    if "running_mean" in parts:
        return (nn.BatchNorm1d if flat else nn.BatchNorm2d)(size, choices.eps, affine="weight" in parts)
    if choices.norm == "instance" and not flat:
        return nn.InstanceNorm2d(size, choices.eps, affine=True)
    if choices.norm == "group" and choices.groups and size % choices.groups == 0:
        return nn.GroupNorm(choices.groups, size, choices.eps)
    raise OptionError(
        f"norm must be given: {layer.module.name} has {size} weights and no running statistics; write "
        "norm=instance, or "
        f"norm=group with groups=…, a divisor of {size} (1 for a layer norm)"
    )


def _upsampling(scale: int, mode: str) -> nn.Module:
    return nn.Upsample(scale_factor=scale, mode=mode, align_corners=False if mode == "bilinear" else None)


def _filled(made: nn.Module, layer: Layer, state: Mapping[str, Tensor]) -> nn.Module:
    """`made` with the tensors of its layer, weights folded."""
    tensors = folded(layer, state)
    for name, tensor in tensors.items():
        if not bool(tensor.isfinite().all()):
            raise FileError(
                f"{layer.module.name}.{name} holds NaN or infinity: the network was saved after it diverged"
            )
    made.load_state_dict(tensors, strict=False)
    return made.float()


def activation(choices: Choices) -> nn.Module:
    """The activation between layers."""
    made = {
        "relu": nn.ReLU, "elu": nn.ELU, "silu": nn.SiLU, "gelu": nn.GELU, "selu": nn.SELU, "tanh": nn.Tanh,
        "sigmoid": nn.Sigmoid, "softplus": nn.Softplus,
    }  # fmt: skip
    return nn.LeakyReLU(choices.slope) if choices.activation == "leaky" else made[choices.activation]()


def pixels(numbers: Tensor, output: str) -> Tensor:
    """Images ``(batch, 3, height, width)`` in [0, 1] of the last layer's numbers, grey ones threefold."""
    if output == "tanh":
        numbers = (torch.tanh(numbers) + 1) / 2
    elif output == "sigmoid":
        numbers = torch.sigmoid(numbers)
    elif output == "symmetric":
        numbers = (numbers + 1) / 2
    return numbers if numbers.shape[1] == 3 else numbers.expand(-1, 3, -1, -1)
