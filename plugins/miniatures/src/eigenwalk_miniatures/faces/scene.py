"""The portrait, painted back to front; `render` is the miniature's whole truth.

The head has a frame of its own: u to the right and v down from the middle of the face, in shares of the image side,
rolled with the head. What lies on the face is painted in frames that a turn of the head bends: the middle of
the face moves, its outline stays, so that the far side narrows.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from eigenwalk_miniatures.faces.factors import FACTORS, PARTS
from eigenwalk_miniatures.paint import (
    Grid,
    Layer,
    Shade,
    box,
    composite,
    ellipse,
    glow,
)

Portrait = dict[str, Tensor]
"""Factor name to values `(batch, 1, 1)`."""

CENTRE = (0.5, 0.475)
"""The middle of the face, between and a little below the eyes, in the image."""

CROWN = 0.262
"""From the middle of the face to the top of the forehead: the same for everybody, as hair covers it."""

SIZE = 1.14
"""The head in the image over its size in its own frame."""

SKULL = 0.243
"""Half the width that hair of no volume has: that of the widest face."""


def render(factors: Tensor, resolution: int = 64) -> tuple[Tensor, Tensor]:
    """Images `(batch, 3, height, width)` in [0, 1] and masks `(batch, parts, height, width)`.

    `factors (batch, 36)` in the units and order of `FACTORS`. Deterministic and differentiable
    almost everywhere; the masks sum to 1 at every pixel.
    """
    p = FACTORS.named(factors)
    g = Grid.square(resolution, factors)
    head = _head(g, p)
    face = _turned(head, p, 0.044, 0.018)
    coats: list[Layer | Shade] = _background(g, p) + _back_hair(head, p) + _neck(g, p) + _clothes(g, p)
    coats += _locks(head, p) + _ears(head, p) + _skin(head, p)
    coats += _eyes(face, p) + _nose(_turned(head, p, 0.058, 0.022), p) + _mouth(face, p) + _brows(face, p)
    coats += _front_hair(head, p) + _light(g, p)
    return composite(coats, PARTS)


def _head(g: Grid, p: Portrait) -> Grid:
    """The head's frame: rolled about the chin."""
    angle = p["roll"] * (math.pi / 180)
    x, y = (g.x - CENTRE[0]) / SIZE, (g.y - CENTRE[1]) / SIZE - 0.2
    u, v = torch.cos(angle) * x + torch.sin(angle) * y, torch.cos(angle) * y - torch.sin(angle) * x + 0.2
    return Grid(u, v, g.pixel / SIZE)


def _turned(head: Grid, p: Portrait, across: float, down: float) -> Grid:
    """The frame of what lies on the face: its middle moves by `across` and `down` at a full turn."""
    u = head.x - across * p["yaw"] * (1 - (head.x / 0.27) ** 2).clamp(min=0)
    v = head.y - down * p["pitch"] * (1 - (head.y / 0.32) ** 2).clamp(min=0)
    return Grid(u, v, head.pixel)


def _skin_colour(g: Grid, p: Portrait, lighter: float = 0.0, redder: float = 0.0) -> Tensor:
    return g.colour(p["skin_lightness"] + lighter, 0.068 + redder, p["skin_hue"] - 350 * redder)


def _background(g: Grid, p: Portrait) -> list[Layer | Shade]:
    colour = g.colour(p["background_lightness"], 0.055, p["background_hue"])
    return [
        Layer("background", torch.ones_like(p["yaw"] + g.x + g.y), colour),
        Shade(0.94 + 0.16 * glow(g, 0.5, 0.42, 0.34, 0.36).unsqueeze(1)),
    ]


def _hair_colour(head: Grid, p: Portrait) -> Tensor:
    """Strands that run down from the parting, and a band of shine, `(batch, 3, height, width)`."""
    u, v = head.x, head.y
    bend = p["hair_wave"] * 0.9 * torch.sin(34 * v)
    strands = 1 + 0.07 * torch.sin(70 * (u - 0.5 * p["hair_parting"]) + bend)
    radius = torch.sqrt((u / 1.1) ** 2 + (v + 0.03) ** 2 + 1e-9)
    shine = 0.15 * torch.exp(-(((radius - 0.245) / 0.022) ** 2)) * (v < 0.1)
    fall = 1.08 - 0.45 * (v + 0.2).clamp(min=0) + 0.20 * p["light_direction"] * u / 0.25
    chroma = 0.035 + 0.06 * p["hair_lightness"]
    return head.colour(p["hair_lightness"], chroma, p["hair_hue"]) * (strands * fall + shine).unsqueeze(1)


def _wavy(head: Grid, p: Portrait) -> Grid:
    """The head's frame, waved where hair falls: the more, the lower."""
    low = (head.y - 0.02).clamp(0, 0.20) / 0.20
    wave = p["hair_wave"] * 0.022 * torch.sin(38 * head.y - 0.5) * low
    return Grid(head.x - head.x.sign() * wave + 0.014 * p["yaw"], head.y, head.pixel)


