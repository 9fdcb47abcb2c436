"""The decoder of a JointVAE trained on CelebA photographs as a generator, without any packaging.

    eigenwalk walk "docs/examples/faces_vae.py:build(weights='faces_vae.pt')" --vary fourier.low

The weights are those of github.com/Schlumberger/joint-vae (MIT): a latent N(0, 1) of 32 with a one-hot of
10 behind it, images 64 x 64 in [0, 1]. The one-hot is an option here, so that the walk's latent is flat.
"""

import torch
from torch import nn

from eigenwalk.generator import FunctionGenerator


class FacesVAE(nn.Module):
    """Two linear layers and four doublings; `kind` fills the one-hot."""

    one_hot: torch.Tensor

    def __init__(self, state: dict[str, torch.Tensor], kind: int):
        super().__init__()
        self.latent_to_features = nn.Sequential(nn.Linear(42, 256), nn.ReLU(), nn.Linear(256, 1024), nn.ReLU())
        layers: list[nn.Module] = []
        convolutions = sorted(int(k.split(".")[1]) for k in state if k.startswith("features_to_img") and "weight" in k)
        for n, i in enumerate(convolutions):
            channels_in, channels_out = state[f"features_to_img.{i}.weight"].shape[:2]
            last = n == len(convolutions) - 1
            layers += [nn.ConvTranspose2d(channels_in, channels_out, 4, 2, 1), nn.Sigmoid() if last else nn.ReLU()]
        self.features_to_img = nn.Sequential(*layers)
        wanted = {k: v for k, v in state.items() if k.startswith(("latent_to_features", "features_to_img"))}
        self.load_state_dict(wanted)
        one_hot = torch.nn.functional.one_hot(torch.tensor([kind]), 10).float()
        self.register_buffer("one_hot", one_hot)

    def forward(self, z):
        one_hot = self.one_hot.to(z.dtype).expand(z.shape[0], -1)
        return self.features_to_img(self.latent_to_features(torch.cat([z, one_hot], 1)).view(-1, 64, 4, 4))


def build(weights: str, kind: int = 0):
    """The generator with the given state dict and one of its ten kinds."""
    state = torch.load(weights, map_location="cpu", weights_only=True)
    return FunctionGenerator(FacesVAE(state, kind), latent_dim=32, resolution=(64, 64))
