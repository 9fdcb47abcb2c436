"""An ONNX file's numbers by name: those that lie in it, bounded by what it has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from eigenwalk.checkpoint import Checkpoint
from eigenwalk.checkpoint.onnx import initialisers
from eigenwalk.errors import FileError

ROWS = np.arange(6, dtype=np.float32).reshape(2, 3)


def write(path: Path, *tensors: TensorProto) -> Checkpoint:
    """A model with these tensors, and nothing that uses them."""
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    onnx.save(helper.make_model(helper.make_graph([], "g", [value], [value], tensors)), path)
    return Checkpoint.of(path)


def test_floats_are_found_by_name_and_in_order(tmp_path):
    whole = numpy_helper.from_array(np.arange(3), "sizes")
    file = write(
        tmp_path / "net.onnx", numpy_helper.from_array(ROWS, "b"), whole, numpy_helper.from_array(ROWS[0], "a")
    )
    found = initialisers(file)
    assert list(found) == ["b", "a"] and found["b"].load().tolist() == ROWS.tolist()
    assert found["a"].shape == (3,) and found["a"].dtype == "float32"


@pytest.mark.parametrize("sizes", [[2, 4], [-1, 3], [1 << 62, 1 << 62], [1] * 200])
def test_sizes_that_the_numbers_do_not_fill_are_refused(tmp_path, sizes):
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, raw_data=ROWS.tobytes(), dims=sizes)
    with pytest.raises(FileError, match="truncated or damaged ONNX"):
        initialisers(write(tmp_path / "net.onnx", tensor))


def test_other_files_are_refused(tmp_path):
    (tmp_path / "text").write_text("no network at all")
    with pytest.raises(FileError, match="an ONNX file was expected"):
        initialisers(Checkpoint.of(tmp_path / "text"))
