"""What this package offers; no torch here."""

from eigenwalk.hookspecs import hookimpl
from eigenwalk.spec import FeatureSpec, Option

SIZE = Option("size", "int", None, "pixels of the shorter side that the image is averaged down to; its own if left out")


@hookimpl
def eigenwalk_features():
    return [
        FeatureSpec(
            name="pixels",
            load="eigenwalk_pixels.pixels:Pixels",
            summary="the image itself",
            options=(SIZE,),
            kind="projection",
            api=1,
        ),
        FeatureSpec(
            name="luminance",
            load="eigenwalk_pixels.pixels:Luminance",
            summary="the image in grey; ~luminance is its colour",
            kind="projection",
            api=1,
        ),
    ]
