"""A small DCGAN of anime faces as a generator, without any packaging.

    eigenwalk walk "docs/examples/anime_dcgan.py:build(weights='anime_dcgan.safetensors')" --vary fourier.low

The weights are those of github.com/darthdaenerys/Anime-Face-Generation (MIT), laid out for torch: latents
N(0, 1) of 128, images 64 x 64 in [0, 1].
"""

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from eigenwalk.generator import FunctionGenerator


class AnimeDCGAN(torch.nn.Module):
    """Linear, four doublings, and a transposed convolution to RGB."""

    def __init__(self, state: dict[str, torch.Tensor]):
        super().__init__()
        width, latent_dim = state["project.weight"].shape
        self.project = torch.nn.Linear(latent_dim, width)
        widths = [128]
        for i in range(4):
            weight = state[f"up{i + 1}.weight"]
            bias = f"up{i + 1}.bias" in state
            self.add_module(
                f"up{i + 1}", torch.nn.ConvTranspose2d(weight.shape[0], weight.shape[1], 4, 2, 1, bias=bias)
            )
            self.add_module(f"norm{i + 1}", torch.nn.BatchNorm2d(weight.shape[1], eps=1e-3))
            widths.append(weight.shape[1])
        self.rgb = torch.nn.ConvTranspose2d(widths[-1], 3, 4, 1, 0, bias="rgb.bias" in state)
        missing, unexpected = self.load_state_dict(state, strict=False)
        if unexpected or any(not key.endswith("num_batches_tracked") for key in missing):
            raise ValueError(f"the weights do not fit: missing {missing}, unexpected {unexpected}")

    def forward(self, z):
        x = self.project(z).view(-1, 128, 4, 4)
        for i in range(4):
            x = getattr(self, f"norm{i + 1}")(F.relu(getattr(self, f"up{i + 1}")(x)))
        return torch.sigmoid(self.rgb(x)[:, :, 1:-2, 1:-2])


def build(weights: str):
    """The generator with the given safetensors file."""
    return FunctionGenerator(AnimeDCGAN(load_file(weights)), latent_dim=128, resolution=(64, 64))
