"""MediaPipe's face mesh: 468 points on a face, by a network of 0.6 million parameters."""

from __future__ import annotations

import os

import torch
from torch import Tensor

from eigenwalk.errors import FileError
from eigenwalk.feature import move_like, promote_half
from eigenwalk.shapes import Images
from eigenwalk_face.crop import Crop
from eigenwalk_face.tflite import load
from eigenwalk_face.turned import TurnedCrop

COUNT = 468
MARGIN = 1.5
"""Side of the square that the network sees, over the larger side of the face: MediaPipe's own."""
OUTER_CORNERS = (33, 263)
"""Points of the eyes that MediaPipe takes a face's tilt from."""


class Mesh:
    """The network in the .tflite file at `path`.

    Raises:
        FileError: as `tflite.load`; or it is another network.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.network = load(path)
        side, other = self.network.size
        found = [tuple(one.shape) for one in self.network(torch.zeros(1, 3, side, other))]
        if side != other or found != [(1, 3 * COUNT, 1, 1), (1, 1, 1, 1)]:
            raise FileError(
                f"{path} is no face mesh: it takes {side} x {other} pixels and gives {found}, where a square, "
                f"{COUNT} points and whether there is a face were expected"
            )
        self.size = side

    def crop(self, faces: Tensor, images: Images) -> TurnedCrop:
        """The crops of `images` that the mesh of `faces`, boxes ``(batch, 4)`` in pixels, is read in.

        As MediaPipe follows a face in a film: a first mesh, read in an upright square around the box, says where the
        face is exactly and how it is tilted.
        """
        middle, side = (faces[:, :2] + faces[:, 2:]) / 2, MARGIN * (faces[:, 2:] - faces[:, :2]).amax(1)
        half = side[:, None] / 2
        first = Crop(torch.cat([middle - half, middle + half], 1), images, self.size)
        points = first.outward(self.points(first(images))).double()
        low, high = points.amin(1), points.amax(1)
        across = points[:, OUTER_CORNERS[1]] - points[:, OUTER_CORNERS[0]]
        side = MARGIN * (high - low).amax(1)
        return TurnedCrop((low + high) / 2, side, torch.atan2(across[:, 1], across[:, 0]), images, self.size)

    def points(self, crops: Images) -> Tensor:
        """The points (x, y) ``(batch, 468, 2)``, in shares of `crops` ``(batch, 3, size, size)``."""
        return self._outputs(crops)[0].reshape(-1, COUNT, 3)[..., :2] / self.size

    def absent(self, crops: Images) -> tuple[int, ...]:
        """The rows of `crops` that the network takes for no face: it says of each how likely there is one."""
        return tuple((self._outputs(crops)[1].flatten() < 0).nonzero().flatten().tolist())

    def _outputs(self, crops: Images) -> tuple[Tensor, Tensor]:
        """Points (x, y, z) in pixels of the crop, and the logit of a face's being there."""
        exact = promote_half(crops)
        points, present = move_like(self.network, exact)(exact)
        return points, present
