"""What this package offers; no torch here."""

from dataclasses import replace

from eigenwalk.hookspecs import hookimpl
from eigenwalk.spec import FeatureSpec, Option, Weights
from eigenwalk_face.parts import mesh_weights

FAN = Weights(
    file="landmarks/2DFAN4-11f355bf06.pth.tar",
    sha256="11f355bf0693120222f5955ce3f9dc8fb5763ebb30a47d7906e509490d32e4aa",
    size=95_641_761,
    licence="BSD-3-Clause (face-alignment)",
    url="https://www.adrianbulat.com/downloads/python-fan/2DFAN4-11f355bf06.pth.tar",
    option=("model", "fan"),
    unless="file",
)
BOX = "(x0, y0, x1, y1): the face, in shares from the top left; ffhq: the face of aligned images; no detector"
MESH = replace(mesh_weights(("model", "mesh")), unless="file")


@hookimpl
def eigenwalk_features():
    return [
        FeatureSpec(
            name="landmarks",
            load="eigenwalk_landmarks.landmarks:landmarks",
            summary="where the eyes, nose and mouth of a face are",
            options=(
                Option(
                    "points",
                    "words",
                    None,
                    "groups: eyes, nose, mouth; fan: also brows, jaw; mesh: also brows, lips, oval",
                ),
                Option("aligned", "bool", False, "the shape alone, without the face's place, size and tilt"),
                Option(
                    "model",
                    "str",
                    "mtcnn",
                    "mtcnn: 5 points, nothing to fetch; mesh: 468 points; fan: 68 points",
                    ("mtcnn", "mesh", "fan"),
                ),
                Option("file", "path", None, "the network of model=fan or model=mesh in a file of your own"),
                Option("box", "numbers", None, BOX, ("ffhq",)),
                Option("least", "float", 0.7, "the detector's probability from which something is a face"),
            ),
            unit="share of the interocular distance",
            weights=(MESH, FAN),
            licence="MIT (facenet-pytorch), Apache-2.0 (MediaPipe), BSD-3-Clause (face-alignment)",
            cites=(
                "Zhang, Zhang, Li, Qiao: Joint face detection and alignment (MTCNN), 2016, arXiv 1604.02878",
                "Bulat, Tzimiropoulos: How far are we from solving face alignment? (FAN), ICCV 2017, arXiv 1703.07332",
                "Kartynnik et al.: Real-time facial surface geometry from monocular video, 2019, arXiv 1907.06724",
                "Bookstein: Size and shape spaces for landmark data in two dimensions, Statistical Science 1986",
            ),
            api=1,
        )
    ]
