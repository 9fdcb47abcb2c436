"""The root command: a group whose commands are imported when they are named."""

from __future__ import annotations

from importlib.metadata import EntryPoint, version
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from eigenwalk.cli import INTERRUPTED, TRACEBACK
from eigenwalk.errors import EigenwalkError, FileError, PluginError, UnknownName, reason

COMMANDS = {
    "walk": ("eigenwalk.cli.walk:walk", "Hold some features and vary others."),
    "run": ("eigenwalk.cli.walk:run", "Repeat the walk of a recipe."),
    "report": ("eigenwalk.cli.report:report", "Make pictures and report of a run again."),
    "back": ("eigenwalk.cli.back:back", "Take a path of a run back to a waypoint, or forward again."),
    "export": ("eigenwalk.cli.export:export", "Take pictures, films and latents of a run to other programs."),
    "features": ("eigenwalk.cli.catalogue:features", "List the features that are installed."),
    "generators": ("eigenwalk.cli.catalogue:generators", "List the generators that are installed."),
    "describe": ("eigenwalk.cli.describe:describe", "Explain a name or an expression."),
    "weights": ("eigenwalk.cli.weights:weights", "List, fetch and verify the files that features need."),
    "search": ("eigenwalk.cli.search:search", "Search names by words, installed or not."),
    "install": ("eigenwalk.cli.install:install", "Install the distributions that offer names."),
    "uninstall": ("eigenwalk.cli.install:uninstall", "Remove the distributions that offer names."),
    "list": ("eigenwalk.cli.plugins:plugins", "List the installed plugins and where they come from."),
    "index": ("eigenwalk.cli.index:index", "Fetch indexes of names, and say which are used."),
    "doctor": ("eigenwalk.cli.doctor:doctor", "Check plugins, and say what failed."),
}
NOT_INSTALLED = "Known, and not installed"


class Commands(TyperGroup):
    """Built-in commands, then those of plugins, then known ones that are not installed; each imported when it runs."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands, those of a built-in group such as ``index check`` left out."""
        return [*COMMANDS, *(name for name in (*_offers(), *_known()) if " " not in name)]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write what can be run, and apart from it what must be installed first; no command is imported."""
        offers = {name: offer.spec.summary for name, offer in _offers().items() if " " not in name}
        known = {name: f"{entry.summary} {entry.pip_line}" for name, entry in _known().items()}
        here = {name: summary for name, (_, summary) in COMMANDS.items()} | offers
        for heading, rows in (("Commands", here), (NOT_INSTALLED, known)):
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(list(rows.items()))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command, or None; a plugin's has yet to be imported."""
        if cmd_name in COMMANDS:
            return _load_built_in(cmd_name)
        offer = _offers().get(cmd_name)
        if offer:
            return TyperCommand(cmd_name, help=offer.spec.summary)
        entry = _known().get(cmd_name)
        return _not_installed(cmd_name, entry) if entry else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command to run, imported now."""
        name, found, rest = super().resolve_command(ctx, args)
        if name and name not in COMMANDS and name in (offers := _offers()):
            from eigenwalk.cli.terminal import allow_styles

            found = _load_plugin(offers[name])
            allow_styles()
        return name, found, rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command; every error of ours becomes its message and its exit code."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except (EigenwalkError, OSError) as error:
            from eigenwalk.cli.errors import show

            if isinstance(error, OSError):  # a name that is too long, a folder that may not be read
                error = FileError(f"{error.filename or ''!s:.200}: {reason(error)}")
            show(error, bool(ctx.obj and ctx.obj["traceback"]))
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None


def command() -> Any:
    """Return the root command."""
    app = typer.Typer(
        cls=Commands,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_show_locals=False,
        rich_markup_mode=None,
    )
    app.callback()(_root)
    return typer.main.get_command(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"eigenwalk {version('eigenwalk')}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    traceback: Annotated[
        bool, typer.Option("--traceback", help=f"Show where an error came from; {TRACEBACK}=1 does the same.")
    ] = False,
    without: Annotated[
        str, typer.Option("--without", metavar="NAME", help="Leave plugins out; EIGENWALK_WITHOUT does the same.")
    ] = "",
) -> None:
    """Walk through the latent space of an image generator: named features stay fixed while others vary."""


def _offers() -> dict[str, Any]:
    """The offers of commands by name; a name that two plugins offer, or that is built in, is nobody's."""
    from eigenwalk.names.registry import Registry

    by_name: dict[str, list[Any]] = {}
    for offer in Registry.discover().commands:
        by_name.setdefault(offer.name, []).append(offer)
    return {name: offers[0] for name, offers in sorted(by_name.items()) if len(offers) == 1 and name not in COMMANDS}


def _known() -> dict[str, Any]:
    """The commands that an index lists and no plugin offers."""
    from eigenwalk.names.index import known_index

    offers = _offers()
    return {name: entry for name, entry in known_index().commands.items() if name not in (*COMMANDS, *offers)}


def _not_installed(name: str, entry: Any) -> Any:
    """Return a command that only says how to get it."""

    def refuse(**_: Any) -> None:
        raise UnknownName(f"eigenwalk {name} comes with {entry.distribution}: {entry.pip_line}")

    return TyperCommand(
        name.rpartition(" ")[2],
        callback=refuse,
        help=f"{entry.summary} Not installed: {entry.pip_line}",
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )


def _load_built_in(name: str) -> Any:
    """Return a command of the core; a group gains what plugins add to it, such as ``index check``."""
    target, summary = COMMANDS[name]
    command = _as_click(name, EntryPoint(name, target, "").load(), summary)
    if hasattr(command, "add_command"):
        added = {word: _load_plugin(offer) for word, offer in _offers().items() if word.startswith(f"{name} ")}
        added |= {word: _not_installed(word, one) for word, one in _known().items() if word.startswith(f"{name} ")}
        for word, one in added.items():
            command.add_command(one, word.rpartition(" ")[2])
    return command


def _as_click(name: str, loaded: Any, summary: str) -> Any:
    """Return the click command of a function or of a typer application."""
    if isinstance(loaded, typer.Typer):
        command = typer.main.get_command(loaded)
        command.name, command.short_help = name, summary
        return command
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_show_locals=False)
    app.command(name, short_help=summary)(loaded)
    return typer.main.get_command(app)


def _load_plugin(offer: Any) -> Any:
    """Return the command of a plugin.

    Raises:
        PluginError: its module cannot be imported, or gives no command.
    """
    from eigenwalk.names.discovery import CALLED, explain

    try:
        loaded = EntryPoint(offer.name, offer.spec.load, "").load()
        return _as_click(offer.name.rpartition(" ")[2], loaded, offer.spec.summary)
    except CALLED as error:
        raise PluginError(
            f"command {offer.name!r} of plugin {offer.plugin!r} ({offer.provider}) cannot be loaded "
            f"from {offer.spec.load}: {explain(error)}"
        ) from error
