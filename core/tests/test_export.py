# ruff: noqa: F811 - fixtures
"""What leaves a run: pictures with their numbers, films, sheets, and latents that come back bit by bit."""

from __future__ import annotations

import errno
import io
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path as FilePath

import numpy as np
import pytest
import torch
from filelock import FileLock
from PIL import Image

import eigenwalk
from command_line import Here, here, place  # noqa: F401
from eigenwalk.errors import ContractError, FileError, InputError, OutputError
from eigenwalk.generator import FunctionGenerator
from eigenwalk.path import Path
from eigenwalk.runs.command import command_of
from eigenwalk.runs.export import DEFAULT, KINDS, export
from eigenwalk.runs.outputs.export import in_shape, latents_file
from eigenwalk.runs.outputs.folder import RunFolder
from eigenwalk.runs.recipe import Recipe
from eigenwalk.runs.starts import read_latents
from fabricated import path, paths

COLOURS = torch.tensor([[0.9, 0.2, 0.1], [0.1, 0.3, 0.8]])


def images(latents: torch.Tensor) -> torch.Tensor:
    """A plain colour from each latent of `fabricated`: its first coordinate, along a line of colours."""
    share = latents[:, :1].clamp(0, 3) / 3
    colour = (1 - share) * COLOURS[0].to(latents) + share * COLOURS[1].to(latents)
    return colour[:, :, None, None].expand(-1, -1, 16, 16)


def generator() -> FunctionGenerator:
    return FunctionGenerator(images, 4, (16, 16))


def made(walked: tuple[Path, ...], folder: FilePath, *kinds: str, **options: object) -> set[str]:
    """Export, and return the names of the files."""
    files = export(walked, folder, kinds, generator=generator(), **options)  # type: ignore[arg-type]
    assert sorted(files) == sorted(file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)) for file in files}


def test_all_kinds_are_written_for_every_path(tmp_path: FilePath) -> None:
    walked = paths(directions=1, steps=2)
    pictures = {f"seed0-1{sense}/00{i}.png" for sense in "+-" for i in range(3)}
    each = {f"seed0-1{sense}.{kind}" for sense in "+-" for kind in ("mp4", "gif", "webp", "npz", "npy", "pt")}
    assert made(walked, tmp_path, *KINDS) == {*pictures, *each, "sheet.png"}


def test_a_picture_holds_its_numbers_and_its_pixels(tmp_path: FilePath) -> None:
    walked = path(steps=3)
    made((walked,), tmp_path, "png")
    with Image.open(tmp_path / "seed0-1+/002.png") as picture:
        fields = picture.text  # type: ignore[attr-defined]
        assert np.array_equal(np.asarray(picture), walked.waypoints[2].image)
    assert fields["Title"] == "rooms, seed 0, direction 1 +, waypoint 2"
    assert "varied ~mask(box=(0, 0, 1, 0.5)) 20 % of typical (0.05 RMS pixel)" in fields["Description"]
    told = json.loads(fields["eigenwalk"])
    assert (told["seed"], told["path"], told["waypoint"], told["command"]) == (0, "seed0-1+", 2, None)
    assert [one["change"] for one in told["changes"]] == list(walked.waypoints[2].changes.values())


def test_what_is_no_number_is_null_in_a_picture(tmp_path: FilePath) -> None:
    walked = path(steps=1)
    broken = replace(walked.waypoints[1], changes=dict.fromkeys(walked.waypoints[1].changes, float("nan")))
    made((replace(walked, waypoints=(walked.waypoints[0], broken)),), tmp_path, "png")
    with Image.open(tmp_path / "seed0-1+/001.png") as picture:
        told = json.loads(picture.text["eigenwalk"])  # type: ignore[attr-defined]
    assert [one["change"] for one in told["changes"]] == [None, None]


@pytest.fixture
def ramp() -> Path:
    """A path whose pictures are what `images` makes of its latents."""
    walked = path(steps=2)
    latents = [np.array([x, 0, 0, 0], np.float32) for x in (0.0, 1.5, 3.0)]
    shown = images(torch.from_numpy(np.stack(latents))).mul(255).round().byte().permute(0, 2, 3, 1).numpy()
    rows = zip(walked.waypoints, latents, shown, strict=True)
    return replace(walked, waypoints=tuple(replace(w, latent=z, image=image) for w, z, image in rows))


def test_the_frames_between_waypoints_are_images_of_the_latents_between(ramp: Path, tmp_path: FilePath) -> None:
    made((ramp,), tmp_path, "mp4", "webp", between=3)
    expected = images(torch.linspace(0, 3, 9)[:, None].expand(-1, 4))[:, :, 0, 0].mul(255).numpy()
    forth = list(frames_of(tmp_path / "seed0-1+.mp4"))
    assert len(forth) == 9 and forth[0].shape == (256, 256, 3)
    assert all(np.abs(frame.mean((0, 1)) - colour).max() < 4 for frame, colour in zip(forth, expected, strict=True))
    with Image.open(tmp_path / "seed0-1+.webp") as film:
        assert film.n_frames == 16 and film.size == (256, 256)  # type: ignore[attr-defined]
        for index, place in ((0, 0), (4, 4), (8, 8), (12, 4), (15, 1)):  # there and back
            film.seek(index)
            assert np.abs(np.asarray(film.convert("RGB")).mean((0, 1)) - expected[place]).max() < 4


