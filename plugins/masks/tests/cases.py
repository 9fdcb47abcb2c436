"""The cases of the conformance kit, and the small networks that they and the tests open.

The networks are the libraries' own, in their published layouts, with random weights from a seed; the last layers are
scaled up, so that a mask is here and there instead of half everywhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from eigenwalk.testing import Case
from eigenwalk_face.portraits import portraits
from eigenwalk_face.tflite.writer import Graph, write_mesh

LABELS = ("wall", "sofa, couch", "lamp")


def write_person(path: Path, side: int = 16) -> Path:
    """Write a network of `side` pixels that takes what is brighter than grey for a person."""
    graph = Graph()
    source = graph.tensor(1, side, side, 3)
    weights = [graph.constant(torch.full((1, 1, 1, 3), 4.0).half()), graph.constant(torch.tensor([-6.0]).half())]
    logits = graph.operation("CONV_2D", [source, *weights], (1, side, side, 1), {0: ("b", 1), 1: ("i", 1), 2: ("i", 1)})
    return graph.write(path, [source], [graph.operation("LOGISTIC", [logits], (1, side, side, 1))])


def small_sam(checkpoint: None = None) -> Any:
    """A network of segment-anything for images of 128 pixels: made as its registry makes the published ones."""
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

    side, width = 128, 32
    embedded = (side // 16, side // 16)
    return Sam(
        image_encoder=ImageEncoderViT(
            depth=2,
            embed_dim=width,
            img_size=side,
            num_heads=2,
            out_chans=width,
            use_rel_pos=True,
            global_attn_indexes=(1,),
            window_size=4,
        ),
        prompt_encoder=PromptEncoder(width, embedded, (side, side), mask_in_chans=4),
        mask_decoder=MaskDecoder(
            transformer_dim=width,
            transformer=TwoWayTransformer(depth=2, embedding_dim=width, num_heads=2, mlp_dim=64),
            iou_head_hidden_dim=32,
        ),
    ).eval()


def save_sam(path: Path) -> None:
    """Random weights of the small network, which the registry then has as ``vit_small``, at `path`."""
    from segment_anything import sam_model_registry

    sam_model_registry["vit_small"] = small_sam
    torch.manual_seed(1)
    sam = small_sam()
    for head in sam.mask_decoder.output_hypernetworks_mlps:
        head.layers[-1].weight.data *= 1500
    sam.mask_decoder.iou_prediction_head.layers[-1].bias.data += 1  # good enough for `everything`
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(sam.state_dict(), path)


def save_segformer(folder: Path, labels: tuple[str, ...] = LABELS, **facts: Any) -> Any:
    """A SegFormer with random weights, saved in `folder` as transformers does; by default a small one."""
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    small = {"depths": [1] * 4, "hidden_sizes": [8, 16, 24, 32], "num_attention_heads": [1, 2, 3, 4]}
    torch.manual_seed(1)
    config = SegformerConfig(**({**small, "decoder_hidden_size": 16} | facts), id2label=dict(enumerate(labels)))
    network = SegformerForSemanticSegmentation(config).eval()
    with torch.no_grad():
        for name, weight in network.named_parameters():
            weight.mul_(8 if weight.ndim > 1 and "segformer" in name else 1)
        logits = network(torch.randn(4, 3, 64, 64)).logits
        head, spread = network.decode_head.classifier, 6 / logits.std((0, 2, 3))
        assert head.bias is not None
        head.bias.copy_(-spread * logits.mean((0, 2, 3)))
        head.weight.mul_(spread[:, None, None, None])
    network.save_pretrained(folder)
    return network


def small_segformer(folder: Path) -> None:
    """The small SegFormer and its preprocessing, in ``folder/net``."""
    save_segformer(folder / "net")
    (folder / "net" / "preprocessor_config.json").write_text('{"size": {"height": 64, "width": 64}}')


def white_half(folder: Path) -> None:
    """A mask image, white on the left."""
    pixels = np.zeros((8, 8), np.uint8)
    pixels[:, :4] = 255
    Image.fromarray(pixels).save(folder / "mask.png")


def sam_there(folder: Path) -> None:
    """The small network of segment-anything, in ``folder/sam.pth``."""
    save_sam(folder / "sam.pth")


SAM = 'mask(sam=vit_small, weights="{folder}/sam.pth", point=(0.5, 0.6))'


def face_there(folder: Path) -> None:
    """A face mesh whose points move a little with the image, in ``mesh.tflite``."""
    write_mesh(folder / "mesh.tflite")


def person_there(folder: Path) -> None:
    """A network that takes what is bright for a person, in ``person.tflite``."""
    write_person(folder / "person.tflite")


LIPS = 'mask(face=lips, weights="{folder}/mesh.tflite", box=(0.1, 0.1, 0.9, 0.95))'
PERSON = 'mask(person=true, weights="{folder}/person.tflite")'
SOFA = 'mask(label=sofa, model="{folder}/net")'

CASES = [
    Case("mask(box=(0.1, 0.2, 0.55, 0.9), erode=1, feather=2)"),
    Case("~mask(box=(0, 0, 1, 0.5))"),
    Case('mask(file="{folder}/mask.png")', prepare=white_half),
    Case(SOFA, prepare=small_segformer),
    Case(f"~{SOFA[:-1]}, erode=1, feather=2)", prepare=small_segformer),
    Case(f"{SOFA} | fourier.low(cycles=8)", prepare=small_segformer),
    Case(SAM, prepare=sam_there),
    Case(LIPS, prepare=face_there),
    Case(f"position({LIPS})", prepare=face_there),
    Case('mask(face=(eyes, brows), weights="{folder}/mesh.tflite", feather=2)', images=portraits, prepare=face_there),
    Case(PERSON, prepare=person_there),
    Case(f"position({SOFA[:-1]}, feather=2))", prepare=small_segformer),
    Case(f"appearance({SOFA}, size=8)", prepare=small_segformer),
]