def _cap(head: Grid, p: Portrait) -> Tensor:
    """Signed distance to the hair on top of the head, a little wider than the skull."""
    reach = 0.014 + p["hair_volume"]
    return ellipse(head, -0.014 * p["yaw"], -0.02, SKULL + reach, CROWN + 0.02 + reach)


def _back_hair(head: Grid, p: Portrait) -> list[Layer | Shade]:
    wavy = _wavy(head, p)
    half = SKULL + 0.010 + p["hair_volume"]
    top, end = -0.08, p["hair_length"]
    corner = 0.075
    tall = ((end - top) / 2).clamp(min=corner)
    fall = box(wavy, 0.0, top + tall, half, tall, corner)
    cap = torch.maximum(_cap(head, p), head.y)
    cover = head.cover(torch.minimum(fall, cap))
    return [
        Shade(1 - 0.12 * torch.exp(-torch.minimum(fall, cap).clamp(min=0) / 0.03).unsqueeze(1)),
        Layer("hair", cover, _hair_colour(head, p) * 0.72),
    ]


def _neck(g: Grid, p: Portrait) -> list[Layer | Shade]:
    under = 1 - 0.38 * torch.exp(-((g.y - CENTRE[1] - 0.26).clamp(min=0) / 0.06))
    side = 1 + 0.14 * p["light_direction"] * (g.x - 0.5) / 0.1
    trunk = box(g, 0.5, 0.86, 0.115, 0.25, 0.02)
    chest = ellipse(g, 0.5, 1.07, 0.26, 0.20)
    skin = _skin_colour(g, p) * (under * side).unsqueeze(1)
    return [Layer("neck", g.cover(torch.minimum(trunk, chest)), skin)]


def _clothes(g: Grid, p: Portrait) -> list[Layer | Shade]:
    shoulders = torch.minimum(ellipse(g, 0.5, 1.08, 0.43, 0.235), box(g, 0.5, 1.06, 0.43, 0.14, 0.10))
    depth = 0.872 + 0.105 * p["neckline"]
    opening = (g.x - 0.5).abs() - 0.125 - 0.02 * p["neckline"]
    cut = torch.maximum(opening, g.y - depth + 1.6 * (g.x - 0.5) ** 2 / 0.125)
    cloth = torch.maximum(shoulders, -cut)
    fold = 1.05 - 0.5 * (g.y - 0.85).clamp(min=0) + 0.12 * p["light_direction"] * (g.x - 0.5) / 0.3
    colour = g.colour(p["clothes_lightness"], 0.105, p["clothes_hue"])
    seam = 1 - 0.22 * torch.exp(-((cut / 0.014) ** 2))
    return [Layer("clothes", g.cover(cloth), colour * (fold * seam).unsqueeze(1))]


def _locks(head: Grid, p: Portrait) -> list[Layer | Shade]:
    """The hair that falls beside the face, over neck and shoulders."""
    wavy = _wavy(head, p)
    outer = SKULL + 0.014 + p["hair_volume"]
    half, end, top, corner = 0.046 + 0.30 * p["hair_volume"], p["hair_length"], -0.08, 0.035
    tall = ((end - top) / 2).clamp(min=corner)
    inner = [box(wavy, s * (outer - half), top + tall, half, tall, corner) for s in (-1, 1)]
    lock = torch.minimum(inner[0], inner[1])
    return [
        Shade(1 - 0.16 * torch.exp(-lock.clamp(min=0) / 0.018).unsqueeze(1)),
        Layer("hair", head.cover(lock), _hair_colour(head, p)),
    ]


def _ears(head: Grid, p: Portrait) -> list[Layer | Shade]:
    size, coats = p["ear_size"], []
    for s in (-1, 1):
        x = s * (p["face_width"] + 0.30 * size) - 0.020 * p["yaw"]
        outer, inner = (ellipse(head, x, 0.015, k * 0.62 * size, k * size) for k in (1.0, 0.58))
        coats += [
            Shade(1 - 0.18 * torch.exp(-outer.clamp(min=0) / 0.012).unsqueeze(1)),
            Layer("skin", head.cover(outer), _skin_colour(head, p, -0.01, 0.012)),
            Layer("skin", head.cover(inner), _skin_colour(head, p, -0.09, 0.022)),
        ]
    return coats


