"""The shipped networks of both miniatures, on renders that they never saw and on samples."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from eigenwalk_miniatures import load
from training import measures
from training.fit import wear

from .conftest import Seen

SUBJECT = {"rooms": {"sofa": 0.93}, "faces": {"skin": 0.9, "hair": 0.9}}
"""Least overlap of a miniature's main parts, as segmented on renders, with the truth."""
PARTS = {"rooms": 0.75, "faces": 0.65}
"""Least overlap of any part."""


def overlaps(seen: Seen, images: Tensor, masks: Tensor) -> dict[str, float]:
    """Overlap by part of what the segmenter finds in `images` with the true `masks`."""
    found = load.segmenter(seen.world).masks(images)
    assert found.shape == masks.shape
    return dict(zip(seen.world.parts, measures.overlap(found, masks).tolist(), strict=True))


def test_segmenters_find_the_parts_of_fresh_renders(seen: Seen) -> None:
    found = overlaps(seen, seen.images, seen.masks)
    assert min(found.values()) > PARTS[seen.world.name], found
    assert all(found[part] > least for part, least in SUBJECT[seen.world.name].items()), found


def test_segmenters_tolerate_degraded_and_larger_pictures(rooms: Seen) -> None:
    worn = wear(rooms.images[:100], torch.Generator().manual_seed(0))
    assert overlaps(rooms, worn, rooms.masks[:100])["sofa"] > 0.88
    assert overlaps(rooms, *rooms.world.render(rooms.factors[:8], 128))["sofa"] > 0.85


def test_97_of_100_samples_show_one_subject_and_differ_as_renders_do(seen: Seen) -> None:
    masks = load.segmenter(seen.world).masks(seen.samples)
    subject = masks[:, [seen.world.parts.index(part) for part in seen.world.subject_parts]].sum(1)
    assert measures.share_with_one(subject) >= 0.97
    shares = dict(zip(seen.world.parts, masks.mean((0, 2, 3)).tolist(), strict=True))
    assert all(share > 0.003 for share in shares.values()), shares
    spread = [torch.cdist(images.flatten(1), images.flatten(1)).mean() for images in (seen.samples, seen.images[:100])]
    assert spread[0] > 0.75 * spread[1]


def explained(seen: Seen, network: str) -> dict[str, float]:
    """R² by factor of what `network` reads off the renders."""
    read = getattr(load, network)(seen.world)(seen.images)
    r2 = measures.explained(read, seen.world.factors.share(seen.factors))
    return dict(zip(seen.world.factors.names, r2.tolist(), strict=True))


def test_the_regressor_reads_fresh_rooms(rooms: Seen) -> None:
    r2 = explained(rooms, "regressor")
    # Wide cushions on a narrow sofa leave no room to move: their place is then no longer visible.
    assert r2.pop("cushion_offset") > 0.6
    assert min(r2.values()) > 0.9, r2


@pytest.mark.parametrize("network", ["regressor", "attributes"])
def test_both_networks_read_fresh_portraits(faces: Seen, network: str) -> None:
    r2 = explained(faces, network)
    assert sum(r2.values()) / len(r2) > 0.9, r2
    assert min(r2[name] for name in ("hair_length", "hair_lightness", "yaw", "skin_lightness")) > 0.95, r2
    # Waves show on long hair alone, and ears hardly.
    assert all(value > 0.75 for name, value in r2.items() if name not in ("hair_wave", "ear_size")), r2
    assert min(r2["hair_wave"], r2["ear_size"]) > 0.3, r2
