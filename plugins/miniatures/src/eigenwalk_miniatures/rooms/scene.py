"""The living room, painted back to front; `render` is the miniature's whole truth."""

from __future__ import annotations

import torch
from torch import Tensor

from eigenwalk_miniatures.paint import (
    Grid,
    Layer,
    Shade,
    box,
    composite,
    ellipse,
    glow,
    trapezium,
)
from eigenwalk_miniatures.rooms.factors import FACTORS, PARTS

Room = dict[str, Tensor]
"""Factor name to values `(batch, 1, 1)`."""

SOFA_FOOT = 0.86
"""Where the sofa's feet stand, from the top: below the lowest horizon, above the image's edge."""


def render(factors: Tensor, resolution: int = 64) -> tuple[Tensor, Tensor]:
    """Images `(batch, 3, height, width)` in [0, 1] and masks `(batch, parts, height, width)`.

    `factors (batch, 33)` in the units and order of `FACTORS`. Deterministic and differentiable
    almost everywhere; the masks sum to 1 at every pixel.
    """
    room = FACTORS.named(factors)
    g = Grid.square(resolution, factors)
    coats: list[Layer | Shade] = []
    for paint in (_wall, _window, _picture, _floor, _rug, _lamp, _sofa, _cushions, _light):
        coats += paint(g, room)
    return composite(coats, PARTS)


def _full(g: Grid, room: Room) -> Tensor:
    return torch.ones_like(room["horizon"] + g.x + g.y)


def _wall(g: Grid, r: Room) -> list[Layer | Shade]:
    colour = g.colour(r["wall_lightness"], r["wall_chroma"], r["wall_hue"])
    side = r["light_direction"] * (g.x - 0.5)
    fall = 1.04 + 0.16 * side - 0.22 * (g.y - 0.25) ** 2
    skirting = g.colour(0.5 + 0.5 * r["wall_lightness"], 0.01, 80.0)
    top = r["horizon"] - 0.035
    return [
        Layer("wall", _full(g, r), colour),
        Shade(fall.unsqueeze(1)),
        Layer("wall", g.cover(top - g.y), skirting),
        Shade(1 - 0.12 * g.cover((g.y - top).abs() - 0.004).unsqueeze(1)),
    ]


def _window(g: Grid, r: Room) -> list[Layer | Shade]:
    x, y = r["window_x"], r["window_y"]
    hw, hh = r["window_width"] / 2, r["window_height"] / 2
    white = g.colour(0.96, 0.01, 90.0)
    share = ((g.y - (y - hh)) / (2 * hh)).clamp(0, 1).unsqueeze(1)
    warm = r["sky_warmth"].unsqueeze(1)
    noon = g.colour(0.70, 0.12, 245.0) * (1 - share) + g.colour(0.93, 0.03, 230.0) * share
    dusk = g.colour(0.66, 0.11, 330.0) * (1 - share) + g.colour(0.88, 0.12, 70.0) * share
    sky = noon * (1 - warm) + dusk * warm
    hill = g.colour(0.66 - 0.14 * r["sky_warmth"], 0.09, 140.0 - 40.0 * r["sky_warmth"])
    pane = g.cover(box(g, x, y, hw - 0.022, hh - 0.022))
    ridge = g.cover(y + 0.55 * hh + 0.03 * torch.sin(14 * (g.x - x) + 1.0) - g.y)
    bars = torch.maximum(g.cover((g.x - x).abs() - 0.006), g.cover((g.y - y + 0.2 * hh).abs() - 0.006))
    return [
        Shade(1 - 0.16 * g.cover(box(g, x + 0.008, y + 0.012, hw + 0.008, hh + 0.008)).unsqueeze(1)),
        Layer("window", g.cover(box(g, x, y, hw, hh, 0.006)), white),
        Layer("window", pane, sky),
        Layer("window", pane * ridge, hill),
        Layer("window", pane * bars, white),
        Layer("window", g.cover(box(g, x, y + hh + 0.008, hw + 0.022, 0.013, 0.004)), white * 0.93),
    ]


