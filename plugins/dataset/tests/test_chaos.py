"""Data sets made while processes are killed, files damaged and a disk filled, compared with one made in peace.

All of it is for `make test-hostile`; what is killed are processes that these tests started, by their ids.
"""

# ruff: noqa: F811
from __future__ import annotations

import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest
from test_dataset import sums

from command_line import place  # noqa: F401

pytestmark = [pytest.mark.hostile, pytest.mark.timeout(3600)]
KILLS = int(os.environ.get("CHAOS_KILLS", "50"))
SLOW = 0.05
"""Seconds that a call of the generator takes longer while there is chaos, so that kills meet shards half made."""
WORDS = ["dataset", "./my_generator.py:build", "--fix", "luminance", "--vary", "pixels", "--paths", "2", "--steps", "3"]
WORDS += ["--seeds", "0-59", "--shard-seeds", "2"]
SHARDS, PATIENCE = 30, 600.0


class Driver:
    """The command in a process of its own, begun again whenever it has ended, with its output in a file."""

    def __init__(self, place: Path, *words: str, slow: float = SLOW):
        self.place, self.words, self.log = place, words, place / f"{time.monotonic_ns()}.log"
        self.environment = {**os.environ, "SLOW": str(slow), "OMP_NUM_THREADS": "1"}
        self.environment["XDG_CACHE_HOME"] = str(place / ".cache")
        self.ends: Counter[int] = Counter()
        self.begin()

    def begin(self) -> None:
        """Start the command."""
        code = "import sys; from eigenwalk.cli import main; main(sys.argv[1:])"
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", code, *WORDS, *self.words],
                cwd=self.place,
                env=self.environment,
                stdout=log,
                stderr=log,
            )

    def keep_running(self) -> None:
        """Start the command again if it has ended."""
        if (code := self.process.poll()) is not None:
            self.ends[code] += 1
            self.begin()

    def kin(self) -> list[psutil.Process]:
        """Return the processes that the command has started, and they in turn."""
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self.process.pid).children(recursive=True)
        return []

    def finish(self) -> str:
        """Wait until the command ends well; return what it said."""
        code = self.process.wait(PATIENCE)
        said = self.log.read_text()
        assert code == 0, said[-3000:]
        return said


def make_in_peace(place: Path) -> Path:
    """Return the folder of a data set that nothing disturbed."""
    Driver(place, "-o", "peace", "--workers", "1", slow=0).finish()
    return place / "peace"


