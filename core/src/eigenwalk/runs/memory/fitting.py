"""How many paths are walked at once, how many tangents are pushed, and what is recorded, so that memory suffices.

The cost of a row of a batch is measured at a start, as the tensors that appear (`eigenwalk.maths.linearise.tracker`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

import psutil
import torch
from torch import Tensor

from eigenwalk.errors import OutOfMemory, WalkError
from eigenwalk.maths.linearise import Linearisation, Record
from eigenwalk.maths.linearise.blocks import find_blocks
from eigenwalk.maths.linearise.tracker import Tracker
from eigenwalk.runs.memory.allocator import give_back
from eigenwalk.runs.memory.words import in_words

SHARE = 0.4
"""Share of the machine's memory that a walk may take where nobody says how much."""
KERNELS = 1.25
"""Memory over that of tensors: what kernels need for themselves, and what allocators keep back."""
NEAR = 0.75
"""Share of the budget above which what the allocator keeps is given back: the next pass may take a part of it."""
GRAIN = 1 << 28
"""Memory in use is rounded up to a multiple of this, so that the same machine decides the same."""
STEP = 10**8
"""The suggested --memory is rounded up to a multiple of this."""
RECORDS: tuple[Record, ...] = ("twice", "once", "blocks")
"""From the fastest to the one that takes least memory."""
CONTROL = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Where Linux says what the processes of a container may take together: control groups of version 2, and of 1."""


@dataclass(frozen=True)
class Footprint:
    """Bytes of one waypoint: `kept` until the next, at its `peak`, and for a `tangent` by forward mode on top."""

    kept: int
    peak: int
    tangent: int

    @property
    def need(self) -> int:
        """What to allow: twice what is kept, since pushforwards of many tangents and allocators take some of it."""
        return self.kept + max(self.peak, self.kept + self.tangent)

    def __sub__(self, other: Footprint) -> Footprint:
        """The footprint of the rows that one has more than the other."""
        return Footprint(self.kept - other.kept, self.peak - other.peak, self.tangent - other.tangent)


@dataclass(frozen=True)
class Fit:
    """What fits into memory.

    Attributes:
        linearisation: with what it records and how many tangents it pushes at once.
        batch: rows at once.
        footprint: of one row.
        start: the latent ``(1, latent)`` at which that was measured.
    """

    linearisation: Linearisation
    batch: int
    footprint: Footprint
    start: Tensor

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person may want to know of the choice."""
        if self.linearisation.record == "twice":
            return ()
        again = {"once": "tangents run through the generator anew", "blocks": "gradients compute every block again"}
        return (f"memory is short: {again[self.linearisation.record]}, which takes longer",)


def first_start(look: Linearisation, latents: Sequence[Tensor], device: torch.device) -> Tensor:
    """The first of some starts ``(latent,)``, as ``(1, latent)``, at which every feature has a value.

    At another, one path ends and the rest go on.
    """
    bare = replace(look, differences=1.0)  # no derivatives
    starts = [one[None].to(device, bare.dtype) for one in latents]
    for start in starts:
        with suppress(WalkError):
            bare.at(start)
            return start
    return starts[-1]


