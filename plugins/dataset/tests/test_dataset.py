"""``eigenwalk dataset`` with the workers in this process: what is written, what is refused, what is made again."""

# ruff: noqa: F811
from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
from pathlib import Path

import datasets
import duckdb
import fsspec
import numpy as np
import pandas
import polars
import pyarrow.parquet as pq
import pytest
import webdataset
from PIL import Image

import eigenwalk
from command_line import Here, here, place  # noqa: F401
from eigenwalk_dataset import command
from eigenwalk_dataset.engines.worker import serve_call
from eigenwalk_dataset.folder import Folder
from eigenwalk_dataset.plan import Plan
from eigenwalk_dataset.schedule import Event, Task

GENERATOR = "./my_generator.py:build"
WORDS = [
    "dataset",
    GENERATOR,
    "--fix",
    "luminance",
    "--vary",
    "pixels",
    "--seeds",
    "0-5",
    "--paths",
    "2",
    "--steps",
    "2",
]
WORDS += ["--shard-seeds", "2"]


class Inline:
    """An engine whose one worker is this process; `before` is called with each task, and may raise."""

    def __init__(self) -> None:
        self.state, self.events, self.count, self.tasks = {}, [], 1, []
        self.before = lambda task: None

    def survey(self, order):
        """As the local engine does."""
        return serve_call(self.state, "survey", [order], lambda event: None)

    def measure(self, plan):
        """As the local engine does."""
        return serve_call(self.state, "measure", [plan], lambda event: None)

    def begin(self, plan, folder) -> None:
        """Remember them."""
        self.plan, self.folder = plan, folder

    def free(self) -> int:
        """Room for one task at a time."""
        return int(not self.events)

    def submit(self, task: Task) -> None:
        """Make it now."""
        self.tasks.append(task)
        maker = self.state.get("maker")
        try:
            self.before(task)
        except Exception as error:
            failing = type("Failing", (), {"make": lambda *arguments, error=error: (_ for _ in ()).throw(error)})
            answer = serve_call({"maker": failing()}, "make", [self.plan, self.folder, *vars(task).values()], print)
        else:
            call = [self.plan, self.folder, task.index, task.batch]
            answer = serve_call(self.state, "make", call, self.events.append)
            assert maker is None or self.state["maker"] is maker, "loaded once"
        self.events.append(answer)

    def wait(self, seconds: float) -> list[Event]:
        """Everything that happened."""
        events, self.events = self.events, []
        return events

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture(autouse=True)
def kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What `datasets` keeps of a folder called "out" is not read by another test."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Inline:
    """The engine of the commands that run in this process; a new one for each."""
    made = Inline()

    def fresh(order, *rest):
        made.state = {}
        return order, made

    monkeypatch.setattr(command, "_engine", fresh)
    return made


