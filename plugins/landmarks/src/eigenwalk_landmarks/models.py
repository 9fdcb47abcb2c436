"""Networks that place landmarks in the crop of a face: MTCNN's last network, FAN, and MediaPipe's face mesh."""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from facenet_pytorch import ONet
from torch import Tensor

from eigenwalk.checkpoint import into, state_dict
from eigenwalk.errors import PluginError
from eigenwalk.shapes import Images
from eigenwalk_face import mesh
from eigenwalk_face.crop import Crop
from eigenwalk_face.parts import PARTS
from eigenwalk_face.turned import TurnedCrop


class Model(ABC):
    """A network that places `count` landmarks.

    Attributes:
        size: side of the crop that it takes, in pixels.
        groups: the indices of each named group of points; ``eyes`` lists one eye first, then the other.
        default: the groups that are taken where none is named.
    """

    size: int
    groups: Mapping[str, Sequence[int]]
    default: tuple[str, ...]
    count: int

    def __init__(self, network: torch.nn.Module):
        self.network = network.eval().requires_grad_(False)

    @abstractmethod
    def crop(self, faces: Tensor, images: Images) -> Crop | TurnedCrop:
        """The crops that it takes of `images`, for the boxes `faces` ``(batch, 4)`` in pixels."""

    def absent(self, crops: Images) -> tuple[int, ...]:
        """The rows of `crops` of which the network itself says that they show no face; most say nothing."""
        return ()

    def windows(self, crops: Images) -> Tensor | None:
        """Where in `crops` ``(batch, 3, size, size)`` points are searched from now on; None: anywhere."""
        return None

    @abstractmethod
    def points(self, crops: Images, windows: Tensor | None) -> Tensor:
        """The landmarks (x, y) ``(batch, count, 2)``, in shares of `crops` ``(batch, 3, size, size)``."""


class FivePoints(Model):
    """The eyes, the tip of the nose and the corners of the mouth, by MTCNN's last network, ONet.

    ONet gives the points as shares of a square of 48 x 48 pixels around the face, and is differentiated as it is. MTCNN
    feeds it the squares of the network before, which facenet-pytorch does not expose; here it gets the square about
    the final box.
    """

    size, count = 48, 5
    groups: Mapping[str, Sequence[int]] = {"eyes": range(2), "nose": range(2, 3), "mouth": range(3, 5)}
    default = tuple(groups)

    def __init__(self):
        with torch.random.fork_rng(devices=[]):  # the network draws the weights that its file replaces
            network = ONet()
        super().__init__(network)

    def crop(self, faces: Tensor, images: Images) -> Crop:
        """Squares about the boxes' middles with their longer sides, as MTCNN makes them."""
        middle, side = (faces[:, :2] + faces[:, 2:]) / 2, (faces[:, 2:] - faces[:, :2]).amax(1, keepdim=True)
        return Crop(torch.cat([middle - side / 2, middle + side / 2], 1), images, self.size)

    def points(self, crops: Images, windows: Tensor | None) -> Tensor:
        """The five points (x, y) ``(batch, 5, 2)``, in shares of `crops`."""
        points = self.network((crops * 255 - 127.5) / 128)[1]
        return points.unflatten(1, (2, 5)).mT


