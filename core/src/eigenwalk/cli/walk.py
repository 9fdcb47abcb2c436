"""``eigenwalk walk`` and ``eigenwalk run``: a walk from arguments, or from a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from eigenwalk.runs.recipe import Recipe

Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="Folder of the run [default: runs/ and a name made from the arguments]"),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the run in the folder.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no summary: the folder alone.")]
Device = Annotated[str | None, typer.Option("--device", help="Where to compute: cpu, cuda, cuda:1, mps [default: cpu]")]
Batch = Annotated[
    int | None, typer.Option("--batch", min=1, help="Rows per generator call [default: as memory allows]")
]
Steps = Annotated[
    int | None,
    typer.Option(min=1, help="Waypoints after the start; with more, a finished walk goes on [default: 12]"),
]
To = Annotated[
    float | None,
    typer.Option(help="Walk until this much has varied, as a share of typical, in as many steps as it takes"),
]
Pictures = Annotated[
    list[str] | None,
    typer.Option(
        "--pictures",
        help="Export this too, as eigenwalk export does: png, sheet, mp4, gif, webp, npz, npy, pt, or all; repeatable.",
    ),
]
Memory = Annotated[
    str | None,
    typer.Option("--memory", help="What the walk may take in all, such as 4GB [default: 40 % of the machine's]"),
]


def walk(
    generator: Annotated[str, typer.Argument(help="A generator: a name, a checkpoint, or ./my_generator.py:build.")],
    fix: Annotated[list[str] | None, typer.Option("--fix", help="A feature to hold; repeatable.")] = None,
    vary: Annotated[list[str] | None, typer.Option("--vary", help="A feature to vary; repeatable.")] = None,
    judge: Annotated[
        list[str] | None,
        typer.Option("--judge", help="A feature that only measures, and says what moved; repeatable."),
    ] = None,
    seed: Annotated[
        list[str] | None,
        typer.Option("--seed", help="A start, or a range such as 0-3; repeatable [default: 0]"),
    ] = None,
    start: Annotated[
        list[str] | None,
        typer.Option(
            "--start",
            help="A start in a file: latents (.npy, .npz, .pt, .safetensors), or one, FILE:3; a waypoint of a run, "
            "runs/hair/paths/seed0-1+.json:8; repeatable.",
        ),
    ] = None,
    steps: Steps = None,
    to: To = None,
    paths: Annotated[
        int | None, typer.Option(min=1, help="Paths per seed, the two senses of a direction counted apart [default: 6]")
    ] = None,
    stride: Annotated[
        float | None, typer.Option(help="Varied change per step, as a share of the typical distance [default: 0.08]")
    ] = None,
    solver: Annotated[str | None, typer.Option(help="how to choose directions [default: outward]")] = None,
    tolerance: Annotated[
        float | None, typer.Option(help="Tolerance where a feature names none, as a share of typical [default: 0.35]")
    ] = None,
    region: Annotated[
        float | None,
        typer.Option(help="How far from the mean latent, 1: as 99 of 100 samples; 0: anywhere [default: 1]"),
    ] = None,
    smooth: Annotated[
        float | None,
        typer.Option(help="Average the gradient of a number that varies over latents this far around [default: 0.6]"),
    ] = None,
    device: Device = None,
    dtype: Annotated[str | None, typer.Option(help="float32 or float64 [default: float32]")] = None,
    precision: Annotated[
        str | None, typer.Option(help="Of the generator's derivatives: full, bf16 or fp16 [default: full]")
    ] = None,
    batch: Batch = None,
    memory: Memory = None,
    pictures: Pictures = None,
    out: Out = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Walk so that the features of --fix hold while those of --vary change; goes on where it was stopped.

    eigenwalk walk rooms --fix "rooms.part(sofa)" --vary "~rooms.part(sofa)"
    """
    from eigenwalk.cli.perform import perform
    from eigenwalk.runs.recipe import Recipe
    from eigenwalk.runs.seeds import parse_seeds

    entries: dict[str, Any] = {
        "generator": generator,
        "fix": fix or [],
        "vary": vary or [],
        "judges": judge or [],
        "seeds": parse_seeds(seed) if seed else None,
        "starts": start,
        "steps": steps,
        "to": to,
        "paths": paths,
        "stride": stride,
        "solver": solver,
        "tolerance": tolerance,
        "region": region,
        "smooth": smooth,
        "device": device,
        "dtype": dtype,
        "precision": precision,
        "batch": batch,
        "memory": memory,
    }
    recipe = Recipe.of(**{key: value for key, value in entries.items() if value is not None})
    perform(recipe, out, overwrite, quiet, pictures=pictures or ())


def run(
    recipe: Annotated[Path, typer.Argument(help="A recipe.toml, or the folder of a run, which has one.")],
    steps: Steps = None,
    to: To = None,
    device: Device = None,
    batch: Batch = None,
    memory: Memory = None,
    pictures: Pictures = None,
    out: Out = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    trust: Annotated[bool, typer.Option("--trust", help="Run code in Python files that it names, unasked.")] = False,
) -> None:
    """Repeat the walk of a recipe: with the same versions, weights and files to the same latents.

    With --steps or --to, a run's own recipe goes on in its folder: eigenwalk run runs/hair --steps 20.

    A recipe that runs code in Python files, such as ./my_feature.py:fn, says so and asks first.
    """
    from eigenwalk.cli.perform import perform
    from eigenwalk.runs.recipe import Recipe

    recipe = recipe / "recipe.toml" if (recipe / "recipe.toml").is_file() else recipe
    given: Recipe = Recipe.read(recipe)
    far = {"steps": steps, "to": to}
    where = {"device": device, "batch": batch, "memory": memory, **far}
    entries = dict(given) | {key: value for key, value in where.items() if value is not None}
    if out is None and any(far.values()) and (recipe.parent / "run.json").is_file():
        out = recipe.parent
    perform(Recipe.of(**entries), out, overwrite, quiet, "" if trust else str(recipe), pictures or ())
