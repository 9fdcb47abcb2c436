"""The columns of both configurations, as Arrow and as Hugging Face describe them. No torch here.

`default` has a row for each waypoint, `pairs` one for each path: its start and its end.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from eigenwalk_dataset.plan import Plan

CONFIGURATIONS = {"default": "data", "pairs": "pairs"}
"""Configurations of the data set, and the folder of each."""
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
PREFIX = {"fixed": "change", "varied": "change", "judged": "judge"}


def column_names(plan: Plan) -> dict[tuple[str, str], str]:
    """Return the column of every feature, by its name and part: ``change_pixels``, ``judge_faces_factor_smile``."""
    found: dict[tuple[str, str], str] = {}
    for role in plan.measured.roles:
        slug = re.sub(r"[^a-z0-9]+", "_", role["name"].lower()).strip("_")
        column = name = f"{PREFIX[role['part']]}_{slug}"
        count = 1
        while column in found.values():
            count += 1
            column = f"{name}_{count}"
        found[role["name"], role["part"]] = column
    return found


def schemas(plan: Plan) -> dict[str, pa.Schema]:
    """Return the schema of each configuration."""
    number = pa.float64() if plan.order.recipe["dtype"] == "float64" else pa.float32()
    latent = pa.list_(number, plan.measured.latent)
    path = [("seed", pa.int64()), ("path", pa.string()), ("direction", pa.int32()), ("sense", pa.int32())]
    columns = column_names(plan)
    measured = [(column, pa.float64()) for column in columns.values()]
    limits = [(f"tolerance_{column.removeprefix('change_')}", pa.float64()) for column in _fixed(plan, columns)]
    end = [("moved", pa.float64()), ("suspect", pa.bool_()), ("status", pa.string()), ("detail", pa.string())]
    words = pa.list_(pa.string())
    rows = [("image", IMAGE), *path, ("waypoint", pa.int32()), ("latent", latent), *measured, *limits, *end]
    pairs = [("before", IMAGE), ("after", IMAGE), *path, ("steps", pa.int32()), ("held", words), ("varied", words)]
    pairs += [("before_latent", latent), ("after_latent", latent), *measured, *limits, ("drift", pa.float64()), *end]
    return {"default": _schema(rows), "pairs": _schema(pairs)}


def tolerances(plan: Plan) -> dict[str, float]:
    """Return the tolerance of every fixed feature by its column."""
    columns = column_names(plan)
    limits = {role["name"]: role["tolerance"] for role in plan.measured.roles if role["part"] == "fixed"}
    fixed = {column: name for (name, part), column in columns.items() if part == "fixed"}
    return {f"tolerance_{column.removeprefix('change_')}": limits[name] for column, name in fixed.items()}


def _fixed(plan: Plan, columns: Mapping[tuple[str, str], str]) -> list[str]:
    return [column for (_, part), column in columns.items() if part == "fixed"]


def _schema(columns: list[tuple[str, pa.DataType]]) -> pa.Schema:
    features = {name: _feature(kind) for name, kind in columns}
    return pa.schema(columns, metadata={"huggingface": json.dumps({"info": {"features": features}})})


def _feature(kind: pa.DataType) -> dict[str, Any]:
    """Return a column's type as the library `datasets` writes it into a schema."""
    if kind == IMAGE:
        return {"_type": "Image"}
    if isinstance(kind, (pa.FixedSizeListType, pa.ListType)):
        length = kind.list_size if isinstance(kind, pa.FixedSizeListType) else -1
        return {"feature": _feature(kind.value_type), "length": length, "_type": "Sequence"}
    return {"dtype": _dtype(kind), "_type": "Value"}


def _dtype(kind: pa.DataType) -> str:
    return {"double": "float64", "float": "float32"}.get(str(kind), str(kind))


def yaml_features(schema: pa.Schema, indent: str) -> str:
    """Return the columns in YAML, as a card's ``dataset_info`` lists them."""
    lines = []
    for column in schema:
        kind = column.type
        lines.append(f"{indent}- name: {column.name}")
        if kind == IMAGE:
            lines.append(f"{indent}  dtype: image")
        elif isinstance(kind, pa.FixedSizeListType):
            lines += [f"{indent}  list: {_dtype(kind.value_type)}", f"{indent}  length: {kind.list_size}"]
        elif isinstance(kind, pa.ListType):
            lines.append(f"{indent}  list: {_dtype(kind.value_type)}")
        else:
            lines.append(f"{indent}  dtype: {_dtype(kind)}")
    return "\n".join(lines)
