"""The plot of a fitted network: a reliability diagram and a histogram, or values against the truth."""

from __future__ import annotations

from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from eigenwalk.store import open_whole
from eigenwalk_attributes.fit.scores import BINS, Classified, Regressed, bins

BLUE, ORANGE, QUIET = "#3266ad", "#d9822b", "#777777"


def save(
    file: Path, labels: tuple[str, ...], outputs: Tensor, truth: Tensor, scores: tuple[Classified | Regressed, ...]
) -> None:
    """Plot held-out `outputs` ``(n, labels)`` against `truth` to `file`, a row of two panels for each label."""
    figure = Figure(figsize=(9, 3.9 * len(labels)), layout="constrained")
    rows = figure.subplots(len(labels), 2, squeeze=False)
    for column, (label, score) in enumerate(zip(labels, scores, strict=True)):
        left, right = rows[column]
        if isinstance(score, Classified):
            _reliability(left, outputs[:, column], truth[:, column], score)
            _histogram(right, outputs[:, column], truth[:, column])
        else:
            _against(left, outputs[:, column], truth[:, column], score)
            _errors(right, outputs[:, column] - truth[:, column])
        left.set_title(label, loc="left", fontsize=11, fontweight="bold", parse_math=False)
        for axes in (left, right):
            axes.spines[["top", "right"]].set_visible(False)
    with open_whole(file) as part:
        figure.savefig(part, format="png", dpi=130)


def _reliability(axes: Axes, logits: Tensor, truth: Tensor, score: Classified) -> None:
    said, were, count = bins(logits.sigmoid(), truth)
    there = count > 0
    error = (were * (1 - were) / count.clamp(min=1)).sqrt()
    axes.plot([0, 1], [0, 1], color=QUIET, linewidth=1, linestyle="--")
    axes.errorbar(
        said[there], were[there], error[there], color=BLUE, marker="o", markersize=4, linewidth=1.4, capsize=2
    )
    for x, y, n in zip(said[there], were[there], count[there], strict=True):
        axes.annotate(f"{int(n)}", (float(x), float(y)), (5, -9), textcoords="offset points", fontsize=7, color=QUIET)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="probability that it gives", ylabel="share that had the label")
    axes.text(
        0.03,
        0.97,
        f"accuracy {score.accuracy:.3f}\nAUC {score.auc:.3f}\nECE {score.ece:.3f}",
        transform=axes.transAxes,
        va="top",
        fontsize=9,
    )


def _histogram(axes: Axes, logits: Tensor, truth: Tensor) -> None:
    edges = torch.linspace(float(logits.min()), float(logits.max()), 31).tolist()
    for value, colour, name in ((0, ORANGE, "without it"), (1, BLUE, "with it")):
        axes.hist(logits[truth == value].tolist(), edges, color=colour, alpha=0.65, label=name)
    axes.axvline(0, color=QUIET, linewidth=1, linestyle="--")
    axes.set(xlabel="logit", ylabel="held-out images")
    axes.legend(frameon=False, fontsize=9)


def _against(axes: Axes, values: Tensor, truth: Tensor, score: Regressed) -> None:
    ends = [float(truth.min()), float(truth.max())]
    axes.plot(ends, ends, color=QUIET, linewidth=1, linestyle="--")
    axes.scatter(truth.tolist(), values.tolist(), s=9, color=BLUE, alpha=0.6, linewidths=0)
    axes.set(xlabel="value", ylabel="what it reads")
    axes.text(0.03, 0.97, f"R² {score.r2:.3f}", transform=axes.transAxes, va="top", fontsize=9)


def _errors(axes: Axes, errors: Tensor) -> None:
    axes.hist(errors.tolist(), 3 * BINS, color=BLUE, alpha=0.65)
    axes.axvline(0, color=QUIET, linewidth=1, linestyle="--")
    axes.set(xlabel="error", ylabel="held-out images")