def frames_of(file: FilePath) -> Iterator[np.ndarray]:
    import av

    with av.open(io.BytesIO(file.read_bytes()), "r") as film:
        for frame in film.decode(film.streams.video[0]):
            yield frame.to_ndarray(format="rgb24")


def test_films_of_waypoints_alone_need_no_generator(ramp: Path, tmp_path: FilePath) -> None:
    alone = replace(ramp, generator="there is no such generator")
    export([alone], tmp_path, ["gif", "mp4"], between=0)
    with Image.open(tmp_path / "seed0-1+.gif") as film:
        assert film.n_frames == 4  # type: ignore[attr-defined]
    assert len(list(frames_of(tmp_path / "seed0-1+.mp4"))) == 3
    with pytest.raises(eigenwalk.EigenwalkError):
        export([alone], tmp_path, ["mp4"])


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="the system keeps no room")
def test_frames_without_room_on_disk_are_refused(ramp: Path, tmp_path: FilePath, monkeypatch) -> None:
    def full(file: int, begin: int, size: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)  # written to through memory, a full disk kills the process
    with pytest.raises(OutputError, match="--between"):
        export([ramp], tmp_path, ["mp4"], between=0)
    assert not list(tmp_path.iterdir())


def test_odd_pictures_make_films_with_even_sides(tmp_path: FilePath) -> None:
    export([path(steps=1, size=(301, 513))], tmp_path, ["mp4", "gif"], between=0)
    assert next(frames_of(tmp_path / "seed0-1+.mp4")).shape == (302, 514, 3)
    with Image.open(tmp_path / "seed0-1+.gif") as film:
        assert film.size == (512, 300)


def test_a_sheet_is_pictures_and_nothing_else(tmp_path: FilePath) -> None:
    walked = paths(directions=1, steps=3)
    short = (walked[0], replace(walked[1], waypoints=walked[1].waypoints[:2]))
    made(short, tmp_path, "sheet")
    with Image.open(tmp_path / "sheet.png") as picture:
        pixels = np.asarray(picture)
    white = np.full((16, 32, 3), 255, np.uint8)
    rows = [np.concatenate([w.image for w in short[0]], 1), np.concatenate([*(w.image for w in short[1]), white], 1)]
    assert np.array_equal(pixels, np.concatenate(rows))


@pytest.mark.parametrize("kind", ["npz", "npy", "pt"])
@pytest.mark.parametrize(("space", "shape"), [("z", ()), ("w+", (2, 2)), ("w", (5, 4)), ("embedding", ())])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_latents_come_back_bit_by_bit(kind: str, space: str, shape: tuple[int, ...], dtype: type, tmp_path: FilePath):
    walked = path(steps=3)
    latents = np.random.default_rng(0).standard_normal((4, 4)).astype(dtype)
    walked = replace(walked, waypoints=tuple(replace(w, latent=z) for w, z in zip(walked, latents, strict=True)))
    (tmp_path / f"x.{kind}").write_bytes(latents_file(kind, walked, space, shape))
    found = read_latents(f"{tmp_path}/x.{kind}")
    assert found.values.shape == (4, *(shape or (4,)))
    started = FunctionGenerator(images, 4, (16, 16), space=space)
    started.latent_shape = shape
    rows = found.rows(started)
    assert rows is not None and rows.numpy().dtype == dtype and np.array_equal(rows.numpy(), latents)
    if kind == "npz":
        assert np.load(tmp_path / "x.npz").files == [{"z": "z", "embedding": "latents"}.get(space, "w")]
    if kind == "pt":
        assert torch.load(tmp_path / "x.pt", weights_only=True).shape == found.values.shape


def test_a_shape_that_is_not_the_latents_is_the_generators_fault() -> None:
    with pytest.raises(ContractError, match="latent_shape of the generator is"):
        in_shape(np.zeros((2, 6)), (4, 2))


