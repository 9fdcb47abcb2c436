"""Labels, endings and percentages of paths, worded the same in every output.

>>> percent(0.254), percent(0.004), percent(float("nan"))
('25 %', '0.4 %', '–')
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from eigenwalk.path import SUSPECT, Path, Role, Waypoint

COLUMNS = 13
"""The start and the twelve steps of a walk of default length."""
ENDINGS = {
    "walking": "not ended",
    "length": "full length",
    "steps": "not as far as asked",
    "back": "taken back",
    "tolerance": "reached the tolerance of {}",
    "nothing to vary": "nothing left to vary",
    "region": "the next would leave the typical region: images beyond it are rarely realistic",
    "undefined": "no value of {}",
    "numerical": "not a number: {}",
}
"""How paths end, by `eigenwalk.path.Status.reason`; {} is the feature."""


def percent(share: float) -> str:
    """Format a share as a percentage: whole above one per cent, one decimal below, a dash for nan and infinity."""
    if not math.isfinite(share):
        return "–"
    value = 100 * share
    return f"{value:.0f} %" if value >= 0.95 or value < 0.05 else f"{value:.1f} %"


def figure(value: float) -> str:
    """Format a number to three significant figures; a dash stands for nan and infinity."""
    return f"{value:.3g}" if math.isfinite(value) else "–"


def title(path: Path) -> str:
    """Return the generator as people write it: ``./my_generator.py:build`` without the ``file("…")`` around it."""
    found = re.fullmatch(r'(?:file|open)\("([^"\\]*)"\)', path.generator)
    return found[1] if found else path.generator


def label(path: Path) -> str:
    """Return the path's direction in words, such as ``direction 2 −``. Direction 1 has the largest quotient."""
    return f"direction {path.rank} {'+' if path.sense > 0 else '−'}"


def fewer_paths(paths: Sequence[Path], asked: int) -> str:
    """Say why there are fewer than `asked` paths a start; "" if there are as many."""
    each, count = sum(path.origin == paths[0].origin for path in paths), max(path.rank for path in paths)
    if each >= asked:
        return ""
    said = "one number has one direction" if count == 1 else f"{count} numbers have {count} directions"
    return f"{said}: {each} paths{'' if each == len(paths) else ' from each start'}, + for more and - for less"


def brief_ending(path: Path) -> str:
    """Say in a few words how many steps the path took and how it ended."""
    last = path.waypoints[-1].index if path.waypoints else 0
    said = ENDINGS.get(path.status.reason, path.status.reason).format(path.status.feature or "a feature")
    return f"{last} step{'' if last == 1 else 's'}, {said}"


def ending(path: Path) -> str:
    """Say in a sentence how many steps the path took and how it ended."""
    last = path.waypoints[-1].index if path.waypoints else 0
    if path.status.reason == "length":
        return f"Walked its full length of {last} steps."
    if path.status.reason == "walking":
        return f"Not ended: the run was stopped after {last} steps."
    if path.status.reason == "back":
        return f"{path.status.detail[:1].upper()}{path.status.detail[1:]}."
    steps, _, said = brief_ending(path).partition(", ")
    detail = path.status.detail.strip().rstrip(".")
    detail = detail[:1].lower() + detail[1:]
    if path.status.reason == "region" and detail:
        return f"Ended after {steps}: {said} ({detail})."
    return f"Ended after {steps}: {detail or said}."


def likeness(path: Path) -> str:
    """What the path has in common with the path of its start that it is most like, as a sentence; "" if it is alone."""
    if not path.alike:
        return ""
    name, share = max(path.alike.items(), key=lambda item: item[1])
    other = re.sub(r"^.*-(\d+)([+-])$", lambda found: f"{found[1]} {found[2].replace('-', '−')}", name)
    if share < 0.005:
        return "Its varied change has nothing in common with that of another path."
    return f"{percent(share)} of its varied change in common with direction {other}, the path most like it."


MOST = 3
"""Features that a direction is named after, and as many that it leaves alone."""
MOVED, STILL = 0.2, 0.1
"""A feature moved at this share of typical; below the other it did not."""


def short_name(name: str) -> str:
    """A feature's name without what goes without saying: ``smile`` for ``faces.factor(smile)``."""
    found = re.fullmatch(r"[\w.]+\((\w+)\)", name)
    return found[1] if found else name


