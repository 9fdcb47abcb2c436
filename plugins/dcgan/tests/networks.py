"""Networks as people write them, trained for no time, with norms that have seen their inputs."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Conv, Up, Norm = nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d
Act = Callable[[], nn.Module]


def block(inputs: int, outputs: int, kernel: int, *sizes: int, act: Act = nn.ReLU) -> list[nn.Module]:
    """A transposed convolution, its norm and its activation; `sizes` are stride, padding and output padding."""
    return [Up(inputs, outputs, kernel, *sizes, bias=False), Norm(outputs), act()]


def stack(*kernels: tuple[int, ...], end: int = 3, first: int = 4, act: Act = nn.ReLU) -> nn.Module:
    """From a latent of 12: transposed convolutions of `kernels`, each (kernel, stride, padding, output padding)."""
    widths = [16 - 4 * i for i in range(len(kernels))]
    layers = block(12, 16, first, act=act)
    for before, after, sizes in zip(widths, widths[1:], kernels, strict=False):
        layers += block(before, after, *sizes, act=act)
    return nn.Sequential(nn.Unflatten(1, (12, 1, 1)), nn.Sequential(*layers, Up(widths[-1], end, *kernels[-1])))


def projected(*layers: nn.Module, channels: int = 16, side: int = 4, latent: int = 12, act: Act = nn.ReLU) -> nn.Module:
    """A linear layer with an activation, a view as channels, and `layers`."""
    start = nn.Sequential(nn.Linear(latent, channels * side**2), act())
    return nn.Sequential(start, nn.Unflatten(1, (channels, side, side)), nn.Sequential(*layers))


class Upsampled(nn.Module):
    """Linear, then upsampling and convolution, batch norm with a large eps, leaky ReLU."""

    def __init__(self, side: int = 8, mode: str = "nearest") -> None:
        super().__init__()
        self.side, double, leaky = side, nn.Upsample(scale_factor=2, mode=mode), nn.LeakyReLU(0.2)
        self.l1 = nn.Sequential(nn.Linear(10, 16 * side**2))
        self.conv_blocks = nn.Sequential(
            Norm(16), double, Conv(16, 16, 3, 1, 1), Norm(16, 0.8), leaky, double, Conv(16, 8, 3, 1, 1), Norm(8, 0.8),
            leaky, Conv(8, 3, 3, 1, 1),
        )  # fmt: skip

    def forward(self, z: Tensor) -> Tensor:
        return self.conv_blocks(self.l1(z).view(-1, 16, self.side, self.side))


class Named(nn.Module):
    """Layers by name, activation before norm or after."""

    def __init__(self, activation: nn.Module, before: bool) -> None:
        super().__init__()
        self.activation, self.before = activation, before
        self.project = nn.Linear(12, 16 * 4 * 4)
        self.up1, self.norm1 = Up(16, 12, 4, 2, 1), Norm(12)
        self.up2, self.norm2 = Up(12, 12, 4, 2, 1), Norm(12)
        self.up3 = Up(12, 3, 4, 2, 1)

    def forward(self, z: Tensor) -> Tensor:
        x = self.activation(self.project(z)).view(-1, 16, 4, 4)
        for up, norm in ((self.up1, self.norm1), (self.up2, self.norm2)):
            x = norm(self.activation(up(x))) if self.before else self.activation(norm(up(x)))
        return self.up3(x)


class Autoencoder(nn.Module):
    """A variational autoencoder whose decoder's first and last layers stand beside it; one kernel is square."""

    def __init__(self, norms: bool = True) -> None:
        super().__init__()

        def act(channels: int) -> list[nn.Module]:
            return [*([Norm(channels)] if norms else []), nn.LeakyReLU()]

        self.encoder = nn.Sequential(Conv(3, 8, 3, 2, 1), *act(8), Conv(8, 16, 3, 2, 1), *act(16))
        self.fc_mu, self.fc_var = nn.Linear(16 * 64, 10), nn.Linear(16 * 64, 10)
        self.decoder_input = nn.Linear(10, 32 * 16)
        self.decoder = nn.Sequential(
            nn.Sequential(Up(32, 24, 3, 2, 1, 1), *act(24)), nn.Sequential(Up(24, 16, 3, 2, 1, 1), *act(16))
        )
        self.final_layer = nn.Sequential(Up(16, 16, 3, 2, 1, 1), *act(16), Conv(16, 3, 3, 1, 1))

    def forward(self, z: Tensor) -> Tensor:
        return self.final_layer(self.decoder(self.decoder_input(z).view(-1, 32, 4, 4)))


def classes() -> nn.Module:
    """A latent of 6 followed by a one-hot of 3; no norms; grey images."""
    return nn.Sequential(
        nn.Linear(9, 32), nn.ReLU(), nn.Unflatten(1, (8, 2, 2)), Up(8, 8, 4, 2, 1), nn.ReLU(), Up(8, 1, 2, 2)
    )