def damage(out: Path, chance: random.Random) -> str:
    """Cut a finished file, change a byte in it, remove it or its record, or break the record; return which."""
    files = sorted(file for part in ("data", "pairs", "shards") for file in (out / part).glob("[!.]*"))
    if not files:
        return "nothing to damage"
    file = chance.choice(files)
    data = bytearray(file.read_bytes())
    how = chance.choice(["cut", "byte", "gone"])
    if how == "cut":
        del data[len(data) // 2 :]
    if how == "byte":
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    if how == "gone":
        file.unlink()
    else:
        file.write_bytes(data)
    return f"{'record' if file.suffix == '.json' else 'file'} {how}"


def check_same(out: Path, peace: Path) -> int:
    """Check that two data sets are the same, byte by byte; return the number of their files.

    A shard whose worker had died three times is made in smaller batches and may differ in last digits: row by row then.
    """
    one, other = sums(out), sums(peace)
    assert one.keys() == other.keys()
    for name in one:
        if one[name] != other[name]:
            record = json.loads((out / "shards" / f"{name.split('-')[1]}.json").read_text())
            assert record["batch"] < json.loads((peace / "dataset.json").read_text())["measured"]["batch"], name
            a, b = (pq.read_table(folder / name).to_pylist() for folder in (out, peace))
            assert [r["path"] for r in a] == [r["path"] for r in b]
            assert all(r["moved"] == pytest.approx(s["moved"], rel=1e-3) for r, s in zip(a, b, strict=True))
    left = [str(file) for file in out.rglob(".*") if not file.name.endswith(".lock")]
    assert not left, "what a killed process had begun is removed"
    return len(one)


def kill_at_random(
    drivers: list[Driver], out: Path, kinds: Callable[[psutil.Process], str], pause: float, seed: int = 0
) -> Counter[str]:
    """Kill `KILLS` processes of the drivers, or these, one at a time, and damage finished files; return the counts.

    Every other kill waits until a shard more is done, so that there is something to lose.
    """
    chance, counts, killed = random.Random(seed), Counter[str](), 0
    while killed < KILLS:
        before, until = done(out), time.monotonic() + (PATIENCE if killed % 2 else 0)
        while done(out) <= before and time.monotonic() < until:
            time.sleep(0.2)
            for driver in drivers:
                driver.keep_running()
            if done(out) == SHARDS:  # there would be nothing left to do
                for _ in range(10):
                    counts[damage(out, chance)] += 1
                before = done(out)
        time.sleep(chance.expovariate(1 / pause))
        for driver in drivers:
            driver.keep_running()
        by_kind: dict[str, list[psutil.Process]] = {"driver": [psutil.Process(one.process.pid) for one in drivers]}
        for one in chain.from_iterable(driver.kin() for driver in drivers):
            with suppress(psutil.NoSuchProcess):
                if kind := kinds(one):
                    by_kind.setdefault(kind, []).append(one)
        kind = chance.choice(sorted(by_kind))
        victim = chance.choice(by_kind[kind])
        with suppress(psutil.NoSuchProcess):
            victim.send_signal(signal.SIGKILL)
            counts[kind] += 1
            killed += 1
        psutil.wait_procs([victim], 10)
        if killed % 5 == 0:
            counts[damage(out, chance)] += 1
    for driver in drivers:
        driver.keep_running()
    return counts


def done(out: Path) -> int:
    """Return how many shards have a record."""
    return len(list((out / "shards").glob("[0-9]*.json")))


def local_kind(process: psutil.Process) -> str:
    """Name a worker of the local engine; "" for what Python itself started."""
    return "worker" if any("spawn_main" in word for word in process.cmdline()) else ""


def ray_kind(process: psutil.Process) -> str:
    """Name a worker of Ray, its node process or its control store; "" for others."""
    words = " ".join(process.cmdline())
    if words.startswith("ray::"):
        return "worker"
    return next((name for name in ("raylet", "gcs_server") if f"/{name} " in f"{words} "), "")


def test_two_local_drivers_on_one_folder_killed_at_random(place: Path, capsys) -> None:
    peace, out = make_in_peace(place), place / "out"
    drivers = [Driver(place, "-o", "out", "--workers", "1", "--check") for _ in range(2)]
    counts = kill_at_random(drivers, out, local_kind, pause=3.0)
    stood = done(out)
    for driver in drivers:
        driver.finish()
    Driver(place, "-o", "out", "--workers", "1", "--check", slow=0).finish()
    files = check_same(out, peace)
    with capsys.disabled():
        print(f"\n{dict(counts)}; {stood} of {SHARDS} shards stood then; {files} files are the same in the end")


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
def test_a_driver_of_ray_killed_at_random(place: Path, capsys) -> None:
    peace, out = make_in_peace(place), place / "out"
    driver = Driver(place, "-o", "out", "--engine", "ray", "--workers", "2", "--check")
    counts = kill_at_random([driver], out, ray_kind, pause=3.0)
    stood = done(out)
    driver.process.wait(PATIENCE)
    Driver(place, "-o", "out", "--workers", "1", "--check", slow=0).finish()
    files = check_same(out, peace)
    with capsys.disabled():
        print(f"\n{dict(counts)}; drivers ended with {dict(driver.ends)}; {stood} of {SHARDS} shards stood then; ")
        print(f"{files} files are the same in the end")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB, less than the data set takes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip("only root may mount a file system")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_stops_the_command_and_more_room_lets_it_go_on(place: Path, small_disk: Path, capsys) -> None:
    peace, out = make_in_peace(place), small_disk / "out"
    full = Driver(place, "-o", str(out), "--workers", "1", slow=0)
    assert full.process.wait(PATIENCE) == 4
    said, stood = full.log.read_text(), done(out)
    assert "the disk is full" in said and "the same command goes on" in said and "Traceback" not in said
    assert 0 < stood < SHARDS
    again = Driver(place, "-o", str(out), "--workers", "1", slow=0)
    assert again.process.wait(PATIENCE) == 4 and done(out) >= stood, "it says so again, and loses nothing"
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    Driver(place, "-o", str(out), "--workers", "1", "--check", slow=0).finish()
    files = check_same(out, peace)
    with capsys.disabled():
        print(f"\nthe disk was full after {stood} of {SHARDS} shards; {files} files are the same in the end")
