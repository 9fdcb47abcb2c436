"""What this package offers; no torch here."""

from eigenwalk.hookspecs import hookimpl
from eigenwalk.spec import FeatureSpec, Option, Weights

FAN = Weights(
    file="landmarks/2DFAN4-11f355bf06.pth.tar",
    sha256="11f355bf0693120222f5955ce3f9dc8fb5763ebb30a47d7906e509490d32e4aa",
    size=95_641_761,
    licence="BSD-3-Clause (face-alignment)",
    url="https://www.adrianbulat.com/downloads/python-fan/2DFAN4-11f355bf06.pth.tar",
    option=("model", "fan"),
)


@hookimpl
def eigenwalk_features():
    return [
        FeatureSpec(
            name="landmarks",
            load="eigenwalk_landmarks.landmarks:landmarks",
            summary="where the eyes, nose and mouth of a face are",
            options=(
                Option("points", "words", None, "groups of points: eyes, nose, mouth; fan has brows and jaw as well"),
                Option("aligned", "bool", False, "the shape alone, without the face's place, size and tilt"),
                Option("model", "str", "mtcnn", "mtcnn: 5 points, nothing to fetch; fan: 68 points", ("mtcnn", "fan")),
                Option("file", "path", None, "with model=fan: a state dict of your own, in place of the published one"),
                Option("box", "numbers", None, "(x0, y0, x1, y1): the face, in shares from the top left; no detector"),
                Option("least", "float", 0.7, "the detector's probability from which something is a face"),
            ),
            unit="share of the interocular distance",
            weights=(FAN,),
            licence="MIT (facenet-pytorch), BSD-3-Clause (face-alignment)",
            cites=(
                "Zhang, Zhang, Li, Qiao: Joint face detection and alignment (MTCNN), 2016, arXiv 1604.02878",
                "Bulat, Tzimiropoulos: How far are we from solving face alignment? (FAN), ICCV 2017, arXiv 1703.07332",
                "Bookstein: Size and shape spaces for landmark data in two dimensions, Statistical Science 1986",
            ),
            api=1,
        )
    ]
