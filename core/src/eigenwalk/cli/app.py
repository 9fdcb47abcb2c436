"""The root command: a group whose commands are imported when they are named."""

from __future__ import annotations

import importlib
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from eigenwalk.cli import TRACEBACK
from eigenwalk.errors import EigenwalkError, PluginError

INTERRUPTED = 130
COMMANDS = {
    "walk": ("eigenwalk.cli.walk:walk", "Hold some features and vary others."),
    "run": ("eigenwalk.cli.walk:run", "Repeat the walk of a recipe."),
    "evaluate": ("eigenwalk.cli.evaluate:evaluate", "Compare methods on pairs of fixed and varied features."),
    "report": ("eigenwalk.cli.report:report", "Make pictures and report of a run again."),
    "features": ("eigenwalk.cli.catalogue:features", "List the features that are installed."),
    "generators": ("eigenwalk.cli.catalogue:generators", "List the generators that are installed."),
    "describe": ("eigenwalk.cli.describe:describe", "Explain a name or an expression."),
    "weights": ("eigenwalk.cli.weights:weights", "List, fetch and verify the files that features need."),
    "search": ("eigenwalk.cli.search:search", "Search names by words, installed or not."),
    "install": ("eigenwalk.cli.install:install", "Install the distributions that offer names."),
    "uninstall": ("eigenwalk.cli.install:uninstall", "Remove the distributions that offer names."),
    "list": ("eigenwalk.cli.plugins:plugins", "List the installed plugins and where they come from."),
    "index": ("eigenwalk.cli.index:index", "Check an index of names, and fetch those of others."),
    "check": ("eigenwalk.cli.check:check", "Check whether a feature, generator or direction keeps the contract."),
    "new": ("eigenwalk.cli.new:new", "Make a package of a feature, a generator or a direction."),
    "publish": ("eigenwalk.cli.publish:publish", "Check, build and try a package, and say how to upload it."),
    "doctor": ("eigenwalk.cli.doctor:doctor", "Check plugins, and say what failed."),
}


class Commands(TyperGroup):
    """Built-in commands, then those of plugins; a plugin's is imported only when it is run."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of all commands."""
        return [*COMMANDS, *sorted(_plugins())]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, or None; of a plugin's, what can be said without importing it."""
        if cmd_name in COMMANDS:
            return _built_in(cmd_name)
        offer = _plugins().get(cmd_name)
        return TyperCommand(cmd_name, help=offer.spec.summary) if offer else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command to run, imported now."""
        name, found, rest = super().resolve_command(ctx, args)
        if name is None or name in COMMANDS:
            return name, found, rest
        return name, _from_plugin(_plugins()[name]), rest

    def invoke(self, ctx: Any) -> Any:
        """Runs the command; every error of ours becomes its message and its exit code."""
        try:
            return super().invoke(ctx)
        except EigenwalkError as error:
            from eigenwalk.cli.errors import show

            show(error, bool(ctx.obj and ctx.obj["traceback"]))
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None


def command() -> Any:
    """The root command."""
    app = typer.Typer(
        cls=Commands,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_show_locals=False,
        rich_markup_mode=None,
    )
    app.callback()(_root)
    return typer.main.get_command(app)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib import metadata

        typer.echo(f"eigenwalk {metadata.version('eigenwalk')}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    traceback: Annotated[
        bool, typer.Option("--traceback", help=f"Show where an error came from; {TRACEBACK}=1 does the same.")
    ] = False,
    without: Annotated[
        str, typer.Option("--without", metavar="NAME", help="Leave plugins out; EIGENWALK_WITHOUT does the same.")
    ] = "",
) -> None:
    """Walk through the latent space of an image generator: named features stay fixed while others vary."""


def _built_in(name: str) -> Any:
    target, summary = COMMANDS[name]
    module, _, attribute = target.partition(":")
    found = getattr(importlib.import_module(module), attribute)
    if isinstance(found, typer.Typer):  # a group: commands of its own
        made = typer.main.get_group(found)
        made.name, made.short_help = name, summary
        return made
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_show_locals=False)
    app.command(name, short_help=summary)(found)
    return typer.main.get_command(app)


def _plugins() -> dict[str, Any]:
    """Offers of commands by name; a name that two plugins offer, or that is built in, is nobody's."""
    from eigenwalk.registry import Registry

    found: dict[str, list[Any]] = {}
    for offer in Registry.discover().commands:
        found.setdefault(offer.name, []).append(offer)
    return {name: offers[0] for name, offers in found.items() if len(offers) == 1 and name not in COMMANDS}


def _from_plugin(offer: Any) -> Any:
    """The command of a plugin; whatever its code raises names the plugin."""
    try:
        module, _, attribute = offer.spec.load.partition(":")
        loaded: Any = importlib.import_module(module)
        for part in attribute.split("."):
            loaded = getattr(loaded, part)
        made = typer.main.get_command(loaded)
    except Exception as error:  # a third party's module can raise anything
        raise PluginError(
            f"command {offer.name!r} of plugin {offer.plugin!r} ({offer.distribution} {offer.version}) cannot be "
            f"loaded from {offer.spec.load}: {type(error).__name__}: {error}"
        ) from error
    made.name = offer.name
    return made
