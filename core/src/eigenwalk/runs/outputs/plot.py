"""Draw ``plot.png``: how far every feature moved along the paths, and what each waypoint cost.

At the left, a panel per feature shows its change from the start at every waypoint, in % of its typical distance, with
the feature's own unit on the right-hand axis; below them stand the generator passes per waypoint. At the right, the
change of what is fixed is drawn against the change of what varies: a good path runs flat to the right.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from eigenwalk.path import Path, Role
from eigenwalk.runs.outputs import theme, words

MANY = 12
"""With more paths than this, lines are thin and transparent."""


@dataclass(frozen=True)
class Ink:
    """Colours of a plot. The defaults suit white paper; `DARK` suits a dark screen."""

    text: str = theme.INK
    quiet: str = theme.GREY
    line: str = theme.LINE
    paper: str = theme.PAPER
    varied: str = theme.VARIED
    fixed: str = theme.FIXED


DARK = Ink("#f2f2f4", "#a1a1a8", "#3a3a40", "#16161a", "#f0803c", "#4aa8e0")


@theme.plain_text
def plot_png(paths: Sequence[Path]) -> bytes:
    """Return the plot as a PNG on white, at 150 dots per inch."""
    figure, buffer = draw_plot(paths, Ink()), io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(buffer, format="png", dpi=150)
    return buffer.getvalue()


@theme.plain_text
def plot_svg(paths: Sequence[Path], dark: bool = False) -> bytes:
    """Return the plot as an SVG with a transparent background. Text is drawn as outlines, so no font is needed."""
    figure, buffer = draw_plot(paths, DARK if dark else Ink()), io.BytesIO()
    for patch in (figure.patch, *(axes.patch for axes in figure.axes)):
        patch.set_alpha(0)
    FigureCanvasSVG(figure)
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def draw_plot(paths: Sequence[Path], ink: Ink) -> Figure:
    """Draw the figure: feature panels and passes at the left, fixed against varied at the right."""
    roles = (*paths[0].varied, *paths[0].fixed, *paths[0].judged)
    heights = [2.0] * len(roles) + [1.3]
    figure = Figure(figsize=(12, max(6.2, sum(heights) + 1.2)), facecolor=ink.paper)
    figure.set_layout_engine("constrained", w_pad=0.18, h_pad=0.14)
    grid = figure.add_gridspec(len(heights), 2, width_ratios=(1.25, 1), height_ratios=heights)
    last = None
    for row, role in enumerate(roles):
        last = figure.add_subplot(grid[row, 0], sharex=last)
        _draw_feature(last, paths, role, ink)
    passes = figure.add_subplot(grid[-1, 0], sharex=last)
    _draw_passes(passes, paths, ink)
    for axes in figure.axes[:-1]:
        axes.tick_params(labelbottom=False)
    passes.set_xlabel("waypoint", color=ink.quiet)
    _draw_against(figure.add_subplot(grid[: len(roles), 1]), paths, ink)
    _draw_legend(figure.add_subplot(grid[-1, 1]), paths, ink)
    return figure


def _apply_style(axes: Axes, title: str, colour: str, ink: Ink) -> None:
    axes.set_title(title, loc="left", fontsize=10.5, fontweight="bold", color=colour, pad=8)
    axes.set_facecolor(ink.paper)
    axes.grid(axis="y", color=ink.line, linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(ink.line)
    axes.tick_params(colors=ink.quiet, length=0, labelsize=9)
    axes.margins(x=0.01)


def _path_colour(path: Path, ink: Ink) -> tuple[float, float, float]:
    """Return the colour of the path's direction; sense − is nearer to the text's, to be seen on top of sense +."""
    hue, text = np.array(to_rgb(theme.PATHS[(path.rank - 1) % len(theme.PATHS)])), np.array(to_rgb(ink.text))
    red, green, blue = hue if path.sense > 0 else 0.45 * hue + 0.55 * text
    return float(red), float(green), float(blue)


def _draw_path(axes: Axes, path: Path, x: Sequence[float], y: Sequence[float], many: bool, ink: Ink) -> None:
    """Draw one path: its colour is its direction's, darker dashes mean sense −, and a cross marks an early end."""
    style = "-" if path.sense > 0 else (0, (4, 2))
    short = path.status.reason not in ("length", "walking")
    width, alpha = (1.0, 0.55) if many else (1.8, 0.95)
    colour = _path_colour(path, ink)
    axes.plot(x, y, linestyle=style, color=colour, linewidth=width, alpha=alpha, solid_capstyle="round")
    axes.plot(x[-1:], y[-1:], marker="X" if short else "o", color=colour, markersize=5.5 if short else 3.5, alpha=alpha)


