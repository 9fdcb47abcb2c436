"""What a walk moved, as read by the regressor, which no walk optimises unless asked to.

    python -m eigenwalk_miniatures.moved RUN_FOLDER

reads the finished run in the folder and prints how much each factor of the scene changed from the start of a path to
its end, as a share of the factor's range, averaged over the paths. The regressor (`faces.factor`) was trained apart
from the networks behind `faces.attribute` and `faces.identity`, so it can say whether a walk moved the scene or only
fooled a network.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath

import numpy as np
import torch
from torch import Tensor

from eigenwalk.errors import EigenwalkError, FileError
from eigenwalk.path import Path
from eigenwalk_miniatures import load
from eigenwalk_miniatures.miniature import NAMES, Miniature, miniature


@dataclass(frozen=True)
class Moved:
    """Changes from the starts to the ends of some paths.

    Attributes:
        world: the miniature.
        start: factor shares read at the starts, `(paths, factors)`.
        end: the same at the ends.
        features: by name, the feature's part (fixed, varied) and its mean change at the end over its typical distance.
    """

    world: Miniature
    start: Tensor
    end: Tensor
    features: dict[str, tuple[str, float]]

    @property
    def change(self) -> dict[str, float]:
        """Mean absolute change of every factor, as a share of its range."""
        return dict(zip(self.world.factors.names, (self.end - self.start).abs().mean(0).tolist(), strict=True))

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """The factors that make a person, and the others; one group where the miniature shows no people."""
        if not self.world.identity:
            return {"all factors": self.world.factors.names}
        others = tuple(name for name in self.world.factors.names if name not in self.world.identity)
        return {"identity": self.world.identity, "everything else": others}


def measure(paths: Sequence[Path]) -> Moved:
    """Measure the changes from the starts to the ends of `paths`, which walk one miniature's generator.

    Raises:
        FileError: there are no paths, one has no step, or the generator is not a miniature's.
    """
    worlds = {path.generator.partition("(")[0] for path in paths}
    if len(worlds) != 1 or not worlds <= set(NAMES):
        raise FileError(f"moved: paths must all walk one of {', '.join(NAMES)}, got {', '.join(worlds) or 'no paths'}")
    short = [path.name for path in paths if len(path) < 2]
    if short:
        raise FileError(f"moved: {', '.join(short)} ended at the start; give a run whose paths have steps")
    world = miniature(worlds.pop())
    roles = {role.name: role.part for path in paths for role in path.roles}
    changes: dict[str, list[float]] = {name: [] for name in roles}
    for path in paths:
        for role in path.roles:
            changes[role.name].append(float(path.change(role)[-1]))
    features = {name: (part, float(np.mean(changes[name]))) for name, part in roles.items()}
    return Moved(world, _read(world, paths, 0), _read(world, paths, -1), features)


@torch.no_grad()
def _read(world: Miniature, paths: Sequence[Path], waypoint: int) -> Tensor:
    images = np.stack([path.waypoints[waypoint].image for path in paths])
    return load.regressor(world)(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255)


def table(moved: Moved) -> str:
    """Lines on `moved`: features first, then the factors of each group, the most moved first."""
    change = moved.change
    lines = [
        f"{len(moved.start)} paths of {moved.world.name}",
        "",
        "feature, change at the end over its typical distance",
    ]
    lines += [f"  {part:6} {value:6.2f}  {name}" for name, (part, value) in moved.features.items()]
    for group, names in moved.groups.items():
        mean = sum(change[name] for name in names) / len(names)
        lines += ["", f"{group}: mean {mean:.3f} of the range (two scenes drawn at random: 0.333)"]
        lines += [f"  {change[name]:6.3f}  {name}" for name in sorted(names, key=lambda name: -change[name])]
    return "\n".join(lines)


def load_paths(folder: FilePath) -> list[Path]:
    """Load the paths of the finished run in `folder`.

    Raises:
        FileError: there are none, or one is damaged.
    """
    files = sorted((folder / "paths").glob("*.json"))
    if not files:
        raise FileError(f"{folder} holds no finished run: expected saved paths in {folder / 'paths'}")
    return [Path.load(file) for file in files]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=FilePath, help="the folder of a finished run")
    args = parser.parse_args()
    try:
        print(table(measure(load_paths(args.run))))
    except EigenwalkError as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