def _outline(head: Grid, p: Portrait) -> Tensor:
    """Signed distance to the face, to first order: a superellipse whose lower half the jaw shapes."""
    u, v = head.x - 0.008 * p["yaw"], head.y - 0.004 * p["pitch"]
    below = (v > 0).to(v.dtype)
    t = v / (below * p["chin_length"] + (1 - below) * CROWN)
    low = (t * below).clamp(0, 1.5)
    power = 2 + below * (0.15 + 0.75 * p["jaw_width"])
    taper = 1 - (0.20 - 0.16 * p["jaw_width"]) * low**2
    a, b = u.abs() / (p["face_width"] * taper) + 1e-6, t.abs() + 1e-6
    q = (a**power + b**power) ** (1 / power)
    slope = torch.sqrt((a / p["face_width"]) ** 2 + (b / 0.26) ** 2) / (q + 1e-6)
    return q * (q - 1) / (q * slope + 1e-6)


def _skin(head: Grid, p: Portrait) -> list[Layer | Shade]:
    outline = _outline(head, p)
    face = _turned(head, p, 0.044, 0.018)
    side = 1 + 0.17 * p["light_direction"] * head.x / 0.22
    rim = 1 - 0.16 * torch.exp(outline.clamp(max=0) / 0.03)
    left, right = (glow(face, s * p["eye_spacing"], -0.045, 0.05, 0.03) for s in (-1, 1))
    shade = (side * rim * (1 - 0.10 * (left + right))).unsqueeze(1)
    left, right = (glow(face, s * 0.125, 0.085, 0.045, 0.035) for s in (-1, 1))
    blush = torch.tensor([0.02, -0.09, -0.08], dtype=head.x.dtype, device=head.x.device).view(1, 3, 1, 1)
    return [
        Shade(1 - 0.22 * torch.exp(-outline.clamp(min=0) / 0.02).unsqueeze(1)),
        Layer("skin", head.cover(outline), _skin_colour(head, p) * shade * (1 + (left + right).unsqueeze(1) * blush)),
    ]


def _leaning(frame: Grid, x: Tensor, y: Tensor | float, degrees: Tensor) -> Grid:
    """A frame about the point (x, y) of `frame`, turned by `degrees`."""
    angle = degrees * (math.pi / 180)
    du, dv = frame.x - x, frame.y - y
    return Grid(
        torch.cos(angle) * du + torch.sin(angle) * dv, torch.cos(angle) * dv - torch.sin(angle) * du, frame.pixel
    )


def _eyes(face: Grid, p: Portrait) -> list[Layer | Shade]:
    width, coats = p["eye_size"], []
    height = 0.66 * width
    for s in (-1, 1):
        x, y = s * p["eye_spacing"], -0.02
        eye = _leaning(face, x, y, -s * p["eye_tilt"])
        opening = ellipse(eye, 0.0, 0.0, width, height)
        ball = Grid(face.x - x, face.y - y, face.pixel)
        iris = ellipse(ball, 0.0, -0.004, 0.92 * height, 0.92 * height)
        pupil = ellipse(ball, 0.0, -0.004, 0.38 * height, 0.38 * height)
        spark = ellipse(ball, -0.30 * height, -0.30 * height, 0.26 * height, 0.26 * height)
        lid = torch.maximum(ellipse(eye, 0.0, -0.004, width + 0.012, height + 0.010), -(opening + 0.006))
        lid = torch.maximum(lid, eye.y - 0.012)
        inside = face.cover(opening)
        dusk = 1 - 0.25 * torch.exp(-(((eye.y + height) / (0.5 * height)) ** 2))
        coats += [
            Layer("eyes", inside, face.colour(0.95, 0.012, 80.0) * dusk.unsqueeze(1)),
            Layer("eyes", inside * face.cover(iris), face.colour(0.56, 0.115, p["iris_hue"])),
            Layer("eyes", inside * face.cover(pupil), face.colour(0.16, 0.02, 60.0)),
            Layer("eyes", inside * face.cover(spark), face.colour(0.98, 0.01, 80.0)),
            Layer("eyes", face.cover(lid), face.colour(0.22, 0.03, 40.0)),
        ]
    return coats


def _brows(face: Grid, p: Portrait) -> list[Layer | Shade]:
    coats: list[Layer | Shade] = []
    for s in (-1, 1):
        brow = _leaning(face, s * (p["eye_spacing"] + 0.004), -0.095 - p["brow_raise"], -s * p["brow_angle"])
        arch = Grid(brow.x, brow.y + 0.003 - 4.0 * (brow.x**2).clamp(max=0.004), brow.pixel)
        shape = box(arch, 0.0, 0.0, 0.056, p["brow_thickness"], 0.008)
        coats.append(Layer("brows", face.cover(shape), face.colour(0.27, 0.035, 50.0)))
    return coats