def sums(folder: Path) -> dict[str, str]:
    """SHA-256 of every shard's files."""
    files = sorted(file for part in ("data", "pairs") for file in (folder / part).iterdir())
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_everybody_reads_what_was_written(here: Here, place: Path, engine: Inline) -> None:
    code, err = here(*WORDS, "-o", "out")
    assert code == 0 and "3 of 3" in err
    out = place / "out"
    rows = datasets.load_dataset(str(out), split="train")
    pairs = datasets.load_dataset(str(out), "pairs", split="train")
    streamed = list(datasets.load_dataset(str(out), split="train", streaming=True))
    assert len(rows) == len(streamed) == 6 * 2 * 3 and len(pairs) == 12
    assert isinstance(rows.features["image"], datasets.Image) and isinstance(pairs.features["after"], datasets.Image)
    paths = eigenwalk.run(GENERATOR, fix=["luminance"], vary=["pixels"], seeds=[0, 1], paths=2, steps=2)
    for n, (path, waypoint) in enumerate((one, waypoint) for one in paths for waypoint in one):
        row = rows[n]
        assert (row["seed"], row["path"], row["waypoint"]) == (path.seed, path.name, waypoint.index)
        assert np.array_equal(np.asarray(row["image"]), waypoint.image)
        assert np.allclose(row["latent"], waypoint.latent) and row["status"] == "length"
        assert row["change_pixels"] == pytest.approx(waypoint.changes["pixels"])
        assert row["tolerance_luminance"] == pytest.approx(path.fixed[0].tolerance)
    assert np.array_equal(np.asarray(pairs[0]["after"]), paths[0].waypoints[-1].image)
    assert pairs[0]["held"] == ["luminance"] and pairs[0]["varied"] == ["pixels"]
    assert pairs[0]["moved"] == pytest.approx(paths[0].moved) and 0 < pairs[0]["drift"] <= 1
    query = f"select count(*), max(change_luminance) from '{out}/data/*.parquet' where change_pixels > 0"
    count, most = duckdb.sql(query).fetchall()[0]
    assert count == 24 and most == pytest.approx(max(rows["change_luminance"]))
    assert len(pandas.read_parquet(out / "pairs")) == 12
    assert polars.scan_parquet(str(out / "data/*.parquet")).filter(polars.col("waypoint") == 2).collect().height == 12
    meta = pq.ParquetFile(out / "data/train-00000-of-00003.parquet").metadata.row_group(0)
    statistics = {meta.column(i).path_in_schema: meta.column(i).is_stats_set for i in range(meta.num_columns)}
    assert statistics["change_pixels"] and not statistics["image.bytes"]
    card = (out / "README.md").read_text()
    assert "36 images of 8 × 8" in card and "| length | 12 |" in card and "Apache-2.0" in card
    assert Image.open(out / "sheet.jpg").size == (6 * (2 * 128 + 8) + 8, 2 * (128 + 28) + 8)
    assert here("run", "out/recipe.toml", "-o", "again", "--trust", "-q")[0] == 0


