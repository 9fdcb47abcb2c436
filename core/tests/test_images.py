"""Reading pictures: what each kind of file becomes, and what is refused before it is decoded."""

from __future__ import annotations

import os
import struct
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile
from PIL.WebPImagePlugin import WebPImageFile

from eigenwalk import images
from eigenwalk.errors import FileError

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


@pytest.fixture
def flag() -> Image.Image:
    """8 x 16 pixels, red on the left and blue on the right."""
    image = Image.new("RGB", (16, 8), BLUE)
    image.paste(RED, (0, 0, 8, 8))
    return image


def corners(image: torch.Tensor) -> list[tuple[int, ...]]:
    """Top left, top right and bottom left pixel, as bytes."""
    return [tuple((image[:, y, x] * 255).round().int().tolist()) for y, x in ((0, 0), (0, -1), (-1, 0))]


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("ending", "mode"),
    [("png", "RGB"), ("png", "P"), ("png", "RGBA"), ("webp", "RGB"), ("jpg", "RGB"), ("jpg", "CMYK"), ("odd", "RGB")],
)
def test_all_formats_and_modes_become_rgb(tmp_path, flag, ending, mode):
    file = tmp_path / f"flag.{ending}"
    lossless = {"lossless": True} if ending == "webp" else {"quality": 100} if ending == "jpg" else {}
    image = flag.quantize(8) if mode == "P" else flag.convert(mode)
    image.save(file, "PNG" if ending == "odd" else None, **lossless)
    read = images.read(file)
    assert read.shape == (3, 8, 16) and read.dtype == torch.float32
    expected = torch.tensor([RED, BLUE, RED]) / 255
    torch.testing.assert_close(
        torch.stack([read[:, 0, 0], read[:, 0, -1], read[:, -1, 0]]), expected, rtol=0, atol=0.02
    )
    assert images.read_size(file) == (8, 16)


@pytest.mark.parametrize("mode", ["1", "L", "I;16"])
def test_grey_is_repeated_on_all_channels_at_full_depth(tmp_path, mode):
    level = {"1": 1, "L": 100, "I;16": 1234}[mode]
    full = {"1": 1, "L": 255, "I;16": 65535}[mode]
    Image.new(mode, (3, 2), level).save(tmp_path / "grey.png")
    read = images.read(tmp_path / "grey.png")
    torch.testing.assert_close(read, torch.full((3, 2, 3), level / full))
    torch.testing.assert_close(images.read_mask(tmp_path / "grey.png"), torch.full((2, 3), level / full).double())
    torch.testing.assert_close(images.read(tmp_path / "grey.png", (4, 4)), torch.full((3, 4, 4), level / full))


@pytest.mark.parametrize("ending", ["png", "webp"])
def test_transparent_pixels_become_white_and_lie_outside_a_mask(tmp_path, flag, ending):
    image = flag.convert("RGBA")
    image.paste((0, 255, 0, 0), (0, 0, 8, 8))
    image.save(tmp_path / f"half.{ending}", lossless=True)
    assert corners(images.read(tmp_path / f"half.{ending}")) == [WHITE, BLUE, WHITE]
    mask = images.read_mask(tmp_path / f"half.{ending}")
    assert mask[0, 0] == 0 and mask[0, -1] == pytest.approx(29 / 255)  # blue's luminance


def test_a_transparent_colour_of_a_palette_is_white(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *BLUE])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "palette.png", transparency=0)
    assert corners(images.read(tmp_path / "palette.png")) == [WHITE, BLUE, WHITE]


@pytest.mark.parametrize("ending", ["jpg", "png", "webp"])
def test_pictures_are_turned_upright(tmp_path, flag, ending):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    flag.save(tmp_path / f"turned.{ending}", exif=exif, **({"lossless": True} if ending == "webp" else {}))
    read = images.read(tmp_path / f"turned.{ending}")
    assert read.shape == (3, 16, 8)
    top, bottom = read[:, 0].mean(1), read[:, -1].mean(1)
    assert top[0] > 0.9 > 0.1 > top[2] and bottom[2] > 0.9 > 0.1 > bottom[0]


@pytest.mark.parametrize("ending", ["png", "webp"])
def test_the_first_frame_of_an_animation_is_read(tmp_path, flag, ending):
    other = Image.new("RGB", flag.size, WHITE)
    flag.save(tmp_path / f"film.{ending}", save_all=True, append_images=[other], lossless=True)
    assert corners(images.read(tmp_path / f"film.{ending}")) == [RED, BLUE, RED]


