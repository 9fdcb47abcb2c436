"""The store: files are written whole, verified, and hashed no more often than necessary."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest

from eigenwalk import store
from eigenwalk.errors import WeightsError, reason
from eigenwalk.spec import FeatureSpec, Option, Weights

DATA = b"weights" * 1000
SUM = hashlib.sha256(DATA).hexdigest()
OTHER = hashlib.sha256(b"other").hexdigest()


def declared(**changes) -> Weights:
    told = {"file": "toy/x.pt", "sha256": SUM, "size": len(DATA), "licence": "MIT", "url": "https://a.example/x.pt"}
    return Weights(**(told | changes))


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of `declared()` in a store of the test's own."""
    monkeypatch.setenv("EIGENWALK_WEIGHTS", str(tmp_path))
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "x.pt").write_bytes(DATA)
    return tmp_path / "toy" / "x.pt"


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record which files are hashed."""
    seen, digest = [], hashlib.file_digest

    def noted(file, kind):
        seen.append(Path(file.name).name)
        return digest(file, kind)

    monkeypatch.setattr(hashlib, "file_digest", noted)
    return seen


def test_a_file_is_written_whole_and_not_through_a_link(tmp_path):
    mine, target = tmp_path / "mine.txt", tmp_path / "x.txt"
    mine.write_text("mine")
    for name in ("x.txt", "x.txt.part", ".x.txt.part"):
        (tmp_path / name).symlink_to(mine)
    umask = os.umask(0o022)
    try:
        store.write_whole(target, "größer")
    finally:
        os.umask(umask)
    assert mine.read_text() == "mine" and not target.is_symlink() and target.read_bytes() == "größer".encode()
    assert target.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch, call):
    (tmp_path / "x.txt").write_text("before")

    def fail(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), *map(str, arguments[:1] if call == "replace" else ()))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match=r"x\.txt'$") as failed:
        store.write_whole(tmp_path / "x.txt", b"after")
    assert reason(failed.value) == "the disk is full"
    assert [file.name for file in tmp_path.iterdir()] == ["x.txt"] and (tmp_path / "x.txt").read_text() == "before"
    with pytest.raises(ZeroDivisionError), store.open_whole(tmp_path / "x.txt") as file:
        file.write(bytes(1 // 0))
    assert [file.name for file in tmp_path.iterdir()] == ["x.txt"]


def test_the_folder_of_the_store_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("EIGENWALK_WEIGHTS", "~/mine")
    assert store.folder() == Path.home() / "mine"
    monkeypatch.delenv("EIGENWALK_WEIGHTS")
    monkeypatch.setenv("EIGENWALK_CACHE", str(tmp_path))
    assert store.folder() == tmp_path / "weights"
    monkeypatch.delenv("EIGENWALK_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert store.folder() == tmp_path / "xdg" / "eigenwalk" / "weights"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda *names: str(tmp_path / "Library" / names[0]))
    assert store.cache_folder() == tmp_path / "Library" / "eigenwalk"
    (tmp_path / ".cache" / "eigenwalk").mkdir(parents=True)
    assert store.cache_folder() == tmp_path / ".cache" / "eigenwalk", "what an earlier version has fetched is kept"


def test_a_file_is_hashed_once(path, hashed):
    assert [store.find(declared(), "toy") for _ in range(3)] == [path] * 3
    assert hashed == ["x.pt"]


def test_a_changed_file_is_hashed_again_even_with_its_old_time(path, hashed):
    store.find(declared(), "toy")
    before = path.stat()
    path.write_bytes(DATA[:-1] + b"?")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(WeightsError, match=rf"is damaged, or another file: SHA-256 \w+, expected {SUM}"):
        store.find(declared(), "toy")
    assert len(hashed) == 2


def test_a_sum_noted_for_another_file_is_ignored(path, hashed):
    store.remember_sha256(path, OTHER)
    with pytest.raises(WeightsError, match=OTHER):
        store.find(declared(), "toy")
    copy = path.with_name("y.pt")
    copy.write_bytes(b"other")
    copy.with_name("y.pt.checked").write_bytes(path.with_name("x.pt.checked").read_bytes())
    assert store.sha256_of(copy) == OTHER and hashed == ["y.pt"], "what a copied folder remembers is of other inodes"


@pytest.mark.parametrize("text", ["", "[]", "null", '{"state": []}', '{"sha256": 3, "state": 4}', "\0\xff"])
def test_after_a_damaged_note_the_file_is_hashed_again(path, hashed, text):
    store.find(declared(), "toy")
    path.with_name("x.pt.checked").write_text(text, encoding="latin-1")
    assert store.find(declared(), "toy") == path and len(hashed) == 2


def test_a_note_that_is_not_hexadecimal_is_ignored(path):
    store.remember_sha256(path, "no sum")
    assert store.known_sha256(path) is None


def test_files_of_a_read_only_store_are_hashed_each_time(path, hashed, monkeypatch):
    def refuse(*names):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    assert [store.find(declared(), "toy") for _ in range(2)] == [path] * 2 and len(hashed) == 2
    assert {other.name for other in path.parent.iterdir()} == {"x.pt"}


def test_the_error_of_missing_weights_gives_licence_size_and_command(path):
    path.unlink()
    with pytest.raises(WeightsError) as told:
        store.find(declared(licence="CC BY-NC 4.0"), "toy(kind=a)")
    for part in ("toy(kind=a)", "toy/x.pt", str(path), "0.0 MB", "CC BY-NC 4.0", "https://a.example/x.pt"):
        assert part in str(told.value)
    assert 'eigenwalk weights fetch "toy(kind=a)"' in str(told.value)


def test_the_suggested_command_can_be_pasted_into_a_shell():
    odd = ("toy(kind=$HOME)", "toy(kind=`ls`)", "toy(kind=a\\$b)")
    for name in (*odd, "toy", 'toy(kind="a b", package="x")', "toy(kind=a) | low", 'toy(kind="$HOME`ls`!")', "it's"):
        words = store.command(name)
        said = subprocess.run(
            ["sh", "-c", f"printf '%s\\n' {words}"], capture_output=True, text=True, check=True
        ).stdout
        assert said.splitlines() == ["eigenwalk", "weights", "fetch", name]


def test_a_file_without_a_published_sum_needs_a_recorded_one(path):
    unsummed = declared(sha256=None)
    with pytest.raises(WeightsError, match=r"(?s)nobody has published the SHA-256 of .*--sha256 HEX .*--trust"):
        store.find(unsummed, "toy")
    store.record_sha256(unsummed, SUM)
    assert store.find(unsummed, "toy") == path
    told = subprocess.run(["sha256sum", "-c", "x.pt.sha256"], cwd=path.parent, capture_output=True, text=True)
    assert told.returncode == 0, told
    store.record_sha256(unsummed, OTHER)
    with pytest.raises(WeightsError, match=OTHER):
        store.find(unsummed, "toy")
    path.with_name("x.pt.sha256").write_text("no sum")
    assert store.expected_sha256(unsummed) is None


def test_weights_shipped_in_a_package_are_not_in_the_store():
    with pytest.raises(ValueError, match="ships inside its package"):
        store.find(declared(url=None), "toy")


def test_files_found_in_the_store_are_recorded(path):
    with store.collect_used() as outer:
        with store.collect_used() as inner:
            store.find(declared(), "toy")
        assert inner == [("toy/x.pt", SUM)] and not outer
        store.find(declared(), "toy")
    store.find(declared(), "toy")
    assert len(outer) == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"file": "../x.pt"}, "file must be a relative path"),
        ({"file": "toy/../../x.pt"}, "file must be a relative path"),
        ({"file": "/etc/x.pt"}, "file must be a relative path"),
        ({"file": "toy//x.pt"}, "file must be a relative path"),
        ({"file": "toy\\x.pt"}, "file must be a relative path"),
        ({"file": "C:x.pt"}, "file must be a relative path"),
        ({"file": ""}, "file must be a relative path"),
        ({"sha256": "ABC"}, "sha256 .* must be 64 lowercase hex digits"),
        ({"sha256": None, "url": None}, "sha256 .* must be given"),
        ({"size": 0}, "size .* must be a positive number"),
        ({"url": "file:///etc/passwd"}, "url .* must begin with https://"),
        ({"url": "https://host"}, "url .* must begin with https://"),
    ],
)
def test_malformed_weights_are_refused(changes, words):
    with pytest.raises(ValueError, match=f"Weights.{words}"):
        declared(**changes)


def test_weights_may_only_name_an_option_of_their_feature():
    with pytest.raises(ValueError, match=r"Weights.option of 'toy/x.pt' must name .* of 'toy' \(kind\), got 'knd'"):
        FeatureSpec("toy", "toy:f", "", (Option("kind"),), (declared(option=("knd", "a")),))


def test_the_store_needs_no_torch():
    code = "import sys, eigenwalk.store, eigenwalk.weights; print('torch' in sys.modules, 'httpx2' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["False", "False"]
