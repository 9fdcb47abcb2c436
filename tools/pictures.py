"""Makes the pictures of README and site: `python tools/pictures.py` all of them, with names those of the catalogue, or
of runs: `face` names what the pages show of runs/face, made by the command of theirs that ends with `--out runs/face`.

Every picture of the catalogue is of a walk by `eigenwalk.run`, or of samples, in a folder that holds what `prepared`
puts there: networks written or fitted here, and two generators trained by others, whose weights `--real` has
(docs/examples says whose).
Figures of the walks go to figures.json beside the pictures.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import chdir
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import eigenwalk
from eigenwalk.cli import main as from_shell
from website.examples import FIGURES, Example, examples, figures
from website.pages import ROOT

TILE, GAP, COLUMNS = 96, 4, 7
LARGEST = 40_000
"""Bytes of a picture."""
START = ROOT / "docs/pictures/start"
"""Folder of what pages show of runs."""
BROWSER = "chromium"
WIDEST = 1600
PAPER = (255, 255, 255)
LEGACY = {"dynamo": False, "opset_version": 13}
"""Of torch's exporters to ONNX, the one that needs no further package."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 1 where a picture could not be made."""
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("names", nargs="*", help="names of the catalogue or of runs; all of them by default")
    reader.add_argument("--real", type=Path, default=ROOT.parent / "shared/real", help="folder of others' weights")
    given = reader.parse_args(arguments)
    wanted = [one for one in examples().values() if not one.why_not and (not given.names or one.name in given.names)]
    failed = of_pages(given.names)
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        for one in wanted:
            try:
                prepared(one, given.real)
                measured = made(one)
            except (eigenwalk.EigenwalkError, OSError) as error:
                failed += 1
                print(f"{one.name}: {error}", file=sys.stderr)
                continue
            FIGURES.write_text(json.dumps(dict(sorted((figures() | measured).items())), indent=1) + "\n")
            print(f"{one.name}: {one.picture.stat().st_size:,} bytes {measured.get(one.name, '')}", flush=True)
    return int(failed > 0)


def of_pages(names: Sequence[str] = ()) -> int:
    """Runs the walks whose strips, plots and reports README and docs show, and puts these into docs, as WebP.

    The number of walks that failed is returned. `names`: of runs, ``face`` for ``--out runs/face``; all by default.
    """
    shown, commands = shown_runs()
    failed = 0
    with tempfile.TemporaryDirectory() as place, chdir(place):
        for name in (name for name in commands if not names or name in names):
            try:
                typed(shlex.split(commands[name][0])[1:])
            except OSError as error:
                failed += 1
                print(f"{name}: {error}", file=sys.stderr)
                continue
            for kind in (kind for of, kind in shown if of == name):
                picture = _photographed(name) if kind == "report" else Image.open(f"runs/{name}/{kind}.png")
                picture.thumbnail((WIDEST, 10 * WIDEST), Image.Resampling.LANCZOS)
                picture.convert("RGB").save(START / f"{name}-{kind}.webp", quality=80, method=6)
    return failed


def shown_runs() -> tuple[set[tuple[str, str]], dict[str, list[str]]]:
    """What README and docs show of runs, as (name, strip, plot or report), and the commands on the same pages."""
    shown: set[tuple[str, str]] = set()
    commands: dict[str, list[str]] = {}
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        text = page.read_text(encoding="utf-8").replace("\\\n ", "")
        here = set(re.findall(r"start/(\w+)-(strip|plot|report)\.webp", text))
        shown |= here
        for command, name in re.findall(r"^(eigenwalk walk .* --out runs/(\w+))$", text, re.MULTILINE):
            if name in dict(here):
                commands.setdefault(name, []).append(command)
    return shown, commands


def _photographed(name: str) -> Image.Image:
    """The top of the report of a run, as a browser shows it."""
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1280,1000"]
    page = Path(f"runs/{name}/report.html").resolve().as_uri()
    subprocess.run([BROWSER, *options, "--screenshot=page.png", page], check=True, capture_output=True)
    return Image.open("page.png")


def typed(words: Sequence[str]) -> None:
    """Runs a command of eigenwalk as from a shell.

    Raises:
        OSError: it ended with an error, which it has told.
    """
    try:
        from_shell([*words, "--quiet"])
    except SystemExit as end:
        if end.code:
            raise OSError(f"eigenwalk {shlex.join(words)} ended with {end.code}") from None


