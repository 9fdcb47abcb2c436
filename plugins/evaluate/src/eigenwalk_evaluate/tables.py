"""Tables of an evaluation: Markdown to read, CSV to compute with."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence

from eigenwalk.runs.outputs import words
from eigenwalk_evaluate.estimate import Estimate
from eigenwalk_evaluate.plan import Pair
from eigenwalk_evaluate.ratios import ratios
from eigenwalk_evaluate.summary import Edit, Read, Summary

Table = tuple[list[str], list[list[str]]]
"""Headings, and rows of text."""
RATIOS = (
    "The first method's drift over that of others at the last level, on the starts where both get there: below 1 it "
    "holds better. The best straight method is the one with the least drift of all that go straight, pair by pair; of "
    "those that prefer no direction the best direction of each start, chosen by the drift itself."
)

FIGURES = ("slope", "natural", "wrong", "fooled", "caught", "alarms", "pixels", "arrived", "transferred")
"""Of a verdict, in the order of the table's columns."""
READINGS = (
    "Each scalar varies by itself, and a judge that no method saw reads the same in the same images. Slope: the "
    "judge's change over the reported one, each in its own typical distance, where a path reaches the last level or "
    "ends; by nature: the same between random samples. Wrong sense: paths (in %) whose judge moved the other way; "
    "fooled: by less than half of what was reported. Suspected: of the fooled paths and of the others, those (in %) "
    "of which blurred and shifted copies keep less than half of the natural share of the change. Pixels: RMS change "
    "of the image for a typical distance of the reading. Paths there: of those whose start leaves room, so that the "
    "level ahead lies among the middle 98 % of samples. Transferred: of all paths, those that get there in their own "
    "sense with every fixed feature within its tolerance. Paths that reported less than 10 % are not judged."
)


def percent(share: float) -> str:
    """Return a share in per cent with one decimal, or a dash for NaN."""
    return f"{100 * share:.1f}" if math.isfinite(share) else "–"


def interval(one: Estimate) -> str:
    """Return an estimate in per cent with its interval.

    >>> interval(Estimate(0.125, 0.1, 0.15, 8)), interval(Estimate(0.125, math.nan, math.nan, 1)), interval(Estimate())
    ('12.5 (10.0–15.0)', '12.5', '–')
    """
    if not one.low < one.high:
        return percent(one.mean)
    return f"{percent(one.mean)} ({percent(one.low)}–{percent(one.high)})"


def signed_interval(one: Estimate) -> str:
    """Return a difference in percentage points with its interval, always signed."""
    if not math.isfinite(one.mean):
        return "–"
    if not math.isfinite(one.low):
        return f"{100 * one.mean:+.1f}"
    return f"{100 * one.mean:+.1f} ({100 * one.low:+.1f} to {100 * one.high:+.1f})"


def pair_table(summary: Summary, pair: Pair) -> Table:
    """Return a row for every method on a pair, then the limit."""
    rows, levels = summary.of(pair), pair.levels
    head = [
        "method",
        *(f"drift at {words.percent(level)} varied" for level in levels),
        "mean on the way",
        "paths there",
    ]
    head += [f"against {rows[0].method}", "passes a path", "processor seconds", "beyond tolerance"]
    body = [
        [
            row.method if row.seeds == len(pair.recipe.seeds) else f"{row.method}, {row.seeds} starts",
            *map(interval, row.drift),
            interval(row.area),
            interval(row.arrived[-1]),
            "" if row is rows[0] else signed_interval(row.against),
            f"{row.passes:,.0f}",
            f"{row.seconds:.1f}",
            f"{row.outside} of {row.waypoints}",
        ]
        for row in rows
    ]
    limit = summary.limit_of(pair)
    if limit:
        drift = [interval(one) for one in limit.drift]
        few = "" if len(limit.by_seed) == len(pair.recipe.seeds) else f", {len(limit.by_seed)} starts"
        body.append([f"limit{few}", *drift, "", "", "", f"{limit.passes:,.0f}", f"{limit.seconds:.1f}", ""])
    return head, body


def judge_table(summary: Summary, pair: Pair) -> Table:
    """Return the judges' values at the last level, a row for every method."""
    rows = summary.of(pair)
    names = list(dict.fromkeys(name for row in rows for name in row.judges))
    body = [
        [row.method, *(interval(row.judges[name][-1]) if name in row.judges else "–" for name in names)] for row in rows
    ]
    return ["method", *names], body if names else []


