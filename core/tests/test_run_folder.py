"""A run's folder: which run owns it, what survives a kill or a full disk, and what is left behind."""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path as FilePath

import numpy as np
import pytest

from eigenwalk.errors import FileError, OutputError
from eigenwalk.path import Path
from eigenwalk.runs.outputs import folder as folder_module
from eigenwalk.runs.outputs import journal
from eigenwalk.runs.outputs import pages as pages_module
from eigenwalk.runs.outputs.folder import RunFolder
from eigenwalk.runs.outputs.journal import load_journal, save_waypoint
from eigenwalk.sealed import json_text, seal
from fabricated import CUT, FIXED, path, paths, until

IDENTITY = {"generator": "rooms", "vary": ["pixels"], "steps": 4}
RECIPE = 'generator = "rooms"\nvary = ["pixels"]\nsteps = 4\n'


def walked() -> tuple[Path, ...]:
    """Five paths; new ones each time, since a folder that saves them leaves their pictures on disk."""
    return (*paths(seeds=2, directions=1, steps=4), path(rank=2, steps=2, status=CUT))


def arrays(index: int) -> dict[str, np.ndarray]:
    """A solver's state that says which waypoint it belongs to."""
    return {"latents": np.full((5, 4), index, np.float32), "memory.count": np.array([index])}


def walk(folder: RunFolder, first: int = 1, last: int = 4) -> None:
    """Save the waypoints `first` to `last`."""
    if folder.state == "fresh":
        folder.begin(RECIPE)
    for index in range(first, last + 1):
        folder.save(index, until(walked(), index), arrays(index))


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


@pytest.mark.usefixtures("quick_pictures")
def test_a_stopped_run_is_restored(tmp_path: FilePath) -> None:
    with RunFolder.claim(tmp_path / "run", IDENTITY) as folder:
        assert folder.state == "fresh"
        walk(folder, last=3)
    with RunFolder.claim(tmp_path / "run", IDENTITY) as again:
        assert again.state == "unfinished" and again.recipe == RECIPE
        assert same(again.paths, until(walked(), 3))
        assert all(np.array_equal(again.arrays[key], value) for key, value in arrays(3).items())
        walk(again, first=4)
        again.finish(walked())
    with RunFolder.claim(tmp_path / "run", IDENTITY) as finished:
        assert finished.state == "finished"
        assert {p.name for p in finished.paths} == {p.name for p in walked()}


def test_a_waypoint_is_written_once(tmp_path: FilePath) -> None:
    with RunFolder.claim(tmp_path, IDENTITY) as folder:
        walk(folder, last=1)
        first = (tmp_path / "progress" / "0001.safetensors").read_bytes()
        walk(folder, first=2)
    files = sorted(file.name for file in (tmp_path / "progress").iterdir())
    expected = [f"{i:04d}.{ext}" for i in range(1, 5) for ext in ("json", "safetensors")]
    assert files == sorted([*expected, *(f"{i:04d}.state.safetensors" for i in range(1, 5))])
    assert (tmp_path / "progress" / "0001.safetensors").read_bytes() == first
    images = walked()[0].waypoints[0].image.nbytes
    last = (tmp_path / "progress" / "0004.safetensors").stat().st_size
    assert 4 * images <= last < 5 * images  # four paths of five walk to the end: one image each


def test_finishing_writes_all_outputs_and_removes_the_progress(tmp_path: FilePath) -> None:
    with RunFolder.claim(tmp_path / "run", IDENTITY) as folder:
        walk(folder)
        folder.finish(walked())
    names = {entry.name for entry in (tmp_path / "run").iterdir()}
    assert names == {
        "run.json",
        "recipe.toml",
        "state.safetensors",
        "paths",
        "strip.png",
        "walk.mp4",
        "plot.png",
        "changes.csv",
        "report.html",
    }
    with RunFolder.open(tmp_path / "run") as again:
        assert again.recipe == RECIPE and again.state == "finished"
    assert same(again.paths, tuple(sorted(walked(), key=_order)))


