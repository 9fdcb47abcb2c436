"""``eigenwalk invert`` from the command line: its folder, walks from it, stops, photographs of every kind."""

# ruff: noqa: F811
from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from command_line import Here, begin, here, place  # noqa: F401
from eigenwalk.checkpoint import Checkpoint
from eigenwalk.errors import FileError, InputError
from eigenwalk.runs.api import load_generator
from eigenwalk_invert.photo import read_photos
from eigenwalk_invert.plugin import eigenwalk_open

GENERATOR = "./my_generator.py:build"
SHORT = ["--passes", "12", "--restarts", "1"]


@pytest.fixture
def photo(place: Path) -> Path:
    """A photograph of noise, wider than high."""
    pixels = np.random.default_rng(0).integers(0, 255, (24, 36, 3), np.uint8)
    Image.fromarray(pixels).resize((96, 64)).save(place / "me.png")
    return place / "me.png"


def test_a_photograph_is_found_and_walked_from(here: Here, place: Path, photo: Path) -> None:
    code, said = here("invert", GENERATOR, "me.png", "-o", "found/me", *SHORT, "--judge", "luminance")
    assert code == 0, said
    assert "me.png: 96 x 64 pixels: its middle, 64 x 64, is taken" in said and "matched: pixels" in said
    folder = place / "found" / "me"
    names = {"found.json", "latents.safetensors", "me-photo.png", "me-z.png", "strip.png", "report.html"}
    assert {entry.name for entry in folder.iterdir()} == names
    document = json.loads((folder / "found.json").read_text())
    assert document["results"][0]["distances"].keys() == {"pixels", "luminance"}
    page = (folder / "report.html").read_text()
    assert page.count("data:image/png") == 2 and "me.png" in page and "luminance" in page
    latents = load_file(folder / "latents.safetensors")
    assert latents["z"].shape == (1, 6)

    before = (folder / "found.json").read_bytes()
    code, said = here("invert", GENERATOR, "me.png", "-o", "found/me", *SHORT, "--judge", "luminance")
    assert code == 0 and "luminance" in said and (folder / "found.json").read_bytes() == before
    code, said = here("invert", GENERATOR, "me.png", "-o", "found/me", *SHORT, "--prior", "1")
    assert code == 4 and "holds another inversion, of me.png in" in said and "--overwrite" in said

    Image.open(photo).save(place / "you.png")
    code, said = here("invert", GENERATOR, "you.png", "-o", "found/me", *SHORT, "--overwrite")
    assert code == 0 and {one.name for one in folder.glob("*.png")} == {"you-photo.png", "you-z.png", "strip.png"}
    strip, (height, width) = np.asarray(Image.open(folder / "strip.png")), (256, 256)
    left = strip.shape[1] - 40 - 2 * (width + 16)
    drawn = Image.open(folder / "you-photo.png").resize((width, height), Image.Resampling.NEAREST)
    assert np.array_equal(strip[116 : 116 + height, left : left + width], drawn), "no words over the pictures"

    for out, told in ((".", "holds other files"), ("me.png", "is no folder")):
        code, said = here("invert", GENERATOR, "me.png", "-o", out, *SHORT)
        assert code == 4 and told in said and "measuring" not in said

    code, said = here("walk", GENERATOR, "--start", "found/me", "--vary", "luminance", "--steps", "2", "-o", "out")
    assert code == 0 and "found/me, direction 1" in said
    code, said = here("walk", "found/me", "--vary", "luminance", "--steps", "2", "-o", "other")
    assert code == 2 and "whose code would run" in said and "trust=true" in said
    data = (latents_file := folder / "latents.safetensors").read_bytes()
    latents_file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    code, said = here("walk", GENERATOR, "--start", "found/me:0", "--vary", "luminance", "--steps", "1", "-o", "no")
    assert code == 4 and "latents.safetensors is damaged" in said
    latents_file.write_bytes(data)
    trusted = 'open("found/me", trust=true)'
    code, said = here("walk", trusted, "--vary", "luminance", "--steps", "2", "-o", "trusted")
    assert code == 0, said
    assert 'starts = ["found/me"]' in (place / "trusted" / "recipe.toml").read_text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--prior", "inf"], "prior must be finite"),
        (["--seed", str(2**64)], "less than 2^63"),
        (["--device", "abc"], "abc"),
    ],
)
def test_a_number_or_device_that_will_not_do_says_why(
    options: list[str], said: str, here: Here, place: Path, photo: Path
) -> None:
    code, told = here("invert", "faces", "me.png", "-o", "no", *SHORT, *options)
    assert code == 2 and said in told and not (place / "no").exists()


