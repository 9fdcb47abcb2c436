"""Segment Anything: masks of the object at a point, in a box, or of all objects.

Kirillov et al. 2023, "Segment Anything" (arXiv 2304.02643). The networks are segment-anything's own, from its registry.
"""

from __future__ import annotations

import difflib
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from eigenwalk import checkpoint, store
from eigenwalk.errors import OptionError
from eigenwalk.shapes import Images
from eigenwalk_masks.presets import sam_weights

GRID = 16
"""Points along each side of the grid that `everything` prompts with."""
CHUNK = 32
"""Points in one pass of the mask decoder."""
GOOD, STABLE, SAME = 0.88, 0.95, 0.7
"""`everything` keeps masks with at least this predicted IoU and this stability, and the best of masks whose boxes
overlap by more than `SAME`: the defaults of segment-anything's own generator."""
CACHED = 32
"""How many of the newest embeddings are cached: several features of one image then encode it once."""


@dataclass(frozen=True)
class Candidates:
    """Masks of one image: logits ``(n, side, side)`` in the padded square, and their predicted IoU ``(n,)``."""

    logits: Tensor
    quality: Tensor


class SegmentAnything:
    """A network of segment-anything, frozen, in float32 and without gradients.

    Images are resized to `side` pixels on their longer side, 1024 for the published networks, and encoded one at a
    time, since the encoder's attention takes much memory. Prompts are shares of width and height.
    """

    def __init__(self, sam: Any):
        self.sam = sam.eval().requires_grad_(False)
        self.side: int = sam.image_encoder.img_size
        low = sam.prompt_encoder.mask_input_size
        self.low: int = low[0]
        self._embedded: deque[tuple[Tensor, Tensor]] = deque(maxlen=CACHED)

    def size(self, image: Images) -> tuple[int, int]:
        """Height and width of `image` ``(..., height, width)`` after resizing."""
        height, width = image.shape[-2:]
        scale = self.side / max(height, width)
        return int(height * scale + 0.5), int(width * scale + 0.5)

    @torch.no_grad()
    def embedding(self, image: Tensor) -> Tensor:
        """The embedding ``(1, channels, side / 16, side / 16)`` of an image ``(3, height, width)``."""
        for seen, found in self._embedded:
            if seen.shape == image.shape and seen.device == image.device and torch.equal(seen, image):
                return found
        first = next(self.sam.parameters())
        if first.device != image.device:
            self.sam.to(image.device)
        # Its own ResizeLongestSide.apply_image_torch takes batch and channels for height and width (1.0).
        pixels = image.detach().float().clamp(0, 1)[None] * 255
        resized = F.interpolate(pixels, self.size(image), mode="bilinear", align_corners=False, antialias=True)
        found = self.sam.image_encoder(self.sam.preprocess(resized))
        self._embedded.append((image.detach().clone(), found))
        return found

    @torch.no_grad()
    def masks(
        self, image: Tensor, point: Tensor | None = None, box: Tensor | None = None, logits: Tensor | None = None
    ) -> Candidates:
        """Three candidates for each of n prompts, 3 n in all.

        `point` ``(n, 2)`` and `box` ``(n, 4)`` are shares of width and height; `logits` ``(n, side, side)`` are those
        of a mask that was found before.
        """
        embedding = self.embedding(image)  # first, as it moves the network to the image's device
        height, width = self.size(image)
        # The prompt encoder takes coordinates for indices of pixels, and adds half a pixel.
        points = boxes = None
        if point is not None:
            at = point.to(image.device, torch.float32) * image.new_tensor([width, height], dtype=torch.float32) - 0.5
            points = (at[:, None], torch.ones(len(at), 1, dtype=torch.int, device=image.device))
        if box is not None:
            sides = image.new_tensor([width, height, width, height], dtype=torch.float32)
            boxes = box.to(image.device, torch.float32) * sides - 0.5
        before = None if logits is None else logits[:, None].to(image.device, torch.float32)
        sparse, dense = self.sam.prompt_encoder(points=points, boxes=boxes, masks=before)
        found, quality = self.sam.mask_decoder(
            image_embeddings=embedding,
            image_pe=self.sam.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=True,
        )
        return Candidates(found.flatten(0, 1), quality.flatten())

    @torch.no_grad()
    def everything(self, image: Tensor) -> Candidates:
        """All objects, the largest first: the good and stable masks at a grid of points, each once."""
        from segment_anything.utils.amg import batched_mask_to_box, build_point_grid, calculate_stability_score
        from torchvision.ops import nms

        kept: list[Candidates] = []
        for points in torch.from_numpy(build_point_grid(GRID)).float().split(CHUNK):
            found = self.masks(image, point=points)
            inside = self.cropped(found.logits, image)
            stable = calculate_stability_score(inside, 0.0, 1.0)
            good = (found.quality >= GOOD) & (stable >= STABLE) & (inside > 0).any(-1).any(-1)
            kept.append(Candidates(found.logits[good], found.quality[good]))
        logits, quality = torch.cat([one.logits for one in kept]), torch.cat([one.quality for one in kept])
        inside = self.cropped(logits, image) > 0
        once = nms(batched_mask_to_box(inside).float(), quality, SAME)
        once = once[inside[once].sum((1, 2)).argsort(descending=True, stable=True)]
        return Candidates(logits[once], quality[once])

    def cropped(self, logits: Tensor, image: Images) -> Tensor:
        """Cut the padding of the square off `logits` ``(n, side, side)``."""
        height, width = (-(-sides * self.low // self.side) for sides in self.size(image))
        return logits[..., :height, :width]

    @torch.no_grad()
    def soft(self, logits: Tensor, image: Images) -> Tensor:
        """Soft masks ``(n, height, width)`` of logits ``(n, side, side)``, at the image's size."""
        height, width = image.shape[-2:]
        wide = self.sam.postprocess_masks(logits[:, None].float(), self.size(image), (height, width))
        return wide[:, 0].sigmoid().to(image)


def open_network(name: str, weights: str | None) -> SegmentAnything:
    """Open the network `name` of segment-anything's registry, with its published weights or those in `weights`.

    Raises:
        OptionError: segment-anything is not installed, or has no such network, or nobody published weights for it.
        WeightsError: the weights are not in the store, or do not fit.
        FileError: the file cannot be opened.
    """
    try:
        from segment_anything import sam_model_registry
    except ImportError as error:
        raise OptionError(
            "mask(sam=…) needs segment-anything, which is not installed here "
            f'({error}): pip install "eigenwalk-masks[sam]"'
        ) from error
    if name not in sam_model_registry:
        known = [word for word in sam_model_registry if word != "default"]
        near = difflib.get_close_matches(name, known, 1)
        meant = f"did you mean {near[0]}?" if near else f"it has {', '.join(known)}"
        raise OptionError(f"segment-anything has no network {name!r}: {meant}")
    if weights is None and name not in sam_weights():
        raise OptionError(f'nobody published weights for sam={name}: give your own, weights="file.pth"')
    path = store.find(sam_weights()[name], f"mask(sam={name})") if weights is None else Path(weights).expanduser()
    state = checkpoint.state_dict(path)
    return SegmentAnything(checkpoint.fill(sam_model_registry[name], state, f"{path}, opened for sam={name},"))
