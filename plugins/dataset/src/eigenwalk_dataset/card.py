"""The card of a data set: README.md as Hugging Face reads it, and a contact sheet. No torch here."""

from __future__ import annotations

import io
import math
import tarfile
from collections.abc import Mapping, Sequence

import pyarrow as pa
from PIL import Image, ImageDraw

from eigenwalk.errors import FileError
from eigenwalk.names.files import OwnFile
from eigenwalk.names.registry import Registry
from eigenwalk.names.tree import Open, calls
from eigenwalk.runs.outputs.theme import font, shorten
from eigenwalk_dataset import parquet, webdataset
from eigenwalk_dataset.folder import CARD, SHEET, Folder, Record
from eigenwalk_dataset.plan import Plan
from eigenwalk_dataset.schema import CONFIGURATIONS, column_names, schemas, yaml_features
from eigenwalk_dataset.tally import Tally, quantile

PAIRS, ACROSS = 24, 6
"""Pairs on the contact sheet, and in one of its rows."""
SIDE, GAP, LINE, LETTER = 128, 8, 28, 14
"""Longest side of a picture on the sheet, gaps, the room for what is said below a pair, and its letters, in pixels."""
BARS = " ▁▂▃▄▅▆▇█"
SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)


def write_card(
    folder: Folder, plan: Plan, records: Mapping[int, Record], tally: Tally, command: str, registry: Registry
) -> None:
    """Write the card and the sheet of the shards that are done; `tally` is the sum of their counts."""
    sheet = draw_sheet(folder, plan, records)
    if sheet:
        folder.write(SHEET, sheet)
    folder.write(CARD, card(plan, records, tally, command, licences(plan, registry), bool(sheet)))


def card(
    plan: Plan,
    records: Mapping[int, Record],
    tally: Tally,
    command: str,
    licences: Sequence[tuple[str, str, str]],
    sheet: bool,
) -> str:
    """Return the text of README.md."""
    order, measured = plan.order, plan.measured
    size = sum(entry["bytes"] for record in records.values() for entry in record.files.values())
    height, width = measured.resolution
    parts = [
        _front_matter(plan, records, tally),
        f"# Walks of {order.recipe['generator']}\n",
        f"{tally.images:,} images of {height} × {width} pixels ({order.picture.upper()}) on {tally.kept:,} paths from "
        f"{tally.seeds:,} seeds, made by eigenwalk {measured.installed.get('eigenwalk', '')}. On a path the features "
        "that were fixed stay within their tolerances while those that were varied change; every change is measured on "
        "the image itself, as a distance from the path's start.\n",
    ]
    if len(records) < order.count:
        parts.append(f"**Unfinished: {len(records)} of {order.count} shards.**\n")
    if sheet:
        parts.append(f"![Pairs of this data set: the start of a path, and its end]({SHEET})\n")
        parts.append("Start and end of some paths; below, how far what varies has moved, as a share of typical.\n")
    parts += [
        "## What is in it\n",
        "`default`, in `data/`, has a row for each waypoint; `pairs`, in `pairs/`, has one for each path: its start "
        f"(`before`) and its end (`after`). {size / 1e6:,.1f} MB"
        + (f", {size / tally.images:,.0f} bytes an image.\n" if tally.images else ".\n"),
        _columns(plan),
        "## How far features moved\n",
        "At the ends of the paths, in % of the typical distance between two random images; from 0 to 200 %.\n",
        _changes(plan, tally),
        "## What became of the paths\n",
        _counts(tally),
        "## Licences\n",
        "| name | licence | licence of its weights |\n|---|---|---|\n"
        + "\n".join(f"| `{name}` | {licence} | {weights} |" for name, licence, weights in licences)
        + "\n\nWhether these allow what you want to do with the images is for you to find out.\n",
        "## How it was made\n",
        f"```sh\n{command}\n```\n",
        "The same command goes on where this one stopped. `dataset.json` holds the plan, versions and the SHA-256 of "
        "weights and files; `shards/` a record of each shard, with the SHA-256 of its files.\n",
        "".join(f"- {name} {version}\n" for name, version in sorted(measured.installed.items())),
    ]
    return "\n".join(parts)


