"""The factors and parts of a portrait; no torch at import.

Lengths are shares of the image side at the head's own size, hues are degrees in OKLCh, angles are degrees,
the rest is unitless. A person is the factors of `IDENTITY` and nothing else: no other factor is a property of
the person, and none of them changes with hair, expression, pose, clothes, background or light.
"""

from __future__ import annotations

from eigenwalk_miniatures.factors import Factor, FactorTable

SUMMARY = "portraits drawn by a small GAN that ships with its package"

PARTS = ("background", "hair", "skin", "brows", "eyes", "nose", "mouth", "neck", "clothes")
"""What a pixel can belong to, in the order of the mask channels; `skin` is that of face and ears."""

SUBJECT, SUBJECT_PARTS = "face", ("skin", "brows", "eyes", "nose", "mouth")

PERSON = (
    Factor("face_width", 0.185, 0.245, "half the width of the face"),
    Factor("jaw_width", 0.0, 1.0, "jaw: 0 pointed, 1 square"),
    Factor("chin_length", 0.235, 0.300, "from the middle of the face to the chin"),
    Factor("ear_size", 0.030, 0.062, "half the height of an ear"),
    Factor("skin_lightness", 0.44, 0.86, "lightness of the skin"),
    Factor("skin_hue", 34, 70, "undertone of the skin: pink to golden"),
    Factor("eye_spacing", 0.080, 0.112, "half the distance between the eyes' centres"),
    Factor("eye_size", 0.044, 0.068, "half the width of an eye"),
    Factor("eye_tilt", -14, 14, "tilt of the eyes: above 0 the outer corners are higher"),
    Factor("iris_hue", 40, 260, "hue of the irises: amber, green, blue"),
    Factor("brow_thickness", 0.008, 0.024, "half the thickness of the brows"),
    Factor("brow_angle", -13, 13, "angle of the brows: above 0 the outer ends are higher"),
    Factor("nose_length", 0.075, 0.130, "from the eyes' line to the base of the nose"),
    Factor("nose_width", 0.022, 0.060, "half the width of the nose at its base"),
    Factor("mouth_width", 0.052, 0.098, "half the width of the mouth"),
    Factor("lip_thickness", 0.010, 0.034, "thickness of the lips"),
)

OTHERS = (
    Factor("hair_length", 0.02, 0.42, "lower end of the hair, below the middle of the face"),
    Factor("hair_volume", 0.0, 0.06, "how far the hair stands off the head"),
    Factor("hair_hue", 30, 90, "hue of the hair: red to straw"),
    Factor("hair_lightness", 0.20, 0.80, "lightness of the hair"),
    Factor("hair_wave", 0, 1, "waves of the hair: 0 straight, 1 wavy"),
    Factor("hair_parting", -0.11, 0.11, "where the hair is parted"),
    Factor("fringe", 0, 1, "how far the hair falls on the forehead"),
    Factor("smile", -0.5, 1, "corners of the mouth: below 0 down, above 0 up"),
    Factor("mouth_opening", 0, 0.034, "half the height of the mouth's opening"),
    Factor("brow_raise", -0.012, 0.024, "how far the brows are raised"),
    Factor("yaw", -1, 1, "turn of the head: -1 left, 1 right"),
    Factor("pitch", -1, 1, "nod of the head: -1 up, 1 down"),
    Factor("roll", -7, 7, "tilt of the head: above 0 towards the right"),
    Factor("clothes_hue", 0, 300, "hue of the clothes"),
    Factor("clothes_lightness", 0.30, 0.80, "lightness of the clothes"),
    Factor("neckline", 0, 1, "neckline: 0 high, 1 low"),
    Factor("background_hue", 20, 320, "hue of the background"),
    Factor("background_lightness", 0.42, 0.92, "lightness of the background"),
    Factor("light_warmth", -0.6, 1, "colour of the light: below 0 cool, above 0 warm"),
    Factor("light_direction", -1, 1, "where the light comes from: -1 left, 1 right"),
)

FACTORS = FactorTable(PERSON + OTHERS)

IDENTITY = tuple(factor.name for factor in PERSON)
"""Names of the factors that make a person."""
