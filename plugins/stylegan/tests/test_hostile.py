"""Files made to harm end in a clear error: nothing runs, and no memory is spent on what they claim."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from eigenwalk.errors import FileError
from eigenwalk_stylegan.heads import recognised
from eigenwalk_stylegan.inert import Machine
from eigenwalk_stylegan.load import opened

ROOM = 512 << 20
"""Bytes beyond what the process has already; the files claim 10 GB."""


@pytest.fixture
def little_memory() -> Iterator[None]:
    """No more than `ROOM` can be allocated."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def test_it_ends_in_a_clear_error_and_nothing_runs(hostile, tmp_path, little_memory) -> None:
    _, write, says = hostile
    path = write(tmp_path, f"mkdir {tmp_path}/ran")
    assert recognised(path) is not None, "or it is not opened at all"
    with pytest.raises(FileError, match=re.escape(says)) as error:
        opened(path)
    assert str(path) in str(error.value)
    assert len(str(error.value)) < 600
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_the_first_of_them_does_run_where_pickle_opens_it(tmp_path, layouts) -> None:
    path = layouts.hostile().CALLED["REDUCE to os.system"][0](tmp_path, f"mkdir {tmp_path}/ran")
    pickle.loads(path.read_bytes())
    assert (tmp_path / "ran").is_dir()


def test_a_pickle_that_is_too_long_ends() -> None:
    with pytest.raises(FileError, match="more than 100 opcodes"):
        Machine(memoryview(b"N0" * 100 + b"N."), {}, "it", 1000, steps=100).load()


def test_what_would_never_end_as_text_is_not_shown(tmp_path, layouts) -> None:
    hostile = layouts.hostile()
    state = b"}(" + hostile.text("class_name") + hostile.laughs(200) + hostile.text("state") + b"}u"
    made = hostile.call("torch_utils.persistence._reconstruct_persistent_obj", state)
    with pytest.raises(FileError, match="holds no StyleGAN"):
        opened(hostile.nvidia(made)(tmp_path, ""))
    order = (
        hostile.call("numpy.dtype", hostile.text("f4"), b"\x89", b"\x88") + b"K\x03" + hostile.laughs(200) + b"\x86b"
    )
    with pytest.raises(FileError, match="order of bytes tuple"):
        opened(hostile.nvidia(order)(tmp_path, ""))


@pytest.mark.parametrize("name", ["ada-16", "tf-8-clamp", "ros-8", "ros-32", "genforce-8-labels"])
def test_a_truncated_file_says_so(name, file, tmp_path) -> None:
    whole = file(name).read_bytes()
    for share in (0.3, 0.9, 0.999):
        path = tmp_path / file(name).name
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(FileError, match=r"truncated|is no StyleGAN"):
            opened(path)


def test_other_files_are_not_taken_for_ours(tmp_path) -> None:
    path = tmp_path / "file.pkl"
    assert recognised(path) is None
    assert recognised(tmp_path) is None
    for other in (
        b"",
        b"\x80",
        b"PK\x03\x04",
        pickle.dumps({"G_ema": 1}),
        bytes(100),
        b"\xff" * 100,
        b"\x02" + bytes(7),
    ):
        path.write_bytes(other)
        assert recognised(path) is None
        with pytest.raises(FileError, match="Known: StyleGAN3 pickle of PyTorch"):
            opened(path)
    with pytest.raises(FileError, match="there is no file"):
        opened(tmp_path / "missing.pkl")
