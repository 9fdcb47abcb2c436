"""Measure, at the end of a chain of walks, how far everything has moved since its very first picture."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path as FilePath

import torch

from eigenwalk.errors import EigenwalkError, InputError
from eigenwalk.feature import Feature
from eigenwalk.maths.natural import measure
from eigenwalk.names.expression import parse
from eigenwalk.names.files import OwnFile
from eigenwalk.names.registry import Registry
from eigenwalk.names.resolve import resolve
from eigenwalk.names.tree import bare
from eigenwalk.objects.compose import build_feature
from eigenwalk.path import Path, Role, Waypoint
from eigenwalk.runs.outputs.chain import chain_of
from eigenwalk.runs.ready import own_files

PATHS = 384
"""Paths that are measured, as many as a report shows."""


def measure_since(
    paths: Sequence[Path], folder: FilePath, device: str = "cpu", may_run: Collection[OwnFile] = ()
) -> tuple[Path, ...]:
    """Return `paths`, those of a chain with the change of every feature of the chain since its first picture.

    Pictures are measured in eight bits. A feature that cannot be built here any more, or has no value at one of the two
    pictures, is left out; so is one that runs code in a Python file, unless `may_run` has it: the files of earlier
    walks may be a stranger's.
    """
    registry = Registry.discover()

    @cache
    def built(name: str) -> Feature:
        node = resolve(bare(parse(name)), registry)
        if set(own_files(node)) - set(may_run):
            raise InputError(f"{name} runs code that this walk does not name")
        feature = build_feature(node, registry)[0]
        feature.to(torch.device(device), torch.float32)
        return feature

    def change(role: Role, first: Waypoint, last: Waypoint) -> float:
        one, other = (
            measure(role.name, built(role.name), torch.from_numpy(at.image)[None].permute(0, 3, 1, 2).to(device) / 255)
            for at in (first, last)
        )
        return float(other[0].distance(one[1], other[1])) / role.typical

    def measured(path: Path) -> Path:
        chain = chain_of(path, folder)
        roles = {role.name: role for one in (*chain.links, path) for role in one.roles if role.part != "judged"}
        since = {}
        for role in roles.values() if chain.links else ():
            with suppress(EigenwalkError, ZeroDivisionError):
                since[role.name] = change(role, chain.links[0].waypoints[0], path.waypoints[-1])
        return replace(path, since={name: share for name, share in since.items() if math.isfinite(share)})

    return (*(measured(path) if path.given and len(path) else path for path in paths[:PATHS]), *paths[PATHS:])
