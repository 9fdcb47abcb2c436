"""What this package offers; no torch here."""

from eigenwalk.hookspecs import hookimpl
from eigenwalk.spec import FeatureSpec, Option

EDGE = (
    Option(
        "edge", "str", "smooth", "smooth: a raised cosine in log frequency; ideal: cut at once", ("smooth", "ideal")
    ),
    Option("width", "float", 1.0, "octaves over which a smooth edge falls"),
)
CYCLES = Option("cycles", "float", 8.0, "where the band ends, in cycles along the image's shorter side")


@hookimpl
def eigenwalk_features():
    return [
        FeatureSpec(
            name="fourier.low",
            load="eigenwalk_fourier.bands:low",
            summary="the image's low frequencies",
            options=(CYCLES, *EDGE),
            kind="projection",
            api=1,
        ),
        FeatureSpec(
            name="fourier.high",
            load="eigenwalk_fourier.bands:high",
            summary="the image's high frequencies",
            options=(CYCLES, *EDGE),
            kind="projection",
            api=1,
        ),
        FeatureSpec(
            name="fourier.band",
            load="eigenwalk_fourier.bands:band",
            summary="the image's frequencies between two bounds",
            options=(
                Option("low", "float", None, "where the band begins, in cycles along the shorter side", required=True),
                Option("high", "float", None, "where the band ends, in cycles along the shorter side", required=True),
                *EDGE,
            ),
            kind="projection",
            api=1,
        ),
    ]