def _picture(g: Grid, r: Room) -> list[Layer | Shade]:
    x, y, hw = r["picture_x"], r["picture_y"], r["picture_size"] / 2
    hh, hue = 0.78 * hw, r["picture_hue"]
    ground = g.colour(0.60, 0.12, hue)
    sun = g.colour(0.86, 0.12, hue + 60)
    canvas = g.cover(box(g, x, y, hw - 0.018, hh - 0.018))
    land = g.cover(y + 0.15 * hh + 0.35 * hh * (g.x - x) / hw - g.y)
    disc = g.cover(ellipse(g, x - 0.25 * hw, y - 0.2 * hh, 0.26 * hw, 0.26 * hw))
    return [
        Shade(1 - 0.18 * g.cover(box(g, x + 0.008, y + 0.012, hw + 0.004, hh + 0.004)).unsqueeze(1)),
        Layer("picture", g.cover(box(g, x, y, hw, hh)), g.colour(0.34, 0.03, 60.0)),
        Layer("picture", canvas, g.colour(0.92, 0.04, hue)),
        Layer("picture", canvas * disc, sun),
        Layer("picture", canvas * land, ground),
    ]


def _floor(g: Grid, r: Room) -> list[Layer | Shade]:
    horizon = r["horizon"]
    colour = g.colour(r["floor_lightness"], 0.075, r["floor_hue"])
    depth = g.y - horizon + 0.22
    board = torch.sin(2 * torch.pi * 4.0 * (g.x - 0.5) / depth.clamp(min=0.05) * 0.42)
    grain = 1 + 0.055 * board * (0.6 + 1.2 * (g.y - horizon).clamp(min=0))
    near = 0.90 + 0.38 * (g.y - horizon).clamp(min=0)
    slide = (g.y - horizon).clamp(min=0)
    beam_x = r["window_x"] + 0.10 - 0.25 * r["light_direction"] - 0.5 * r["light_direction"] * slide
    beam = g.cover((g.x - beam_x).abs() - 0.55 * r["window_width"] - 0.2 * slide)
    lit = g.cover(horizon - g.y)
    shine = 1 + lit * (0.16 * beam * (1 - 0.6 * r["sky_warmth"]))
    return [
        Layer("floor", lit, colour * (grain * near).unsqueeze(1)),
        Shade(shine.unsqueeze(1)),
        Shade(1 - 0.25 * torch.exp(-((g.y - horizon).clamp(min=0) / 0.02)).unsqueeze(1) * lit.unsqueeze(1)),
    ]


def _rug(g: Grid, r: Room) -> list[Layer | Shade]:
    x, hw, hue = r["rug_x"], r["rug_width"] / 2, r["rug_hue"]
    y, hh = 0.885, 0.075 + 0.06 * (r["rug_width"] - 0.6)
    return [
        Shade(1 - 0.2 * g.cover(ellipse(g, x, y + 0.008, hw + 0.006, hh + 0.006)).unsqueeze(1)),
        Layer("rug", g.cover(ellipse(g, x, y, hw, hh)), g.colour(0.54, 0.11, hue)),
        Layer("rug", g.cover(ellipse(g, x, y, 0.86 * hw, 0.82 * hh)), g.colour(0.82, 0.06, hue)),
        Layer("rug", g.cover(ellipse(g, x, y, 0.74 * hw, 0.64 * hh)), g.colour(0.62, 0.10, hue)),
    ]


def _lamp(g: Grid, r: Room) -> list[Layer | Shade]:
    x, shine = r["lamp_x"], r["lamp_glow"]
    foot = 0.80
    top = foot - r["lamp_height"]
    rim = top + 0.14
    metal = g.colour(0.36, 0.02, 70.0)
    shade = g.colour(0.70 + 0.14 * shine, 0.09 + 0.02 * shine, r["lamp_hue"])
    inner = glow(g, x, (top + rim) / 2, 0.05, 0.05)
    halo = glow(g, x, (top + rim) / 2, 0.17, 0.19)
    warm = torch.tensor([1.0, 0.78, 0.45], dtype=g.x.dtype, device=g.x.device).view(1, 3, 1, 1)
    return [
        Shade(1 - 0.25 * glow(g, x, foot + 0.005, 0.06, 0.015).unsqueeze(1)),
        Layer("lamp", g.cover(ellipse(g, x, foot, 0.05, 0.016)), metal),
        Layer("lamp", g.cover(box(g, x, (rim + foot) / 2, 0.008, (foot - rim) / 2)), metal),
        Shade(1 + (0.5 * shine * halo).unsqueeze(1) * warm),
        Layer(
            "lamp",
            g.cover(trapezium(g, x, top, rim, 0.05, 0.095)),
            shade * (1 + 0.25 * (shine * inner).unsqueeze(1) * warm),
        ),
    ]