class Killed(BaseException):
    """The process dies here."""


def test_pictures_can_be_left_to_another_process_and_no_older_ones_stay(finished: FilePath) -> None:
    saved = sorted(one.name for one in finished.rglob("*") if one.is_file())
    with RunFolder.claim(finished, IDENTITY) as folder:
        assert folder.finish(walked(), draws=False) == "" and folder.state == "walked"
        assert not (finished / "report.html").exists() and not list(finished.glob("*.png"))
    with RunFolder.open(finished) as folder:
        assert folder.state == "walked" and folder.damage == ""
        assert same(*(tuple(sorted(some, key=lambda path: path.name)) for some in (folder.paths, walked())))
        folder.write_outputs()
    assert sorted(one.name for one in finished.rglob("*") if one.is_file()) == saved
    with RunFolder.open(finished) as folder:
        assert folder.state == "finished"


@pytest.mark.parametrize("instant", range(12))
def test_a_kill_at_any_instant_loses_at_most_the_waypoint_under_way(
    tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch, instant: int
) -> None:
    before = save_waypoint(tmp_path, 1, until(walked(), 1), arrays(1))
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
            save_waypoint(tmp_path, 2, until(walked(), 2), arrays(2), before)
            survived = True
        except Killed:
            survived = False
    loaded = load_journal(tmp_path)
    index = int(loaded.arrays["memory.count"][0])
    assert index == 2 or not survived
    assert index in (1, 2) and same(loaded.paths, until(walked(), index))
    save_waypoint(tmp_path, index + 1, until(walked(), index + 1), arrays(index + 1), loaded)
    assert same(load_journal(tmp_path).paths, until(walked(), index + 1))


@pytest.mark.usefixtures("quick_pictures")
def test_a_kill_while_the_progress_is_removed_leaves_a_finished_run(
    tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(self, name):
        raise Killed

    with RunFolder.claim(tmp_path, IDENTITY) as folder:
        walk(folder)
        monkeypatch.setattr(folder_module, "clear_folder", dies)
        with pytest.raises(Killed):
            folder.finish(walked())
    monkeypatch.undo()
    with RunFolder.claim(tmp_path, IDENTITY) as again:
        assert again.state == "finished"


def test_a_folder_of_another_run_is_refused_with_the_difference(tmp_path: FilePath) -> None:
    with RunFolder.claim(tmp_path, IDENTITY) as folder:
        walk(folder, last=2)
    before = _files(tmp_path)
    with pytest.raises(OutputError, match=r"seeds: 'not given' there, \[9\] asked.*--out.*--overwrite"):
        RunFolder.claim(tmp_path, IDENTITY | {"seeds": [9]})
    assert _files(tmp_path) == before


def test_entries_that_one_side_lacks_make_another_run_but_for_those_of_earlier_versions(tmp_path: FilePath) -> None:
    with RunFolder.claim(tmp_path, IDENTITY) as folder:
        folder.begin(RECIPE + 'smooth = 0.0\nstarts = ["me.npy"]\n')
        folder.save(1, until(walked(), 1), arrays(1))
    with pytest.raises(OutputError, match=r"run \(starts: \['me.npy'\] there, 'not given' asked\)"):
        RunFolder.claim(tmp_path, IDENTITY)
    with pytest.raises(OutputError, match=r"smooth: 0.0 there, 0.5 asked"):
        RunFolder.claim(tmp_path, IDENTITY | {"smooth": 0.5})
    with RunFolder.claim(tmp_path, IDENTITY | {"starts": ["me.npy"]}) as folder:
        assert folder.state == "unfinished"


@pytest.mark.usefixtures("quick_pictures")
def test_overwriting_replaces_only_files_of_runs(tmp_path: FilePath) -> None:
    with RunFolder.claim(tmp_path, IDENTITY) as folder:
        walk(folder)
        folder.finish(walked())
    (tmp_path / "notes.txt").write_text("mine")
    with RunFolder.claim(tmp_path, IDENTITY | {"steps": 9}, overwrite=True) as folder:
        assert folder.state == "fresh" and folder.paths == ()
        assert (tmp_path / "strip.png").exists()  # nothing is removed before the new run has something to show
        folder.begin(RECIPE.replace("4", "9"))
    assert {entry.name for entry in tmp_path.iterdir()} == {"run.json", "recipe.toml", "notes.txt"}


def test_a_folder_that_is_not_a_runs_is_refused(tmp_path: FilePath) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(OutputError, match=r"thesis\.tex"):
            RunFolder.claim(tmp_path, IDENTITY, overwrite)
    assert _files(tmp_path) == {"thesis.tex": b"mine"}


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: FilePath) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="is a file"):
        RunFolder.claim(tmp_path / "file", IDENTITY)
    with pytest.raises(OutputError, match="cannot create"):
        RunFolder.claim(tmp_path / "file" / "below", IDENTITY)


