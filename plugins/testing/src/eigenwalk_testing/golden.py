"""Golden values: a few numbers of what came out once, by which a later version is told apart.

A tensor is remembered by its shape, its first numbers, its norm, and the moment ``Σ cos(i) xᵢ / √n``, in which every
number and its place counts. Numbers rather than a hash: another machine rounds the last place otherwise.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from eigenwalk.errors import FileError, OutputError, reason
from eigenwalk.store import write_whole
from eigenwalk.textfile import read_json
from eigenwalk_testing.checks import Inapplicable, fail
from eigenwalk_testing.sight import DirectionSubject
from eigenwalk_testing.subject import Subject

FIRST = 8
TOLERANCE = 1e-4
"""Of a saved value, as a share of the RMS of all of them."""


def summary(tensor: Tensor) -> dict[str, Any]:
    """Return what is remembered of a tensor.

    >>> summary(torch.tensor([[3.0, 4.0]]))
    {'shape': [1, 2], 'first': [3.0, 4.0], 'norm': 5.0, 'moment': 3.649526041}
    """
    x = tensor.detach().cpu().double().flatten()
    weights = torch.cos(torch.arange(len(x), dtype=torch.float64))
    numbers = [*x[:FIRST].tolist(), float(x.norm()), float((weights * x).sum()) / math.sqrt(max(1, len(x)))]
    *first, norm, moment = (float(f"{number:.10g}") for number in numbers)
    return {"shape": list(tensor.shape), "first": first, "norm": norm, "moment": moment}


def golden(s: Subject | DirectionSubject) -> str:
    """The values that were saved once come out again."""
    if s.golden is None:
        raise Inapplicable("no golden file is given")
    try:
        saved = read(s.golden)
    except FileError as error:
        fail(str(error), "write it: eigenwalk check NAME --save-golden FILE, or eigenwalk.testing.save_golden(case)")
    where = f"of {s.golden.name}"
    tolerance = float(saved["tolerance"])
    if (gap := _gap(saved["inputs"], summary(s.inputs))) > 1e-4:
        fail(
            f"the inputs are others than those {where}: they differ by {gap:.2g}",
            "check it on the images that it was saved with, or save it anew with --save-golden",
        )
    if (gap := _gap(saved["values"], summary(s.reference))) > tolerance:
        fail(
            f"values differ from those {where} by {gap:.2g} of their RMS, and {tolerance:g} is allowed",
            "find out what changed them: weights, preprocessing, a library. Save anew only what is meant to be new",
        )
    return f"{gap:.1g} from those {where}, {tolerance:g} allowed"


def read(path: Path) -> dict[str, Any]:
    """Return the golden file at `path`.

    Raises:
        FileError: missing, or not one.
    """
    saved = read_json(path, "golden file")
    try:
        return {name: saved[name] for name in ("expression", "inputs", "values", "tolerance")}
    except (KeyError, TypeError) as error:
        raise FileError(f"{path} is not a golden file") from error


def save(s: Subject | DirectionSubject, path: Path, expression: str) -> None:
    """Write the golden file of `s`, which `expression` stands for, to `path`.

    Raises:
        OutputError: it cannot be written.
    """
    saved = {"expression": expression, "inputs": summary(s.inputs), "values": summary(s.reference)}
    try:
        write_whole(path, json.dumps(saved | {"tolerance": TOLERANCE}, indent=2) + "\n")
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {reason(error)}") from error


def _gap(saved: dict[str, Any], found: dict[str, Any]) -> float:
    """Return the largest difference of two summaries, as a share of the RMS of the saved tensor."""
    if saved["shape"] != found["shape"]:
        return math.inf
    rms = saved["norm"] / math.sqrt(max(1, math.prod(saved["shape"]))) or 1.0
    pairs = list(zip([*saved["first"], saved["moment"]], [*found["first"], found["moment"]], strict=True))
    gaps = [abs(a - b) / rms for a, b in pairs]
    return max([*gaps, abs(saved["norm"] - found["norm"]) / (saved["norm"] or 1.0)])
