"""``eigenwalk doctor``: what is installed, and what is wrong with it."""

from __future__ import annotations

import platform
from collections import Counter
from importlib import metadata

import typer
from rich.console import Console
from rich.text import Text

from eigenwalk.errors import PluginError


def doctor() -> None:
    """Check the installation: every plugin with its version, the names that clash, and what failed and why."""
    from eigenwalk.registry import Registry

    registry, out = Registry.discover(), Console(highlight=False, soft_wrap=True)
    for name in ("eigenwalk", "torch", "numpy"):
        out.print(Text.assemble((f"{name:<12}", "bold"), _version(name)))
    out.print(Text.assemble((f"{'python':<12}", "bold"), f"{platform.python_version()} on {platform.system()}"))
    out.print()
    for plugin in registry.plugins:
        source = plugin.source
        offers = (*registry.features, *registry.generators, *registry.directions, *registry.commands)
        count = sum((offer.distribution, offer.plugin) == (source.distribution, source.plugin) for offer in offers)
        what = f"{source.plugin}, {count} name{'' if count == 1 else 's'}"
        out.print(Text.assemble(("ok    ", "green"), (f"{source.distribution} {source.version}", "bold"), f"  {what}"))
    if not registry.plugins:
        out.print("no plugin is installed: see what exists with `eigenwalk describe NAME`, or pip install one")
    clashes = _clashes(registry)
    for message in clashes:
        out.print(Text.assemble(("clash ", "yellow"), message))
    for failure in registry.failures:
        out.print(Text.assemble(("fail  ", "bold red"), str(failure)))
        if failure.names:
            out.print(f"      names missing because of it: {', '.join(failure.names)}")
    if registry.failures:
        raise typer.Exit(PluginError.exit_code)


def _clashes(registry) -> list[str]:
    """The names that two distributions offer, and how to pick one."""
    messages = []
    for kind, offers in (("feature", registry.features), ("generator", registry.generators)):
        for name, count in Counter(offer.name for offer in offers).items():
            if count > 1:
                picks = [f'{name}(package="{offer.distribution}")' for offer in offers if offer.name == name]
                messages.append(f"{kind} {name!r} is offered {count} times: write {' or '.join(picks)}")
    return messages


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed"
