"""The factors and parts of a living room; no torch at import.

Positions and sizes are shares of the image side, hues are degrees in OKLCh, the rest is unitless.
"""

from __future__ import annotations

from eigenwalk_miniatures.factors import Factor, FactorTable

SUMMARY = "living rooms drawn by a small GAN that ships with its package"

PARTS = ("wall", "floor", "window", "picture", "rug", "lamp", "sofa", "cushion")
"""What a pixel can belong to, in the order of the mask channels."""

SUBJECT, SUBJECT_PARTS = "sofa", ("sofa",)

FACTORS = FactorTable(
    (
        Factor("wall_hue", 30, 290, "hue of the wall"),
        Factor("wall_lightness", 0.70, 0.92, "lightness of the wall"),
        Factor("wall_chroma", 0.01, 0.09, "chroma of the wall: grey to coloured"),
        Factor("floor_hue", 35, 90, "hue of the floor boards: red wood to straw"),
        Factor("floor_lightness", 0.42, 0.72, "lightness of the floor boards"),
        Factor("horizon", 0.60, 0.70, "height of the line between wall and floor, from the top"),
        Factor("window_x", 0.18, 0.40, "centre of the window"),
        Factor("window_y", 0.24, 0.34, "centre of the window, from the top"),
        Factor("window_width", 0.18, 0.34, "width of the window"),
        Factor("window_height", 0.24, 0.40, "height of the window"),
        Factor("sky_warmth", 0, 1, "sky in the window: 0 blue noon, 1 orange dusk"),
        Factor("picture_x", 0.60, 0.80, "centre of the picture on the wall"),
        Factor("picture_y", 0.20, 0.32, "centre of the picture, from the top"),
        Factor("picture_size", 0.14, 0.26, "width of the picture"),
        Factor("picture_hue", 0, 300, "hue of the picture"),
        Factor("rug_x", 0.38, 0.62, "centre of the rug"),
        Factor("rug_width", 0.60, 0.96, "width of the rug"),
        Factor("rug_hue", 0, 300, "hue of the rug"),
        Factor("lamp_x", 0.78, 0.94, "foot of the lamp"),
        Factor("lamp_height", 0.46, 0.64, "height of the lamp"),
        Factor("lamp_hue", 20, 200, "hue of the lamp shade"),
        Factor("lamp_glow", 0, 1, "light that the lamp gives"),
        Factor("sofa_x", 0.38, 0.60, "centre of the sofa"),
        Factor("sofa_width", 0.48, 0.70, "width of the sofa, arms included"),
        Factor("sofa_height", 0.28, 0.40, "height of the sofa, legs included"),
        Factor("sofa_hue", 0, 300, "hue of the sofa"),
        Factor("sofa_lightness", 0.44, 0.74, "lightness of the sofa"),
        Factor("cushion_hue", 20, 320, "hue of the two cushions"),
        Factor("cushion_size", 0.08, 0.14, "side of a cushion"),
        Factor("cushion_offset", 0.30, 0.75, "place of the cushions: 0 at the middle, 1 at the arms"),
        Factor("light_level", 0.80, 1.10, "brightness of the room"),
        Factor("light_warmth", -0.6, 1, "colour of the light: below 0 cool, above 0 warm"),
        Factor("light_direction", -1, 1, "where the light comes from: -1 left, 1 right"),
    )
)