def test_a_shard_has_the_same_bytes_whoever_makes_it(here: Here, place: Path, engine: Inline) -> None:
    assert here(*WORDS, "-o", "peace")[0] == 0
    for part in ("2/3", "3/3", "1/3"):
        assert here(*WORDS, "-o", "parts", "--shard", part)[0] == 0
    assert sums(place / "peace") == sums(place / "parts")
    assert "**Unfinished" not in (place / "parts/README.md").read_text()
    cut, flipped, gone = sorted((place / "parts/data").iterdir())
    cut.write_bytes(cut.read_bytes()[:-7])
    gone.unlink()
    (place / "parts/shards/.00000-default-1").write_bytes(b"left by a maker that was killed")
    err = here(*WORDS, "-o", "parts")[1]
    assert "shard 0 is made again" in err and "bytes, not" in err and "is missing" in err
    assert not list((place / "parts/shards").glob(".*")), "nothing is left behind"
    damaged = bytearray(flipped.read_bytes())
    damaged[len(damaged) // 3] ^= 4
    flipped.write_bytes(damaged)
    assert "as far as it was asked for" in here(*WORDS, "-o", "parts")[1], "only --check reads every byte"
    assert "is not as it was written" in here(*WORDS, "-o", "parts", "--check")[1]
    pairs = place / "parts/pairs/train-00000-of-00003.parquet"
    damaged = bytearray(pairs.read_bytes())
    damaged[damaged.index(b"IDAT") + 9] ^= 4
    pairs.write_bytes(damaged)
    code, err = here(*WORDS, "-o", "parts")
    assert code == 4 and "pairs/train-00000-of-00003.parquet is damaged: the same command with --check" in err
    assert "is not as it was written" in here(*WORDS, "-o", "parts", "--check")[1]
    record = place / "parts/shards/00001.json"
    for text in (
        "{",
        "[]",
        record.read_text().replace('"bytes"', '"bytfs"'),
        record.read_text().replace('"seeds": 2', '"seeds": 3'),
    ):
        record.write_text(text)
        assert "shards/00001.json is damaged" in here(*WORDS, "-o", "parts")[1]
    assert sums(place / "peace") == sums(place / "parts")


def test_another_data_set_is_refused_with_what_differs(here: Here, place: Path, engine: Inline) -> None:
    assert here(*WORDS, "-o", "out")[0] == 0
    kept = sums(place / "out")
    code, err = here(*WORDS, "-o", "out", "--steps", "3", "--image", "webp")
    assert code == 4 and "steps is 2 there and 3 here" in err and "picture is 'png' there and 'webp' here" in err
    assert "shard is 2 there" in here(*[*WORDS, "--shard-seeds", "3"], "-o", "out")[1]
    (place / "other").mkdir()
    (place / "other/thesis.tex").write_text("mine")
    assert "is not empty" in here(*WORDS, "-o", "other")[1]
    (place / "my_generator.py").write_text((place / "my_generator.py").read_text() + "\n# changed\n")
    code, err = here(*WORDS, "-o", "out")
    assert code == 2 and "my_generator.py has changed" in err and sums(place / "out") == kept
    (place / "out/dataset.json").write_text("{}")
    assert here(*WORDS, "-o", "out")[0] == 4


def test_a_shard_that_fails_is_made_with_less_or_given_up(here: Here, place: Path, engine: Inline) -> None:
    def fail(task: Task) -> None:
        if task.index == 1 and task.batch > 2:
            raise MemoryError("no room")
        if task.index == 2:
            raise RuntimeError("a feature's own mistake")

    engine.before = fail
    code, err = here(*WORDS, "-o", "out")
    assert code == 1 and "shard 2 (seeds 4 to 5) given up: RuntimeError: a feature's own mistake" in err
    assert "shard 1 (seeds 2 to 3) failed and is made again, 2 rows at once" in err
    assert sorted(one.name for one in (place / "out/data").iterdir()) == [
        f"train-{n:05d}-of-00003.parquet" for n in (0, 1)
    ]
    assert json.loads((place / "out/shards/00001.json").read_text())["batch"] == 2
    assert "**Unfinished: 2 of 3 shards.**" in (place / "out/README.md").read_text()
    engine.before = lambda task: None
    assert here(*WORDS, "-o", "out")[0] == 0 and len(sums(place / "out")) == 6


def test_filters_count_what_they_drop(here: Here, place: Path, engine: Inline) -> None:
    few = [*WORDS, "--per-seed", "1", "--accept", "luminance<1e-9"]
    assert here(*few, "-o", "none")[0] == 0
    assert "| luminance not below 1e-09 | 12 |" in (place / "none/README.md").read_text()
    assert len(pandas.read_parquet(place / "none/pairs")) == 0
    shutil.copy(place / "none/pairs/train-00000-of-00003.parquet", place / "none.parquet")
    assert here(*WORDS, "-o", "all")[0] == 0
    shutil.move(place / "none.parquet", place / "all/pairs/train-00000-of-00003.parquet")
    for streaming in (False, True):
        more = {"streaming": streaming, "verification_mode": "no_checks"}  # the card counts the rows that were there
        rows = datasets.load_dataset(str(place / "all"), "pairs", split="train", **more)
        assert len(list(rows)) == 8, "a shard without rows stands in the way of no other"
    rest = ["--to", "0.1", "--reached", "--no-suspect", "--accept", "~luminance < 9", "--per-seed", "1", "--balance"]
    assert here(*WORDS, *rest, "-o", "some")[0] == 0
    tallies = [json.loads(file.read_text())["tally"] for file in sorted((place / "some/shards").iterdir())]
    dropped = {reason for tally in tallies for reason in tally["dropped"]}
    assert {"over the number for each seed", "out of balance"} <= dropped, "the first of each seed is 1+"
    assert sum(tally["kept"] + sum(tally["dropped"].values()) for tally in tallies) == 12
    assert "judge_luminance" in (place / "some/README.md").read_text(), "an accepted feature becomes a judge"


def test_tar_shards_and_remote_folders(here: Here, place: Path, engine: Inline) -> None:
    address = f"memory://{place.name}"
    for out in (address, "local"):
        assert here(*WORDS, "-o", out, "--format", "webdataset", "--image", "jpeg", "--quality", "95")[0] == 0
    fs = fsspec.filesystem("memory")
    for name in sums(place / "local"):
        assert fs.cat_file(f"/{place.name}/{name}") == (place / "local" / name).read_bytes()
    samples = list(webdataset.WebDataset(str(place / "local/data/train-00000-of-00003.tar"), shardshuffle=False))
    assert [one["__key__"] for one in samples[:2]] == ["seed0-1+-000", "seed0-1+-001"]
    assert Image.open(io.BytesIO(samples[0]["jpg"])).size == (8, 8) and len(samples) == 12
    assert json.loads(samples[0]["json"])["change_pixels"] == 0
    pairs = webdataset.WebDataset(str(place / "local/pairs/train-00002-of-00003.tar"), shardshuffle=False)
    assert {"before.jpg", "after.jpg", "json"} <= set(next(iter(pairs)))
    rows = datasets.load_dataset(str(place / "local"), "pairs", split="train")
    assert len(rows) == 12 and rows[0]["after.jpg"].size == (8, 8)
    fs.rm_file(f"/{place.name}/data/train-00001-of-00003.tar")
    assert (
        "is missing" in here(*WORDS, "-o", address, "--format", "webdataset", "--image", "jpeg", "--quality", "95")[1]
    )
    assert fs.exists(f"/{place.name}/data/train-00001-of-00003.tar") and fs.exists(f"/{place.name}/sheet.jpg")


def test_shards_of_which_nothing_is_kept_hinder_no_reader(here: Here, place: Path, engine: Inline) -> None:
    words = [*WORDS[:6], *WORDS[8:-1], "1", "--format", "webdataset"]
    assert here(*words, "--seeds", "0-2", "-o", "out")[0] == 0
    tars = [str(place / f"out/pairs/train-0000{n}-of-00003.tar") for n in range(3)]
    ends = [json.loads(one["json"]) for one in webdataset.WebDataset(tars, shardshuffle=False)]
    least = {seed: min(one["change_pixels"] for one in ends if one["seed"] == seed) for seed in range(3)}
    most, other = max(least, key=least.__getitem__), min(least, key=least.__getitem__)
    limit = f"pixels < {(least[most] + least[other]) / 2}"
    assert here(*words, "--seeds", f"{most}", "--seeds", f"{other}", "--accept", limit, "-o", "some")[0] == 0
    with pytest.raises(ValueError, match="No samples"):
        next(iter(webdataset.WebDataset(str(place / "some/data/train-00000-of-00002.tar"), shardshuffle=False)))
    paths = len(datasets.load_dataset(str(place / "some"), "pairs", split="train"))
    assert paths and len(datasets.load_dataset(str(place / "some"), "default", split="train")) == 3 * paths
    code, err = here(*words, "--seeds", "0", "--accept", "pixels < 1e-9", "-o", "none")
    assert code == 0 and "no path was kept" in err and "bytes an image" not in (place / "none/README.md").read_text()


def test_a_runs_folder_is_its_recipe_and_a_lost_one_is_written_again(here: Here, place: Path, engine: Inline) -> None:
    assert here("walk", *WORDS[1:6], "--paths", "2", "--steps", "1", "-o", "run")[0] == 0
    assert here("dataset", "run", "--trust", "--seeds", "0-1", "-o", "out")[0] == 0
    recipe = (place / "out/recipe.toml").read_bytes()
    (place / "out/recipe.toml").unlink()
    assert here("dataset", "run", "--trust", "--seeds", "0-1", "-o", "out")[0] == 0
    assert (place / "out/recipe.toml").read_bytes() == recipe and b"steps = 1" in recipe


def test_a_full_disk_stops_everything_and_says_so(here: Here, place: Path, engine: Inline, monkeypatch) -> None:
    replace = os.replace

    def full(source, target):
        if "00001-of" in str(target):
            raise OSError(28, "No space left on device")
        replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr("eigenwalk_dataset.folder.os.replace", full)
        code, err = here(*WORDS, "-o", "out")
    assert code == 4 and "the disk is full; the same command goes on" in err
    assert here(*WORDS, "-o", "out")[0] == 0 and len(sums(place / "out")) == 6


def test_two_drivers_share_one_folder(here: Here, place: Path, engine: Inline) -> None:
    assert here(*WORDS, "-o", "out", "--shard", "1/3")[0] == 0
    folder = Folder(str(place / "out"))
    plan = Plan.parse((place / "out/dataset.json").read_text(), "")
    assert folder.begin(plan) == plan, "a plan that is there counts"
    with folder.claim(1) as mine, folder.claim(1) as again:
        assert mine and not again
    waited = []

    def meanwhile(task: Task) -> None:
        if task.index == 1 and not waited:
            waited.append(folder.claim(1))
            waited[0].__enter__()
        elif waited and task.index != 1:
            waited[0].__exit__(None, None, None)

    engine.before = meanwhile
    assert here(*WORDS, "-o", "out")[0] == 0
    assert [task.index for task in engine.tasks] == [0, 1, 2, 1], "the claimed shard is looked at again, and only then"


def test_a_shard_that_is_removed_meanwhile_is_made_again(here: Here, place: Path, engine: Inline) -> None:
    def remove(task: Task) -> None:
        if task.index == 2:
            (place / "out/data/train-00000-of-00003.parquet").unlink(missing_ok=True)

    engine.before = remove
    code, err = here(*WORDS, "-o", "out")
    assert code == 0 and "shard 0 is made again" in err and [task.index for task in engine.tasks] == [0, 1, 2, 0]
    assert len(sums(place / "out")) == 6 and "Unfinished" not in (place / "out/README.md").read_text()


def test_a_data_set_that_is_stopped_can_be_opened(here: Here, place: Path, engine: Inline) -> None:
    def stop(task: Task) -> None:
        if task.index == 2:
            raise KeyboardInterrupt

    def rows(name: str) -> int:
        return len(datasets.load_dataset(str(place / "out"), name, split="train"))

    engine.before = stop
    code, err = here(*WORDS, "-o", "out")
    assert code == 130 and "the same command goes on" in err
    assert "**Unfinished: 2 of 3 shards.**" in (place / "out/README.md").read_text()
    assert (rows("default"), rows("pairs")) == (24, 8)
    engine.before = lambda task: None
    assert here(*WORDS, "-o", "out")[0] == 0
    assert (rows("default"), rows("pairs")) == (36, 12), "not what the library had kept of the unfinished one"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["dataset", "faces", "--vary", "pixels", "-o", "out"], "name the seeds to walk from with --seeds"),
        ([*WORDS], "name the folder of the data set with --out"),
        ([*WORDS, "-o", "out", "--seeds", "3"], "names seed 3 twice"),
        ([*WORDS, "-o", "out", "--shard", "0/3"], "--shard takes a part such as 1/16"),
        ([*WORDS, "-o", "out", "--accept", "pixels"], "--accept takes a feature and a limit"),
        ([*WORDS, "-o", "no-such-protocol://out"], "cannot be opened"),
        (["dataset", "recipe.toml", "-o", "out"], "cannot read the recipe"),
        ([*WORDS, "-o", "out", "--address", "auto"], "give --engine ray with it"),
    ],
)
def test_wrong_words_are_explained(here: Here, engine: Inline, words, said) -> None:
    code, err = here(*words)
    assert code in (2, 4) and said in err and "Traceback" not in err


def test_a_dry_run_writes_nothing(here: Here, place: Path, engine: Inline, capfd) -> None:
    with pytest.raises(SystemExit) as end:
        eigenwalk.cli.main([*WORDS, "-o", "out", "--dry-run"])  # type: ignore[attr-defined]
    said = capfd.readouterr().out
    assert end.value.code == 0 and "36 on 12 paths" in said and "6 in 3 shards" in said
    assert not (place / "out").exists()