def choose_fit(
    look: Linearisation,
    latents: Tensor,
    rows: int,
    budget: int | None = None,
    batch: int | None = None,
    known: dict[Record, Footprint] | None = None,
) -> Fit:
    """Choose what `look` records, how many tangents it pushes at once, and the rows of a batch, up to `rows`.

    The footprint is measured at `latents` ``(1, latent)``, whose image was made before (`first_start`): libraries have
    then set up what they need. `budget` is all the bytes that the process, or the device, may take; a given `batch` is
    kept. Footprints in `known`, of earlier walks of the same objects, are not measured again; new ones are put there.

    Raises:
        OutOfMemory: not even one row fits.
    """
    allowed, taken = _allowed(latents.device, budget), in_use(latents.device)
    room = max(0, int((allowed - taken) / KERNELS))
    for record in RECORDS:
        with suppress(OutOfMemory):
            tried, cost = _try_record(look, record, latents, room, known)
            if cost.need <= room:
                break
    else:
        raise OutOfMemory(_describe_shortage(look, latents, allowed, taken))
    count, each = 1, cost
    if rows * cost.need > room >= 2 * cost.need:
        # What a batch shares, such as scaled weights, is in both and in no row.
        each = measure_footprint(tried, latents.repeat(2, 1), room) - cost
    count = min(rows, 1 + max(0, room - cost.need) // max(1, each.need))
    batch = batch or count
    left = room - 2 * (cost.kept + (batch - 1) * each.kept)
    return Fit(replace(tried, tangents=max(batch, left // max(1, cost.tangent))), batch, cost, latents)


def _try_record(
    look: Linearisation, record: Record, latents: Tensor, room: int, known: dict[Record, Footprint] | None = None
) -> tuple[Linearisation, Footprint]:
    """Return `look` recording as `record`, and its footprint; raises as `measure_footprint`."""
    known = {} if known is None or record == "blocks" else known  # which blocks, depends on the room
    bare = replace(look, differences=1.0)
    blocks = find_blocks(lambda: bare.at(latents), room) if record == "blocks" else ()
    tried = replace(look, record=record, blocks=blocks, tangents=1)
    if record not in known:
        known[record] = measure_footprint(tried, latents, room)
    return tried, known[record]


def _describe_shortage(look: Linearisation, latents: Tensor, allowed: int, taken: int) -> str:
    """Say that not one path fits, and how much would suffice, if that is below the machine's usual share."""
    usual, enough = int((_allowed(latents.device) - taken) / KERNELS), "more"
    with suppress(OutOfMemory):
        least = taken + KERNELS * _try_record(look, RECORDS[-1], latents, usual)[1].need
        if least > allowed:
            enough = f"at least {in_words(ceil(least / STEP) * STEP)}"
    return (
        f"{in_words(allowed)} of memory are allowed, program and weights take {in_words(taken)}, and the rest is too "
        f"little for a single path, even where it computes everything again that it can: allow {enough} with --memory, "
        "or take a generator of lower resolution or a machine with more"
    )


def measure_footprint(look: Linearisation, latents: Tensor, limit: int | None = None) -> Footprint:
    """Measure the footprint of a waypoint at `latents` by computing its parts there.

    Raises:
        OutOfMemory: more than `limit` bytes.
        WalkError: as `Linearisation.at`.
    """
    tangents = torch.ones_like(latents)[:, None]
    with Tracker(limit) as tracker:
        point = look.at(latents)
        if look.differences is None:
            point.pull([torch.ones_like(value).reshape(len(value), -1) for value in point.values])
        point.push(tangents)
        kept, peak = tracker.live, tracker.peak
        tracker.peak = tracker.live
        if look.differences is None:
            point.push(tangents.expand(-1, 2, -1))
    return Footprint(kept, peak, tracker.peak - kept)


def free(device: torch.device, budget: int | None = None) -> int:
    """Bytes that tensors to come may take of `budget`, or of a share of all there is.

    Raises:
        OutOfMemory: program and weights alone take all of it.
    """
    allowed, taken = _allowed(device, budget), in_use(device)
    if allowed <= taken:
        raise OutOfMemory(
            f"{in_words(allowed)} of memory are allowed, and program and weights take {in_words(taken)}: allow more "
            "with --memory"
        )
    return int((allowed - taken) / KERNELS)


def _allowed(device: torch.device, budget: int | None = None) -> int:
    return budget or int(SHARE * total(device))


def total(device: torch.device) -> int:
    """Bytes of memory in all, so that the same machine always decides the same."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    if device.type == "mps":
        return torch.mps.recommended_max_memory()
    return min([psutil.virtual_memory().total, *_container_limits()])


def _container_limits() -> Iterator[int]:
    """Bytes that a container, or a job of a cluster, is held to by Linux's control groups, which psutil ignores."""
    for file in CONTROL:
        with suppress(OSError, ValueError):  # no such file, or the word "max"
            yield int(file.read_text())


def keep_within(budget: int | None, device: torch.device) -> Callable[[], None]:
    """Return what to call after every pass: it gives freed memory back if the process holds nearly its budget."""
    process, limit = psutil.Process(), NEAR * _allowed(device, budget)

    def check() -> None:
        if device.type == "cpu" and process.memory_info().rss > limit:
            give_back()

    return check


def in_use(device: torch.device) -> int:
    """Bytes that the process, or what it has on the device, takes now, rounded up."""
    if device.type == "cuda":
        taken = torch.cuda.memory_allocated(device)
    elif device.type == "mps":
        taken = torch.mps.current_allocated_memory()
    else:
        give_back()
        taken = psutil.Process().memory_info().rss
    return ceil(taken / GRAIN) * GRAIN
