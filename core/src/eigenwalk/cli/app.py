"""The root command: a group whose commands are imported when they are named."""

from __future__ import annotations

import importlib
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from eigenwalk.cli import TRACEBACK
from eigenwalk.errors import EigenwalkError, PluginError, UnknownName

INTERRUPTED = 130
TOOLS = {
    "evaluate": ("eigenwalk-evaluate", "Compare methods on pairs of fixed and varied features."),
    "new": ("eigenwalk-author", "Make a package of a feature, a generator or a direction."),
    "publish": ("eigenwalk-author", "Check, build and try a package, and say how to upload it."),
}
"""Known commands of packages that need not be installed: listed with the line that gets them."""
COMMANDS = {
    "walk": ("eigenwalk.cli.walk:walk", "Hold some features and vary others."),
    "run": ("eigenwalk.cli.walk:run", "Repeat the walk of a recipe."),
    "report": ("eigenwalk.cli.report:report", "Make pictures and report of a run again."),
    "features": ("eigenwalk.cli.catalogue:features", "List the features that are installed."),
    "generators": ("eigenwalk.cli.catalogue:generators", "List the generators that are installed."),
    "describe": ("eigenwalk.cli.describe:describe", "Explain a name or an expression."),
    "weights": ("eigenwalk.cli.weights:weights", "List, fetch and verify the files that features need."),
    "search": ("eigenwalk.cli.search:search", "Search names by words, installed or not."),
    "install": ("eigenwalk.cli.install:install", "Install the distributions that offer names."),
    "uninstall": ("eigenwalk.cli.install:uninstall", "Remove the distributions that offer names."),
    "list": ("eigenwalk.cli.plugins:plugins", "List the installed plugins and where they come from."),
    "index": ("eigenwalk.cli.index:index", "Fetch indexes of names, and say which are used."),
    "check": ("eigenwalk.cli.check:check", "Check whether a feature, generator or direction keeps the contract."),
    "doctor": ("eigenwalk.cli.doctor:doctor", "Check plugins, and say what failed."),
}


class Commands(TyperGroup):
    """Built-in commands, then those of plugins, then known tools; a plugin's is imported only when it is run."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands, those of a built-in group such as ``index check`` left out."""
        offers = [name for name in _plugins() if " " not in name]
        return [*COMMANDS, *sorted({*offers, *TOOLS})]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command, or None; of a plugin's, what can be said without importing it."""
        if cmd_name in COMMANDS:
            return _load_built_in(cmd_name)
        offer = _plugins().get(cmd_name)
        if offer:
            return TyperCommand(cmd_name, help=offer.spec.summary)
        if cmd_name in TOOLS:
            distribution, summary = TOOLS[cmd_name]
            return TyperCommand(cmd_name, help=f"{summary} Not installed: pip install {distribution}")
        return None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command to run, imported now.

        Raises:
            UnknownName: a known tool that is not installed.
        """
        name, found, rest = super().resolve_command(ctx, args)
        if name is None or name in COMMANDS:
            return name, found, rest
        offers = _plugins()
        if name not in offers:
            raise UnknownName(f"eigenwalk {name} comes with {TOOLS[name][0]}: pip install {TOOLS[name][0]}")
        return name, _load_plugin(offers[name]), rest

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


def _load_built_in(name: str) -> Any:
    """Return a command of the core; a group gains what plugins add to it, such as ``index check``."""
    target, summary = COMMANDS[name]
    command = _command(name, _load(target), summary)
    if hasattr(command, "add_command"):
        for offer in _plugins().values():
            group, _, own = offer.name.partition(" ")
            if own and group == name:
                command.add_command(_load_plugin(offer), own)
    return command


def _command(name: str, loaded: Any, summary: str) -> Any:
    """Return the click command of a function or of a typer application."""
    if isinstance(loaded, typer.Typer):
        command = typer.main.get_command(loaded)
        command.name, command.short_help = name, summary
        return command
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_show_locals=False)
    app.command(name, short_help=summary)(loaded)
    return typer.main.get_command(app)


def _load(target: str) -> Any:
    """Import ``module:attribute``."""
    module, _, attribute = target.partition(":")
    loaded: Any = importlib.import_module(module)
    for part in attribute.split("."):
        loaded = getattr(loaded, part)
    return loaded


def _plugins() -> dict[str, Any]:
    """Offers of commands by name; a name that two plugins offer, or that is built in, is nobody's."""
    from eigenwalk.names.registry import Registry

    found: dict[str, list[Any]] = {}
    for offer in Registry.discover().commands:
        found.setdefault(offer.name, []).append(offer)
    return {name: offers[0] for name, offers in found.items() if len(offers) == 1 and name not in COMMANDS}


def _load_plugin(offer: Any) -> Any:
    """Return the command of a plugin.

    Raises:
        PluginError: its module cannot be imported, or gives no command.
    """
    try:
        return _command(offer.name.rpartition(" ")[2], _load(offer.spec.load), offer.spec.summary)
    except Exception as error:  # a third party's module can raise anything
        raise PluginError(
            f"command {offer.name!r} of plugin {offer.plugin!r} ({offer.distribution} {offer.version}) cannot be "
            f"loaded from {offer.spec.load}: {type(error).__name__}: {error}"
        ) from error
