"""What this package offers; no torch here."""

from eigenwalk.hookspecs import hookimpl
from eigenwalk.spec import FeatureSpec, Option


@hookimpl
def eigenwalk_features():
    return [
        FeatureSpec(
            name="mask",
            load="eigenwalk_masks.mask:mask",
            summary="the pixels inside a box or a mask image",
            options=(
                Option("box", "numbers", None, "(x0, y0, x1, y1) as shares of width and height, from the top left"),
                Option("file", "path", None, "an image of the mask, white inside; stretched to the image's size"),
                Option("feather", "float", 0.0, "pixels over which the mask's edge fades"),
            ),
            kind="projection",
            unit="RMS pixel inside the mask",
        )
    ]
