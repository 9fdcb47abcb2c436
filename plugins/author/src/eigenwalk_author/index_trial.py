"""Try an index: install every distribution into an environment of its own, and compare what it offers there."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from eigenwalk.errors import EigenwalkError
from eigenwalk.names.discovery import coding
from eigenwalk.names.index import Entry, Index, normal_name
from eigenwalk_author import index_probe
from eigenwalk_author.environment import Environment


@dataclass(frozen=True)
class Trial:
    """How distributions are tried.

    `find_links` is a folder of wheels besides the index of packages. With `borrow` the environment sees what is
    installed here through a path file, and only the distribution itself is installed into it; otherwise all it needs.
    """

    find_links: Path | None = None
    borrow: bool = False

    def print_faults(self, index: Index, out: Console) -> int:
        """Print what is wrong with the rows of `index`, and return how much that is."""
        by: dict[str, list[tuple[str, Entry]]] = {}
        for kind, entry in index.entries():
            by.setdefault(normal_name(entry.distribution), []).append((kind, entry))
        count = 0
        for rows in by.values():
            distribution = rows[0][1].distribution
            out.print(f"installing {distribution} into an environment of its own")
            try:
                faults = list(_differences(self._ask(distribution, rows[0][1].checked), rows))
            except (EigenwalkError, OSError) as error:
                faults = [f"it cannot be tried: {error}"]
            for text in faults:
                out.print(Text.assemble((f"{distribution}: ", "red"), text))
            if not faults:
                out.print(Text.assemble(("ok    ", "green"), f"{distribution}: {len(rows)} as listed"))
            count += len(faults)
        return count

    def _ask(self, distribution: str, version: str) -> Mapping[str, Any]:
        """Return what the distribution says of itself in an environment that is removed afterwards."""
        with tempfile.TemporaryDirectory(prefix="eigenwalk-trial-") as folder:
            environment = Environment(Path(folder, "env"), lambda line: None, self.borrow, self.find_links)
            if self.borrow:
                here = [path for path in sys.path if path and Path(path).is_dir()]
                environment.see(f"import site; site.addsitedir({path!r})" for path in here)
            wanted = f"{distribution}=={version}" if version else distribution
            environment.install(wanted, *([] if self.borrow else [f"eigenwalk=={metadata.version('eigenwalk')}"]))
            answer = Path(folder, "answer.json")
            environment.run("-I", index_probe.__file__, distribution, answer)
            return json.loads(answer.read_text(encoding="utf-8"))


def _differences(answer: Mapping[str, Any], rows: Sequence[tuple[str, Entry]]) -> Iterator[str]:
    """Yield where an installed distribution differs from its `rows`."""
    yield from answer["failures"]
    if not answer["plugins"]:
        yield "it has no entry point of group eigenwalk"
    if answer["heavy"]:
        yield f"its entry module imports {', '.join(answer['heavy'])}: declare specs without it"
    first = rows[0][1]
    if answer["version"] != first.checked:
        yield f"version {answer['version']} was installed, the index says that {first.checked or 'none'} was checked"
    if answer["licence"] and answer["licence"] != first.licence:
        yield f"its licence is {answer['licence']}, the index says {first.licence}"
    offered = {
        (hook.removeprefix("eigenwalk_").removesuffix("s"), spec.name): spec
        for hook, specs in answer["specs"].items()
        for spec in map(coding.decode, specs)
    }
    for kind, entry in rows:
        spec = offered.pop((kind, entry.name), None)
        if spec is None:
            yield f"it offers no {kind} {entry.name}"
            continue
        for field in ("summary", "kind", "unit", "api"):
            listed = getattr(entry, field)
            said = getattr(spec, field, listed if field == "api" else "")  # a command's spec has no version
            if said != listed:
                yield f"{field} of {kind} {entry.name} is {said!r}, the index says {listed!r}"
    for kind, name in offered:
        yield f"it offers {kind} {name}, which the index does not list"