def overview(summary: Summary) -> Table:
    """Return drift at the last level: a row for every pair, a column for every method and for the limit."""
    pairs = [pair for pair in summary.plan.pairs if pair.is_ordinary and summary.of(pair)]
    methods = list(dict.fromkeys(row.method for row in summary.rows if row.pair.is_ordinary))
    body = []
    for pair in pairs:
        at = {row.method: percent(row.drift[-1].mean) for row in summary.of(pair)}
        limit = summary.limit_of(pair)
        least = percent(limit.drift[-1].mean) if limit else "–"
        body.append([pair.generator, pair.name, *(at.get(method, "–") for method in methods), least])
    return ["generator", "pair", *methods, "limit"], body


def ratio_table(summary: Summary) -> Table:
    """Return the first method's drift over others', pair by pair, then the mean and the worst over all pairs."""
    found = ratios(summary)
    if not found:
        return [], []
    first = summary.of(found[0].pair)[0].method
    columns = [[one.published for one in found], [one.linear for one in found], [one.limit for one in found]]
    body = [
        [
            one.pair.generator,
            one.pair.name,
            _ratio(one.published),
            f"{_ratio(one.linear)} ({one.best})" if math.isfinite(one.linear) else "–",
            _ratio(one.limit),
        ]
        for one in found
    ]
    kept = [[value for value in column if math.isfinite(value)] for column in columns]
    body.append(["all", "mean", *(_ratio(sum(v) / len(v)) if v else "–" for v in kept)])
    body.append(["all", "worst", *(_ratio(max(v)) if v else "–" for v in kept)])
    return ["generator", "pair", f"{first} / published", f"{first} / best straight", f"{first} / limit"], body