def _sofa(g: Grid, r: Room) -> list[Layer | Shade]:
    x, hw, height = r["sofa_x"], r["sofa_width"] / 2, r["sofa_height"]
    hue, light = r["sofa_hue"], r["sofa_lightness"]
    foot = SOFA_FOOT
    belly = foot - 0.035
    top, seat = foot - height, foot - 0.45 * height
    arm = 0.055 + 0.02 * (r["sofa_width"] - 0.48)
    inside = hw - 2 * arm
    cloth, dark, lit = (g.colour(light + shift, 0.105, hue) for shift in (0.0, -0.09, 0.06))
    side = 1 + 0.12 * r["light_direction"] * (g.x - x) / hw
    down = (1.06 - 0.9 * (g.y - top) * (0.28 / height)).clamp(0.7, 1.1)
    tone = (side * down).unsqueeze(1)
    wood = g.colour(0.36, 0.05, 55.0)
    legs = torch.minimum(
        box(g, x - hw + 0.05, foot - 0.02, 0.014, 0.022),
        box(g, x + hw - 0.05, foot - 0.02, 0.014, 0.022),
    )
    backs = [
        box(g, x + s * 0.5 * inside, (top + seat) / 2 + 0.012, 0.5 * inside - 0.006, (seat - top) / 2, 0.025)
        for s in (-1, 1)
    ]
    seats = [box(g, x + s * 0.5 * inside, seat + 0.028, 0.5 * inside - 0.002, 0.034, 0.016) for s in (-1, 1)]
    arms = [
        box(g, x + s * (hw - arm), (foot - 0.64 * height + belly) / 2, arm, (0.64 * height - 0.035) / 2, 0.035)
        for s in (-1, 1)
    ]
    flat = ellipse(g, x - 0.03 * r["light_direction"], foot - 0.012, 0.98 * hw, 0.03)
    shadow = torch.exp(-(flat + 0.012).clamp(min=0) / 0.014)
    edge = box(g, x - 0.02 * r["light_direction"], (top + belly) / 2 + 0.01, hw - 0.01, (belly - top) / 2, 0.06)
    behind = torch.exp(-edge.clamp(min=0) / 0.028)
    return [
        Shade(1 - 0.5 * shadow.unsqueeze(1)),
        Shade(1 - 0.26 * behind.unsqueeze(1)),
        Layer("sofa", g.cover(legs), wood),
        Layer("sofa", g.cover(box(g, x, (top + belly) / 2, hw - arm, (belly - top) / 2, 0.03)), dark * tone),
        *(Layer("sofa", g.cover(d), cloth * tone) for d in backs),
        Layer(
            "sofa", g.cover(box(g, x, (seat + 0.03 + belly) / 2, inside + 0.01, (belly - seat - 0.03) / 2)), dark * tone
        ),
        *(Layer("sofa", g.cover(d), lit * tone) for d in seats),
        *(Layer("sofa", g.cover(d), cloth * tone * 1.02) for d in arms),
    ]


def _cushions(g: Grid, r: Room) -> list[Layer | Shade]:
    size, hue = r["cushion_size"] / 2, r["cushion_hue"]
    inside = r["sofa_width"] / 2 - 0.13 - size
    y = SOFA_FOOT - 0.45 * r["sofa_height"] - 0.85 * size + 0.008
    coats: list[Layer | Shade] = []
    for s, light in ((-1, 0.74), (1, 0.66)):
        x = r["sofa_x"] + s * (0.02 + size + (inside - 0.02 - 0.5 * size).clamp(min=0) * r["cushion_offset"])
        shape = box(g, x, y, size, 0.92 * size, 0.022)
        beneath = box(g, x - 0.008 * r["light_direction"], y + 0.012, size + 0.004, size, 0.02)
        fold = 1.05 - 1.2 * (g.y - y) * 0.5 + 0.5 * r["light_direction"] * (g.x - x)
        coats += [
            Shade(1 - 0.16 * g.cover(beneath).unsqueeze(1)),
            Layer("cushion", g.cover(shape), g.colour(light, 0.125, hue) * fold.unsqueeze(1)),
        ]
    return coats


def _light(g: Grid, r: Room) -> list[Layer | Shade]:
    warmth = r["light_warmth"].unsqueeze(1)
    tint = torch.cat([1 + 0.05 * warmth, 1 + 0.0 * warmth, 1 - 0.13 * warmth], dim=1)
    slope = 1 + 0.14 * r["light_direction"] * (g.x - 0.5) * 2
    corner = 1 - 0.10 * (((g.x - 0.5) ** 2 + (g.y - 0.5) ** 2) / 0.5)
    return [Shade((r["light_level"] * slope * corner).unsqueeze(1) * tint)]