def test_claiming_a_folder_without_walking_leaves_nothing_behind(tmp_path: FilePath) -> None:
    with RunFolder.claim(tmp_path / "a" / "b" / "c", IDENTITY):
        assert (tmp_path / "a" / "b" / "c").is_dir()
    assert list(tmp_path.iterdir()) == []


def flip(file: FilePath, place: int = -9) -> None:
    """Flip one bit of the byte at `place`."""
    data = bytearray(file.read_bytes())
    data[place] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize("harm", [flip, FilePath.unlink, lambda file: file.write_bytes(file.read_bytes()[:50])])
@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("0001.json", 0),
        ("0002.safetensors", 1),
        ("0003.json", 2),
        ("0004.safetensors", 3),
        ("0004.state.safetensors", 3),
    ],
)
def test_damage_is_reported_and_the_walk_resumes_at_the_last_good_waypoint(
    tmp_path: FilePath, harm: Callable[[FilePath], object], name: str, good: int
) -> None:
    with RunFolder.claim(tmp_path, IDENTITY) as folder:
        walk(folder)
    harm(tmp_path / "progress" / name)
    with RunFolder.claim(tmp_path, IDENTITY) as again:
        assert str(tmp_path / "progress") in again.damage
        assert again.state == ("unfinished" if good else "fresh")
        assert not good or (again.arrays["memory.count"] == [good] and same(again.paths, until(walked(), good)))
        walk(again, first=good + 1)
    with RunFolder.claim(tmp_path, IDENTITY) as whole:
        assert not whole.damage and same(whole.paths, walked())


def test_old_states_are_removed_if_they_take_much_room(tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "STATES", 0)
    with RunFolder.claim(tmp_path, IDENTITY) as folder:
        walk(folder)
    states = sorted(file.name for file in (tmp_path / "progress").glob("*.state.*"))
    assert states == ["0003.state.safetensors", "0004.state.safetensors"]
    flip(tmp_path / "progress" / "0003.json")
    with RunFolder.claim(tmp_path, IDENTITY) as again:
        assert again.state == "fresh" and again.damage, "what is good has no state to go on from"


