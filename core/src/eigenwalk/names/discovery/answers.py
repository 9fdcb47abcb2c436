"""What plugins answered, remembered: each is asked once in another process, and again only after it has changed.

So a plugin that hangs, ends the process or prints costs one command that time, and its own names after that. One file
for each Python in the user's cache. An answer, or a failure, stands for as long as the metadata of the distribution and
the files that its import read are what they were; `eigenwalk doctor` asks everybody anew.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from eigenwalk import hookspecs, spec
from eigenwalk.names.discovery import coding
from eigenwalk.names.discovery.plugin import OLDEST, Answers, Plugin, ask
from eigenwalk.names.discovery.source import Failure, Source
from eigenwalk.store import cache_folder, write_whole

METADATA = ("entry_points.txt", "RECORD", "direct_url.json")
VOLATILE = "eigenwalk_volatile"
"""A plugin's module that sets this true is asked every time: its answers depend on more than its code."""
MODULES = 1000
"""Python files of a plugin that failed, of which a change has it asked again."""

Stamp = tuple[str, int, int]
"""A file, its time in nanoseconds and its size; 0 and -1 where there is none."""
Row = dict[str, Any]
"""The answers of one plugin as JSON has them; without specs they cannot be kept, and it is asked every time."""


def ask_all(sources: Iterable[Source]) -> tuple[list[Plugin], list[Failure]]:
    """Return the plugins of `sources` with their answers, remembered or given now, and the failures met."""
    memory = Memory.read()
    rows = {source: memory.row(source) for source in sources}
    unknown = [source for source, row in rows.items() if source.info and row is None]
    if unknown and sys.executable:
        from eigenwalk.names.discovery import probe  # what starts processes is imported only when needed

        with suppress(OSError):  # no process can be started: they are asked in this one
            for told in probe.ask_apart(unknown, probe.TIMEOUT, _notify):
                rows[told.source] = told.row
                memory.keep(told.source, told.row)
    plugins: list[Plugin] = []
    failures: list[Failure] = []
    for source, row in rows.items():
        plugin, met = decode_row(source, row) if row and row["specs"] is not None else ask(source)
        plugins += [plugin] if plugin else []
        failures += met
    memory.write()
    return plugins, failures


def _notify(source: Source) -> None:
    print(f"waiting for plugin {source.plugin}: --without {source.plugin} leaves it out", file=sys.stderr, flush=True)


@dataclass
class Memory:
    """The rows in `file`, by plugin; `write` saves them if any is new."""

    file: Path
    rows: dict[str, Row] = field(default_factory=dict)
    changed: bool = False

    @classmethod
    def read(cls) -> Memory:
        """Read what is remembered for this Python and this version of the contracts."""
        contracts = (spec, hookspecs, coding, sys.modules[__name__])
        told = [sys.prefix, sys.version, spec.API, OLDEST, *(_stamp(str(module.__file__)) for module in contracts)]
        file = cache_folder() / "plugins" / f"{hashlib.sha256(json.dumps(told).encode()).hexdigest()[:32]}.json"
        rows: Any = {}
        with suppress(OSError, ValueError):
            rows = json.loads(file.read_text(encoding="utf-8"))
        return cls(file, rows if isinstance(rows, dict) else {})

    def row(self, source: Source) -> Row | None:
        """Return what `source` answered before, if none of its files has changed since."""
        row = self.rows.get(_key(source))
        with suppress(TypeError, ValueError, KeyError, AttributeError, IndexError):  # another version's, or damaged
            if row and row.get("path", sys.path) == sys.path:
                decode_row(source, row)
                return row if all(_stamp(stamp[0]) == tuple(stamp) for stamp in row["files"]) else None
        return None

    def answers(self, source: Source) -> Answers:
        """Return what is remembered of `source`; nothing is imported."""
        row = self.row(source)
        plugin = decode_row(source, row)[0] if row else None
        return plugin.answers if plugin else Answers()

    def keep(self, source: Source, row: Row) -> None:
        """Remember the `row` of `source`."""
        self.rows[_key(source)], self.changed = row, True

    def write(self) -> None:
        """Save the rows of distributions that are still here; a cache that cannot be written costs only time."""
        if self.changed:
            rows = {key: row for key, row in self.rows.items() if os.path.isdir(key.rpartition("\n")[2])}
            with suppress(OSError):
                self.file.parent.mkdir(parents=True, exist_ok=True)
                write_whole(self.file, json.dumps(rows))