def licences(plan: Plan, registry: Registry) -> list[tuple[str, str, str]]:
    """Return the name, the licence and the licence of the weights of the generator and of every feature."""
    recipe = plan.order.recipe_for([0]).canonical(registry)
    known = {**registry.index.features, **registry.index.generators}
    found: dict[str, tuple[str, str]] = {}
    for call in (
        call for tree in (recipe.generator, *recipe.fix, *recipe.vary, *recipe.judges) for call in calls(tree)
    ):
        if isinstance(call.offer, OwnFile):
            found[f"{call.offer.path.name}:{call.offer.name}"] = "your own", "your own"
            continue
        spec, entry = call.offer.spec, known.get(call.name)
        weights = ", ".join(dict.fromkeys(one.licence for one in spec.weights))
        found[call.name] = (
            spec.licence or (entry.licence if entry else "not named"),
            weights or (entry.weights_licence if entry else "not named"),
        )
    if isinstance(recipe.generator, Open):
        found[recipe.generator.path] = "that of the file", "that of the file"
    return [(name, *both) for name, both in found.items()]


def draw_sheet(folder: Folder, plan: Plan, records: Mapping[int, Record]) -> bytes | None:
    """Return the contact sheet as a JPEG: pairs of the first shards, each start left of its end; None without pairs.

    Raises:
        FileError: a shard is damaged.
    """
    pairs: list[tuple[Image.Image, Image.Image, str]] = []
    for index in sorted(records):
        name = plan.file(index, "pairs")
        data = folder.read(name) if len(pairs) < PAIRS else None
        if data is None:
            break
        reader = parquet.pictures(pa.BufferReader(data), PAIRS) if plan.order.format == "parquet" else None
        try:
            for before, after, row in reader or webdataset.pictures(data, PAIRS):
                pairs.append((_thumbnail(before), _thumbnail(after), f"{row['path']}   {row['moved']:.0%}"))
        except (pa.ArrowException, tarfile.TarError, OSError, ValueError, SyntaxError) as error:  # the last is Pillow's
            said = "the same command with --check makes damaged shards again"
            raise FileError(f"{folder}/{name} is damaged: {said}") from error
    if not pairs:
        return None
    pairs = pairs[:PAIRS]
    width, height = pairs[0][0].size
    across, down = min(ACROSS, len(pairs)), -(-len(pairs) // ACROSS)
    sheet = Image.new("RGB", (across * (2 * width + GAP) + GAP, down * (height + LINE) + GAP), "white")
    draw, letters = ImageDraw.Draw(sheet), font(LETTER)
    for n, (before, after, said) in enumerate(pairs):
        x, y = GAP + n % ACROSS * (2 * width + GAP), GAP + n // ACROSS * (height + LINE)
        sheet.paste(before, (x, y))
        sheet.paste(after, (x + width, y))
        draw.line((x + width, y, x + width, y + height), "white")
        draw.text((x, y + height + 2), shorten(said, 2 * width, letters), "black", letters)
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _thumbnail(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data)).convert("RGB")
    if (times := SIDE // max(image.size)) > 1:
        return image.resize((image.width * times, image.height * times), Image.Resampling.BICUBIC)
    image.thumbnail((SIDE, SIDE))
    return image


def _front_matter(plan: Plan, records: Mapping[int, Record], tally: Tally) -> str:
    """Return the YAML that Hugging Face reads.

    The library `datasets` keeps what it has read by the folder's name and this text: rows and bytes are in it, so that
    a data set which has grown is read anew.
    """
    size = next((text for limit, text in SIZES if tally.images < limit), "n>10M")
    lines = ["---", "tags:", "- eigenwalk", "- counterfactual", "size_categories:", f"- {size}", "configs:"]
    for name, part in CONFIGURATIONS.items():
        lines += [f"- config_name: {name}", "  data_files:", "  - split: train"]
        kept = [plan.file(index, part) for index, record in sorted(records.items()) if record.tally["kept"]]
        if plan.order.format == "webdataset" and 0 < len(kept) < len(records):  # it reads no tar without a member
            lines += ["    path:", *(f"    - {file}" for file in kept)]
        else:
            lines.append(f"    path: {part}/train-*.{plan.file(0, part).rpartition('.')[2]}")
    lines.append("dataset_info:")
    for name, schema in schemas(plan).items():
        lines.append(f"- config_name: {name}")
        if plan.order.format == "parquet":
            lines += ["  features:", yaml_features(schema, "  ")]
        rows = tally.images if name == "default" else tally.pairs
        files = (one for record in records.values() for one in record.files.items())
        total = sum(entry["bytes"] for file, entry in files if file.startswith(f"{CONFIGURATIONS[name]}/"))
        lines += ["  splits:", "  - name: train", f"    num_bytes: {total}", f"    num_examples: {rows}"]
        lines += [f"  download_size: {total}", f"  dataset_size: {total}"]
    return "\n".join([*lines, "---\n"])


def _columns(plan: Plan) -> str:
    names, rows = column_names(plan), []
    words = {"fixed": "fixed", "varied": "varied", "judged": "only measured, on the picture; signed if it is a number"}
    for role in plan.measured.roles:
        limit = "" if role["tolerance"] is None else f"{role['tolerance']:.4g}"
        cells = (f"`{names[role['name'], role['part']]}`", f"`{role['name']}`", words[role["part"]], role["unit"])
        rows.append(f"| {' | '.join(cells)} | {role['typical']:.4g} | {limit} |")
    head = "| column | feature | part | unit | typical distance | tolerance |\n|---|---|---|---|---|---|\n"
    return head + "\n".join(rows) + "\n"


def _changes(plan: Plan, tally: Tally) -> str:
    rows = []
    for role in plan.measured.roles:
        bins = tally.changes.get(f"{role['part']} {role['name']}")
        if bins and sum(bins):
            shares = [f"{quantile(bins, share):.0%}" for share in (0.05, 0.5, 0.95)]
            rows.append(f"| `{role['name']}` | {role['part']} | {' | '.join(shares)} | `{bars(bins)}` |")
    return "| feature | part | 5 % | median | 95 % | histogram |\n|---|---|---|---|---|---|\n" + "\n".join(rows) + "\n"


def bars(bins: Sequence[int]) -> str:
    """Return a histogram as a line of text, a letter for every two bins; a bin that holds anything shows.

    >>> bars([0, 0, 8, 8, 1] + [0] * 36)
    ' █▁                  '
    """
    pairs = [sum(bins[i : i + 2]) for i in range(0, len(bins), 2)]
    most = max(*pairs, 1)
    return "".join(BARS[math.ceil(count / most * (len(BARS) - 1))] for count in pairs)


def _counts(tally: Tally) -> str:
    """Return how many paths were walked, why they ended, which were dropped and which are left, as tables."""
    ends = [f"| {reason} | {n:,} |" for reason, n in tally.ends.most_common()]
    dropped = [f"| {reason} | {n:,} |" for reason, n in tally.dropped.most_common()] or ["| none | 0 |"]
    kept = [f"| {one} | {n:,} |" for one, n in sorted(tally.directions.items())]
    return "\n".join(
        [
            f"{tally.paths:,} paths were walked ({tally.passes:,.0f} generator passes), {tally.kept:,} are kept.\n",
            *("| ended because of | paths |", "|---|---|", *ends, ""),
            *("| dropped | paths |", "|---|---|", *dropped, ""),
            *("| direction and sense | paths kept |", "|---|---|", *kept, ""),
        ]
    )
