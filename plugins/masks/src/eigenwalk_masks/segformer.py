"""SegFormer of transformers: which label each pixel has.

Xie et al. 2021, "SegFormer: Simple and Efficient Design for Semantic Segmentation with Transformers",
arXiv 2105.15203.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from eigenwalk import checkpoint, store
from eigenwalk.errors import FileError, OptionError, WeightsError
from eigenwalk.shapes import Images
from eigenwalk.textfile import read_json
from eigenwalk_masks.presets import Preset, Vocabulary, choose, indices, presets, vocabulary

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's pixels, with which the published networks were trained."""
SIDE = 512
"""Height and width to which the published networks' preprocessing resizes."""
FILES = ("model.safetensors", "pytorch_model.bin")
"""Names under which transformers saves weights."""
CONFIGURATION = (
    *("num_encoder_blocks", "depths", "sr_ratios", "hidden_sizes", "patch_sizes", "strides", "num_attention_heads"),
    *("mlp_ratios", "hidden_act", "decoder_hidden_size", "layer_norm_eps", "reshape_last_stage"),
)
"""Entries of a config.json that describe the network. No others are passed on: some would choose code to run."""
RESAMPLE = {2: "bilinear", 3: "bicubic"}
"""Pillow's numbers for ways of resizing, as in a preprocessor_config.json, and torch's names."""


@dataclass(frozen=True)
class Preprocessing:
    """What a SegformerImageProcessor does to images; the defaults are the published networks'.

    Attributes:
        size: height and width to which images are resized; None: they keep their own.
        mode: how they are resized, antialiased.
        scale: factor on pixels in [0, 1].
        mean, std: by which channels are then normalised.
    """

    size: tuple[int, int] | None = (SIDE, SIDE)
    mode: str = "bilinear"
    scale: float = 1.0
    mean: tuple[float, ...] = MEAN
    std: tuple[float, ...] = STD

    @classmethod
    def read(cls, path: Path) -> Preprocessing:
        """Read a preprocessor_config.json.

        Raises:
            FileError: it is unreadable, or asks for what no SegformerImageProcessor does.
        """
        entries = _read_object(path)
        kind = str(entries.get("image_processor_type") or entries.get("feature_extractor_type") or "Segformer")
        if not kind.startswith("Segformer") or entries.get("do_center_crop") or entries.get("do_pad"):
            raise FileError(f"{path} is of a {kind}: only what SegformerImageProcessor does is known")
        size = entries.get("size", SIDE)
        height, width = (size.get("height"), size.get("width")) if isinstance(size, dict) else (size, size)
        factor, mode = entries.get("rescale_factor", 1 / 255), RESAMPLE.get(entries.get("resample", 2))
        mean, std = entries.get("image_mean", MEAN), entries.get("image_std", STD)
        if (
            mode is None
            or not (isinstance(height, int) and isinstance(width, int) and 0 < height <= 8192 and 0 < width <= 8192)
            or not all(isinstance(three, (list, tuple)) and len(three) == 3 for three in (mean, std))
            or not all(isinstance(number, (int, float)) for number in (factor, *mean, *std))
            or not all(std)
        ):
            raise FileError(
                f"{path} must give size as height and width, image_mean and image_std in three numbers each, a number "
                "as rescale_factor, and 2 (bilinear) or 3 (bicubic) as resample"
            )
        scale = 255.0 * factor if entries.get("do_rescale", True) else 255.0
        normal = entries.get("do_normalize", True)
        return cls(
            size=(height, width) if entries.get("do_resize", True) else None,
            mode=mode,
            scale=1.0 if abs(scale - 1) < 1e-6 else scale,
            mean=tuple(mean) if normal else (0.0,) * 3,
            std=tuple(std) if normal else (1.0,) * 3,
        )

    def __call__(self, images: Images) -> Images:
        """Prepare images ``(batch, 3, height, width)``, which are not clipped, for the network."""
        x = images
        if self.size not in (None, x.shape[-2:]):
            x = F.interpolate(x, self.size, mode=self.mode, align_corners=False, antialias=True)
        x = x if self.scale == 1 else x * self.scale
        return (x - x.new_tensor(self.mean)[:, None, None]) / x.new_tensor(self.std)[:, None, None]


@dataclass(frozen=True)
class Segmenter:
    """A frozen network, in eval mode, that gives each pixel of an image logits of its labels.

    Attributes:
        name: for messages.
        vocabulary: from word to labels.
    """

    network: nn.Module
    name: str
    vocabulary: Vocabulary
    preprocessing: Preprocessing = Preprocessing()

    def logits(self, images: Images) -> Tensor:
        """Logits ``(batch, labels, size / 4)`` of images ``(batch, 3, height, width)``, which are not clipped."""
        x = self.preprocessing(images)
        first = next(self.network.parameters())
        if first.dtype == images.dtype and first.device == images.device:
            return self.network(pixel_values=x).logits
        # A network that is moved inside jvp or vmap keeps tensors that belong to them, and crashes afterwards.
        moved = {name: t.to(images) for name, t in self.network.state_dict().items() if t.is_floating_point()}
        return functional_call(self.network, moved, kwargs={"pixel_values": x}).logits

    def masks(self, images: Images, labels: Sequence[int]) -> Tensor:
        """The probability of `labels` together, ``(batch, 1, height, width)``: the softmax, summed over them.

        It is the sigmoid of log Σ_in exp l - log Σ_out exp l; this difference, which is smooth across edges, is resized
        to the images' size.
        """
        logits = self.logits(images)
        inside = torch.zeros(logits.shape[1], dtype=torch.bool, device=logits.device)
        inside[list(labels)] = True
        odds = logits[:, inside].logsumexp(1, keepdim=True) - logits[:, ~inside].logsumexp(1, keepdim=True)
        return F.interpolate(odds, images.shape[-2:], mode="bilinear", align_corners=False).sigmoid()