@pytest.fixture
def quick_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write empty files in place of pictures, table and report, to save time."""

    def draw(self: RunFolder, whole: bool) -> tuple[list[str], str]:
        names = ["strip.png", "walk.mp4", "plot.png", "changes.csv", "report.html"]
        for name in names:
            (self.path / name).write_text("")
        return names, ""

    monkeypatch.setattr(RunFolder, "_draw", draw)


@pytest.fixture
def finished(tmp_path: FilePath) -> FilePath:
    with RunFolder.claim(tmp_path / "run", IDENTITY) as folder:
        walk(folder)
        folder.finish(walked())
    return tmp_path / "run"


@pytest.mark.usefixtures("quick_pictures")
@pytest.mark.parametrize("harm", [flip, FilePath.unlink])
@pytest.mark.parametrize("name", ["seed0-1+.json", "seed1-1-.safetensors"])
def test_a_finished_run_whose_path_is_damaged_is_walked_again(
    finished: FilePath, harm: Callable[[FilePath], object], name: str
) -> None:
    harm(finished / "paths" / name)
    with RunFolder.claim(finished, IDENTITY) as again:
        assert again.state == "fresh" and not again.paths
        assert again.damage.count(str(finished / "paths" / name)) == 1
        walk(again)
        assert (finished / "paths" / "seed0-1-.json").exists(), "what is whole stays until it is replaced"
        again.finish(walked())
    with RunFolder.claim(finished, IDENTITY) as whole:
        assert whole.state == "finished" and same(whole.paths, tuple(sorted(walked(), key=_order)))


@pytest.mark.usefixtures("quick_pictures")
def test_a_report_shows_the_paths_that_are_whole_and_names_the_others(finished: FilePath) -> None:
    flip(finished / "paths" / "seed0-1+.json")
    (finished / "paths" / "seed1-1-.safetensors").unlink()
    with RunFolder.open(finished) as folder:
        assert [path.name for path in folder.paths] == ["seed0-1-", "seed0-2+", "seed1-1+"]
        assert folder.damage.count("seed0-1+") == folder.damage.count("seed1-1-") == 1
        folder.write_outputs()
    with RunFolder.claim(finished, IDENTITY) as again:
        assert again.state == "fresh", "a report does not make a damaged run whole"
    for file in (finished / "paths").glob("*.json"):
        file.unlink()
    with pytest.raises(FileError, match=r"holds no waypoint.*seed0-1\+"):
        RunFolder.open(finished)


@pytest.mark.usefixtures("quick_pictures")
def test_a_run_that_lost_its_recipe_is_not_called_another_run(finished: FilePath) -> None:
    (finished / "recipe.toml").write_text("steps = ")
    with pytest.raises(OutputError, match=r"recipe\.toml is not TOML.*--overwrite"):
        RunFolder.claim(finished, IDENTITY)
    (finished / "recipe.toml").unlink()
    with pytest.raises(OutputError, match=r"recipe\.toml is missing.*--overwrite"):
        RunFolder.claim(finished, IDENTITY)
    with RunFolder.open(finished) as folder:
        assert len(folder.paths) == 5 and "recipe.toml is missing" in folder.damage
    RunFolder.claim(finished, IDENTITY, overwrite=True).release()


def test_a_run_killed_before_its_recipe_was_written_begins_anew(tmp_path: FilePath) -> None:
    with RunFolder.claim(tmp_path, IDENTITY) as folder:
        folder.begin(RECIPE)
    (tmp_path / "recipe.toml").unlink()
    with RunFolder.claim(tmp_path, IDENTITY) as again:
        assert again.state == "fresh"


@pytest.mark.usefixtures("quick_pictures")
@pytest.mark.parametrize("name", ["strip.png", "report.html", "changes.csv"])
def test_missing_pictures_of_a_finished_run_are_made_again(finished: FilePath, name: str) -> None:
    (finished / name).unlink()
    with RunFolder.claim(finished, IDENTITY) as again:
        assert again.state == "walked"
        again.write_outputs()
        assert again.state == "finished" and (finished / name).exists()


def make_old(folder: FilePath) -> None:
    """Turn a run's folder into one of versions before 0.2: no sums, no run.json, NaN, only the newest state."""
    (folder / "run.json").unlink()
    (folder / "recipe.toml").write_text(RECIPE + '\n[installed]\neigenwalk = "0.1.0"\n')
    for file in folder.glob("*/*.json"):
        document = json.loads(file.read_text())
        for key in ("sum", "before", "tensors", "state"):
            document.pop(key, None)
        document["format"] = 1
        if file.stem.isdecimal():
            del document["format"]
        for waypoint in document["waypoints"]:
            waypoint["quotient"] = math.nan if waypoint["quotient"] is None else waypoint["quotient"]
        file.write_text(json.dumps(document))
    for state in sorted(folder.glob("progress/*.state.safetensors"))[:-1]:
        state.unlink()