def _draw_feature(axes: Axes, paths: Sequence[Path], role: Role, ink: Ink) -> None:
    colour = {"varied": ink.varied, "fixed": ink.fixed}.get(role.part, ink.quiet)
    title = role.name if len(role.name) <= 58 else role.name[:28] + "…" + role.name[-28:]
    _apply_style(axes, f"{role.part}  {title}", colour, ink)
    top = low = 0.0
    for path in paths:
        with np.errstate(divide="ignore", invalid="ignore"):  # a feature that never changes has no typical distance
            change = path.change(role)
        top, low = max(top, float(np.nanmax(change, initial=0.0))), min(low, float(np.nanmin(change, initial=0.0)))
        _draw_path(axes, path, [w.index for w in path], list(change), len(paths) > MANY, ink)
    limit = words.tolerance(role)
    if math.isfinite(limit):
        top = max(top, limit)
        axes.axhline(limit, color=ink.text, linewidth=1, linestyle=(0, (1, 2)))
        place: Any = {"xycoords": ("axes fraction", "data"), "textcoords": ("axes fraction", "offset points")}
        text = f"tolerance {words.percent(limit)}"
        axes.annotate(text, (0, limit), (0.01, 3), fontsize=8.5, color=ink.text, **place)
    axes.set_ylim(1.16 * low, max(1.16 * top, 0.02))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.3g} %"))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    own = axes.secondary_yaxis("right", functions=_unit_conversion(role))
    own.set_ylabel(role.unit, color=ink.quiet, fontsize=9)
    own.tick_params(colors=ink.quiet, length=0, labelsize=9)
    own.yaxis.set_major_locator(MaxNLocator(4))
    own.spines["right"].set_visible(False)


def _unit_conversion(role: Role) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """Return two functions for matplotlib: share of the typical distance to the feature's unit, and back."""
    typical = role.typical or 1.0
    return lambda share: np.asarray(share) * typical, lambda value: np.asarray(value) / typical


def _draw_passes(axes: Axes, paths: Sequence[Path], ink: Ink) -> None:
    """Draw the mean passes of the paths at each waypoint as bars, with their range as thin lines."""
    _apply_style(axes, "generator passes per waypoint", ink.text, ink)
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    spent: dict[int, list[float]] = {}
    for path in paths:
        for waypoint in path:
            spent.setdefault(waypoint.index, []).append(waypoint.cost.passes)
    index = sorted(spent)
    axes.bar(index, [float(np.mean(spent[i])) for i in index], width=0.55, color=ink.quiet, alpha=0.55)
    axes.vlines(index, [min(spent[i]) for i in index], [max(spent[i]) for i in index], color=ink.text, linewidth=1)
    axes.set_ylim(bottom=0)


def _draw_against(axes: Axes, paths: Sequence[Path], ink: Ink) -> None:
    """Draw the fixed change against the varied change, the two percentages under every picture of the strip."""
    _apply_style(axes, "fixed against varied", ink.text, ink)
    axes.grid(axis="x", color=ink.line, linewidth=0.7)
    top = right = 0.0
    limits = set()
    for path in paths:
        figures = [words.shares(path, waypoint) for waypoint in path]
        varied, fixed = [f.varied for f in figures], [0.0 if math.isnan(f.fixed) else f.fixed for f in figures]
        limits |= {f.tolerance for f in figures if math.isfinite(f.tolerance)}
        top, right = max([top, *fixed]), max([right, *varied])
        _draw_path(axes, path, varied, fixed, len(paths) > MANY, ink)
    if len(limits) == 1:
        limit = limits.pop()
        top = max(top, limit)
        axes.axhline(limit, color=ink.text, linewidth=1, linestyle=(0, (1, 2)))
    edge = 1.08 * max(top, right, 0.02)
    axes.plot((0, edge), (0, edge), color=ink.line, linewidth=1, zorder=0)
    slanted: Any = {"ha": "right", "va": "bottom", "rotation": 45, "rotation_mode": "anchor"}
    axes.text(0.97 * edge, 0.99 * edge, "both move equally", fontsize=8.5, color=ink.quiet, **slanted)
    axes.set(xlim=(0, edge), ylim=(0, edge))
    axes.set_aspect("equal", adjustable="box", anchor="NW")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.3g} %"))
        axis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel("varied change, % of typical", color=ink.varied, fontsize=9.5)
    axes.set_ylabel("fixed change, % of typical", color=ink.fixed, fontsize=9.5)


def _draw_legend(axes: Axes, paths: Sequence[Path], ink: Ink) -> None:
    axes.set_axis_off()
    ranks = sorted({path.rank for path in paths})
    hues = [
        Line2D([], [], color=theme.PATHS[(r - 1) % len(theme.PATHS)], linewidth=2.5, label=f"direction {r}")
        for r in ranks
    ]
    senses = [
        Line2D([], [], color=ink.quiet, linewidth=1.8, label="sense +"),
        Line2D([], [], color=ink.text, linewidth=1.8, linestyle=(0, (4, 2)), label="sense −"),
        Line2D([], [], color=ink.quiet, linewidth=0, marker="X", label="cut short"),
    ]
    handles = [*hues[:9], *senses]
    axes.legend(
        handles=handles, loc="upper left", ncols=3, frameon=False, labelcolor=ink.text, fontsize=9.5, borderaxespad=0
    )
