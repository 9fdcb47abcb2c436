"""A click with networks of the real layouts and random weights: what lies there is offered, drawn, held and walked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from visitors import wait

from eigenwalk import store
from eigenwalk_studio.engine import Engine
from eigenwalk_studio.library import Library
from eigenwalk_studio.session import Session
from eigenwalk_studio.show import Gallery
from eigenwalk_studio.state import State
from eigenwalk_studio.trust import Trust

presets = pytest.importorskip("eigenwalk_masks.presets", reason="eigenwalk-masks is not installed")
SMALL = {"depths": [1] * 4, "hidden_sizes": [8, 16, 24, 32], "decoder_hidden_size": 16}


def put_into_store(weights: Any, save: Callable[[Path], object]) -> Any:
    """Have `save` write the file of `weights`; return them with the sum of that file."""
    target = store.place(weights)
    target.parent.mkdir(parents=True, exist_ok=True)
    save(target)
    return replace(weights, sha256=sha256(target.read_bytes()).hexdigest())


def segformer(path: Path) -> None:
    """A small SegFormer of the published 150 labels, whose last layer is scaled until labels are here and there."""
    from safetensors.torch import save_file
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    labels = presets.presets()["ade20k"].labels
    torch.manual_seed(1)
    config = SegformerConfig(**SMALL, id2label=dict(enumerate(labels)))
    network = SegformerForSemanticSegmentation(config).eval()
    with torch.no_grad():
        for name, weight in network.named_parameters():
            weight.mul_(8 if weight.ndim > 1 and "segformer" in name else 1)
        logits = network(torch.randn(2, 3, 128, 128)).logits
        head, spread = network.decode_head.classifier, 9 / logits.std((0, 2, 3))
        assert head.bias is not None
        head.bias.copy_(-spread * logits.mean((0, 2, 3)))
        head.weight.mul_(spread[:, None, None, None])
    save_file(network.state_dict(), path)


def small_sam(checkpoint: Any = None) -> Any:
    """Segment Anything's own modules, for images of 128 pixels."""
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

    side, width = 128, 32
    encoder = ImageEncoderViT(depth=2, embed_dim=width, img_size=side, num_heads=2, out_chans=width, use_rel_pos=True)
    transformer = TwoWayTransformer(depth=2, embedding_dim=width, num_heads=2, mlp_dim=64)
    return Sam(
        image_encoder=encoder,
        prompt_encoder=PromptEncoder(width, (side // 16, side // 16), (side, side), mask_in_chans=4),
        mask_decoder=MaskDecoder(transformer_dim=width, transformer=transformer, iou_head_hidden_dim=32),
    ).eval()


def segment_anything(path: Path) -> None:
    torch.manual_seed(1)
    network = small_sam()
    for head in network.mask_decoder.output_hypernetworks_mlps:
        head.layers[-1].weight.data *= 1500
    torch.save(network.state_dict(), path)


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """An engine with random weights of SegFormer and Segment Anything where the published ones would lie."""
    pytest.importorskip("transformers", reason="transformers is not installed")
    registry = pytest.importorskip("segment_anything", reason="segment-anything is not installed").sam_model_registry
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EIGENWALK_WEIGHTS", str(tmp_path / "weights"))
    labels, objects = presets.presets(), presets.sam_weights()
    ade = replace(labels["ade20k"], network=SMALL, weights=put_into_store(labels["ade20k"].weights, segformer))
    sam = put_into_store(objects["vit_b"], segment_anything)
    monkeypatch.setitem(registry, "vit_b", small_sam)
    for module in ("presets", "segformer", "plugin", "sam"):
        for name, found in (("presets", {**labels, "ade20k": ade}), ("sam_weights", {**objects, "vit_b": sam})):
            if hasattr(__import__(f"eigenwalk_masks.{module}", fromlist=["x"]), name):
                monkeypatch.setattr(f"eigenwalk_masks.{module}.{name}", lambda found=found: found)
    engine = Engine(Library(Trust(tmp_path), tmp_path / "runs"))
    yield engine
    engine.close()
    engine.walker.join(60)


@pytest.mark.parametrize(
    ("start", "label"), [("mask(label=", None), ("mask(point=(0.4, 0.55), sam=vit_b)", "this object")]
)
def test_a_click_is_held_through_a_network(engine: Engine, start: str, label: str | None):
    session = Session(
        "n" * 24, engine, State("rooms", steps=1, paths=1, seed=2, tolerance=10.0), engine.library.out / "histories"
    )
    session.act({"act": "point", "x": 0.4, "y": 0.55})
    wait(lambda: session.notice or any(one.label == "this box" for one in session.candidates))
    texts = [one.text for one in session.candidates]
    index = next((i for i, text in enumerate(texts) if text.startswith(start)), -1)
    assert index >= 0, (texts, session.notice)
    one = session.candidates[index]
    assert 0 < one.cover < 1 and (label is None or one.label == label)
    if label is None:
        word = presets.presets()["ade20k"].labels[0]
        network = engine.library.feature(f"mask(label={word}, model=ade20k)").segmenter
        logits = network.logits(session.image())[0]
        there = int(logits[:, int(0.55 * logits.shape[1]), int(0.4 * logits.shape[2])].argmax())
        assert there in network.vocabulary[one.label] and one.text.endswith("model=ade20k)")
    session.act({"act": "choose", "list": "hold", "index": index})
    assert session.notice == "" and session.state.hold == (one.text,)
    where = ["seed", "rooms", 2]
    drawn = Gallery(engine).url(session, json.dumps(["masks", where, [[one.text, True]]]))
    assert drawn.startswith("data:image/png")
    session.act({"act": "walk"})
    wait(lambda: session.walk is not None and session.walk.condition in ("finished", "failed"))
    assert session.walk is not None
    assert session.walk.error == ""
    path = session.walk.paths[0]
    changes = path.waypoints[1].changes
    assert len(path) == 2 and len(changes) == 2 and np.isfinite(list(changes.values())).all()
    (held,) = (role for role in path.roles if role.part == "fixed")
    assert held.tolerance is not None and changes[held.name] <= held.tolerance
    where = ["walk", session.walk.key, path.name, 1]
    assert Gallery(engine).url(session, json.dumps(["masks", where, [[one.text, True]]])).startswith("data:image/png")
