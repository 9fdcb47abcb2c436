"""Text files from outside: files that are too long or too deep are refused quickly and with little memory."""

from __future__ import annotations

import os
import time
import tracemalloc
from pathlib import Path

import pytest

from eigenwalk.errors import FileError
from eigenwalk.textfile import DEEPEST, LONGEST_KEY, parse_json, parse_toml, read_bytes, read_json, read_text, read_toml


def test_a_file_within_the_bounds_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(
        '[rows."fourier.low"]\nsite.page = 1 # an ellipsis ... and v1.2.3.4\nx = [[1.5], []]'
    )
    (tmp_path / "a.json").write_text('{"a": [1, {"b": null}]}')
    rows = {"rows": {"fourier.low": {"site": {"page": 1}, "x": [[1.5], []]}}}
    assert read_toml(tmp_path / "a.toml") == rows and read_json(tmp_path / "a.json") == {"a": [1, {"b": None}]}
    parts = ".".join("a" * LONGEST_KEY)
    assert parse_toml(f"{parts} = 1", "t") and parse_json("[" * DEEPEST + "]" * DEEPEST, "t")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "No such file"),
        (Path.mkdir, "a folder"),
        (os.mkfifo, "a pipe or a device"),
        (lambda path: path.symlink_to("/dev/zero"), "a pipe or a device"),
        (lambda path: path.symlink_to(path), "levels of symbolic links"),
        (lambda path: path.write_bytes(b"a = '\xff'"), "not text in UTF-8"),
        (lambda path: path.write_bytes(b"#" * 101), "longer than 100 bytes"),
    ],
)
def test_other_files_than_short_text_are_refused(tmp_path: Path, make, said: str) -> None:
    make(tmp_path / "r.toml")
    with pytest.raises(FileError, match=rf"recipe .*r\.toml.*{said}"):
        read_text(tmp_path / "r.toml", "recipe", limit=100)


@pytest.mark.parametrize("name", ["a" * 300, "a" * 5000, "a\0b"])
def test_an_impossible_file_name_gives_a_short_message(name: str) -> None:
    with pytest.raises(FileError) as caught:
        read_bytes(name, "recipe")
    assert len(str(caught.value)) < 400 and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a" + ".a" * 20_000 + " = 1", "line 1: a key may have"),
        ("b = 1\n[a" + " . 'a'" * 6_000 + "]", "line 2: a key may have"),
        ('"a"' + '."a"' * 20_000 + " = 1", "a key may have"),
        ("x = " + "[" * 50_000, "nested too deep"),
        ("x = " + "{a=" * 100 + "1" + "}" * 100, "nested too deep"),
        (
            "\n".join(f"[{'.'.join('a' * 14)}.b{i}]" for i in range(9)) + "\nc=" + "[" * 60 + "]" * 60,
            "nested too deep",
        ),
        ("x = 1" + "0" * 5_000, "not TOML"),
        ("x = ", "not TOML"),
        ("#" * (5 << 20), "longer than"),
        ("a" * 2_000_000, "not TOML"),
        ("a." * 1_000_000, "a key may have"),
    ],
)
def test_hostile_toml_is_refused_with_little_memory(text: str, said: str) -> None:
    tracemalloc.start()
    began = time.process_time()
    with pytest.raises(FileError, match=f"r.toml.*{said}"):
        parse_toml(text, "r.toml")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6 and time.process_time() - began < 30  # seconds only so that a hang fails


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 65 + "1" + "}" * 65, "{", "\0", "1" + "0" * 5000])
def test_hostile_json_is_refused(text: str) -> None:
    with pytest.raises(FileError, match=r"p\.json"):
        parse_json(text, "p.json")