def _nose(frame: Grid, p: Portrait) -> list[Layer | Shade]:
    base, wide = p["nose_length"], p["nose_width"]
    share = ((frame.y + 0.02) / (base + 0.02)).clamp(0, 1)
    bridge = torch.maximum(
        frame.x.abs() - (0.014 + (0.72 * wide - 0.014) * share**2), torch.maximum(-0.02 - frame.y, frame.y - base)
    )
    tip = ellipse(frame, 0.0, base - 0.55 * wide, 0.72 * wide, 0.66 * wide)
    wings = torch.minimum(*(ellipse(frame, s * 0.60 * wide, base - 0.010, 0.42 * wide, 0.018) for s in (-1, 1)))
    shape = torch.minimum(torch.minimum(bridge, tip), wings)
    nostrils = torch.minimum(*(ellipse(frame, s * 0.48 * wide, base + 0.001, 0.26 * wide, 0.0085) for s in (-1, 1)))
    lit = 1.03 + (0.20 * p["light_direction"] * frame.x / 0.04).clamp(-0.16, 0.16) - 0.08 * (1 - share)
    shine = 1 + 0.10 * glow(frame, 0.0, base - 0.5 * wide, 0.012, 0.02)
    shadow = ellipse(frame, -0.012 * p["light_direction"], base + 0.006, 1.05 * wide, 0.016)
    return [
        Shade(1 - 0.20 * torch.exp(-shadow.clamp(min=0) / 0.012).unsqueeze(1)),
        Layer("nose", frame.cover(shape), _skin_colour(frame, p, -0.025, 0.016) * (lit * shine).unsqueeze(1)),
        Layer("nose", frame.cover(nostrils), _skin_colour(frame, p, -0.30, 0.025)),
    ]


def _mouth(face: Grid, p: Portrait) -> list[Layer | Shade]:
    wide, lip, gap = p["mouth_width"], p["lip_thickness"], p["mouth_opening"]
    rise = 0.032 * p["smile"] * (((face.x / wide) ** 2).clamp(max=1.6) - 0.35)
    m = Grid(face.x, face.y - 0.178 + rise, face.pixel)
    upper = ellipse(m, 0.0, -gap, wide, lip)
    lower = ellipse(m, 0.0, gap + 0.15 * lip, 0.86 * wide, 1.15 * lip)
    hole = ellipse(m, 0.0, 0.0, 0.90 * wide, gap + 0.0035)
    teeth = torch.maximum(hole, m.y + gap * 0.15)
    between = ellipse(m, 0.0, 0.0, 0.97 * wide, gap + 0.6 * lip)
    red = _skin_colour(face, p, -0.13, 0.055)
    deep = face.colour(0.30, 0.07, 20.0)
    below = glow(m, 0.0, gap + 2.0 * lip, 0.5 * wide, 0.012)
    return [
        Shade(1 - 0.12 * below.unsqueeze(1)),
        Layer("mouth", face.cover(torch.minimum(torch.minimum(upper, lower), between)), red),
        Layer("mouth", face.cover(torch.maximum(lower, -(m.y - gap))), _skin_colour(face, p, -0.08, 0.05)),
        Layer("mouth", face.cover(hole), deep),
        Layer("mouth", face.cover(teeth) * (gap / 0.012).clamp(0, 1), face.colour(0.94, 0.015, 85.0)),
    ]


def _front_hair(head: Grid, p: Portrait) -> list[Layer | Shade]:
    u = head.x + 0.008 * p["yaw"]
    sides = 0.30 * (u.abs() / 0.24).clamp(max=1.3) ** 5
    part = torch.exp(-(((u - p["hair_parting"]) / 0.055) ** 2))
    ripple = 0.010 * p["hair_wave"] * torch.sin(85 * u)
    line = -0.212 + 0.082 * p["fringe"] - (0.012 + 0.048 * p["fringe"]) * part + sides + ripple + 0.010 * p["pitch"]
    front = torch.maximum(_cap(head, p), (head.y - line) * 0.8)
    front = torch.maximum(front, head.y)
    parted = 1 - 0.30 * torch.exp(-(((u - p["hair_parting"] * (1 - (head.y + 0.2) * 2)) / 0.010) ** 2)) * (
        head.y < -0.16
    )
    return [
        Shade(1 - 0.22 * (head.cover(_outline(head, p)) * torch.exp(-front.clamp(min=0) / 0.016)).unsqueeze(1)),
        Layer("hair", head.cover(front), _hair_colour(head, p) * parted.unsqueeze(1)),
    ]


def _light(g: Grid, p: Portrait) -> list[Layer | Shade]:
    warmth = p["light_warmth"].unsqueeze(1)
    tint = torch.cat([1 + 0.05 * warmth, 1 + 0.0 * warmth, 1 - 0.13 * warmth], dim=1)
    slope = 1 + 0.12 * p["light_direction"] * (g.x - 0.5) * 2
    corner = 1 - 0.08 * (((g.x - 0.5) ** 2 + (g.y - 0.5) ** 2) / 0.5)
    return [Shade((slope * corner).unsqueeze(1) * tint)]
