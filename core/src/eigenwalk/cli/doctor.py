"""``eigenwalk doctor``: what is installed, and what is wrong with it. Every plugin is asked in a process of its own."""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from eigenwalk.cli.environment import conflicts, device, folders, installed_version, origin
from eigenwalk.cli.errors import console, print_facts
from eigenwalk.errors import PluginError
from eigenwalk.names.discovery import Failure, Memory, Source, entry_points, select
from eigenwalk.names.discovery.probe import TIMEOUT, Probe, ask_apart
from eigenwalk.names.registry import KINDS, Registry
from eigenwalk.spec import API
from eigenwalk.store import command, megabytes
from eigenwalk.weights import all_items

FOUND = 1
SLOW = 1.0
"""Seconds of import from which a plugin is said to be slow."""


def doctor(
    timeout: Annotated[float, typer.Option(help="Seconds that a plugin may take to be imported.", min=0.1)] = TIMEOUT,
) -> None:
    """Check the installation: plugins, names that clash, versions that break each other, device, weights, folders.

    Each plugin is imported and asked in a process of its own. Exits with 3 where one failed, and with 1 where only
    something else is wrong.
    """
    out = console()
    sources, failures = entry_points()
    used, left = select(sources)
    with ThreadPoolExecutor(max(2, os.cpu_count() or 2)) as pool:
        computes, stack = pool.submit(device), pool.submit(conflicts)
        probes = [told for one in pool.map(lambda source: list(ask_apart([source], timeout)), used) for told in one]
    memory = Memory.read()
    for one in probes:
        memory.keep(one.source, one.row)
    memory.write()
    registry = Registry.of(
        [one.plugin for one in probes if one.plugin],
        [*failures, *(failure for one in probes for failure in one.failures)],
        left,
    )
    _installation(out, computes.result())
    for one in probes:
        _plugin(out, one, registry)
    for source in left:
        out.print(Text.assemble(("out   ", "yellow"), f"{source.distribution} {source.version}  left out"))
    if not sources:
        out.print("no plugin is installed: see what exists with `eigenwalk search`")
    wrong = [*_clashes(registry), *registry.index.problems, *stack.result()]
    for message in wrong:
        out.print(Text.assemble(("wrong ", "yellow"), message))
    _failures(out, registry.failures, sources)
    _weights(out, registry)
    out.print()
    print_facts(out, list(folders()))
    if registry.failures:
        raise typer.Exit(PluginError.exit_code)
    if wrong:
        raise typer.Exit(FOUND)


def _installation(out: Console, device: str) -> None:
    rows = [
        (name, installed_version(name) or "not installed") for name in ("eigenwalk", "torch", "torchvision", "numpy")
    ]
    rows[0] = ("eigenwalk", f"{rows[0][1]}, speaks version {API} of the contracts")
    rows += [("python", f"{platform.python_version()} on {platform.system()}"), ("device", device)]
    print_facts(out, rows)
    out.print()


def _plugin(out: Console, one: Probe, registry: Registry) -> None:
    """Print two lines on one plugin: what it is, and how it behaves."""
    source = one.source
    offers = (*registry.features, *registry.generators, *registry.directions, *registry.commands)
    own = [offer for offer in offers if (offer.distribution, offer.plugin) == (source.distribution, source.plugin)]
    what = f"{source.plugin}, {len(own)} name{'' if len(own) == 1 else 's'}"
    mark = ("part  " if own else "fail  ", "bold red") if one.failures else ("ok    ", "green")
    out.print(Text.assemble(mark, (f"{source.distribution} {source.version}", "bold"), f"  {what}"))
    versions = sorted({getattr(offer.spec, "api", API) for offer in own})
    facts = [origin(source), *(f"contracts {api}" for api in versions)]
    if one.seconds is not None:
        slow = ", slow: it delays the first command after it changes" if one.seconds >= SLOW else ""
        facts.append(f"import {one.seconds:.2f} s{slow}")
    if one.heavy:
        facts.append(f"imports {', '.join(one.heavy)} only to list names")
    out.print(Text(f"      {'; '.join(facts)}", style="dim"))


def _failures(out: Console, failures: Sequence[Failure], sources: Sequence[Source]) -> None:
    installed = {source.distribution for source in sources}
    for failure in failures:
        out.print(Text.assemble(("fail  ", "bold red"), str(failure)))
        if failure.names:
            out.print(f"      names missing because of it: {', '.join(failure.names)}")
        if failure.distribution in installed:
            name = failure.distribution
            out.print(f"      remove it: eigenwalk uninstall {name}; leave it out: --without {name}")


def _clashes(registry: Registry) -> list[str]:
    """The names that two distributions offer, and how to pick one; commands that cannot be reached."""
    from eigenwalk.cli.app import COMMANDS

    messages = []
    for kind in KINDS:
        offers: Sequence[Any] = getattr(registry, f"{kind}s")
        for name, count in Counter(offer.name for offer in offers).items():
            if count > 1:
                picks = [f'{name}(package="{offer.distribution}")' for offer in offers if offer.name == name]
                messages.append(f"{kind} {name!r} is offered {count} times: write {' or '.join(picks)}")
    counted = Counter(offer.name for offer in registry.commands)
    for offer in registry.commands:
        if offer.name in COMMANDS:
            messages.append(f"command {offer.name!r} of {offer.distribution} cannot be reached: eigenwalk has its own")
        elif counted[offer.name] > 1:
            messages.append(f"command {offer.name!r} of {offer.distribution} is offered {counted[offer.name]} times")
    return messages


def _weights(out: Console, registry: Registry) -> None:
    """Print which files of weights are here, and how to get those that are not."""
    items = [(item, item.state()) for item in all_items(registry)]
    if not items:
        return
    here = sum(state in ("present", "unchecked") for _, state in items)
    out.print()
    out.print(Text(f"weights: {here} of {len(items)} files are here", style="bold"))
    for item, state in items:
        if state not in ("present", "unchecked"):
            size = megabytes(item.weights.size)
            get = command(item.names[0]) if item.fetchable else "it ships with its package"
            out.print(f"  {state:<9}{item.weights.file} ({size}): {get}")
