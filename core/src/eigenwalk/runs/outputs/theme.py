"""Colours and type that all pictures share.

Orange is what varies, blue what is fixed: a pair of Okabe and Ito (2008) that every kind of colour vision
tells apart, also in grey. Paths take other hues of that set, so that a line is never mistaken for a part.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import matplotlib
from PIL import ImageFont

VARIED = "#d55e00"
FIXED = "#0072b2"
INK = "#1d1d1f"
GREY = "#6e6e73"
LINE = "#d9d9de"
TRACK = "#ececf0"
PAPER = "#ffffff"
PATHS = ("#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7b5aa6", "#8a8a8f")

plain_text = matplotlib.rc_context({"text.parse_math": False, "text.usetex": False})
"""Decorates what draws plots: names come from outside, and two dollars in one are no formula."""


@cache
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans at `size` pixels, from the copy that matplotlib ships: no font need be installed."""
    file = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / ("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf")
    return ImageFont.truetype(str(file), size)


def shorten(text: str, room: float, face: ImageFont.FreeTypeFont) -> str:
    """Return the text, its middle left out where it is wider than `room` pixels."""
    if face.getlength(text) <= room:
        return text
    keep = len(text)
    while keep > 2 and face.getlength(text[: keep // 2] + "…" + text[-(keep // 2) :]) > room:
        keep -= 1
    return text[: keep // 2] + "…" + text[-(keep // 2) :]


def wrap(text: str, room: float, face: ImageFont.FreeTypeFont, lines: int) -> list[str]:
    """Return the text in at most `lines` lines of `room` pixels, broken at spaces, a long word shortened."""
    rows: list[str] = []
    for word in text.split():
        if rows and face.getlength(f"{rows[-1]} {word}") <= room:
            rows[-1] += f" {word}"
        else:
            rows.append(word)
    if len(rows) > lines:
        rows[lines - 1 :] = [" ".join(rows[lines - 1 :])]
    return [shorten(row, room, face) for row in rows]