@pytest.mark.usefixtures("quick_pictures")
def test_folders_of_earlier_versions_are_resumed(tmp_path: FilePath) -> None:
    with RunFolder.claim(tmp_path, IDENTITY) as folder:
        walk(folder, last=2)
    make_old(tmp_path)
    with RunFolder.claim(tmp_path, IDENTITY) as again:
        assert again.state == "unfinished" and not again.damage and same(again.paths, until(walked(), 2))
        walk(again, first=3)
        again.finish(again.paths)
    make_old(tmp_path)
    with RunFolder.claim(tmp_path, IDENTITY) as done:
        assert done.state == "finished" and same(done.paths, tuple(sorted(walked(), key=_order)))
    (tmp_path / "recipe.toml").write_text(RECIPE)
    with pytest.raises(OutputError, match="holds other files"):
        RunFolder.claim(tmp_path, IDENTITY)


def test_a_missing_file_of_an_earlier_version_is_noticed(tmp_path: FilePath) -> None:
    with RunFolder.claim(tmp_path, IDENTITY) as folder:
        walk(folder, last=3)
    make_old(tmp_path)
    (tmp_path / "progress" / "0001.json").unlink()
    with RunFolder.claim(tmp_path, IDENTITY) as again:
        assert "is missing" in again.damage and not again.paths


@pytest.mark.usefixtures("quick_pictures")
def test_nan_is_written_as_null(finished: FilePath) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    document = json.loads((finished / "paths" / "seed0-1+.json").read_text(), parse_constant=refuse)
    assert document["waypoints"][0]["quotient"] is None
    odd = replace(path(), roles=(replace(FIXED, typical=math.inf),))
    odd = replace(odd, waypoints=(replace(odd.waypoints[0], changes={FIXED.name: math.inf}, step_size=math.nan),))
    loaded = Path.load(odd.save(finished))
    assert loaded.roles[0].typical == loaded.waypoints[0].changes[FIXED.name] == math.inf
    assert math.isnan(loaded.waypoints[0].step_size)


@pytest.mark.parametrize(
    "mine", [{"paths/notes.txt": "mine"}, {"report.html": "mine"}, {"recipe.toml": RECIPE}, {"run.json": "{}"},
             {"recipe.toml": RECIPE + "\n[installed]\n", "report.html": "mine"}]
)  # fmt: skip
def test_a_users_own_folder_is_refused(tmp_path: FilePath, mine: dict[str, str]) -> None:
    for name, text in mine.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    for overwrite in (False, True):
        with pytest.raises(OutputError, match="holds other files"):
            RunFolder.claim(tmp_path, IDENTITY, overwrite)
    assert {name: data.decode() for name, data in _files(tmp_path).items()} == mine


@pytest.mark.usefixtures("quick_pictures")
def test_a_users_files_in_a_runs_folder_stay(finished: FilePath) -> None:
    (finished / "paths" / "notes.txt").write_text("mine")
    with RunFolder.claim(finished, IDENTITY, overwrite=True) as folder:
        folder.begin(RECIPE)
    assert set(_files(finished)) == {"run.json", "recipe.toml", "paths/notes.txt"}


@pytest.mark.parametrize("files", [5, "x", [1], [["paths/x"]], ["../../mine"], ["paths/" + "x" * 5000], ["a\0b"]])
def test_a_malformed_run_json_does_not_mark_a_folder_as_a_runs(tmp_path: FilePath, files: object) -> None:
    (tmp_path / "run.json").write_text(json_text(seal({"eigenwalk": "run", "files": files})))
    with pytest.raises(OutputError, match="holds other files"):
        RunFolder.claim(tmp_path, IDENTITY)