def decode_row(source: Source, row: Row) -> tuple[Plugin | None, list[Failure]]:
    """Return the plugin and its failures that `row` describes.

    Raises:
        TypeError, ValueError, KeyError: it is no such row.
    """
    failures = [source.failure(stage, error, tuple(names)) for stage, error, names in row["failures"]]
    if row["purposes"] is None:
        return None, failures
    specs = {hook: tuple(map(coding.decode, told)) for hook, told in (row["specs"] or {}).items()}
    return Plugin(source, Answers(specs, row["purposes"])), failures


def encode_row(source: Source, plugin: Plugin | None, failures: Iterable[Failure], before: set[str]) -> Row:
    """Return the row of a plugin that was imported just now, when the modules `before` were there already."""
    row = failed_row(source, *failures) if failures else {"failures": [], "files": []}
    files, specs = _files_read(source, before), plugin.answers.specs if plugin else {}
    row["files"] += files or ()
    told: dict[str, Any] | None = None
    with suppress(TypeError, ValueError, KeyError):  # no plain data
        told = {hook: [coding.encode(one) for one in some] for hook, some in specs.items()}
        if files is None or any(tuple(map(coding.decode, told[hook])) != some for hook, some in specs.items()):
            told = None
    return row | {"purposes": dict(plugin.answers.purposes) if plugin else None, "specs": told}


def failed_row(source: Source, *failures: Failure | str) -> Row:
    """Return the row of a plugin that failed: it is asked again when any module of its or the path has changed."""
    met = [one if isinstance(one, Failure) else source.failure("import", one) for one in failures]
    told = [[one.stage, one.error, one.names] for one in met]
    files = [*_metadata(source), *map(_stamp, _modules(source)), *map(_stamp, sys.path)]
    return {"failures": told, "files": files, "path": sys.path, "purposes": None, "specs": {}}


def _key(source: Source) -> str:
    return "\n".join((source.distribution, source.version, source.plugin, source.value, str(source.info)))


def _stamp(file: str) -> Stamp:
    try:
        told = os.stat(file)
    except OSError:
        return file, 0, -1
    return file, told.st_mtime_ns, told.st_size


def _metadata(source: Source) -> Iterator[Stamp]:
    return (_stamp(str(source.info / name)) for name in METADATA) if source.info else iter(())


def _modules(source: Source) -> Iterator[str]:
    """The Python files of the plugin's top-level package, found without importing it."""
    with suppress(ImportError, ValueError, AttributeError):
        found = importlib.util.find_spec(source.value.partition(":")[0].partition(".")[0])
        for folder in found.submodule_search_locations or () if found else ():
            yield from (str(file) for file, _ in zip(sorted(Path(folder).rglob("*.py")), range(MODULES), strict=False))
        if found and found.origin:
            yield found.origin


def _files_read(source: Source, before: set[str]) -> list[Stamp] | None:
    """The files that the answers of `source` come from; None where they cannot be told."""
    module = source.value.partition(":")[0]
    if source.info is None or getattr(sys.modules.get(module), VOLATILE, False):
        return None
    top, files = module.partition(".")[0], []
    for name, found in list(sys.modules.items()):
        file = getattr(found, "__file__", None)
        if not isinstance(file, str):
            continue
        own = name.partition(".")[0] == top
        if own and not os.path.isfile(file):  # in an archive
            return None
        if own or (name not in before and not file.startswith(_installed_elsewhere())):
            files.append(_stamp(file))
    return [*_metadata(source), *files]


@cache
def _installed_elsewhere() -> tuple[str, ...]:
    """The folders of Python, of other distributions and of this core, which change with their version."""
    import sysconfig

    paths = (sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    return tuple({path + os.sep for path in (*paths, str(Path(spec.__file__).parent))})
