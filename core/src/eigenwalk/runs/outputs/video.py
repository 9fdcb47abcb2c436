"""``walk.mp4``: all paths side by side, from the start to their ends and back.

A waypoint is held for a few frames and then replaced. Cross-fading would show images that the generator
never made.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from eigenwalk.path import Path
from eigenwalk.runs.outputs import theme, words
from eigenwalk.runs.outputs.strip import draw_bars, resized_image

RATE = 24
HOLD = 6
"""Frames that a waypoint is held: four waypoints a second."""
REST = 12
"""Further frames at the start and at the ends."""
WIDTH, HEIGHT = 1600, 1000
CAPTION, FIGURES, GAP = 30, 46, 16


@dataclass(frozen=True)
class Video:
    """An encoded video: `suffix` is ``.mp4`` or ``.gif``, `notice` says why where it is not the first choice."""

    data: bytes
    suffix: str
    notice: str = ""

    @property
    def mime(self) -> str:
        """The media type, for a data URI."""
        return "video/mp4" if self.suffix == ".mp4" else "image/gif"


def video(paths: Sequence[Path]) -> Video:
    """Return the walks as H.264 in MP4; as an animated GIF where no encoder is found, with a notice."""
    try:
        return Video(_mp4(paths), ".mp4")
    except Exception as error:  # PyAV's build decides what exists, and each part fails in its own way
        notice = f"no H.264 encoder here ({error or type(error).__name__}): the video is walk.gif instead of walk.mp4"
        return Video(_gif(paths), ".gif", notice)


def frames(paths: Sequence[Path]) -> Iterator[tuple[NDArray[np.uint8], int]]:
    """(picture ``(height, width, 3)``, frames that it is held), from the start to the longest path's end and back.

    Sizes are even. One picture is in memory at a time.
    """
    grid, last = Grid.of(paths), max(path.waypoints[-1].index for path in paths)
    for index in (*range(last + 1), *range(last - 1, 0, -1)):
        yield grid.draw(paths, index), HOLD + REST if index in (0, last) else HOLD


@dataclass(frozen=True)
class Grid:
    """`columns` by `rows` cells, each with an image of `width` by `height` pixels."""

    columns: int
    rows: int
    width: int
    height: int
    scale: float

    @classmethod
    def of(cls, paths: Sequence[Path]) -> Grid:
        """Return the grid that shows these paths largest within 1600 x 1000 pixels."""
        image = paths[0].waypoints[0].image
        height, width = image.shape[:2]
        best = max((cls._cell(len(paths), columns, width, height), columns) for columns in range(1, len(paths) + 1))
        ratio, columns = min(best[0], max(1.0, 256 / max(height, width))), best[1]
        return cls(
            columns,
            math.ceil(len(paths) / columns),
            max(96, round(width * ratio)),
            max(32, round(height * ratio)),
            words.scale(paths),
        )

    @staticmethod
    def _cell(count: int, columns: int, width: int, height: int) -> float:
        """Return how much an image may grow in a grid of so many columns."""
        rows = math.ceil(count / columns)
        across = (WIDTH - GAP) / columns - GAP
        down = (HEIGHT - GAP) / rows - GAP - CAPTION - FIGURES
        return min(across / width, down / height)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of a frame, both even: yuv420p halves the colour planes."""
        across, down = self.width + GAP, self.height + GAP + CAPTION + FIGURES
        width, height = GAP + self.columns * across, GAP + self.rows * down
        return width + width % 2, height + height % 2

    def draw(self, paths: Sequence[Path], index: int) -> NDArray[np.uint8]:
        """Return the grid at waypoint `index`; a path that ended before stays at its last."""
        across, down = self.width + GAP, self.height + GAP + CAPTION + FIGURES
        canvas = Image.new("RGB", self.size, theme.PAPER)
        draw = ImageDraw.Draw(canvas)
        starts = len({path.origin for path in paths}) > 1
        for number, path in enumerate(paths):
            x, y = GAP + number % self.columns * across, GAP + number // self.columns * down
            waypoint = path.waypoints[min(index, len(path) - 1)]
            name = f"{path.origin} · {path.rank} {'+' if path.sense > 0 else '−'}" if starts else words.label(path)
            face = theme.font(16, bold=True)
            draw.text((x, y + 11), theme.shorten(name, self.width - 40, face), font=face, fill=theme.INK, anchor="lm")
            text = str(waypoint.index) if waypoint.index else "start"
            draw.text((x + self.width, y + 11), text, font=theme.font(15), fill=theme.GREY, anchor="rm")
            canvas.paste(resized_image(waypoint, self.width, self.height), (x, y + CAPTION - 4))
            bars = (x, y + CAPTION + self.height + 1)
            draw_bars(draw, bars, self.width, words.shares(path, waypoint), self.scale)
        return np.asarray(canvas)


def _mp4(paths: Sequence[Path]) -> bytes:
    return encode_mp4(frames(paths), Grid.of(paths).size)


def encode_mp4(pictures: Iterable[tuple[NDArray[np.uint8], int]], size: tuple[int, int]) -> bytes:
    """Return H.264 of pictures ``(height, width, 3)``, each held for so many frames; `size` is (width, height), even.

    Colours are marked as BT.709: players guess where nothing is marked, each in its own way.
    """
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as file:
        stream = file.add_stream("libx264", rate=RATE)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.options = {
            "crf": "18",
            "preset": "veryfast",
            "x264-params": "colorprim=bt709:transfer=bt709:colormatrix=bt709",
        }
        for picture, count in pictures:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
            for _ in range(count):
                frame.pts = None  # the encoder numbers the frames
                file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return buffer.getvalue()


def _gif(paths: Sequence[Path]) -> bytes:
    """At half the size: GIF does not compress pictures."""
    images, durations, buffer = [], [], io.BytesIO()
    for picture, count in frames(paths):
        images.append(Image.fromarray(picture).reduce(2).convert("P", palette=Image.Palette.ADAPTIVE))
        durations.append(1000 * count // RATE)
    images[0].save(buffer, "GIF", save_all=True, append_images=images[1:], duration=durations, loop=0)
    return buffer.getvalue()