def _ratio(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "–"


def by_method(summary: Summary) -> Table:
    """Return a row for every method: mean drift at the last level over pairs that reach it, the rest over all pairs."""
    rows = [row for row in summary.rows if row.pair.is_ordinary]
    body = []
    for method in dict.fromkeys(row.method for row in rows):
        mine = [row for row in rows if row.method == method]
        drift = [row.drift[-1].mean for row in mine if math.isfinite(row.drift[-1].mean)]
        there = [row.arrived[-1].mean for row in mine]
        figures = [sum(drift) / len(drift) if drift else math.nan, sum(there) / len(there)]
        passes = sum(row.passes for row in mine) / len(mine)
        beyond = f"{sum(row.outside for row in mine):,} of {sum(row.waypoints for row in mine):,}"
        body.append([method, *map(percent, figures), f"{passes:,.0f}", beyond, f"{len(drift)} of {len(mine)}"])
    least = [row.drift[-1].mean for row in summary.limits if math.isfinite(row.drift[-1].mean)]
    if least:
        body.append(["limit", percent(sum(least) / len(least)), "", "", "", f"{len(least)} of {len(summary.limits)}"])
    return [
        "method",
        f"drift at {words.percent(summary.plan.grid.levels[-1])} varied",
        "paths there",
        "passes a path",
        "beyond tolerance",
        "pairs",
    ], body


def dependency_table(edits: Sequence[Edit]) -> Table:
    """Return attribute dependency: how much editing each attribute moved the others, by method."""
    head = ["method", "edited", "mean move of the others", "largest move", "paths there"]
    return head, [
        [e.method, _target(e), _deviations(e.mean), _deviations(e.largest), interval(e.arrived)] for e in edits
    ]


def rescoring_table(edits: Sequence[Edit]) -> Table:
    """Return re-scoring: the mean change of each attribute's score (columns) when each is edited (rows)."""
    names = edits[0].pair.attributes
    body = [[_target(e), *(f"{v:+.2f}" if math.isfinite(v) else "–" for v in e.change)] for e in edits]
    return ["edited", *names], body


def edits_by(summary: Summary) -> dict[str, dict[str, list[Edit]]]:
    """Group edits by generator, then by method."""
    found: dict[str, dict[str, list[Edit]]] = {}
    for edit in summary.edits:
        found.setdefault(edit.pair.generator, {}).setdefault(edit.method, []).append(edit)
    return found


def reads_by(summary: Summary) -> dict[str, dict[str, list[Read]]]:
    """Group what judges said by table, then by method."""
    found: dict[str, dict[str, list[Read]]] = {}
    for read in summary.reads:
        found.setdefault(read.pair.table, {}).setdefault(read.method, []).append(read)
    return found


def reading_table(reads: Sequence[Read]) -> Table:
    """Return how the judge of each varied scalar follows it: a row for every scalar, then the mean and the worst."""
    head = [
        "varied",
        "slope",
        "by nature",
        "wrong sense",
        "fooled",
        "suspected",
        "pixels",
        "paths there",
        "transferred",
        "paths judged",
    ]
    body = [
        [
            str(read.pair.recipe.vary[0]),
            _ratio(read.verdict.slope),
            _ratio(read.verdict.natural),
            percent(read.verdict.wrong),
            percent(read.verdict.fooled),
            f"{percent(read.verdict.caught)} / {percent(read.verdict.alarms)}",
            f"{read.verdict.pixels:.3f}",
            f"{percent(read.verdict.arrived)} of {read.verdict.room}",
            percent(read.verdict.transferred),
            str(read.verdict.counted),
        ]
        for read in reads
    ]
    for name, pick in (("mean", None), ("worst", (min, min, max, max, min, max, min, min, min))):
        figures = []
        for n, which in enumerate(FIGURES):
            values = [v for read in reads if math.isfinite(v := getattr(read.verdict, which))]
            figures.append((pick[n](values) if pick else sum(values) / len(values)) if values else math.nan)
        slope, natural, wrong, fooled, caught, alarms, pixels, arrived, transferred = figures
        row = [name, _ratio(slope), _ratio(natural), percent(wrong), percent(fooled)]
        row += [f"{percent(caught)} / {percent(alarms)}", f"{pixels:.3f}", percent(arrived), percent(transferred), ""]
        body.append(row)
    return head, body


def markdown(
    summary: Summary, overviews: Sequence[tuple[str, str]], plots: Mapping[tuple[str, str], str] | None = None
) -> str:
    """Return ``evaluation.md``: all tables, with `overviews` (what it shows, file) and plots by generator and pair."""
    plots = plots or {}
    out = ["# Results", "", *(line for note in notes(summary) for line in (note, ""))]
    if summary.failures:
        out += ["## What failed", "", *(f"- `{label}`: {reason}" for label, reason in summary.failures), ""]
    head, body = overview(summary)
    if body:
        level = words.percent(summary.plan.grid.levels[-1])
        out += [f"## Drift at {level} varied, in % of typical", "", *_lines(*by_method(summary)), ""]
        out += [line for shows, file in overviews for line in (f"![{shows}]({file})", "")]
        out += [*_lines(head, body), ""]
    head, body = ratio_table(summary)
    if body:
        out += ["## Drift against others", "", RATIOS, "", *_lines(head, body), ""]
    for pair in summary.plan.pairs:
        rows = summary.of(pair)
        if rows and pair.is_ordinary:
            out += [f"## {pair.generator}: {pair.name}", "", *_sets_line(pair), ""]
            if plot := plots.get((pair.generator, pair.name)):
                out += [f"![{pair.name}: drift against varied change]({plot})", ""]
            out += [*_lines(*pair_table(summary, pair)), ""]
            head, body = judge_table(summary, pair)
            if body:
                out += [f"Judged by features that no method saw, at {words.percent(pair.levels[-1])} varied:", ""]
                out += [*_lines(head, body), ""]
    for table, reads in reads_by(summary).items():
        out += [f"## {table}: scalars, read again", "", READINGS, ""]
        for method, found in reads.items():
            out += [f"{method}, up to {words.percent(found[0].pair.levels[-1])} varied:", ""]
            out += [*_lines(*reading_table(found)), ""]
    for generator, methods in edits_by(summary).items():
        every = [edit for edits in methods.values() for edit in edits]
        out += [f"## {generator}: attributes edited one by one", "", _move_note(every[0]), ""]
        out += [*_lines(*dependency_table(every)), ""]
        for method, edits in methods.items():
            out += [f"Mean change of every score for an edit of each, {method}:", ""]
            out += [*_lines(*rescoring_table(edits)), ""]
    return "\n".join(out).rstrip() + "\n"


def notes(summary: Summary) -> list[str]:
    """Return paragraphs that explain the figures."""
    grid = summary.plan.grid
    lines = [
        "Drift and varied change are in per cent of typical: the median distance between two random samples of the "
        "generator. Several fixed features count by the root mean square of their drifts, several varied ones by their "
        "mean. Drift at a level lies on the curve between two waypoints, and counts the paths that get there alone. "
        "In brackets: 95 % bootstrap intervals over the starts.",
        f"rayleigh keeps every fixed feature within {words.percent(grid.tolerance)} of typical, and ends where "
        "it cannot; all others are only measured. A method without a preferred direction for a pair is listed twice: "
        "the mean of its leading directions, and the best of them, chosen for every start by the drift itself.",
    ]
    if grid.limit:
        lines.append(
            "The limit is the least drift that optimising the latent directly finds at the same varied change, or that "
            "any walk had where that is less."
        )
    if summary.missing:
        lines.append(f"{summary.missing} cells are not computed yet.")
    return lines


def cells_csv(summary: Summary) -> str:
    """Return ``cells.csv``: a line for each generator, pair and method."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    judges = list(dict.fromkeys(name for row in summary.rows for name in row.judges))
    levels = summary.plan.grid.levels
    wide = [f"{what} at {level:g}" for level in levels for what in ("drift", "arrived")]
    wide += ["area", "against first", *(f"judge {name} at {levels[-1]:g}" for name in judges)]
    head = ["generator", "pair", "method", "seeds", "paths", *(part for name in wide for part in _parts(name))]
    writer.writerow([*head, "passes a path", "passes a waypoint", "seconds a path", "outside", "waypoints", "endings"])
    for row in summary.rows:
        if not row.pair.is_ordinary:
            continue
        values = [one for pair in zip(row.drift, row.arrived, strict=True) for one in pair]
        values += [row.area, row.against, *((row.judges.get(name) or (Estimate(),))[-1] for name in judges)]
        line = [row.pair.generator, row.pair.name, row.method, row.seeds, row.count]
        line += [_number(v) for one in values for v in (one.mean, one.low, one.high)]
        line += [
            _number(row.passes),
            _number(row.passes_per_waypoint),
            _number(row.seconds),
            row.outside,
            row.waypoints,
        ]
        writer.writerow([*line, "; ".join(f"{word} {n}" for word, n in row.endings.items())])
    for limit in summary.limits:
        blank = Estimate()
        values = [one for drift in limit.drift for one in (drift, blank)] + [blank] * (2 + len(judges))
        line = [limit.pair.generator, limit.pair.name, "limit", limit.drift[-1].seeds, ""]
        line += [_number(v) for one in values for v in (one.mean, one.low, one.high)]
        writer.writerow([*line, _number(limit.passes), "", _number(limit.seconds), "", "", ""])
    return buffer.getvalue()


def curves_csv(summary: Summary) -> str:
    """Return ``curves.csv``: drift against varied change, quartiles and mean of the paths that get so far."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(
        ["generator", "pair", "method", "varied", "paths", "lower quartile", "median", "upper quartile", "mean"]
    )
    for row in summary.rows:
        curve = row.curve
        for i in range(len(curve.varied)):
            values = (curve.low[i], curve.median[i], curve.high[i], curve.mean[i])
            line = [row.pair.generator, row.pair.name, row.method, _number(curve.varied[i]), int(curve.paths[i])]
            writer.writerow([*line, *map(_number, values)])
    return buffer.getvalue()


def _parts(name: str) -> tuple[str, str, str]:
    return name, f"{name} low", f"{name} high"


def _number(value: float) -> str:
    return f"{value:.6g}" if math.isfinite(value) else ""


def _lines(head: Sequence[str], body: Iterable[Sequence[str]]) -> list[str]:
    """Return a Markdown table."""
    rows = [head, ["---"] * len(head), *body]
    return [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]


def _sets_line(pair: Pair) -> list[str]:
    fixed, varied = ", ".join(map(str, pair.recipe.fix)) or "nothing", ", ".join(map(str, pair.recipe.vary))
    return [f"Fixed: `{fixed}`. Varied: `{varied}`. {len(pair.recipe.seeds)} starts."]


def _move_note(edit: Edit) -> str:
    return (
        f"Each is moved by {edit.pair.move:g} of its standard deviations while the others are to hold; what the others "
        "move is in theirs."
    )


def _target(edit: Edit) -> str:
    assert edit.pair.target is not None
    return edit.pair.attributes[edit.pair.target]


def _deviations(one: Estimate) -> str:
    if not math.isfinite(one.mean):
        return "–"
    return f"{one.mean:.2f}" + (f" ({one.low:.2f}–{one.high:.2f})" if math.isfinite(one.low) else "")
