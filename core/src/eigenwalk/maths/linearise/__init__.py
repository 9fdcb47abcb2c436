"""The features of a generator's images near some latents: values, pushforward, pullback.

The only package that differentiates. With `G` the generator and `f_i` the features, a `Point` at latents `z`
holds the images `G(z)`, every feature as it stands near them, and its values, and gives

    push(V)     J_i V           for tangents V at each latent: through the generator once for all features, then
                                through each feature
    pull(u)     Σ_i J_iᵀ u_i    for cotangents u_i of the values: the image-space cotangents of all features are
                                added before the single pass back through `G`

    calls       of generators and features, checked
    derivative  J t of one function
    convolution makes the pushforward of convolutions cheap
    attention   makes fused attention differentiable
    blocks      recording by blocks, if a whole pass does not fit into memory
    precision   the generator's derivatives in bfloat16 or float16
    tracker     counts the memory that it takes
"""

from __future__ import annotations

from eigenwalk.maths.linearise.derivative import UNABLE
from eigenwalk.maths.linearise.point import Linearisation, Meter, Named, Point, Record, Tracked

__all__ = ["UNABLE", "Linearisation", "Meter", "Named", "Point", "Record", "Tracked"]