def change(name: str, share: float, signed: bool) -> str:
    """A feature and how far it moved, in per cent of typical: ``hair_length +42 %``."""
    sign = ("+" if share > 0 else "−") if signed else ""
    return f"{short_name(name)} {sign}{percent(abs(share))}"


def moved(path: Path) -> str:
    """What moved most and least, as a name of the path: ``hair_length +42 %, fringe −31 %; still: smile, yaw``."""
    if path.seen is None:
        return ""
    shares = {name: share for name, share in path.seen.moved.items() if math.isfinite(share)}
    order = sorted(shares, key=lambda name: -abs(shares[name]))
    far = [name for name in order if abs(shares[name]) >= MOVED][:MOST]
    still = [name for name in reversed(order) if abs(shares[name]) < STILL][:MOST]
    parts = [", ".join(change(name, shares[name], name in path.seen.numbers) for name in far)] if far else []
    parts += [f"still: {', '.join(map(short_name, still))}"] if still else []
    return "; ".join(parts)


def since(path: Path) -> str:
    """How far features have moved since the first picture of a chain: ``identity 12 %, hair 45 %``; "" if in none."""
    return ", ".join(f"{short_name(name)} {percent(share)}" for name, share in path.since.items())


def suspicions(path: Path) -> list[str]:
    """A sentence for every varied number that may have been fooled."""
    said = []
    for name, tell in path.seen.tells.items() if path.seen else ():
        if tell.is_suspect:
            why = []
            if tell.kept < SUSPECT:
                why.append(
                    f"{percent(max(0.0, tell.kept))} of its change is left if the pictures are blurred or shifted"
                )
            if tell.pixels < SUSPECT:
                why.append(f"pixels moved {percent(tell.pixels)} of what they do between samples that differ so")
            said.append(f"{short_name(name)} may have been fooled: {'; '.join(why)}")
    return said


def tolerance(role: Role) -> float:
    """Return a fixed feature's tolerance as a share of its typical distance; infinity if it has no tolerance."""
    return math.inf if role.tolerance is None or not role.typical else role.tolerance / role.typical


def names(roles: Sequence[Role]) -> str:
    """Join the names of the roles with commas; ``nothing`` if there are none."""
    return ", ".join(role.name for role in roles) or "nothing"


@dataclass(frozen=True)
class Shares:
    """How far one waypoint is from its start, as shares of the typical distances: the numbers under one picture.

    Attributes:
        varied: mean change of the varied features.
        fixed: change of the fixed feature that is nearest its tolerance; nan if nothing is fixed.
        tolerance: that feature's tolerance; infinity if it has none.
    """

    varied: float
    fixed: float
    tolerance: float

    @property
    def largest(self) -> float:
        """The largest of the three that is finite; 0 if none is."""
        return max((v for v in (self.varied, self.fixed, self.tolerance) if math.isfinite(v)), default=0.0)


def shares(path: Path, waypoint: Waypoint) -> Shares:
    """Return the numbers that stand under the picture of `waypoint`."""
    share = {role.name: waypoint.changes[role.name] / role.typical if role.typical else math.nan for role in path.roles}
    varied = [share[role.name] for role in path.varied]
    mean = sum(varied) / len(varied) if varied else math.nan
    if not path.fixed:
        return Shares(mean, math.nan, math.inf)
    strained = max(path.fixed, key=lambda role: (_strain(share[role.name], tolerance(role)), share[role.name]))
    return Shares(mean, share[strained.name], tolerance(strained))


def scale(paths: Sequence[Path]) -> float:
    """Return the share that a bar of full length stands for, so that every bar of these paths fits."""
    return max(0.05, *(1.04 * shares(path, waypoint).largest for path in paths for waypoint in path))


def _strain(share: float, limit: float) -> float:
    if not math.isfinite(limit):
        return share
    return share / limit if limit else math.inf


def thin(count: int, most: int = COLUMNS) -> list[int]:
    """At most `most` of `count` indices, evenly spaced, the first and the last always among them.

    >>> thin(5), thin(25, 7)
    ([0, 1, 2, 3, 4], [0, 4, 8, 12, 16, 20, 24])
    """
    if count <= most:
        return list(range(count))
    return [round(i * (count - 1) / (most - 1)) for i in range(most)]
