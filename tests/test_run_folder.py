"""A run's folder: whose it is, what survives a kill at any instant or a full disk, what is left behind."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path as FilePath

import numpy as np
import pytest

from eigenwalk.errors import FileError, OutputError
from eigenwalk.path import Path
from eigenwalk.runs.outputs.folder import RunFolder, load_run
from eigenwalk.runs.outputs.progress import load_progress, save_progress
from fabricated import CUT, path, paths, until

IDENTITY = {"generator": "rooms", "vary": ["pixels"], "steps": 4}
RECIPE = 'generator = "rooms"\nvary = ["pixels"]\nsteps = 4\n'
WALKED = (*paths(seeds=2, directions=1, steps=4), path(rank=2, steps=2, status=CUT))


def arrays(index: int) -> dict[str, np.ndarray]:
    """A solver's state that says which waypoint it belongs to."""
    return {"latents": np.full((5, 4), index, np.float32), "memory.count": np.array([index])}


def walk(folder: RunFolder, first: int = 1, last: int = 4) -> None:
    """Saves waypoints first to last."""
    if folder.state == "fresh":
        folder.begin(RECIPE)
    for index in range(first, last + 1):
        folder.save(index, until(WALKED, index), arrays(index))


def same(one: tuple[Path, ...], other: tuple[Path, ...]) -> bool:
    """Whether two sets of paths are equal, figures and pixels."""
    if [p.name for p in one] != [p.name for p in other] or any(
        len(a) != len(b) for a, b in zip(one, other, strict=True)
    ):
        return False
    pairs = [(x, y) for a, b in zip(one, other, strict=True) for x, y in zip(a, b, strict=True)]
    return all(a.status == b.status and a.roles == b.roles for a, b in zip(one, other, strict=True)) and all(
        np.array_equal(x.latent, y.latent)
        and np.array_equal(x.image, y.image)
        and np.array_equal(x.direction, y.direction)
        and (x.index, x.changes, x.step_size, x.cost) == (y.index, y.changes, y.step_size, y.cost)
        and (x.quotient == y.quotient or np.isnan([x.quotient, y.quotient]).all())
        for x, y in pairs
    )


def test_a_stopped_run_comes_back_as_it_was(tmp_path: FilePath) -> None:
    with RunFolder.claim(tmp_path / "run", IDENTITY) as folder:
        assert folder.state == "fresh"
        walk(folder, last=3)
    with RunFolder.claim(tmp_path / "run", IDENTITY) as again:
        assert again.state == "unfinished" and again.recipe == RECIPE
        assert same(again.paths, until(WALKED, 3))
        assert all(np.array_equal(again.arrays[key], value) for key, value in arrays(3).items())
        walk(again, first=4)
        again.finish(WALKED)
    with RunFolder.claim(tmp_path / "run", IDENTITY) as finished:
        assert finished.state == "finished"
        assert {p.name for p in finished.paths} == {p.name for p in WALKED}


def test_a_waypoint_is_written_once_and_the_state_replaced(tmp_path: FilePath) -> None:
    with RunFolder.claim(tmp_path, IDENTITY) as folder:
        walk(folder, last=1)
        first = (tmp_path / "progress" / "0001.safetensors").read_bytes()
        walk(folder, first=2)
    files = sorted(file.name for file in (tmp_path / "progress").iterdir())
    expected = [f"{i:04d}.{ext}" for i in range(1, 5) for ext in ("json", "safetensors")]
    assert files == sorted([*expected, "0004.state.safetensors"])
    assert (tmp_path / "progress" / "0001.safetensors").read_bytes() == first
    images = WALKED[0].waypoints[0].image.nbytes
    last = (tmp_path / "progress" / "0004.safetensors").stat().st_size
    assert 4 * images <= last < 5 * images  # four paths of five walk to the end: one image each


