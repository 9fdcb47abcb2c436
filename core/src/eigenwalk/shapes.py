"""Axis names and tensor aliases, for signatures.

batch     images or latents side by side
latent    coordinates of one latent, flat
height, width
k         directions, or basis vectors, at one latent
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

Images = Float[Tensor, "batch 3 height width"]
"""RGB, nominally in [0, 1], never clipped."""
Latents = Float[Tensor, "batch latent"]
Values = Float[Tensor, "batch ..."]
"""A feature's values, one row an image."""
Distances = Float[Tensor, " batch"]
"""One distance an image, in the feature's own unit."""
Basis = Float[Tensor, "batch k latent"]
"""k vectors at each latent."""