def test_pictures_are_scaled_to_cover_a_size_and_cropped(tmp_path, flag):
    flag.save(tmp_path / "flag.png")
    read = images.read(tmp_path / "flag.png", (4, 4))
    assert read.shape == (3, 4, 4) and corners(read)[:2] == [RED, BLUE]


def test_large_pictures_are_refused_before_they_are_decoded(tmp_path, monkeypatch):
    (tmp_path / "bomb.png").write_bytes(png(13300, 13300, 1, 0, (b"\0" + b"\xff" * 1663) * 13300))
    (tmp_path / "giant.png").write_bytes(png(100_000, 100_000, 1, 0, b""))
    head = b"VP8X" + struct.pack("<I", 10) + bytes(4) + (65535).to_bytes(3, "little") * 2
    (tmp_path / "canvas.webp").write_bytes(b"RIFF" + struct.pack("<I", 4 + len(head)) + b"WEBP" + head)
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda *_: pytest.fail("a picture was decoded"))
    monkeypatch.setattr(WebPImageFile, "_open", lambda *_: pytest.fail("a canvas was allocated"))
    for name, message in {
        "bomb.png": "has 13300 x 13300 pixels, more than",
        "giant.png": "has too many pixels",
        "canvas.webp": "has 65536 x 65536 pixels",
    }.items():
        for reader in (images.read, images.read_mask, images.read_size):
            with pytest.raises(FileError, match=message):
                reader(tmp_path / name)


def test_a_jpeg_of_endless_scans_is_refused(tmp_path, flag):
    file = tmp_path / "flag.jpg"
    flag.save(file, progressive=True)
    data = file.read_bytes()
    last = data[data.rindex(b"\xff\xda") : -2]  # repeated, each scan decodes all pixels once more
    file.write_bytes(data[:-2] + 20 * last + data[-2:])
    assert images.read(file).shape == (3, 8, 16)
    file.write_bytes(data[:-2] + 1000 * last + data[-2:])
    for reader in (images.read, images.read_mask, images.read_size):
        with pytest.raises(FileError, match="more than 100 scans"):
            reader(file)


def test_other_formats_are_refused_before_decoding(tmp_path, flag, monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a program was started"))
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%EndComments\n0 0 64 64 rectfill\nshowpage\n"
    (tmp_path / "script.png").write_bytes(postscript)
    flag.save(tmp_path / "flag.bmp")
    flag.save(tmp_path / "flag.tiff")
    for name in ("script.png", "flag.bmp", "flag.tiff"):
        with pytest.raises(FileError, match="not a picture in PNG, JPEG or WebP"):
            images.read(tmp_path / name)


@pytest.mark.parametrize("ending", ["png", "jpg", "webp"])
def test_damaged_pictures_are_refused(tmp_path, ending):
    file = tmp_path / f"noise.{ending}"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(file)
    whole = file.read_bytes()
    for kept in (len(whole) // 2, 40, 14):
        file.write_bytes(whole[:kept])
        with pytest.raises(FileError, match="damaged or truncated"):
            images.read(file)


def test_a_picture_must_be_a_regular_file(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.png")
    for path, kind in ((tmp_path / "pipe.png", "a pipe"), (tmp_path, "a folder"), (Path("/dev/zero"), "a device")):
        with pytest.raises(FileError, match=f"cannot read the picture .*{kind}"):
            images.read(path)
    for name in ("none.png", "nu\0ll.png"):
        with pytest.raises(FileError, match="cannot read the picture"):
            images.read(name)
    (tmp_path / "long.png").write_bytes(bytes(2000))
    monkeypatch.setattr(images, "MAX_BYTES", 1000)
    with pytest.raises(FileError, match="longer than 1,000 bytes"):
        images.read(tmp_path / "long.png")


def test_a_folders_pictures_are_found_by_their_suffixes(tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("b.PNG", "a.jpeg", "notes.txt", "in/c.webp"):
        (tmp_path / name).touch()
    assert [one.name for one in images.find_pictures(tmp_path)] == ["a.jpeg", "b.PNG"]
    assert [one.name for one in images.find_pictures(tmp_path, below=True)] == ["a.jpeg", "b.PNG", "c.webp"]
