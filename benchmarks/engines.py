"""The same data set made by one local worker, by two, and by two actors of Ray, on an idle machine.

    python benchmarks/engines.py faces --fix faces.identity --vary "faces.attribute(hair_length)" --to 0.8 --seeds 96

Three minutes each, or less, after two in which the first shard is made with a clock at every pass. "Over the passes" is
what the workers' time comes to, of that of the passes alone: as CPU time, and as wall time from the first shard's
beginning to the last one's end, times the workers.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from calendar import timegm
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from dataset import PASSES, arguments, profile

EVERY = 0.5
"""Seconds between two looks at the processes."""
ENGINES = (("local", 1), ("local", 2), ("ray", 2))


class Watched:
    """A command and all that it starts: CPU seconds, and the most memory of each kind of process."""

    def __init__(self, words: list[str]):
        began, self.cpu, self.memory = time.monotonic(), dict[int, float](), dict[str, float]()
        self.worker = dict[int, float]()
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None:
            self._look(process.pid)
            time.sleep(EVERY)
        self.wall = time.monotonic() - began
        if process.returncode:
            raise SystemExit(f"{' '.join(words)} ended with {process.returncode}")

    def _look(self, pid: int) -> None:
        sums = dict.fromkeys(("driver", "others"), 0.0)
        for one in _family(pid):
            with suppress(psutil.NoSuchProcess):
                words, memory = " ".join(one.cmdline()), one.memory_info().rss
                self.cpu[one.pid] = sum(one.cpu_times()[:2])
                if "spawn_main" in words or words.startswith("ray::Worker"):
                    self.worker[one.pid] = max(memory, self.worker.get(one.pid, 0))
                else:
                    sums["driver" if one.pid == pid else "others"] += memory
        for kind, memory in sums.items():
            self.memory[kind] = max(memory, self.memory.get(kind, 0))


def _family(pid: int) -> Iterator[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(pid)
        yield parent
        yield from parent.children(recursive=True)


def run(given: argparse.Namespace, engine: str, workers: int, alone: float) -> str:
    """Make the data set; return a row of the table. `alone` is the CPU time of one pass."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(given.keep or folder, f"{engine}-{workers}")
        words = [sys.executable, "-c", "from eigenwalk.cli import main; main()", "dataset", given.generator]
        for name in ("fix", "vary", "judge"):
            words += [word for one in getattr(given, name) for word in (f"--{name}", one)]
        words += ["--to", str(given.to), "--seeds", f"0-{given.seeds - 1}", "--shard-seeds", str(given.shard_seeds)]
        words += ["--memory", given.memory, "--engine", engine, "--workers", str(workers), "-q", "-o", str(out)]
        seen = Watched(words)
        records = [json.loads(file.read_text()) for file in (out / "shards").glob("[0-9]*.json")]
    made = [record["made"] for record in records]
    starts = [timegm(time.strptime(one["time"], "%Y-%m-%dT%H:%M:%SZ")) for one in made]
    span = max(a + one["seconds"] for a, one in zip(starts, made, strict=True)) - min(starts)
    images, passes = (sum(record["tally"][key] for record in records) for key in ("images", "passes"))
    inside, whole = sum(one["cpu_seconds"] for one in made), sum(seen.cpu.values())
    cells = [engine, workers, f"{seen.wall:.0f}", f"{images / span:.1f}", f"{inside:.0f}", f"{whole:.0f}"]
    cells += [f"{inside / (passes * alone) - 1:.1%}", f"{workers * span / (passes * alone) - 1:.1%}"]
    cells += [f"{max(seen.worker.values()) / 1e9:.2f}", *(f"{seen.memory[one] / 1e9:.2f}" for one in seen.memory)]
    return f"| {' | '.join(map(str, cells))} |"


def main() -> None:
    """Print a table."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--shard-seeds", type=int, default=8)
    parser.add_argument("--keep", help="a new folder for the data sets, which are removed otherwise")
    given = parser.parse_args()
    seconds, record, _ = profile(given, given.shard_seeds)
    alone = sum(seconds[name] for name in PASSES) / record.tally["passes"]
    print(f"a pass alone takes {1e3 * alone:.2f} ms of CPU time; {given.seeds} seeds\n")
    names = ["engine", "workers", "seconds", "images a second", "CPU s in shards", "CPU s in all"]
    names += ["over the passes, CPU", "over the passes, wall", "GB a worker", "GB of the driver", "GB of others"]
    print(f"| {' | '.join(names)} |\n|{'---|' * len(names)}", flush=True)
    for engine, workers in ENGINES:
        print(run(given, engine, workers, alone), flush=True)


if __name__ == "__main__":
    main()
