"""SegFormer of transformers: which label each pixel has.

Xie et al. 2021, "SegFormer: Simple and Efficient Design for Semantic Segmentation with Transformers",
arXiv 2105.15203.
"""

from __future__ import annotations

import difflib
import json
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
from eigenwalk_masks.presets import Preset, Vocabulary, choose, indices, presets, vocabulary

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's pixels, which the published networks were trained with."""
SIDE = 512
"""To which the published networks' preprocessing resizes height and width."""
FILES = ("model.safetensors", "pytorch_model.bin")
"""Under which names transformers saves weights."""


@dataclass(frozen=True)
class Segmenter:
    """A network from images to a label for each pixel, in eval mode and frozen, with its preprocessing.

    Attributes:
        name: for messages.
        vocabulary: word to labels.
        size: height and width to which images are resized.
        mean, std: by which channels are normalised.
    """

    network: nn.Module
    name: str
    vocabulary: Vocabulary
    size: tuple[int, int] = (SIDE, SIDE)
    mean: tuple[float, ...] = MEAN
    std: tuple[float, ...] = STD

    def logits(self, images: Images) -> Tensor:
        """Logits ``(batch, labels, size / 4)`` of images ``(batch, 3, height, width)``, which are not clipped."""
        x = images
        if x.shape[-2:] != self.size:
            x = F.interpolate(x, self.size, mode="bilinear", align_corners=False, antialias=True)
        x = (x - x.new_tensor(self.mean)[:, None, None]) / x.new_tensor(self.std)[:, None, None]
        first = next(self.network.parameters())
        if first.dtype == images.dtype and first.device == images.device:
            return self.network(pixel_values=x).logits
        # A network that is moved inside jvp or vmap keeps tensors that belong to them, and crashes afterwards.
        moved = {name: t.to(images) for name, t in self.network.state_dict().items() if t.is_floating_point()}
        return functional_call(self.network, moved, kwargs={"pixel_values": x}).logits

    def follow(self, images: Images) -> None:
        """Moves the network to where `images` are, in their dtype; not inside jvp or vmap."""
        self.network.to(images.device, images.dtype)

    def masks(self, images: Images, labels: Sequence[int]) -> Tensor:
        """The probability of `labels` together, ``(batch, 1, height, width)``: the softmax, summed over them.

        It is the sigmoid of log Σ_in exp l - log Σ_out exp l, and this difference, which is smooth across edges, is
        what is brought to the images' size.
        """
        logits = self.logits(images)
        inside = torch.zeros(logits.shape[1], dtype=torch.bool, device=logits.device)
        inside[list(labels)] = True
        odds = logits[:, inside].logsumexp(1, keepdim=True) - logits[:, ~inside].logsumexp(1, keepdim=True)
        return F.interpolate(odds, images.shape[-2:], mode="bilinear", align_corners=False).sigmoid()


def opened(model: str | None, words: Sequence[str]) -> Segmenter:
    """The segmenter that `model` names: a preset, a folder, or, if None, the preset that knows `words`.

    Raises:
        OptionError: no such preset or folder, the words are of none or several, or transformers is not installed.
        WeightsError: the preset's weights are not in the store.
        FileError: the folder's files cannot be opened.
    """
    if model is None or model in presets():
        return _preset(choose(words) if model is None else presets()[model], words)
    folder = Path(model).expanduser()
    if not folder.is_dir():
        near = difflib.get_close_matches(model, presets(), 1)
        meant = f"; did you mean {near[0]}?" if near else f"; the presets are {', '.join(presets())}"
        raise OptionError(f"there is no preset and no folder {model!r}{meant}")
    return from_folder(folder)


def _preset(preset: Preset, words: Sequence[str]) -> Segmenter:
    indices(words, preset.vocabulary, preset.name)  # a typing error is told before a file is missed
    told = words[0] if len(words) == 1 else f"({', '.join(words)})"
    path = store.find(preset.weights, f"mask(label={told}, model={preset.name})")
    network = _network(_config(preset.network, preset.labels), path)
    return Segmenter(network, preset.name, preset.vocabulary)


