"""What is known of a generator once it is open: its size, its licence, what an image and a waypoint cost."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from eigenwalk.cli.errors import console
from eigenwalk.errors import OutOfMemory, WalkError
from eigenwalk.feature import FunctionFeature
from eigenwalk.generator import Generator
from eigenwalk.maths.linearise import Linearisation
from eigenwalk.maths.linearise.tracker import Tracker
from eigenwalk.objects.build import Used
from eigenwalk.objects.reach import reachable
from eigenwalk.runs.memory.fitting import choose_fit, free
from eigenwalk.runs.memory.words import in_words

if TYPE_CHECKING:
    from eigenwalk.spec import GeneratorSpec

Rows = list[tuple[str, str]]
PATIENCE = 2.0
"""Seconds: if an image takes longer, a waypoint, some ten times as long, is measured only with --measure."""
EXACT = 10_000_000
"""From so many parameters on, their number is given in millions."""
UNSAID = "the file does not say: ask who published it"
RECORDED = {
    "twice": "",
    "once": "; tangents run through the generator anew, to save memory",
    "blocks": "; gradients compute every block again, to save memory",
}


@contextmanager
def status(what: str) -> Iterator[None]:
    """Show on a terminal what is being done."""
    with console(stderr=True, soft_wrap=False).status(f"{what} …"):
        yield


def known_facts(generator: Generator, used: Sequence[Used], spec: GeneratorSpec | None) -> Rows:
    """Return what the generator, its files and its spec say."""
    files = [name for one in used for name, _ in one.files]
    rows = [("file", f"{name}, {in_words(Path(name).expanduser().stat().st_size)}") for name in files]
    facts = dict(generator.facts)
    latent, count = facts.pop("latent", ""), facts.pop("parameters", "")
    rows += facts.items()
    height, width = generator.resolution
    rows.append(("resolution", f"{width} x {height} pixels"))
    others = [space for space in (spec.spaces if spec else ()) if space != generator.space]
    also = f"; also {', '.join(others)}" if others else ""
    rows.append(("latent", f"{generator.latent_dim} coordinates, space {generator.space}{also}"))
    if latent:  # how they are distributed, and how that is known
        rows.append(("", latent))
    rows.append(("parameters", _parameters(generator, count)))
    rows += [("note", note) for note in generator.notes]
    if not (spec and spec.licence) and "licence" not in generator.facts:
        rows.append(("licence", UNSAID))
    return rows


def measure(generator: Generator, always: bool) -> Iterator[tuple[str, str]]:
    """Yield what an image and a waypoint cost on this machine; a long waypoint is measured only if `always`."""
    device = torch.device("cpu")
    room, latents = free(device), generator.sample(1, 0)
    look = Linearisation(generator, (("its image", FunctionFeature(lambda images: images)),), differences=1.0)
    try:
        with status("making an image"), Tracker(room) as tracker:
            look.at(latents)
            began = time.perf_counter()
            look.at(latents)
            seconds = time.perf_counter() - began
    except OutOfMemory:
        yield "an image", f"takes more than the {in_words(room)} of memory that there are for it"
        return
    threads = torch.get_num_threads()
    where = f"on {threads} thread{'s' * (threads > 1)} of the CPU"
    took = f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms"
    yield "an image", f"{took} and {in_words(tracker.peak)} of memory, {where}"
    if seconds > PATIENCE and not always:
        yield "a waypoint", "not measured, as it takes longer: --measure does"
        return
    try:
        with status("measuring a waypoint"):
            fit = choose_fit(Linearisation(generator, look.features), latents, 1)
    except (OutOfMemory, WalkError) as error:
        yield "a waypoint", str(error)
    else:
        yield "a waypoint", f"{in_words(fit.footprint.need)} of memory a path{RECORDED[fit.linearisation.record]}"


def _parameters(generator: Generator, own_count: str) -> str:
    """Return how many parameters all modules of the generator have, and their dtype; `own_count` is what it says."""
    found = {id(one): one for module in reachable(generator, nn.Module) for one in module.parameters()}
    count = sum(one.numel() for one in found.values())
    if not count:
        return own_count or "none that are seen from outside"
    kinds = " and ".join(sorted({str(one.dtype).removeprefix("torch.") for one in found.values()}))
    return f"{own_count or (f'{count / 1e6:,.1f} million' if count >= EXACT else f'{count:,}')}, {kinds}"
