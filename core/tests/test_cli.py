"""The command line with a fake walk: what it prints, how it exits, what it leaves on disk."""

from __future__ import annotations

import errno
import os
import signal
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

import eigenwalk.runs
from eigenwalk.cli import main, progress
from eigenwalk.errors import InputError
from eigenwalk.path import Status
from eigenwalk.runs.outputs.folder import RunFolder
from eigenwalk.runs.outputs.report import report
from eigenwalk.runs.outputs.video import Video
from eigenwalk.runs.recipe import Recipe
from eigenwalk.runs.seeds import parse_seeds
from eigenwalk.runs.watch import Work, duration
from fabricated import paths, until

WALK = ["walk", "./made.py:build", "--fix", "mask(box=(0, 0, 1, 0.5)) < 0.1", "--vary", "pixels"]


@dataclass
class Said:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str


Command = Callable[..., Said]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """Runs the command line in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EIGENWALK_TRACEBACK", raising=False)
    monkeypatch.setenv("COLUMNS", "300")

    def run(*words: str) -> Said:
        capfd.readouterr()
        code: object = 0
        try:
            main(words)
        except SystemExit as end:
            code = end.code
        captured = capfd.readouterr()
        return Said(0 if code is None else int(str(code)), captured.out, captured.err)

    return run


@dataclass
class MadeUp:
    """Stands for `eigenwalk.runs.api`: yields the fronts of fabricated paths; `before` is called before each."""

    steps: int = 4
    before: Callable[[int], None] = lambda index: None
    status: Status | None = None
    version: str = "0.1.0"
    resumed: list[tuple[int, float, int | None]] = field(default_factory=list)

    def start(self, recipe: Recipe, *, paths=None, arrays=None, registry=None, watch=None) -> object:
        """A run like the api's."""
        first = 0
        if paths and arrays:
            first = paths[0].waypoints[-1].index + 1
            self.resumed.append((first, float(arrays["latents"][0]), recipe.batch))
        completed = recipe.model_copy(update={"installed": {"eigenwalk": self.version}, "batch": recipe.batch or 7})
        return types.SimpleNamespace(
            recipe=completed,
            notes=["typical distance of pixels: 0.2"],
            fronts=lambda: self.fronts(first),
            judge=lambda walked, note: walked,
        )

    def fronts(self, first: int) -> Iterator[object]:
        """The fronts from index `first` on."""
        made = paths(steps=self.steps)
        if self.status is not None:
            made = tuple(replace(p, waypoints=p.waypoints[:1], status=self.status) for p in made)
        for index in range(first, self.steps + 1):
            self.before(index)
            saved = {"latents": np.array([index], np.float32)}
            yield types.SimpleNamespace(index=index, paths=until(made, index), arrays=lambda saved=saved: saved)
            if self.status is not None:
                return


@pytest.fixture
def pictures() -> None:
    """Make real pictures, table and report in this test."""


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, tmp_path: Path) -> MadeUp:
    (tmp_path / "made.py").write_text("")
    made = MadeUp()
    if "pictures" not in request.fixturenames:
        monkeypatch.setattr(RunFolder, "_draw", _write_report)
    module = types.ModuleType("eigenwalk.runs.api")
    module.start = lambda *given, **also: made.start(*given, **also)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "eigenwalk.runs.api", module)
    monkeypatch.setattr(eigenwalk.runs, "api", module, raising=False)
    return made


def _write_report(folder: RunFolder, whole: bool) -> tuple[list[str], str]:
    (folder.path / "report.html").write_text("")
    return ["report.html"], ""


def test_describe_says_what_a_spec_says(command: Command) -> None:
    said = command("describe", "mask")
    for text in ("projection", "eigenwalk-masks", "box", "file", "feather", "numbers"):
        assert text in said.out
    assert said.code == 0