def test_finishing_leaves_everything_and_no_progress(tmp_path: FilePath) -> None:
    with RunFolder.claim(tmp_path / "run", IDENTITY) as folder:
        walk(folder)
        folder.finish(WALKED)
    names = {entry.name for entry in (tmp_path / "run").iterdir()}
    assert names == {"recipe.toml", "paths", "strip.png", "walk.mp4", "plot.png", "changes.csv", "report.html"}
    loaded, recipe = load_run(tmp_path / "run")
    assert recipe == RECIPE
    assert same(loaded, tuple(sorted(WALKED, key=lambda p: (p.seed, p.rank, -p.sense))))


class Killed(BaseException):
    """The process dies here."""


@pytest.mark.parametrize("instant", range(12))
def test_a_kill_at_any_instant_loses_at_most_the_waypoint_under_way(
    tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch, instant: int
) -> None:
    save_progress(tmp_path, 1, until(WALKED, 1), {}, arrays(1))
    kept = {p.name: len(p) for p in until(WALKED, 1)}
    calls = iter(range(100))

    def dies(function):
        def call(*given, **also):
            if next(calls) == instant:
                raise Killed
            return function(*given, **also)

        return call

    with monkeypatch.context() as patched:
        for name in ("replace", "fsync"):
            patched.setattr(os, name, dies(getattr(os, name)))
        patched.setattr(FilePath, "unlink", dies(FilePath.unlink))
        try:
            save_progress(tmp_path, 2, until(WALKED, 2), kept, arrays(2))
            survived = True
        except Killed:
            survived = False
    loaded, state = load_progress(tmp_path)
    index = int(state["memory.count"][0])
    assert index == 2 or not survived
    assert index in (1, 2) and same(loaded, until(WALKED, index))
    save_progress(tmp_path, index + 1, until(WALKED, index + 1), {p.name: len(p) for p in loaded}, arrays(index + 1))
    assert same(load_progress(tmp_path)[0], until(WALKED, index + 1))


def test_a_kill_while_the_progress_is_removed_leaves_a_finished_run(
    tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*given, **also):
        raise Killed

    with RunFolder.claim(tmp_path, IDENTITY) as folder:
        walk(folder)
        monkeypatch.setattr(shutil, "rmtree", dies)
        with pytest.raises(Killed):
            folder.finish(WALKED)
    monkeypatch.undo()
    with RunFolder.claim(tmp_path, IDENTITY) as again:
        assert again.state == "finished"


def test_a_folder_of_another_run_is_left_alone_and_the_difference_named(tmp_path: FilePath) -> None:
    with RunFolder.claim(tmp_path, IDENTITY) as folder:
        walk(folder, last=2)
    before = _files(tmp_path)
    with pytest.raises(OutputError, match=r"steps: 4 there, 9 asked.*--out.*--overwrite"):
        RunFolder.claim(tmp_path, IDENTITY | {"steps": 9})
    assert _files(tmp_path) == before


def test_overwriting_replaces_only_what_is_ours(tmp_path: FilePath) -> None:
    with RunFolder.claim(tmp_path, IDENTITY) as folder:
        walk(folder)
        folder.finish(WALKED)
    (tmp_path / "notes.txt").write_text("mine")
    with RunFolder.claim(tmp_path, IDENTITY | {"steps": 9}, overwrite=True) as folder:
        assert folder.state == "fresh" and folder.paths == ()
        assert (tmp_path / "strip.png").exists()  # nothing is removed before the new run has something to show
        folder.begin(RECIPE.replace("4", "9"))
    assert {entry.name for entry in tmp_path.iterdir()} == {"recipe.toml", "notes.txt"}


def test_a_folder_that_is_no_run_is_left_alone(tmp_path: FilePath) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(OutputError, match=r"thesis\.tex"):
            RunFolder.claim(tmp_path, IDENTITY, overwrite)
    assert _files(tmp_path) == {"thesis.tex": b"mine"}


def test_a_file_is_no_folder(tmp_path: FilePath) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="is a file"):
        RunFolder.claim(tmp_path / "file", IDENTITY)
    with pytest.raises(OutputError, match="cannot create"):
        RunFolder.claim(tmp_path / "file" / "below", IDENTITY)


