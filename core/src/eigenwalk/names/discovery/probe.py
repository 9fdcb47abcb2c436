"""Plugins asked in a process of their own, where they may hang, end or run wild without harm to this one."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from eigenwalk.names.discovery import answers
from eigenwalk.names.discovery.plugin import Plugin, ask
from eigenwalk.names.discovery.source import Failure, Source

TIMEOUT = 30.0
"""Seconds that a plugin may take to be imported and to answer."""
PATIENCE = 3.0
"""Seconds after which whoever waits is told for which plugin."""
HEAVY = (
    *("torch", "torchvision", "torchaudio", "timm", "transformers", "diffusers", "facenet_pytorch", "segment_anything"),
    *("tensorflow", "jax", "keras", "onnxruntime", "mediapipe", "dlib", "cv2", "PIL", "skimage", "matplotlib"),
    *("numpy", "scipy", "pandas", "sklearn", "pydantic"),
)
"""What no plugin's entry module needs, and what takes long to import."""
CODE = """
import json, sys
given = json.load(sys.stdin)
sys.path[:] = given["path"]
from eigenwalk.names.discovery.probe import answer_all
answer_all(given["sources"])
"""


@dataclass(frozen=True)
class Probe:
    """What the plugin of `source` did when it was asked; `row` is that as plain data, as `answers` keeps it.

    `seconds`, that its import took, is None where it did not come back; `heavy` are the large packages that its import
    brought.
    """

    source: Source
    row: dict[str, Any]
    plugin: Plugin | None
    failures: list[Failure]
    seconds: float | None
    heavy: list[str]

    @classmethod
    def of(cls, source: Source, row: dict[str, Any]) -> Self:
        """Return the probe that `row` describes."""
        return cls(source, row, *answers.decode_row(source, row), row.get("seconds"), row.get("heavy", []))


def ask_apart(
    sources: Sequence[Source], timeout: float = TIMEOUT, notify: Callable[[Source], None] = lambda source: None
) -> Iterator[Probe]:
    """Ask installed plugins one after the other in another process; go on in a new one where it hangs or ends.

    `notify` is called with a plugin that keeps others waiting.
    """
    waiting = list(sources)
    while waiting:
        with _child(waiting) as (process, lines, errors):
            start = 0  # of what the next plugin complains, in the file `errors`
            while waiting:
                source = waiting.pop(0)
                try:
                    line = _next(lines, timeout, lambda source=source: notify(source))
                    died = "" if line else _ending(process)
                    if line:
                        start, row = json.loads(line)
                        yield Probe.of(source, row)
                        continue
                except queue.Empty:
                    died = f"it did not answer within {timeout:g} s"
                except (ValueError, TypeError, KeyError):
                    died = "it wrote where only answers go"
                died += _last_line(errors, start)
                yield Probe.of(source, answers.failed_row(source, died))
                break


@contextmanager
def _child(
    sources: Sequence[Source],
) -> Iterator[tuple[subprocess.Popen[str], queue.SimpleQueue[str], IO[bytes]]]:
    """Start a process that asks `sources`; yield it with its lines, "" at their end, and what it complained of."""
    rows = [[s.plugin, s.value, s.distribution, s.version, str(s.info) if s.info else None] for s in sources]
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read(stream: IO[str]) -> None:
        for line in stream:
            lines.put(line)
        lines.put("")

    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", CODE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )
        assert process.stdin and process.stdout
        try:
            with suppress(BrokenPipeError), process.stdin as stdin:
                json.dump({"path": sys.path, "sources": rows}, stdin)
            threading.Thread(target=read, args=(process.stdout,), daemon=True).start()
            yield process, lines, errors
        finally:
            with suppress(OSError, AttributeError):  # and whatever it started
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            process.wait()


def _next(lines: queue.SimpleQueue[str], timeout: float, notify: Callable[[], None]) -> str:
    """Return the next line, or "" at the end.

    Raises:
        queue.Empty: none came in time.
    """
    first = min(PATIENCE, timeout)
    try:
        return lines.get(timeout=first)
    except queue.Empty:
        notify()
    return lines.get(timeout=timeout - first)


def _ending(process: subprocess.Popen[str]) -> str:
    try:
        code = process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        return "it closed what answers go through"
    if code >= 0:
        return f"it ended the process, with exit code {code}"
    names = {one.value: one.name for one in signal.Signals}
    return f"it ended the process, by {names.get(-code, f'signal {-code}')}"


def _last_line(errors: IO[bytes], start: int) -> str:
    errors.seek(start)
    lines = errors.read().decode("utf-8", "replace").strip().splitlines()
    return f": {lines[-1]}" if lines else ""


def answer_all(rows: Sequence[Sequence[Any]]) -> None:
    """Ask the plugins of `rows`, and write a line of JSON for each with how long standard error has become by then."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # plugins may print what they like
    for plugin, value, distribution, version, info in rows:
        source = Source.of(plugin, value, distribution, version, Path(info) if info else None)
        row = _answer(source)
        print(json.dumps([os.fstat(2).st_size, row]), file=out, flush=True)
    os._exit(0)  # without waiting for threads that imports left behind


def _answer(source: Source) -> dict[str, Any]:
    before, start = set(sys.modules), time.perf_counter()
    try:
        plugin, failures = ask(source)
    except BaseException as error:  # a KeyboardInterrupt too: here nobody presses Ctrl-C
        plugin, failures = None, [source.failure("import", error)]
    seconds = time.perf_counter() - start
    heavy = [name for name in HEAVY if name in sys.modules and name not in before]
    return {**answers.encode_row(source, plugin, failures, before), "seconds": seconds, "heavy": heavy}