def test_a_tuned_folder_opens_as_the_tuned_generator(here: Here, place: Path, photo: Path) -> None:
    code, said = here("invert", "faces", "me.png", "-o", "me", *SHORT, "--tune", "3", "-q")
    assert code == 0, said
    folder = place / "me"
    assert not (folder / "progress.png").exists()
    document = json.loads((folder / "found.json").read_text())
    tuned, plain = load_generator("./me"), load_generator(document["generator"])
    z = next(iter(load_file(folder / "latents.safetensors").values())).flatten(1)
    image = (tuned(z)[0].clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    assert np.abs(image.astype(int) - np.asarray(Image.open(folder / "me-tuned.png"))).max() <= 1
    assert not torch.equal(tuned(z), plain(z))
    assert {file.name for file in tuned.files} == {"found.json", "latents.safetensors", "tuned.safetensors"}
    code, said = here("walk", "./me", "--vary", "luminance", "--steps", "1", "--paths", "2", "-o", "out")
    assert code == 0 and "me, direction 1" in said, said
    recipe = (place / "out" / "recipe.toml").read_text()
    assert "me/tuned.safetensors" in recipe and "me/found.json" in recipe

    weights = folder / "tuned.safetensors"
    data = weights.read_bytes()
    weights.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    code, said = here("walk", "./me", "--vary", "luminance", "--steps", "1", "-o", "again")
    assert code == 4 and "tuned.safetensors is damaged" in said
    (folder / "found.json").write_text((folder / "found.json").read_text().replace('"faces', '"rooms'))
    code, said = here("walk", "./me", "--vary", "luminance", "--steps", "1", "-o", "again")
    assert code == 4 and "found.json is damaged" in said


def test_a_killed_inversion_goes_on_to_the_same_latents(place: Path, photo: Path) -> None:
    words = ["invert", GENERATOR, "me.png", "--passes", "60", "--restarts", "2"]
    process = begin(place, *words, "-o", "stopped", slow=0.05)
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and not (place / "stopped" / "state.safetensors").exists():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    state = Checkpoint(place / "stopped")
    with pytest.raises(FileError, match="was stopped"):
        eigenwalk_open(place / "stopped", state)
    for folder in ("stopped", "whole"):
        process = begin(place, *words, "-o", folder)
        _, said = process.communicate(timeout=240)
        assert process.returncode == 0, said
        assert ("going on after" in said) == (folder == "stopped")
    files = [place / folder / "latents.safetensors" for folder in ("stopped", "whole")]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert not (place / "stopped" / "state.safetensors").exists()


def save(file: Path, mode: str, **options: object) -> Path:
    """Save a picture of 40 x 30 in `mode`, red on the left and blue on the right."""
    image = Image.new("RGB", (40, 30), "blue")
    image.paste((255, 0, 0), (0, 0, 20, 30))
    image.convert(mode).save(file, **options)  # type: ignore[arg-type]
    return file


def test_photographs_of_every_kind_are_brought_to_size(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down, so that blue is on the left
    files = [
        save(tmp_path / "rgb.png", "RGB"),
        save(tmp_path / "alpha.png", "RGBA"),
        save(tmp_path / "cmyk.jpg", "CMYK"),
        save(tmp_path / "palette.png", "P"),
        save(tmp_path / "turned.jpg", "RGB", exif=exif.tobytes()),
        save(tmp_path / "moving.webp", "RGB", save_all=True, append_images=[Image.new("RGB", (40, 30))]),
    ]
    photos = read_photos(files, (16, 16))
    for photo in photos:
        assert photo.image.shape == (3, 16, 16) and 0 <= photo.image.min() <= photo.image.max() <= 1
        red, blue = photo.image[0, 8, 2], photo.image[2, 8, 2]
        assert (red > blue) == (photo.name != "turned"), photo.name
        assert photo.note == "40 x 30 pixels: its middle, 30 x 30, is taken, and scaled to 16 x 16"
    grey = np.linspace(0, 65535, 32 * 32).astype(np.uint16).reshape(32, 32)
    Image.fromarray(grey).save(tmp_path / "deep.png")
    deep, small = read_photos([tmp_path / "deep.png", save(tmp_path / "deep.jpg", "L")], (64, 64))
    assert deep.note == "32 x 32 pixels: enlarged to 64 x 64" and deep.image.max() > 0.98
    assert [deep.name, small.name] == ["deep", "deep-2"]
    Image.new("RGBA", (16, 16)).save(tmp_path / "empty.png")
    assert "all one colour" in read_photos([tmp_path / "empty.png"], (16, 16))[0].note


def test_what_is_no_photograph_is_refused(tmp_path: Path) -> None:
    whole = save(tmp_path / "whole.png", "RGB").read_bytes()
    (tmp_path / "truncated.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "huge.png").write_bytes(whole[:16] + (12_000).to_bytes(4, "big") * 2 + whole[24:])
    cases = {
        "truncated.png": "damaged or truncated",
        "text.png": "not a picture in PNG, JPEG or WebP",
        "huge.png": "damaged|more than the 67 million",
        "missing.png": "cannot read the picture",
        ".": "is a folder: name the photographs in it",
    }
    for name, said in cases.items():
        with pytest.raises(FileError, match=said):
            read_photos([tmp_path / name], (16, 16))


def test_faces_are_aligned_and_counted(tmp_path: Path) -> None:
    portraits = pytest.importorskip("eigenwalk_face.portraits")
    from eigenwalk_invert.align import find_faces

    one = portraits.portrait(160, 0.45, 0.5, 0.22)
    (aligned,) = read_photos([one], (64, 64), "ffhq")
    eyes = find_faces(torch.nn.functional.interpolate(aligned.image[None], (256, 256), mode="bilinear")[0])[0][:2]
    assert abs(float(eyes.mean(0)[0]) - 128) < 12 and abs(float(eyes[0, 1] - eyes[1, 1])) < 8
    both = torch.cat([one, portraits.portrait(160, 0.5, 0.5, 0.28)], 2)
    (largest,), (other,) = (read_photos([both], (64, 64), "ffhq", face) for face in (1, 2))
    assert "2 faces, the largest is taken" in largest.note and "number 2 by size" in other.note
    assert not torch.equal(largest.image, other.image)
    with pytest.raises(FileError, match=r"finds 1 face .* and face 2 is asked for"):
        read_photos([one], (64, 64), "ffhq", 2)
    with pytest.raises(FileError, match="finds no face"):
        read_photos([torch.rand(3, 100, 100)], (64, 64), "ffhq")
    with pytest.raises(InputError, match="gives squares"):
        read_photos([one], (64, 48), "ffhq")
