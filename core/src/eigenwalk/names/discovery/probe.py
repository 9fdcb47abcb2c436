"""One plugin asked in a process of its own, which may hang, end or run wild without harm to this one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from eigenwalk.names.discovery import coding
from eigenwalk.names.discovery.plugin import Answers, Plugin, asked
from eigenwalk.names.discovery.source import Failure, Source

TIMEOUT = 30.0
"""Seconds that a plugin may take to be imported and to answer."""
HEAVY = ("torch", "numpy", "tensorflow", "jax", "cv2", "PIL", "timm", "transformers", "diffusers")
"""What no plugin's entry module needs, and what takes longest to import."""


@dataclass(frozen=True)
class Probe:
    """What a plugin did when it was asked.

    Attributes:
        source: the plugin.
        plugin: with its answers, or None.
        failures: what went wrong.
        seconds: that its import took, or None where it did not come back.
        heavy: the large packages that its import brought.
        died: why it did not come back, or nothing.
    """

    source: Source
    plugin: Plugin | None = None
    failures: tuple[Failure, ...] = ()
    seconds: float | None = None
    heavy: tuple[str, ...] = ()
    died: str = ""


def probe(source: Source, timeout: float = TIMEOUT) -> Probe:
    """What `source`, an installed plugin, does when it is imported and asked in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="eigenwalk-probe-") as folder:
        out, errors = Path(folder, "answer.json"), Path(folder, "errors")
        info = str(source.info) if source.info else None
        given = [source.plugin, source.value, source.distribution, source.version, info, sys.path, str(out)]
        code = "import json, sys; given = json.loads(sys.argv[1]); sys.path[:] = given[5]; "
        code += "from eigenwalk.names.discovery.probe import answer; answer(*given[:5], given[6])"
        with open(errors, "wb") as stream:
            died = _run([sys.executable, "-c", code, json.dumps(given)], stream, timeout)
        try:
            told = json.loads(out.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            died = (died or "it ended the process") + _last_line(errors)
            return Probe(source, failures=(source.failure("import", died),), died=died)
    return _read(source, told)


def _run(command: list[str], errors: Any, timeout: float) -> str:
    """Why the process of `command` did not end by itself and well, or nothing."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, start_new_session=True
    )
    try:
        code = process.wait(timeout)
    except subprocess.TimeoutExpired:
        return f"it did not answer within {timeout:g} s"
    finally:
        with suppress(OSError, AttributeError):  # and whatever it started
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.wait()
    if code >= 0:
        return f"it ended the process, with exit code {code}"
    names = {one.value: one.name for one in signal.Signals}
    return f"it ended the process, by {names.get(-code, f'signal {-code}')}"


def _last_line(errors: Path) -> str:
    lines = errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return f": {lines[-1]}" if lines else ""


def answer(plugin: str, value: str, distribution: str, version: str, info: str | None, out: str) -> None:
    """Asks one plugin, and writes what it answered to the file `out`; run in a process of its own."""
    source = Source.of(plugin, value, distribution, version, Path(info) if info else None)
    before = set(sys.modules)
    start = time.perf_counter()
    found, failures = asked(source)
    seconds = time.perf_counter() - start
    told: dict[str, Any] = {
        "seconds": seconds,
        "heavy": [name for name in HEAVY if name in sys.modules and name not in before],
        "failures": [asdict(failure) for failure in failures],
        "specs": None,
    }
    if found:
        told["purposes"] = dict(found.answers.purposes)
        try:
            told["specs"] = {hook: list(map(coding.encoded, specs)) for hook, specs in found.answers.specs.items()}
        except TypeError as error:
            told["failures"].append(asdict(source.failure("reading its specs", error)))
    part = Path(out).with_suffix(".part")
    part.write_text(json.dumps(told), encoding="utf-8")
    os.replace(part, out)
    sys.stdout.flush()
    os._exit(0)  # threads that its import left behind are not waited for


def _read(source: Source, told: dict[str, Any]) -> Probe:
    plugin = None
    if told["specs"] is not None:
        specs = {hook: tuple(map(coding.decoded, one)) for hook, one in told["specs"].items()}
        plugin = Plugin(source, Answers(specs, told["purposes"]))
    failures = tuple(Failure(**{**one, "names": tuple(one["names"])}) for one in told["failures"])
    return Probe(source, plugin, failures, told["seconds"], tuple(told["heavy"]))