def open_segmenter(model: str | None, words: Sequence[str]) -> Segmenter:
    """Open the segmenter that `model` names: a preset, a folder, or, if None, the preset that knows `words`.

    Raises:
        OptionError: no such preset or folder, the words are of none or several, or transformers is not installed.
        WeightsError: the preset's weights are not in the store.
        FileError: the folder's files cannot be opened.
    """
    if model is None or model in presets():
        return _open_preset(choose(words) if model is None else presets()[model], words)
    folder = Path(model).expanduser()
    if not folder.is_dir():
        near = difflib.get_close_matches(model, presets(), 1)
        meant = f"; did you mean {near[0]}?" if near else f"; the presets are {', '.join(presets())}"
        raise OptionError(f"there is no preset and no folder {model!r}{meant}")
    return open_folder(folder)


def _open_preset(preset: Preset, words: Sequence[str]) -> Segmenter:
    indices(words, preset.vocabulary, preset.name)  # so that a typing error is reported before a missing file
    label = words[0] if len(words) == 1 else f"({', '.join(words)})"
    path = store.find(preset.weights, f"mask(label={label}, model={preset.name})")
    return Segmenter(_network(preset.network, preset.labels, path), preset.name, preset.vocabulary)


def open_folder(folder: Path) -> Segmenter:
    """Open a SegFormer that transformers saved: config.json, and model.safetensors or pytorch_model.bin.

    A preprocessor_config.json beside them says what is done to images.

    Raises:
        FileError, WeightsError: a file is missing, unreadable, or does not fit.
    """
    entries = _read_object(folder / "config.json")
    labels = entries.get("id2label")
    if entries.get("model_type") != "segformer" or not isinstance(labels, dict):
        raise FileError(
            f"{folder}/config.json is of model_type {entries.get('model_type')!r}: a segformer with id2label is needed"
        )
    try:
        names = tuple(str(labels[str(i)]) for i in range(len(labels)))
    except KeyError as error:
        raise FileError(f"id2label in {folder / 'config.json'} lacks the number {error}") from None
    path = next((folder / file for file in FILES if (folder / file).is_file()), None)
    if path is None:
        raise FileError(f"there are no weights in {folder}: {' or '.join(FILES)} is needed, in one piece")
    network = _network({key: entries[key] for key in CONFIGURATION if key in entries}, names, path)
    beside = folder / "preprocessor_config.json"
    preprocessing = Preprocessing.read(beside) if beside.exists() else Preprocessing()
    return Segmenter(network, str(folder), vocabulary(names), preprocessing)


def _read_object(path: Path) -> Mapping[str, Any]:
    if not path.exists():
        raise FileError(f"there is no {path.name} in {path.parent}: give a folder that save_pretrained wrote")
    found = read_json(path, "configuration")
    if not isinstance(found, dict):
        raise FileError(f"{path} must hold an object, got {type(found).__name__}")
    return found


def _network(entries: Mapping[str, Any], labels: Sequence[str], path: Path) -> nn.Module:
    """Build the network of a configuration, with the weights at `path` as any version of transformers named them."""
    transformers, state = _import_transformers(), checkpoint.state_dict(path)
    try:
        config = transformers.SegformerConfig(**entries, id2label=dict(enumerate(labels)))
        with torch.device("meta"):  # without memory
            size = sum(one.numel() for one in transformers.SegformerForSemanticSegmentation(config).parameters())
    except Exception as error:  # transformers checks types with a library of its own, which has its own exceptions
        raise FileError(f"this configuration is not one of a SegFormer: {error}") from error
    if size > 2 * sum(one.numel() for one in state.values()):
        raise WeightsError(f"{path} does not fit the SegFormer of its configuration, which has {size:,} parameters")
    with _silence_transformers():
        # Given a state dict, the library's own loader asks no hub, and renames what older versions named otherwise.
        network, report = transformers.SegformerForSemanticSegmentation.from_pretrained(
            None,
            config=config,
            state_dict=state,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            dtype=torch.float32,
        )
    wrong = {what: sorted(map(_key, report[f"{what}_keys"])) for what in ("missing", "unexpected", "mismatched")}
    misfits = "; ".join(f"{what}: {', '.join(keys[:4])}" for what, keys in wrong.items() if keys)
    if misfits:
        raise WeightsError(f"{path} does not fit the SegFormer that its configuration describes: {misfits}")
    return network.eval().requires_grad_(False)


def _key(reported: Any) -> str:
    return reported if isinstance(reported, str) else str(reported[0])


def _import_transformers() -> Any:
    try:
        import transformers

        _ = transformers.SegformerForSemanticSegmentation  # imported when it is first asked for
    except ImportError as error:
        raise OptionError(
            f'mask(label=…) needs transformers, which is not here ({error}): pip install "eigenwalk-masks[labels]"'
        ) from error
    return transformers


@contextmanager
def _silence_transformers() -> Iterator[None]:
    """Keep transformers from printing a progress bar and a report: misfits are raised instead."""
    from transformers.utils import logging

    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()
