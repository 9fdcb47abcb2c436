"""Workers in processes of their own, on this machine and on Ray: killed at any time, they lose and repeat nothing."""

# ruff: noqa: F811
from __future__ import annotations

import importlib.util
import json
import signal
import time
from pathlib import Path

import psutil
import pytest
from test_dataset import sums

from command_line import begin, place  # noqa: F401
from eigenwalk_dataset.schedule import WorkerLost, ask

WORDS = ["dataset", "./my_generator.py:build", "--fix", "luminance", "--vary", "pixels", "--paths", "2", "--steps", "2"]
WORDS += ["--seeds", "0-7", "--shard-seeds", "2"]
PATIENCE = 240.0


def wait_for(what, command) -> None:
    """Wait until `what()` is true, while the command runs."""
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert command.poll() is None and time.monotonic() < deadline, command.communicate()
        time.sleep(0.05)


def workers(command) -> list[psutil.Process]:
    """Return the command's workers that have begun."""
    children = psutil.Process(command.pid).children()
    return [one for one in children if any("spawn_main" in word for word in one.cmdline())]


def test_killed_workers_and_drivers_lose_and_repeat_nothing(place: Path) -> None:
    out = place / "out"
    killed = begin(place, *WORDS, "-o", "out", "--workers", "2", slow=0.05)
    wait_for(lambda: (out / "shards/00000.json").exists() or (out / "shards/00001.json").exists(), killed)
    victim = workers(killed)[-1]
    victim.send_signal(signal.SIGKILL)
    victim.wait(PATIENCE)
    left = workers(killed)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    psutil.wait_procs(left, PATIENCE)
    assert not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in left), "workers end with theirs"
    done = {file: file.stat().st_mtime_ns for file in (out / "shards").glob("*.json")}
    again = begin(place, *WORDS, "-o", "out", "--workers", "1")
    err = again.communicate(timeout=PATIENCE)[1]
    assert again.returncode == 0 and "shards   4 of 4" in err, err
    assert all(file.stat().st_mtime_ns == when for file, when in done.items()), "what was done is not made again"
    records = [json.loads(file.read_text()) for file in sorted((out / "shards").glob("*.json"))]
    assert {record["batch"] for record in records} == {4} and not list((out / "shards").glob(".*"))
    peace = begin(place, *WORDS, "-o", "peace", "--workers", "1")
    peace.communicate(timeout=PATIENCE)
    assert sums(out) == sums(place / "peace")


DYING = """
import os
from pathlib import Path

import my_generator


def build():
    deaths = Path("deaths")
    if (n := int(deaths.read_text())) > 0:
        deaths.write_text(str(n - 1))
        os.kill(os.getpid(), 9)
    return my_generator.build()
"""


def test_measuring_is_done_again_if_its_worker_is_killed(place: Path) -> None:
    (place / "dying.py").write_text(DYING)
    (place / "deaths").write_text("1")
    command = begin(place, "dataset", "./dying.py:build", *WORDS[2:], "-o", "out", "--workers", "1", "--dry-run")
    _, err = command.communicate(timeout=PATIENCE)
    assert command.returncode == 0 and (place / "deaths").read_text() == "0", err
    assert err.count("measuring failed and is done again: its worker was ended by SIGKILL") == 1, err


def test_measuring_is_given_up_where_three_workers_die() -> None:
    notes: list[str] = []

    def call(order: str) -> None:
        raise WorkerLost(f"no memory for {order}")

    with pytest.raises(WorkerLost, match="no memory for it"):
        ask(call, "it", notes.append)
    assert notes == ["measuring failed and is done again: no memory for it"] * 2


@pytest.mark.docs
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
def test_ray_makes_the_same_shards(place: Path) -> None:
    ray = begin(place, *WORDS, "-o", "ray", "--engine", "ray", "--workers", "2")
    err = ray.communicate(timeout=PATIENCE)[1]
    assert ray.returncode == 0 and "shards   4 of 4" in err, err
    peace = begin(place, *WORDS, "-o", "peace", "--workers", "1")
    peace.communicate(timeout=PATIENCE)
    assert sums(place / "ray") == sums(place / "peace")