def leaky(slope: float) -> Act:
    """Makes leaky ReLUs."""
    return lambda: nn.LeakyReLU(slope)


TWO = (4, 2, 1)
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "main": lambda: stack(TWO, TWO),
    "upsampled": Upsampled,
    "upsampled-28": lambda: Upsampled(7),
    "bilinear": lambda: Upsampled(4, "bilinear"),
    "relu-after": lambda: Named(nn.ReLU(), False),
    "relu-before": lambda: Named(nn.ReLU(), True),
    "elu-before": lambda: Named(nn.ELU(), True),
    "leaky": lambda: stack(TWO, TWO, TWO, act=leaky(0.2)),
    "leaky-0.1": lambda: stack(TWO, TWO, TWO, act=leaky(0.1)),
    "silu": lambda: stack(TWO, TWO, TWO, act=nn.SiLU),
    "gelu": lambda: stack(TWO, TWO, TWO, act=nn.GELU),
    "tanh": lambda: Named(nn.Tanh(), False),
    "no-output-padding": lambda: stack((3, 2, 1), TWO, TWO, end=1),
    "cropped": lambda: stack(TWO, TWO, TWO, (1, 1, 2), end=1),
    "cropped-4": lambda: stack(TWO, TWO, (4, 2, 3), end=1),
    "no-padding": lambda: stack((4, 1), (3, 2), (4, 2), end=1, first=3),
    "fives": lambda: stack((5, 2, 2, 1), (5, 2, 2, 1), (5, 2, 2, 1)),
    "sixes": lambda: stack((6, 2, 2), (6, 2, 2), (6, 2, 2)),
    "pointwise": lambda: nn.Sequential(
        nn.Unflatten(1, (12, 1, 1)),
        nn.Sequential(*block(12, 16, 1), *block(16, 12, 7), *block(12, 8, *TWO), Up(8, 1, *TWO)),
    ),
    "from-48": lambda: projected(*block(16, 12, *TWO), *block(12, 8, *TWO), Up(8, 3, *TWO), side=6),
    "to-rgb": lambda: projected(*block(16, 12, *TWO), *block(12, 8, *TWO), Conv(8, 3, 3, 1, 1)),
    "alternating": lambda: projected(
        *block(16, 12, *TWO), Conv(12, 12, 3, 1, 1), Norm(12), nn.ReLU(), *block(12, 8, *TWO), Conv(8, 3, 3, 1, 1)
    ),
    "shuffled": lambda: projected(
        Norm(16), nn.ReLU(), Conv(16, 48, 3, 1, 1), nn.PixelShuffle(2), Norm(12), nn.ReLU(), Conv(12, 12, 3, 1, 1),
        nn.PixelShuffle(2),
    ),
    "valid": lambda: nn.Sequential(
        nn.Sequential(nn.Linear(12, 64)), nn.Unflatten(1, (64, 1, 1)),
        nn.Sequential(
            Up(64, 16, 5, 2), nn.ReLU(), Up(16, 12, 5, 2), nn.ReLU(), Up(12, 8, 6, 2), nn.ReLU(), Up(8, 3, 6, 2)
        ),
    ),
    "autoencoder": Autoencoder,
    "autoencoder-bare": lambda: Autoencoder(norms=False),
    "classes": classes,
}  # fmt: skip


def network(name: str) -> nn.Module:
    """The network, its weights random and of ordinary size, its norms with the statistics of their inputs."""
    return copy.deepcopy(_settled(name))


@functools.cache
def _settled(name: str) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        net = NETWORKS[name]()
        settle(net, latent_dim(net))
    return net


def latent_dim(net: nn.Module) -> int:
    """How many numbers the network takes."""
    if isinstance(net, Autoencoder):
        return net.decoder_input.in_features
    first = next(one for one in net.modules() if isinstance(one, (nn.Linear, Up)))
    return first.in_features if isinstance(first, nn.Linear) else first.in_channels


def settle(net: nn.Module, width: int, classes: int = 0) -> None:
    """Give norms the statistics of what they get from normal latents, with one-hots behind them."""
    for module in net.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.normal_(module.weight, 1, 0.2)
            nn.init.normal_(module.bias, 0, 0.2)
            module.momentum = None  # the mean over all batches
    net.train()
    with torch.no_grad():
        for _ in range(60):
            z = torch.randn(64, width - classes)
            net(torch.cat([z, F.one_hot(torch.randint(classes, (64,)), classes)], 1) if classes else z)
    net.eval().requires_grad_(False)


def write(name: str, folder: Path, wrap: Callable[[dict[str, Tensor]], object] = dict) -> Path:
    """The file of the network's state dict in `folder`."""
    path = folder / f"{name}.pt"
    torch.save(wrap(network(name).state_dict()), path)
    return path