def made(one: Example) -> dict[str, dict[str, float]]:
    """Writes the picture of `one`; what its walk measured, by name."""
    if one.samples:
        generator = eigenwalk.load_generator(one.samples)
        with torch.no_grad():
            rows = generator(generator.sample(2 * COLUMNS, seed=0)).unflatten(0, (2, COLUMNS))
        save([[_shown(image) for image in row] for row in rows], one.picture)
        return {}
    paths = walked(one)
    save([_both_ways(*(path for path in paths if path.seed == seed)) for seed in one.seeds], one.picture)
    ends = [path.waypoints[-1].changes for path in paths]
    shares = {
        part: float(np.mean([end[role.name] / role.typical for end in ends for role in getattr(paths[0], part)]))
        for part in ("varied", "fixed")
        if getattr(paths[0], part)
    }
    return {one.name: {part: round(share, 3) for part, share in shares.items()}}


def walked(one: Example, steps: int | None = None) -> tuple[eigenwalk.Path, ...]:
    """The walks of `one`: a pair of paths from every seed, of its own number of steps unless `steps` says another."""
    solver = {"solver": one.solver} if one.solver else {}
    options = {"paths": 2, "steps": one.steps if steps is None else steps, "stride": one.stride}
    return eigenwalk.run(one.generator, fix=one.fix, vary=one.vary, seeds=one.seeds, **solver, **options)


def save(rows: list[list[Image.Image]], file: Path) -> None:
    """Writes the images side by side, a row below another, as WebP of at most `LARGEST` bytes."""
    width, height = (n * TILE + (n - 1) * GAP for n in (len(rows[0]), len(rows)))
    canvas = Image.new("RGB", (width, height), PAPER)
    for y, row in enumerate(rows):
        for x, image in enumerate(row):
            canvas.paste(image.resize((TILE, TILE), Image.Resampling.LANCZOS), (x * (TILE + GAP), y * (TILE + GAP)))
    for quality in (88, 80, 70, 55):
        canvas.save(file, "WEBP", quality=quality, method=6)
        if file.stat().st_size < LARGEST:
            return
    raise OSError(f"{file.name} has {file.stat().st_size:,} bytes at the lowest quality: fewer or smaller images")


def _both_ways(*paths: eigenwalk.Path) -> list[Image.Image]:
    """The images of two paths from one start: the end of one, the start in the middle, the end of the other."""
    ahead, back = sorted(paths, key=lambda path: -path.sense)
    half = COLUMNS // 2
    ways = [[path.waypoints[round(i * (len(path) - 1) / half)] for i in range(1, half + 1)] for path in (back, ahead)]
    chosen = [*reversed(ways[0]), ahead.waypoints[0], *ways[1]]
    return [Image.fromarray(waypoint.image) for waypoint in chosen]


def _shown(image: torch.Tensor) -> Image.Image:
    return Image.fromarray((image.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy())


def prepared(one: Example, real: Path, portraits: int = 300) -> None:
    """Puts what the example needs into the working folder: a network written or fitted here, or others' weights.

    Raises:
        FileNotFoundError: `real` has not the weights.
    """
    name = one.prepare
    if not name or Path(name).exists():
        return
    weights = {"anime.onnx": "anime_dcgan.safetensors"}.get(name, name)
    if weights in ("anime_dcgan.safetensors", "faces_vae.pt"):
        shutil.copy(real / weights, weights)
        shutil.copy(ROOT / f"docs/examples/{Path(weights).stem}.py", ".")
    if name == "anime.onnx":
        _exported("./anime_dcgan.py:build(weights='anime_dcgan.safetensors')", Path(name))
    elif name == "rooms.pt2":
        _exported("rooms", Path(name))
    elif name == "hair_lightness.safetensors":
        _fitted(Path(name).stem, portraits)


class _Module(torch.nn.Module):
    """A generator as the module that torch's exporters ask for."""

    def __init__(self, name: str):
        super().__init__()
        self.generator = eigenwalk.load_generator(name)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        return self.generator(latents)


def _exported(generator: str, file: Path) -> None:
    """A generator in `file`, by torch.export or as ONNX."""
    network = _Module(generator).eval()
    latents = network.generator.sample(2, seed=0)
    if file.suffix == ".pt2":
        program = torch.export.export(network, (latents,), dynamic_shapes=({0: torch.export.Dim("batch")},))
        torch.export.save(program, file)
    else:
        torch.onnx.export(network, (latents,), str(file), input_names=["z"], dynamic_axes={"z": {0: "n"}}, **LEGACY)


def _fitted(label: str, portraits: int) -> None:
    """A network that tells `label` of portraits of faces, as the guide to attributes makes it."""
    faces, judge = eigenwalk.load_generator("faces"), eigenwalk.load_feature(f"faces.factor({label})")
    Path("portraits").mkdir()
    with torch.no_grad(), open("portraits/values.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image", label])
        for i, image in enumerate(faces(faces.sample(portraits, seed=0))):
            _shown(image).save(f"portraits/{i:03}.png")
            rows.writerow([f"{i:03}.png", float(judge(image[None]))])
    typed(["attributes", "fit", label, "--csv", "portraits/values.csv", "--out", "."])


if __name__ == "__main__":
    sys.exit(main())