def from_folder(folder: Path) -> Segmenter:
    """The SegFormer that transformers saved in `folder`: config.json, and model.safetensors or pytorch_model.bin.

    Of a preprocessor_config.json beside them, size, mean and std are taken.

    Raises:
        FileError, WeightsError: a file is missing, unreadable, or does not fit.
    """
    config = _json(folder / "config.json")
    labels = config.get("id2label")
    if config.get("model_type") != "segformer" or not isinstance(labels, dict):
        raise FileError(
            f"{folder}/config.json is of model_type {config.get('model_type')!r}: a segformer with id2label is needed"
        )
    try:
        names = tuple(str(labels[str(i)]) for i in range(len(labels)))
    except KeyError as error:
        raise FileError(f"id2label in {folder / 'config.json'} lacks the number {error}") from None
    path = next((folder / file for file in FILES if (folder / file).is_file()), None)
    if path is None:
        raise FileError(f"there are no weights in {folder}: {' or '.join(FILES)} is needed, in one piece")
    facts = {key: value for key, value in config.items() if key not in ("id2label", "label2id", "num_labels")}
    network = _network(_config(facts, names), path)
    told = folder / "preprocessor_config.json"
    return Segmenter(network, str(folder), vocabulary(names), **(_preprocessing(told) if told.is_file() else {}))


def _preprocessing(path: Path) -> dict[str, Any]:
    told = _json(path)
    size = told.get("size", SIDE)
    sides = (size.get("height"), size.get("width")) if isinstance(size, dict) else (size, size)
    mean, std = told.get("image_mean", MEAN), told.get("image_std", STD)
    if not all(isinstance(side, int) and side > 0 for side in sides) or not len(mean) == len(std) == 3:
        raise FileError(
            f"{path} must give size as height and width, and image_mean and image_std in three numbers each"
        )
    return {"size": sides, "mean": tuple(mean), "std": tuple(std)}


def _json(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileError(f"there is no {path.name} in {path.parent}: give a folder that save_pretrained wrote") from None
    except (OSError, ValueError) as error:
        raise FileError(f"{path} cannot be read: {error}") from None
    if not isinstance(found, dict):
        raise FileError(f"{path} must hold an object, got {type(found).__name__}")
    return found


def _config(facts: Mapping[str, Any], labels: Sequence[str]) -> Any:
    transformers = _transformers()
    try:
        config = transformers.SegformerConfig(**facts, id2label=dict(enumerate(labels)))
    except Exception as error:  # transformers checks types by a library of its own, with exceptions of its own
        raise FileError(f"this configuration is not one of a SegFormer: {error}") from error
    config._attn_implementation = "eager"  # the fused attention has no forward-mode derivative
    return config


def _network(config: Any, path: Path) -> nn.Module:
    """The network with the weights at `path`, whose names may be those of any version of transformers."""
    state = checkpoint.state_dict(path)
    with _quiet():
        # From a state dict, the library's own loader asks no hub, and renames what older versions called otherwise.
        network, report = _transformers().SegformerForSemanticSegmentation.from_pretrained(
            None,
            config=config,
            state_dict=state,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            attn_implementation="eager",
            dtype=torch.float32,
        )
    wrong = {what: sorted(map(_key, report[f"{what}_keys"])) for what in ("missing", "unexpected", "mismatched")}
    told = "; ".join(f"{what}: {', '.join(keys[:4])}" for what, keys in wrong.items() if keys)
    if told:
        raise WeightsError(f"{path} does not fit the SegFormer that its configuration describes: {told}")
    return network.eval().requires_grad_(False)


def _key(reported: Any) -> str:
    return reported if isinstance(reported, str) else str(reported[0])


def _transformers() -> Any:
    try:
        import transformers

        _ = transformers.SegformerForSemanticSegmentation  # imported when it is first asked for
    except ImportError as error:
        raise OptionError(
            f'mask(label=…) needs transformers, which is not here ({error}): pip install "eigenwalk-masks[labels]"'
        ) from error
    return transformers


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the progress bar and the report that transformers prints; ours is an exception."""
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