def test_describe_gives_the_canonical_form(command: Command) -> None:
    said = command("describe", " mask( (0,0,1,1) )|fourier.low <.25")
    assert said.out.startswith("mask(box=(0, 0, 1, 1)) | fourier.low < 0.25\n")
    assert "eigenwalk-masks" in said.out and "eigenwalk-fourier" in said.out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["describe", "maskk"], 2, "nearest: mask"),
        (["describe", "mask(bax=3)"], 2, "bax"),
        (["walk", "romms", "--vary", "pixels"], 2, "romms"),
        (["walk", "./made.py:build", "--vary", "pixles"], 2, "pixels"),
        (["walk", "./made.py:build", "--fix", "pixels", "--vary", "pixels"], 2, "both fixed"),
        (["walk", "./made.py:build", "--fix", "pixels < 3", "--vary", "2 * pixels"], 2, "both fixed"),
        (["walk", "./made.py:build"], 2, "nothing varies"),
        (["walk", "./made.py:build", "--vary", "pixels", "--seed", "3-1"], 2, "'3-1'"),
        (["walk", "./made.py:build", "--vary", "pixels", "--stride", "0"], 2, "stride"),
        (["walk", "./made.py:build", "--vary", "pixels", "--solver", "magic"], 2, "davidson"),
        (["run", "missing.toml"], 2, "missing.toml"),
        (["report", "nowhere"], 4, "nowhere"),
    ],
)
def test_bad_input_gives_a_message_and_exit_code_and_leaves_no_files(
    command: Command, tmp_path: Path, words: list[str], code: int, said: str
) -> None:
    got = command(*words)
    assert (got.code, got.out) == (code, "")
    assert said in got.err and got.err.startswith("error: ") and "Traceback" not in got.err
    assert list(tmp_path.iterdir()) == []


def test_a_malformed_expression_is_underlined_at_its_place(command: Command, tmp_path: Path) -> None:
    text = "mask(box=(0, 0, 1, 1)) | fourier.low(cycles=)"
    got = command("walk", "./made.py:build", "--vary", text)
    lines = got.err.splitlines()
    assert got.code == 2 and f"  {text}" in lines
    carets = lines[lines.index(f"  {text}") + 1]
    assert set(carets.strip()) == {"^"} and carets.index("^") - 2 >= text.index("cycles")
    assert list(tmp_path.iterdir()) == []


