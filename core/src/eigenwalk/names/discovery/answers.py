"""What plugins answered, remembered: a plugin that has not changed since is not imported to list its names.

One file for each Python path in the user's cache. An answer stands for as long as the metadata of its distribution and
every file of its own that the plugin's import read are what they were; a plugin that failed in any way is asked again.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from eigenwalk import hookspecs, spec
from eigenwalk.names.discovery import coding
from eigenwalk.names.discovery.plugin import OLDEST, Answers, Plugin, asked
from eigenwalk.names.discovery.source import Failure, Source
from eigenwalk.store import cache_folder

KEPT = 32
"""Files of answers, one a Python path, of which the oldest are removed."""
METADATA = ("entry_points.txt", "RECORD", "direct_url.json")
VOLATILE = "eigenwalk_volatile"
"""A plugin's module that sets this true is asked every time: its answers depend on more than its code."""

Stamp = tuple[str, int, int]
"""A file, its time in nanoseconds and its size; 0 and -1 where there is none."""


def answered(sources: Iterable[Source]) -> tuple[list[Plugin], list[Failure]]:
    """The plugins of `sources` with their answers, remembered or asked now, and the failures met."""
    memory = Memory.read()
    plugins: list[Plugin] = []
    failures: list[Failure] = []
    for source in sources:
        known = memory.recall(source)
        if known is None:
            plugin, met = _asked(source, memory)
            failures += met
            plugins += [plugin] if plugin else []
        else:
            plugins.append(Plugin(source, known))
    memory.write()
    return plugins, failures


def recalled(source: Source) -> Answers | None:
    """What is remembered of `source`; nothing is imported."""
    return Memory.read().recall(source)


def _asked(source: Source, memory: Memory) -> tuple[Plugin | None, list[Failure]]:
    if memory.fatal(source):
        from eigenwalk.names.discovery.probe import probe  # it starts a process, which is rarely needed

        told = probe(source)
        if told.died:
            return None, [source.failure("import", told.died)]
    before = set(sys.modules)
    with memory.trying(source):
        plugin, failures = asked(source)
    if plugin and not failures:
        memory.keep(source, plugin.answers, before)
    return plugin, failures


@dataclass
class Memory:
    """The answers in `file`, by plugin; `write` keeps what has changed."""

    file: Path
    rows: dict[str, Any] = field(default_factory=dict)
    used: dict[str, Any] = field(default_factory=dict)
    accused: frozenset[str] = frozenset()
    new: bool = False

    @classmethod
    def read(cls) -> Memory:
        """What is remembered for this Python, this path and this version of the contracts."""
        file = cache_folder() / "plugins" / f"{_environment()}.json"
        rows: Any = {}
        with suppress(OSError, ValueError):
            rows = json.loads(file.read_text(encoding="utf-8"))
        return cls(file, rows if isinstance(rows, dict) else {}, accused=frozenset(_accused(file)))

    def recall(self, source: Source) -> Answers | None:
        """What `source` answered before, where nothing of it has changed since."""
        key = _key(source)
        row = self.rows.get(key) if key else None
        try:
            if row is None or any(_stamp(Path(stamp[0])) != tuple(stamp) for stamp in row["files"]):
                return None
            specs = {hook: tuple(map(coding.decoded, told)) for hook, told in row["specs"].items()}
            answers = Answers(specs, dict(row["purposes"]))
        except (TypeError, ValueError, KeyError, AttributeError, IndexError):  # another version, or a damaged file
            return None
        self.used[key] = row
        return answers

    def keep(self, source: Source, answers: Answers, before: set[str]) -> None:
        """Remembers `answers` of `source`, whose import added to the modules `before`, if they are plain data."""
        key, files = _key(source), _read_by(source, before)
        if not key or not files:
            return
        try:
            told = {hook: [coding.encoded(one) for one in specs] for hook, specs in answers.specs.items()}
            if {hook: tuple(map(coding.decoded, one)) for hook, one in told.items()} != answers.specs:
                return
        except (TypeError, ValueError, KeyError):
            return
        self.used[key] = {"files": files, "specs": told, "purposes": dict(answers.purposes)}
        self.new = True

    def write(self) -> None:
        """Keeps what was recalled and what is new; a cache that cannot be written costs only time."""
        if not self.new:
            return
        with suppress(OSError):
            _put(self.file, json.dumps({**self.rows, **self.used}))
            others = sorted(self.file.parent.glob("*.json"), key=lambda file: file.stat().st_mtime_ns)
            for old in others[:-KEPT]:
                old.unlink(missing_ok=True)

    def fatal(self, source: Source) -> bool:
        """Whether a process that asked `source` ended there, as far as its note tells."""
        return _key(source) in self.accused

    @contextmanager
    def trying(self, source: Source) -> Iterator[None]:
        """Notes that this process now asks `source`; the note is left where the process ends there."""
        note, key = self.file.with_suffix(f".{os.getpid()}.trying"), _key(source)
        if key:
            with suppress(OSError):
                _put(note, key)
        try:
            yield
        finally:
            with suppress(OSError):
                note.unlink(missing_ok=True)


