"""From walked paths to rows of both configurations."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eigenwalk.path import Path, Waypoint
from eigenwalk_dataset.filters import is_suspect
from eigenwalk_dataset.plan import Plan
from eigenwalk_dataset.schema import column_names, tolerances

Row = dict[str, Any]


class Rows:
    """Makes the rows of a data set."""

    def __init__(self, plan: Plan):
        self.plan, self.columns, self.limits = plan, column_names(plan), tolerances(plan)

    def of(self, path: Path) -> tuple[list[Row], Row]:
        """Return the rows of a path's waypoints, and the row of the pair of its start and its end."""
        images = [self._image(path, waypoint) for waypoint in path]
        own = {"seed": path.seed, "path": path.name, "direction": path.rank, "sense": path.sense}
        end = {"suspect": is_suspect(path), "status": path.status.reason, "detail": path.status.detail}
        rows = [
            {**own, **end, **self._changes(path, waypoint), "image": image, "waypoint": waypoint.index}
            | {"latent": waypoint.latent}
            for waypoint, image in zip(path, images, strict=True)
        ]
        first, last = path.waypoints[0], path.waypoints[-1]
        pair = {**own, **end, **self._changes(path, last), "before": images[0], "after": images[-1]}
        pair |= {"before_latent": first.latent, "after_latent": last.latent, "steps": last.index}
        pair |= {"held": [role.name for role in path.fixed], "varied": [role.name for role in path.varied]}
        pair["drift"] = max((last.changes[r.name] / r.tolerance for r in path.fixed if r.tolerance), default=None)
        return rows, pair

    def _image(self, path: Path, waypoint: Waypoint) -> Row:
        order = self.plan.order
        name = f"{path.name}-{waypoint.index:03d}.{ENDINGS[order.picture]}"
        return {"bytes": encode(waypoint.image, order.picture, order.quality), "path": name}

    def _changes(self, path: Path, waypoint: Waypoint) -> Row:
        changes: Row = {self.columns[role.name, role.part]: _number(waypoint.changes[role.name]) for role in path.roles}
        moved = [waypoint.changes[role.name] / role.typical for role in path.varied]
        return {**changes, **self.limits, "moved": sum(moved) / len(moved)}


ENDINGS = {"png": "png", "webp": "webp", "jpeg": "jpg"}
"""Of the pictures' files."""


def encode(image: NDArray[np.uint8], picture: str, quality: int) -> bytes:
    """Return an image ``(height, width, 3)`` as a file: PNG without loss, WebP and JPEG in `quality` (1 to 100)."""
    buffer = io.BytesIO()
    options = {} if picture == "png" else {"quality": quality}
    Image.fromarray(image).save(buffer, picture.upper(), **options)
    return buffer.getvalue()


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
