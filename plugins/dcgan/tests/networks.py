"""Networks as people write them, trained for no time, with norms that have seen their inputs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn


def main() -> nn.Module:
    """The layers of the PyTorch tutorial, as ``main.0`` and so on, 4 x 4 to 16 x 16."""
    return nn.Sequential(
        nn.ConvTranspose2d(12, 16, 4, 1, 0, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        nn.ConvTranspose2d(16, 8, 4, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        nn.ConvTranspose2d(8, 3, 4, 2, 1, bias=False),
    )  # fmt: skip


class Upsampled(nn.Module):
    """Linear, then upsampling and convolution, batch norm with a large eps, leaky ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.l1 = nn.Sequential(nn.Linear(10, 16 * 8 * 8))
        self.conv_blocks = nn.Sequential(
            nn.BatchNorm2d(16), nn.Upsample(scale_factor=2), nn.Conv2d(16, 16, 3, 1, 1), nn.BatchNorm2d(16, 0.8),
            nn.LeakyReLU(0.2), nn.Upsample(scale_factor=2), nn.Conv2d(16, 8, 3, 1, 1), nn.BatchNorm2d(8, 0.8),
            nn.LeakyReLU(0.2), nn.Conv2d(8, 3, 3, 1, 1),
        )  # fmt: skip

    def forward(self, z: Tensor) -> Tensor:
        return self.conv_blocks(self.l1(z).view(-1, 16, 8, 8))


class Named(nn.Module):
    """Layers by name, activation before norm or after, a last layer that is named apart."""

    def __init__(self, activation: nn.Module, before: bool) -> None:
        super().__init__()
        self.activation, self.before = activation, before
        self.project = nn.Linear(9, 16 * 4 * 4)
        self.up1, self.norm1 = nn.ConvTranspose2d(16, 12, 4, 2, 1), nn.BatchNorm2d(12)
        self.up2, self.norm2 = nn.ConvTranspose2d(12, 12, 4, 2, 1), nn.BatchNorm2d(12)
        self.up3 = nn.ConvTranspose2d(12, 3, 4, 2, 1)

    def forward(self, z: Tensor) -> Tensor:
        x = self.activation(self.project(z)).view(-1, 16, 4, 4)
        for up, norm in ((self.up1, self.norm1), (self.up2, self.norm2)):
            x = norm(self.activation(up(x))) if self.before else self.activation(norm(up(x)))
        return self.up3(x)


def classes() -> nn.Module:
    """A latent of 6 followed by a one-hot of 3; no norms; grey images."""
    return nn.Sequential(
        nn.Linear(9, 32), nn.ReLU(), nn.Unflatten(1, (8, 2, 2)), nn.ConvTranspose2d(8, 8, 4, 2, 1), nn.ReLU(),
        nn.ConvTranspose2d(8, 1, 2, 2),
    )  # fmt: skip


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "main": (main, (12, 1, 1)),
    "upsampled": (Upsampled, (10,)),
    "relu-after": (lambda: Named(nn.ReLU(), False), (9,)),
    "relu-before": (lambda: Named(nn.ReLU(), True), (9,)),
    "leaky-after": (lambda: Named(nn.LeakyReLU(0.2), False), (9,)),
    "elu-before": (lambda: Named(nn.ELU(), True), (9,)),
    "tanh-after": (lambda: Named(nn.Tanh(), False), (9,)),
    "classes": (classes, (9,)),
}


def network(name: str) -> nn.Module:
    """The network, its weights random and of ordinary size, its norms with the statistics of their inputs."""
    made, shape = NETWORKS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        net = made()
        for module in net.modules():
            if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
                nn.init.normal_(module.weight, 1, 0.3)
                nn.init.normal_(module.bias, 0, 0.4)
                module.momentum = None  # the mean over all batches
        net.train()
        with torch.no_grad():
            for _ in range(8):
                net(torch.randn(64, *shape))
    return net.eval().requires_grad_(False)


def written(name: str, folder: Path, wrapped: Callable[[dict[str, Tensor]], object] = dict) -> Path:
    """The file of the network's state dict in `folder`."""
    path = folder / f"{name}.pt"
    torch.save(wrapped(network(name).state_dict()), path)
    return path


def shaped(name: str, latents: Tensor) -> Tensor:
    """`latents` ``(n, latent)`` as the network itself takes them."""
    return latents.view(len(latents), *NETWORKS[name][1])