def acquit(source: Source) -> None:
    """Forgets that a process ended where it asked `source`."""
    file = Memory.read().file
    for note, key in _notes(file).items():
        if key == _key(source):
            with suppress(OSError):
                note.unlink(missing_ok=True)


def _accused(file: Path) -> Iterator[str]:
    """The plugins that a process was asking when it ended."""
    return (key for note, key in _notes(file).items() if not _alive(note.suffixes[-2][1:]))


def _notes(file: Path) -> Mapping[Path, str]:
    notes = {}
    with suppress(OSError):
        for note in file.parent.glob(f"{file.stem}.*.trying"):
            notes[note] = note.read_text(encoding="utf-8")
    return notes


def _alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (OSError, ValueError):
        return True
    return True


def _put(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, file)


def _environment() -> str:
    """What answers depend on beside the plugins: the Python, its path, and this core's contracts."""
    path = [os.getcwd() if entry == "" else entry for entry in sys.path]
    told = [sys.prefix, sys.version, path, spec.API, OLDEST, *(_stamp(Path(file)) for file in _contracts())]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:32]


def _contracts() -> tuple[str, ...]:
    return tuple(str(module.__file__) for module in (spec, hookspecs, coding, sys.modules[__name__]))


def _key(source: Source) -> str:
    """What tells a plugin from others, or nothing where it is not installed in a folder."""
    if source.info is None:
        return ""
    return "\n".join((source.distribution, source.version, source.plugin, source.value, str(source.info)))


def _stamp(file: Path) -> Stamp:
    try:
        told = os.stat(file)
    except OSError:
        return str(file), 0, -1
    return str(file), told.st_mtime_ns, told.st_size


def _read_by(source: Source, before: set[str]) -> list[Stamp]:
    """The files that the answers of `source` come from; none where they cannot be told."""
    module = source.value.partition(":")[0]
    if source.info is None or getattr(sys.modules.get(module), VOLATILE, False):
        return []
    top = module.partition(".")[0]
    files = []
    for name, found in list(sys.modules.items()):
        file = getattr(found, "__file__", None)
        if not file:
            continue
        own = name.partition(".")[0] == top
        if own and not os.path.isfile(file):  # in an archive
            return []
        if own or (name not in before and not _installed(file)):
            files.append(_stamp(Path(file)))
    return [*(_stamp(source.info / name) for name in METADATA), *files]


@cache
def _elsewhere() -> tuple[str, ...]:
    import sysconfig

    paths = sysconfig.get_paths()
    return tuple({paths[name] + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")})


def _installed(file: str) -> bool:
    """Whether `file` belongs to Python or to another distribution: those change with their version."""
    return file.startswith((*_elsewhere(), str(Path(spec.__file__).parent) + os.sep))