def test_a_walk_from_an_exported_waypoint_begins_at_its_very_picture(tmp_path: FilePath) -> None:
    def brightness(pictures: torch.Tensor) -> torch.Tensor:
        return pictures.mean((1, 2, 3))

    mixing = torch.randn(4, 3 * 64, generator=torch.Generator().manual_seed(0))
    made_of = FunctionGenerator(lambda z: ((z @ mixing.to(z)).sin().unflatten(1, (3, 8, 8)) + 1) / 2, 4, (8, 8))
    first = eigenwalk.run(made_of, vary=[brightness], steps=2, paths=2)
    files = export(first, tmp_path, ["npz", "npy", "pt"], generator=made_of, names=["seed0-1+"])
    again = eigenwalk.run(made_of, vary=[brightness], steps=1, paths=2, starts=[f"{file}:2" for file in files])
    for walked in again:
        assert np.array_equal(walked.waypoints[0].latent, first[0].waypoints[2].latent)
        assert np.array_equal(walked.waypoints[0].image, first[0].waypoints[2].image)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"kinds": ["jpg"]}, InputError, "one of png, sheet, .* got 'jpg'"),
        ({"names": ["seed7-1+"]}, InputError, r"no path 'seed7-1\+'; there are seed0-1\+"),
        ({"folder": None}, InputError, "folder must be given"),
        ({"kinds": ["npy"], "generator": FunctionGenerator(images, 5, (16, 16))}, FileError, "the paths have 4"),
    ],
)
def test_what_cannot_be_exported_says_why(options: dict, error: type, said: str, tmp_path: FilePath) -> None:
    with pytest.raises(error, match=said):
        export([path()], **({"folder": tmp_path, "kinds": ["png"]} | options))


def test_nothing_is_written_through_a_link(tmp_path: FilePath) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/seed0-1+").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="symbolic link"):
        export([path()], tmp_path / "out", ["png"])
    assert not list((tmp_path / "elsewhere").iterdir())


def test_only_what_opens_the_generator_asks_to_run_its_file_and_it_may_have_moved(here: Here, place: FilePath) -> None:
    recipe = Recipe.of(generator="./gone.py:build", vary=["pixels"])
    with RunFolder.claim(place / "run", recipe.identity()) as folder:
        folder.begin(recipe.text())
        folder.finish(tuple(replace(one, generator="./gone.py:build") for one in paths(directions=1)))
    assert here("export", "run", "png", "sheet")[0] == 0
    assert here("export", "run", "gif", "--between", "0")[0] == 0
    code, said = here("export", "run", "npz", "--trust")
    assert code != 0 and "gone.py" in said
    code, said = here("export", "run", "npz", "--generator", "./my_generator.py:build(latent=4)")
    assert code == 0 and (place / "run/export/seed0-1+.npz").is_file(), said


def test_what_the_paths_name_is_asked_for_whatever_the_recipe_says(here: Here, place: FilePath) -> None:
    recipe = Recipe.of(generator="rooms", vary=["pixels"])
    with RunFolder.claim(place / "run", recipe.identity()) as folder:
        folder.begin(recipe.text())
        folder.finish(tuple(replace(one, generator="./evil.py:build") for one in paths(directions=1)))
    (place / "evil.py").write_text("open('ran', 'w')")
    code, said = here("export", "run", "npz")
    assert code == 2 and "evil.py" in said and "--trust" in said and not (place / "ran").exists()


def test_a_run_where_nobody_can_write_is_exported_elsewhere(tmp_path: FilePath, monkeypatch) -> None:
    with RunFolder.claim(tmp_path / "run", (recipe := Recipe.of(generator="rooms", vary=["pixels"])).identity()) as run:
        run.begin(recipe.text())
        run.finish(paths(directions=1))

    def refused(*args: object, **options: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(FileLock, "acquire", refused)  # whoever tests as root can write everywhere
    assert export(tmp_path / "run", tmp_path / "out", ["png"])
    eigenwalk.report(tmp_path / "run", tmp_path / "report.html")
    with pytest.raises(OutputError, match="cannot write in"):
        RunFolder.open(tmp_path / "run")


def test_a_saved_path_cannot_choose_where_its_files_go(tmp_path: FilePath) -> None:
    file = path().save(tmp_path)
    document = json.loads(file.read_text())
    entries = {key: value for key, value in document.items() if key not in ("sum", "format")} | {"seed": "../../x"}
    file.write_text(json.dumps(entries))
    with pytest.raises(FileError, match="damaged"):
        Path.load(file)


def test_the_command_of_a_recipe_makes_that_recipe() -> None:
    recipe = Recipe.of(
        generator="./my generator.py:build", fix=["pixels < 0.1"], vary=["0.5 * ~luminance"], judges=["pixels"],
        seeds=[0, 1, 2, 7], starts=["me.pt:3"], steps=4, to=0.5, dtype="float64",
    )  # fmt: skip
    assert command_of(recipe) == (
        'eigenwalk walk "./my generator.py:build" --fix "pixels < 0.1" --vary "0.5 * ~luminance" --judge pixels '
        "--start me.pt:3 --seed 0-2 --seed 7 --steps 4 --to 0.5 --dtype float64"
    )
    assert command_of(Recipe.of(generator="rooms", vary=["pixels"])) == "eigenwalk walk rooms --vary pixels"
    assert set(DEFAULT) < set(KINDS)