def test_symbolic_links_in_a_runs_folder_are_not_followed(finished: FilePath, tmp_path: FilePath) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("mine")
    for name in (".lock", "changes.csv.part", ".changes.csv.part", "report.html.part", "run.json.part"):
        (finished / name).symlink_to(mine)
    for name in ("changes.csv", "strip.png"):
        (finished / name).unlink()
        (finished / name).symlink_to(mine)
    with RunFolder.open(finished) as folder:
        folder.write_outputs()
    assert mine.read_text() == "mine" and not (finished / "changes.csv").is_symlink()
    (finished / "progress").symlink_to(tmp_path)
    with pytest.raises(OutputError, match="is a symbolic link"):
        RunFolder.open(finished)


def test_many_paths_are_drawn_page_by_page_with_few_in_memory(
    tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Draw two pages of six pictures; count how many are read at once, and bound how many are held."""
    monkeypatch.setattr(pages_module, "PAGE", 6)
    monkeypatch.setattr(pages_module, "PAGES", 2)
    many = paths(seeds=10, directions=1, steps=1, size=(64, 64))
    many = tuple(replace(p, waypoints=tuple(replace(w, image=np.full_like(w.image, 9)) for w in p)) for p in many)
    with RunFolder.claim(tmp_path, IDENTITY) as folder:
        folder.begin(RECIPE)
        folder.save(1, many, {})
        assert not any(isinstance(vars(w)["image"], np.ndarray) for p in many for w in p), "pictures stay on disk"
        folder.finish(many)
    names = {file.name for file in tmp_path.iterdir()}
    assert names >= {f"{kind}{n}.{ending}" for kind, ending in (("strip", "png"), ("walk", "mp4"), ("report", "html"))
                     for n in ("", "-2")} and "strip-3.png" not in names  # fmt: skip
    second = (tmp_path / "report-2.html").read_text()
    assert "20 paths come in pages" in second and "8 paths have no pictures here" in second and "report.html" in second
    assert (tmp_path / "changes.csv").read_text().count("\n") == 1 + 2 * len(many)
    with RunFolder.open(tmp_path) as again:
        assert not any(isinstance(vars(w)["image"], np.ndarray) for p in again.paths for w in p)
        again.write_outputs(whole=True)
    assert (tmp_path / "strip-4.png").exists() and "no pictures here" not in (tmp_path / "report.html").read_text()


HOLDER = """
import sys, time
from pathlib import Path
from eigenwalk.runs.outputs import folder as folder_module
from eigenwalk.runs.outputs import journal
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


def test_a_folder_in_use_is_refused_until_its_process_is_dead(
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


def test_if_the_disk_fills_while_walking_saved_waypoints_are_kept(
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
        assert same(again.paths, until(walked(), 2))


def test_a_disk_that_is_full_from_the_start_leaves_no_folder(
    tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", _full)
    with RunFolder.claim(tmp_path / "run", IDENTITY) as folder, pytest.raises(OutputError, match="the disk is full"):
        folder.begin(RECIPE)
    assert list(tmp_path.iterdir()) == []


def test_if_the_disk_fills_while_pictures_are_made_the_walk_is_kept(
    tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RunFolder.claim(tmp_path, IDENTITY) as folder:
        walk(folder)
        monkeypatch.setattr(os, "fsync", _full)
        with pytest.raises(OutputError, match=r"Kept in .*: 23 waypoints of 5 paths"):
            folder.finish(walked())
    monkeypatch.undo()
    with RunFolder.claim(tmp_path, IDENTITY) as again:
        assert again.state == "unfinished" and same(again.paths, walked())
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


def test_a_real_full_disk_is_reported_and_the_walk_resumes(small_disk: FilePath) -> None:
    with RunFolder.claim(small_disk / "run", IDENTITY) as folder:
        folder.begin(RECIPE)
        walk(folder, last=1)  # 1.5 KB; the video alone is larger than the disk
        with pytest.raises(OutputError, match="the disk is full"):
            folder.finish(folder.paths)
        kept = folder.paths
    assert not list(small_disk.rglob("*.part"))
    with RunFolder.claim(small_disk / "run", IDENTITY) as again:
        assert same(again.paths, kept) and len(kept)


def _order(path: Path) -> tuple[int, int, int]:
    return path.seed, path.rank, -path.sense


def _files(folder: FilePath) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