def test_the_option_traceback_shows_a_traceback(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    got = command("describe", "maskk", "--traceback")
    assert got.code == 2 and "Traceback" in got.err
    monkeypatch.setenv("EIGENWALK_TRACEBACK", "0")
    assert "Traceback" not in command("describe", "maskk").err


def test_a_walk_fills_its_folder_and_prints_where_it_is(
    command: Command, api: MadeUp, tmp_path: Path, pictures: None
) -> None:
    got = command(*WALK)
    folder = next((tmp_path / "runs").iterdir())
    assert got.code == 0 and got.out == ""
    assert str(folder.relative_to(tmp_path) / "report.html") in got.err
    assert "waypoint 4 of 12: varied 40 % (mean), fixed 8 % (largest)" in got.err
    assert "typical distance of pixels" in got.err
    names = {entry.name for entry in folder.iterdir()}
    pictures_made = {"strip.png", "walk.mp4", "plot.png", "changes.csv", "report.html"}
    assert names == {"run.json", "recipe.toml", "state.safetensors", "paths", *pictures_made}
    written = Recipe.read(folder / "recipe.toml")
    assert written.installed == {"eigenwalk": "0.1.0"} and [str(one) for one in written.vary] == ["pixels"]


def test_the_same_command_again_walks_nothing(command: Command, api: MadeUp) -> None:
    command(*WALK)

    def never(index: int) -> None:
        raise AssertionError("walked again")

    api.before = never
    got = command(*[word.replace("(0, 0, 1, 0.5)", "( 0,0,1,0.5 )") for word in WALK])
    assert got.code == 0 and "holds this walk already" in got.err


def test_ctrl_c_keeps_the_waypoints_and_the_same_command_resumes(command: Command, api: MadeUp, tmp_path: Path) -> None:
    def interrupt(index: int) -> None:
        if index == 3:
            os.kill(os.getpid(), signal.SIGINT)

    api.before = interrupt
    got = command(*WALK, "--out", "out")
    assert got.code == 130
    assert "stopped: kept 12 waypoints of 4 paths in out; the same command goes on" in got.err
    assert not (tmp_path / "out" / ".lock").exists()
    api.before = lambda index: None
    got = command(*WALK, "--out", "out")
    assert got.code == 0 and "going on in out: 12 waypoints of 4 paths" in got.err
    assert api.resumed == [(3, 2.0, 7)]  # with the batch that it began with: sums depend on it in the last digit
    assert (tmp_path / "out" / "report.html").exists()


def test_a_walk_resumed_with_another_version_says_so(
    command: Command, api: MadeUp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.before = lambda index: os.kill(os.getpid(), signal.SIGINT) if index == 3 else None
    command(*WALK, "--out", "out")
    api.before = lambda index: None
    api.version = "0.1.1"
    got = command(*WALK, "--out", "out")
    recipe = tmp_path / "out" / "recipe.toml"
    assert got.code == 0 and Recipe.read(recipe).installed == {"eigenwalk": "0.1.0"}
    assert [(one.waypoint, one.installed) for one in Recipe.read(recipe).resumed] == [(3, {"eigenwalk": "0.1.1"})]
    page = report(paths(), recipe.read_text(), Video(b"", ".mp4"))
    assert "0.1.0, from waypoint 3 on 0.1.1" in page
    assert "from waypoint 3 on, this walk was made with eigenwalk 0.1.1" in command("run", str(recipe), "--trust").err


def test_sigterm_stops_a_walk_as_well(command: Command, api: MadeUp) -> None:
    api.before = lambda index: os.kill(os.getpid(), signal.SIGTERM) if index == 2 else None
    got = command(*WALK)
    assert got.code == 143 and "kept 8 waypoints" in got.err
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_walk_that_cannot_take_a_step_leaves_no_folder(command: Command, api: MadeUp, tmp_path: Path) -> None:
    api.status = Status("numerical", "pixels gave NaN", "pixels")
    got = command(*WALK, "--out", "a/b")
    assert got.code == 5 and "pixels gave NaN" in got.err
    assert [one.name for one in tmp_path.iterdir()] == ["made.py"]


def test_a_folder_of_another_walk_is_refused_without_overwrite(command: Command, api: MadeUp, tmp_path: Path) -> None:
    command(*WALK, "--out", "out")
    before = (tmp_path / "out" / "recipe.toml").read_text()
    got = command(*WALK, "--out", "out", "--stride", "0.5")
    assert got.code == 4 and "stride: 0.08 there, 0.5 asked" in got.err and "--overwrite" in got.err
    assert (tmp_path / "out" / "recipe.toml").read_text() == before
    assert command(*WALK, "--out", "out", "--steps", "5", "--overwrite").code == 0
    assert Recipe.read(tmp_path / "out" / "recipe.toml").steps == 5


def test_a_full_disk_keeps_the_walk_so_far(command: Command, api: MadeUp, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(index: int) -> None:
        if index == 3:
            monkeypatch.setattr(os, "fsync", _full)

    api.before = full
    got = command(*WALK, "--out", "out")
    assert got.code == 4 and "the disk is full. Kept in out: 12 waypoints of 4 paths" in got.err
    monkeypatch.undo()


def _full(*given: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_quiet_walk_prints_only_the_folder(command: Command, api: MadeUp) -> None:
    got = command(*WALK, "--quiet", "--out", "out")
    assert (got.code, got.out, got.err) == (0, "out\n", "")


def test_the_recipe_in_the_folder_names_the_same_run(command: Command, api: MadeUp, tmp_path: Path) -> None:
    command(*WALK)
    folder = next((tmp_path / "runs").iterdir())
    got = command("run", str(folder / "recipe.toml"))
    assert got.code == 0 and "holds this walk already" in got.err
    again = command("run", str(folder / "recipe.toml"), "--out", "elsewhere", "--quiet", "--trust")
    assert again.out == "elsewhere\n"
    first, second = (sorted((one / "paths").glob("*.json")) for one in (folder, tmp_path / "elsewhere"))
    assert first and [file.read_bytes() for file in first] == [file.read_bytes() for file in second]


def test_pictures_can_be_made_again(command: Command, api: MadeUp, tmp_path: Path, pictures: None) -> None:
    command(*WALK, "--out", "out")
    table = (tmp_path / "out" / "changes.csv").read_text()
    for name in ("strip.png", "report.html", "changes.csv"):
        (tmp_path / "out" / name).unlink()
    assert command("report", "out").out == "out/report.html\n"
    assert (tmp_path / "out" / "strip.png").exists()
    assert sorted((tmp_path / "out" / "changes.csv").read_text().splitlines()) == sorted(table.splitlines())


def test_pictures_of_a_stopped_walk_can_be_made(command: Command, api: MadeUp, tmp_path: Path, pictures: None) -> None:
    api.before = lambda index: os.kill(os.getpid(), signal.SIGINT) if index == 2 else None
    command(*WALK, "--out", "out")
    assert command("report", "out").code == 0
    assert "Not ended" in (tmp_path / "out" / "report.html").read_text()


def test_a_damaged_path_is_named_by_report_and_by_walk(
    command: Command, api: MadeUp, tmp_path: Path, pictures: None
) -> None:
    command(*WALK, "--out", "out")
    damaged = min((tmp_path / "out" / "paths").glob("*.json"))
    damaged.write_text(damaged.read_text().replace('"rank": 1', '"rank": 2'))
    shown = command("report", "out")
    assert shown.code == 0 and shown.out == "out/report.html\n"
    assert shown.err.count(damaged.name) == 1 and "The report shows the rest" in shown.err
    walked = command(*WALK, "--out", "out")
    assert walked.code == 0 and walked.err.count(damaged.name) == 1 and "The whole run is walked again" in walked.err
    assert "warning" not in command("report", "out").err


def test_running_a_recipe_warns_of_other_versions(command: Command, api: MadeUp, tmp_path: Path) -> None:
    Recipe.of(generator="./made.py:build", vary=["pixels"], installed={"eigenwalk": "0.0.1"}).write(tmp_path / "r.toml")
    got = command("run", "r.toml", "--out", "out", "--trust")
    assert got.code == 0 and "warning: eigenwalk is" in got.err


def test_a_run_is_not_resumed_with_a_changed_file(command: Command, api: MadeUp, tmp_path: Path) -> None:
    command(*WALK, "--out", "out")
    recipe = tmp_path / "out" / "recipe.toml"
    (tmp_path / "made.py").write_text("changed")
    recipe.write_text(Recipe.read(recipe).model_copy(update={"files": {"./made.py": "0" * 64}}).text())
    got = command(*WALK, "--out", "out")
    assert got.code == 2 and "./made.py has changed" in got.err and "--overwrite" in got.err


@pytest.mark.parametrize(
    ("texts", "expected"), [(["0-3"], [0, 1, 2, 3]), (["5", "2-3", "3"], [5, 2, 3]), (["7-7"], [7])]
)
def test_seeds_are_parsed_from_numbers_and_ranges(texts: list[str], expected: list[int]) -> None:
    assert parse_seeds(texts) == expected


@pytest.mark.parametrize("text", ["", "a", "-1", "3-1", "1-", "1.5", "0-99999999", "9" * 5000])
def test_malformed_seeds_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="--seed"):
        parse_seeds([text])


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.2, "0 s"), (59.6, "1 min 0 s"), (125, "2 min 5 s"), (7260, "2 h 1 min")]
)
def test_durations_are_written_in_words(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_a_stage_says_how_far_it_is_and_how_long_it_takes(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    work = Work()
    work.begin("making 24 samples", 24)
    assert work.text() == "making 24 samples: about 24 passes"
    for _ in range(4):
        now[0] += 2
        work.add(1)
    assert work.text() == "making 24 samples: 4 of about 24 passes, about 40 s left"
    work.begin("looking for 1 direction at 1 start", 50)
    now[0] += 100  # what no pass was made in
    assert work.text() == "looking for 1 direction at 1 start: about 50 passes, about 1 min 40 s left"
    work.begin("opening rooms", 0)
    assert work.text() == "opening rooms"


def test_a_log_hears_of_a_long_stage_at_ever_longer_intervals(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    lines = progress.Lines(steps=2)
    lines.stage("looking for 1 direction at 1 start", 40)
    for _ in range(40):
        now[0] += 1
        lines.passed(1)
    said = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[1].split(" ")[0] for line in said] == ["about", "3", "9", "21"]
    lines.clock.pace = 0.1
    lines.stage("on to waypoint 2", 20)
    assert not capsys.readouterr().err
