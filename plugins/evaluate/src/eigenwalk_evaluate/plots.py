"""Plots of an evaluation: drift against varied change for each pair, and all pairs at the last level."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from eigenwalk.runs.outputs import theme, words
from eigenwalk_evaluate.estimate import Estimate
from eigenwalk_evaluate.summary import LimitRow, Row, Summary

HUES = (theme.INK, theme.VARIED, theme.FIXED, *theme.PATHS)
FEW = 5
"""Fewest paths at a point of a curve: quartiles of fewer say nothing."""


@theme.plain_text
def pair_png(rows: Sequence[Row], limit: LimitRow | None) -> bytes:
    """Plot median drift against varied change with interquartile bands, a line for every method, and the limit."""
    figure = Figure(figsize=(11, 5.6), facecolor=theme.PAPER)
    figure.set_layout_engine("constrained", w_pad=0.15, h_pad=0.12)
    axes = figure.add_subplot()
    _style(axes, f"{rows[0].pair.generator}: {rows[0].pair.name}")
    for n, row in enumerate(rows):
        curve = row.curve
        enough = curve.paths >= min(FEW, row.count)
        style = {"color": HUES[n % len(HUES)], "linestyle": "-" if n < len(HUES) else (0, (4, 2))}
        axes.fill_between(
            curve.varied[enough], curve.low[enough], curve.high[enough], color=style["color"], alpha=0.09, lw=0
        )
        label = f"{row.method}   {_label(row.drift[-1])}"
        axes.plot(curve.varied[enough], curve.median[enough], linewidth=2.6 if n == 0 else 1.7, label=label, **style)
    if limit:
        for level, one in zip(limit.pair.levels, limit.drift, strict=True):
            label = f"limit   {_label(one)}" if level == limit.pair.levels[-1] else None
            axes.errorbar(
                level, one.mean, _bars([one]), marker="D", color=theme.GREY, capsize=3, linestyle="", label=label
            )
    axes.set_xlabel("varied change, % of typical", color=theme.GREY)
    axes.set_ylabel("drift of what is fixed, % of typical (median, quartiles)", color=theme.GREY)
    axes.set_xlim(0)
    axes.set_ylim(0)
    title = f"mean drift at {words.percent(rows[0].pair.levels[-1])}"
    legend = axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, title=title, fontsize=9.5)
    legend.set_alignment("left")
    return _png(figure)


@theme.plain_text
def summary_png(summary: Summary, generator: str | None = None, dpi: int = 130) -> bytes:
    """Plot mean drift at the last level with its interval, and the share of paths that get there, by pair and method.

    Of one `generator`, or of all.
    """
    pairs = [pair for pair in summary.plan.pairs if pair.is_ordinary and summary.of(pair)]
    pairs = [pair for pair in pairs if generator in (None, pair.generator)]
    methods = list(dict.fromkeys(row.method for pair in pairs for row in summary.of(pair)))
    each = 0.16 * len(methods) + 0.35
    figure = Figure(figsize=(12, 1.6 + each * len(pairs)), facecolor=theme.PAPER)
    figure.set_layout_engine("constrained", w_pad=0.15, h_pad=0.12)
    drift, arrived = figure.subplots(1, 2, sharey=True, width_ratios=(2, 1))
    _style(drift, f"drift at {words.percent(summary.plan.grid.levels[-1])} varied, % of typical")
    _style(arrived, "paths that get there")
    for n, method in enumerate(methods):
        colour, places, rows = HUES[n % len(HUES)], [], []
        for i, pair in enumerate(pairs):
            rows += [row for row in summary.of(pair) if row.method == method]
            places += [i + 0.8 * (n + 0.5) / len(methods) - 0.4 for row in summary.of(pair) if row.method == method]
        estimates = [row.drift[-1] for row in rows]
        look: Any = {"fmt": "o" if n < len(HUES) else "s", "color": colour, "ms": 4.5, "lw": 1.2, "label": method}
        drift.errorbar([one.mean for one in estimates], places, xerr=_bars(estimates), **look)
        arrived.barh(places, [row.arrived[-1].mean for row in rows], 0.7 / len(methods), color=colour)
    for i, pair in enumerate(pairs):
        limit = summary.limit_of(pair)
        if limit and math.isfinite(limit.drift[-1].mean):
            first = "limit" if i == 0 else None
            drift.vlines(limit.drift[-1].mean, i - 0.42, i + 0.42, color=theme.GREY, linestyle=(0, (2, 2)), label=first)
    drift.set_yticks(range(len(pairs)), [_short(f"{pair.generator}: {pair.name}") for pair in pairs])
    drift.set_ylim(len(pairs) - 0.5, -0.5)
    drift.set_xlim(0)
    arrived.set_xlim(0, 1)
    for axes in (drift, arrived):
        axes.yaxis.grid(False)
        axes.xaxis.grid(True, color=theme.LINE, linewidth=0.7)
    drift.set_yticks(range(len(pairs)), [_short(f"{pair.generator}: {pair.name}") for pair in pairs])
    figure.legend(loc="outside lower center", ncols=min(5, len(methods) + 1), frameon=False, fontsize=9.5)
    return _png(figure, dpi)


def _style(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", color=theme.INK, pad=10)
    axes.grid(color=theme.LINE, linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(theme.LINE)
    axes.tick_params(colors=theme.GREY, length=0, labelsize=9)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.3g} %"))
        axis.set_major_locator(MaxNLocator(6))


def _bars(estimates: Sequence[Estimate]) -> np.ndarray:
    """Return the lengths of error bars below and above the means, ``(2, n)``; 0 without an interval."""
    below = [one.mean - one.low for one in estimates]
    above = [one.high - one.mean for one in estimates]
    return np.nan_to_num(np.clip(np.array([below, above]), 0, None))


def _label(one: Estimate) -> str:
    return f"{100 * one.mean:.1f} %" if math.isfinite(one.mean) else "–"


def _short(text: str, most: int = 46) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _png(figure: Figure, dpi: int = 130) -> bytes:
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()
