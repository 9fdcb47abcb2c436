"""What this package offers; no torch here."""

from eigenwalk.hookspecs import hookimpl
from eigenwalk.spec import CommandSpec, FeatureSpec, Option, Weights
from eigenwalk_attributes.published import AGE, BACKBONES, GENDER


@hookimpl
def eigenwalk_features():
    return [
        FeatureSpec(
            name="attributes",
            load="eigenwalk_attributes.attributes:attributes",
            summary="what a classifier or regressor of timm says of an image, by label",
            options=(
                Option("label", "words", None, "the labels, such as smile or (smile, glasses)", required=True),
                Option("model", "path", None, "a network's weights; left out: what 'attributes fit' has made"),
                Option("labels", "path", None, "its labels file, where it is not FILE.labels.toml beside the weights"),
            ),
            unit="logit",
            api=1,
        ),
        FeatureSpec(
            name="embedding",
            load="eigenwalk_attributes.embedding:embedding",
            summary="the features of a backbone of timm, such as DINO",
            options=(
                Option("model", "str", None, "a network of timm, such as vit_small_patch16_224.dino", required=True),
                Option("weights", "path", None, "a file of its weights; left out: the published ones, fetched before"),
                Option(
                    "layer",
                    "str",
                    None,
                    "a module of it, such as layer2 or 'blocks.5'; left out: what its head would see",
                ),
                Option(
                    "pool",
                    "str",
                    None,
                    "over positions: mean (where a layer is named), the class token, or none, which keeps the map",
                    ("mean", "token", "none"),
                ),
                Option("size", "int", None, "pixels of the side that it sees, where not its own: fewer are quicker"),
            ),
            weights=tuple(BACKBONES.values()),
            unit="cosine distance",
            other_units=("RMS value",),
            cites=(
                "Caron et al., Emerging Properties in Self-Supervised Vision Transformers, ICCV 2021",
                "Tan, Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, ICML 2019",
                "Oquab et al., DINOv2: Learning Robust Visual Features without Supervision, TMLR 2024",
            ),
            api=1,
        ),
        _of_face("age", "how old the face looks, in years", "year", AGE),
        _of_face(
            "gender", "which of two genders the face looks like: log-odds of male against female", "logit", GENDER
        ),
    ]


def _of_face(name: str, summary: str, unit: str, weights: Weights) -> FeatureSpec:
    return FeatureSpec(
        name=name,
        load=f"eigenwalk_attributes.person:{name}",
        summary=summary,
        options=(
            Option("file", "path", None, "an ONNX file of the same network, with weights of your own"),
            Option(
                "box",
                "numbers",
                None,
                "(x0, y0, x1, y1): the chip, in shares from the top left; ffhq: that of aligned images; no detector",
                ("ffhq",),
            ),
            Option("least", "float", 0.7, "the detector's probability from which something is a face"),
        ),
        weights=(weights,),
        unit=unit,
        licence=weights.licence,
        cites=("King: Dlib-ml, a machine learning toolkit, JMLR 2009",),
        api=1,
    )


@hookimpl
def eigenwalk_commands():
    return [
        CommandSpec(
            name="attributes",
            load="eigenwalk_attributes.fit.command:app",
            summary="Fit a network to a label of your own: eigenwalk attributes fit.",
        )
    ]
