"""How soon the studio shows something: seconds from Walk to the first new picture, between pictures, and its memory.

    python benchmarks/studio.py                            # one visitor cold and warm, three at once, 50 walks
    python benchmarks/studio.py faces --hold "faces.part(mouth)" --walks 0

Starts `eigenwalk studio` in an empty folder with an empty cache and calls it over HTTP as the page does: a picture
counts once its bytes have arrived. The walks' default settings are those of the page: 12 steps, 6 paths. Seconds are by
the clock, so the machine should be idle; beside them are the CPU seconds of the studio's process in the same time.
"""

from __future__ import annotations

import argparse
import html
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

THUMBNAIL = re.compile(r'data-picture="([^"]*thumbnail[^"]*)"')
COUNTS = (0, 10, 20, 50, 100, 200)
"""Walks after which memory is printed."""


@dataclass
class Visitor:
    """Somebody with the page open, and the times at which what a walk shows arrived."""

    address: str
    session: str | None = None
    component: int = 0
    html: str = ""
    version: int = -1
    began: float = 0.0
    coarse: float | None = None
    arrived: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=self.address.rstrip("/"), timeout=600)
        components = self.http.get("/config").json()["components"]
        self.component = next(one["id"] for one in components if one["type"] == "html")

    def call(self, name: str, /, **request: Any) -> Any:
        """Call one of the functions of the page."""
        body = {"data": {"session": self.session, **request}, "fn_name": name, "component_id": self.component}
        answer = self.http.post("/gradio_api/component_server", json={**body, "session_hash": "x"})
        answer.raise_for_status()
        return answer.json()

    def take(self, answer: dict[str, Any]) -> None:
        """Note what the page shows now."""
        self.session, self.version = answer["session"], answer["version"]
        self.html = answer["html"] or self.html

    def act(self, act: str, /, **request: Any) -> None:
        """Do what a button does."""
        self.take(self.call("act", act=act, **request))

    def walk(self, waypoints: int) -> None:
        """Press Walk, and fetch pictures until those of so many waypoints are there; then stop the walk."""
        self.began, self.coarse, self.arrived = time.perf_counter(), None, []
        seen: set[str] = set()
        self.act("walk")
        while len(self.arrived) < waypoints:
            fresh = [one for one in map(html.unescape, THUMBNAIL.findall(self.html)) if one not in seen]
            if fresh:
                seen |= self.call("pictures", ids=fresh[:24]).keys()
                self._note(seen)
                continue
            if 'role="alert">' in self.html.partition('class="work"')[2]:
                raise SystemExit("the walk failed: " + re.sub("<[^>]+>", "", self.html)[-2000:])
            self.take(self.call("follow", version=self.version))
        if waypoints < self.steps:
            self.act("stop")
        while not re.search(r"(stopped|finished)</span>", self.html.replace("\n", "")):
            self.take(self.call("follow", version=self.version))

    steps = 12

    def _note(self, seen: set[str]) -> None:
        shown = [re.match(r'\["(\w+)".*?, (\d+), "thumbnail"\]', one) for one in seen]
        now = time.perf_counter() - self.began
        if any(one and one[1] == "coarse" and int(one[2]) for one in shown):
            self.coarse = self.coarse or now
        furthest = max((int(one[2]) for one in shown if one and one[1] == "walk"), default=0)
        self.arrived += [now] * (furthest - len(self.arrived))

    @property
    def first(self) -> float:
        """Seconds to the first new picture."""
        return min(self.arrived[0], self.coarse or self.arrived[0])


@contextmanager
def studio(generator: str) -> Iterator[tuple[str, psutil.Process]]:
    """Run the command in a folder of its own, and yield its address and process."""
    with tempfile.TemporaryDirectory(prefix="eigenwalk-studio-") as folder:
        command = [sys.executable, "-c", "from eigenwalk.cli import main; main()", "studio", generator, "--no-browser"]
        cache = Path(folder) / "cache"
        environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
        process = subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        try:
            yield (
                next(found[0] for line in process.stderr if (found := re.search(r"http://\S+", line))),
                psutil.Process(process.pid),
            )
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def cpu(process: psutil.Process) -> float:
    """Return the CPU seconds of a process so far."""
    times = process.cpu_times()
    return times.user + times.system


def timed(process: psutil.Process, visitors: list[Visitor], waypoints: int) -> tuple[list[Visitor], float]:
    """Have all visitors walk at once; return them and the CPU seconds that the studio took."""
    before = cpu(process)
    threads = [threading.Thread(target=one.walk, args=(waypoints,)) for one in visitors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return visitors, cpu(process) - before


def row(what: str, visitors: list[Visitor], spent: float) -> str:
    """Return a row of the table: the visitors' first pictures, and the median time between waypoints."""
    between = [b - a for one in visitors for a, b in zip(one.arrived, one.arrived[1:], strict=False)]
    first = sorted(one.first for one in visitors)
    own = sorted(one.arrived[0] for one in visitors)
    said = [f"{times[0]:.2f}" + (f" to {times[-1]:.2f}" if len(times) > 1 else "") for times in (first, own)]
    return f"| {what} | {said[0]} | {said[1]} | {statistics.median(between):.2f} | {spent:.1f} |"


def main() -> None:
    """Print the two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("generator", nargs="?", default="rooms")
    parser.add_argument("--hold", default="rooms.part(sofa)")
    parser.add_argument("--waypoints", type=int, default=6, help="of a timed walk")
    parser.add_argument("--walks", type=int, default=50, help="after which memory is measured")
    given = parser.parse_args()
    with studio(given.generator) as (address, process):

        def visitor(seed: int) -> Visitor:
            one = Visitor(address)
            one.act("seed", value=seed)
            one.act("add", list="hold", value=given.hold.partition("(")[0])
            one.act("text", list="hold", index=0, value=given.hold)
            return one

        print("| visitors | first picture, s | first waypoint, s | between, s | CPU s |\n|---|---|---|---|---|")
        me = visitor(100)
        print(row("one, cold", *timed(process, [me], given.waypoints)), flush=True)
        for seed in (101, 102, 103):
            me.act("seed", value=seed)
            print(row("one, warm", *timed(process, [me], given.waypoints)), flush=True)
        three = [visitor(seed) for seed in (104, 105, 106)]
        print(row("three at once", *timed(process, three, given.waypoints)), flush=True)
        if not given.walks:
            return
        print("\n| walks | resident, MB | on disk, MB |\n|---|---|---|")
        me.act("setting", name="steps", value=3)
        me.steps = 3
        for count in range(given.walks + 1):
            if count:
                me.act("seed", value=1000 + count)
                me.walk(3)
                large = re.findall(r'class="(?:large|masks)" data-picture="([^"]*)"', me.html)
                me.call("pictures", ids=[html.unescape(one) for one in large])
            if count in COUNTS or count == given.walks:
                folder = Path(process.cwd())
                size = sum(one.stat().st_size for one in folder.rglob("*") if one.is_file())
                print(f"| {count} | {process.memory_info().rss / 1e6:.0f} | {size / 1e6:.0f} |", flush=True)


if __name__ == "__main__":
    main()