class Fan(Model):
    """The 68 points of the iBUG 300-W scheme, by FAN's heat maps.

    A point is the centroid of its heat map in a window around the highest pixel; the window is frozen, and the centroid
    is differentiated. FAN was trained on Gaussians with a standard deviation of one pixel, which fit in the window. The
    network runs once, without the mirrored second pass that face-alignment averages in.
    """

    size, count = 256, 68
    groups: Mapping[str, Sequence[int]] = {
        "eyes": range(36, 48),
        "nose": range(27, 36),
        "mouth": range(48, 68),
        "brows": range(17, 27),
        "jaw": range(17),
    }
    default = tuple(groups)
    cells = 64
    reach = 3
    """Cells of the heat map by which a window extends each way: three standard deviations."""

    def __init__(self, path: Path):
        super().__init__(into(fan(), state_dict(path), str(path)))

    def crop(self, faces: Tensor, images: Images) -> Crop:
        """The squares that face-alignment crops: 200 (w + h) / 195 pixels wide, centred 0.12 h above the boxes."""
        w, h = (faces[:, 2:] - faces[:, :2]).unbind(1)
        middle = (faces[:, :2] + faces[:, 2:]) / 2 - torch.stack([torch.zeros_like(h), 0.12 * h], 1)
        side = (200 / 195 * (w + h))[:, None]
        return Crop(torch.cat([middle - side / 2, middle + side / 2], 1), images, self.size)

    def windows(self, crops: Images) -> Tensor:
        """The cells ``(batch, 68, 49)`` of the flattened heat maps around their highest cells."""
        highest = self.heat(crops).flatten(2).argmax(2)
        middle = torch.stack([highest // self.cells, highest % self.cells], 2)
        middle = middle.clamp(self.reach, self.cells - 1 - self.reach)
        step = torch.arange(-self.reach, self.reach + 1, device=crops.device)
        rows, columns = (middle[..., i, None] + step for i in (0, 1))
        return (rows[..., :, None] * self.cells + columns[..., None, :]).flatten(2)

    def points(self, crops: Images, windows: Tensor | None) -> Tensor:
        """The 68 points (x, y) ``(batch, 68, 2)``, in shares of `crops`."""
        assert windows is not None
        heat = self.heat(crops).flatten(2).gather(2, windows)
        mass = heat - heat.amin(2, keepdim=True) + 1e-6  # positive somewhere, negative nowhere
        middles = torch.stack([windows % self.cells, windows // self.cells], 3).to(heat) + 0.5
        return (mass[..., None] * middles).sum(2) / mass.sum(2, keepdim=True) / self.cells

    def heat(self, crops: Images) -> Tensor:
        """The last stack's heat maps ``(batch, 68, 64, 64)``."""
        return self.network(crops)[-1]


class FaceMesh(Model):
    """MediaPipe's 468 points, of which the groups are outlines of the parts of a face."""

    count = mesh.COUNT
    groups: Mapping[str, Sequence[int]] = {
        **{name: [i for polygon in (*part.filled, *part.cut) for i in polygon] for name, part in PARTS.items()},
        "all": range(mesh.COUNT),
    }
    default = ("all",)

    def __init__(self, path: Path):
        self.mesh = mesh.Mesh(path)
        self.size = self.mesh.size
        super().__init__(self.mesh.network)

    def crop(self, faces: Tensor, images: Images) -> TurnedCrop:
        """Squares around a first mesh, turned by the face's tilt."""
        return self.mesh.crop(faces, images)

    def absent(self, crops: Images) -> tuple[int, ...]:
        """The rows of `crops` that the network takes for no face."""
        return self.mesh.absent(crops)

    def points(self, crops: Images, windows: Tensor | None) -> Tensor:
        """The 468 points (x, y) ``(batch, 468, 2)``, in shares of `crops`."""
        return self.mesh.points(crops)


def fan() -> torch.nn.Module:
    """Build face-alignment's FAN of four stacks, with random weights.

    Only its module is imported, since the package imports OpenCV, numba and scikit-image, which are not needed here.

    Raises:
        PluginError: face-alignment is not installed.
    """
    package = importlib.util.find_spec("face_alignment")
    if package is None or not package.submodule_search_locations:
        raise PluginError(
            'landmarks(model=fan) needs face-alignment: pip install "eigenwalk-landmarks[fan]", or, without the '
            "packages that it does not use here, pip install --no-deps face-alignment"
        )
    file = Path(package.submodule_search_locations[0]) / "models" / "fan.py"
    spec = importlib.util.spec_from_file_location("face_alignment_fan", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with torch.random.fork_rng(devices=[]):  # the network draws the weights that the file replaces
        return module.FAN(4)