def test_a_claim_without_a_walk_leaves_nothing_behind(tmp_path: FilePath) -> None:
    with RunFolder.claim(tmp_path / "a" / "b" / "c", IDENTITY):
        assert (tmp_path / "a" / "b" / "c").is_dir()
    assert list(tmp_path.iterdir()) == []


def test_damaged_progress_says_so(tmp_path: FilePath) -> None:
    with RunFolder.claim(tmp_path, IDENTITY) as folder:
        walk(folder)
    file = tmp_path / "progress" / "0002.safetensors"
    file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(FileError, match=r"damaged.*--overwrite"):
        RunFolder.claim(tmp_path, IDENTITY)


HOLDER = """
import sys, time
from pathlib import Path
from eigenwalk.runs.outputs.folder import RunFolder
folder = RunFolder.claim(Path(sys.argv[1]), {})
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: FilePath) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "held"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_folder_in_use_is_refused_and_taken_over_once_its_process_is_dead(
    tmp_path: FilePath, holder: subprocess.Popen[str]
) -> None:
    with pytest.raises(OutputError, match=f"another run is writing .*process {holder.pid} "):
        RunFolder.claim(tmp_path / "run", IDENTITY)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / "run" / ".lock").exists()
    with RunFolder.claim(tmp_path / "run", IDENTITY) as folder:
        assert folder.state == "fresh"


def _full(*given, **also):
    raise OSError(errno.ENOSPC, "No space left on device", "somewhere")


def test_a_disk_that_fills_while_walking_keeps_what_was_saved(
    tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RunFolder.claim(tmp_path, IDENTITY) as folder:
        walk(folder, last=2)
        monkeypatch.setattr(os, "fsync", _full)
        with pytest.raises(OutputError, match=r"the disk is full\. Kept in .*: 15 waypoints of 5 paths"):
            walk(folder, first=3)
    monkeypatch.undo()
    assert not list(tmp_path.rglob("*.part"))
    with RunFolder.claim(tmp_path, IDENTITY) as again:
        assert same(again.paths, until(WALKED, 2))


def test_a_disk_that_is_full_from_the_start_leaves_nothing(tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", _full)
    with RunFolder.claim(tmp_path / "run", IDENTITY) as folder, pytest.raises(OutputError, match="the disk is full"):
        folder.begin(RECIPE)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_while_pictures_are_made_keeps_the_walk(
    tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RunFolder.claim(tmp_path, IDENTITY) as folder:
        walk(folder)
        monkeypatch.setattr(os, "fsync", _full)
        with pytest.raises(OutputError, match=r"Kept in .*: 23 waypoints of 5 paths"):
            folder.finish(WALKED)
    monkeypatch.undo()
    with RunFolder.claim(tmp_path, IDENTITY) as again:
        assert again.state == "unfinished" and same(again.paths, WALKED)
        again.finish(again.paths)
        assert again.state == "finished"


@pytest.fixture
def small_disk(tmp_path: FilePath) -> Iterator[FilePath]:
    """A file system of 96 KB, where mounting is allowed."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    if (
        mount is None
        or subprocess.run(
            [mount, "-t", "tmpfs", "-o", "size=96k", "tmpfs", str(disk)], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("mounting a small disk is not permitted here; the same is tested with errors put in")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_real_disk_that_is_full(small_disk: FilePath) -> None:
    with RunFolder.claim(small_disk / "run", IDENTITY) as folder:
        folder.begin(RECIPE)
        walk(folder, last=1)  # 1.5 KB; the video alone is larger than the disk
        with pytest.raises(OutputError, match="the disk is full"):
            folder.finish(folder.paths)
        kept = folder.paths
    assert not list(small_disk.rglob("*.part"))
    with RunFolder.claim(small_disk / "run", IDENTITY) as again:
        assert same(again.paths, kept) and len(kept)


def _files(folder: FilePath) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
