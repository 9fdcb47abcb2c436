"""An index tried: every distribution installed into an environment of its own, and asked there what it offers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from eigenwalk.names.discovery import coding, entry_points
from eigenwalk.names.discovery.plugin import OFFERED
from eigenwalk.names.discovery.probe import ask_apart
from eigenwalk.names.discovery.source import ONLY, WITHOUT
from eigenwalk.names.index import Entry, Index, normal_name
from eigenwalk.names.installer import InstallerError, installer

TIMEOUT = 1800.0
"""Seconds that one installation may take."""


@dataclass(frozen=True)
class Trial:
    """How distributions are tried.

    `find_links` is a folder of wheels besides the index of packages. With `borrow` the environment sees what is
    installed here through a path file, and only the distribution itself is installed into it; otherwise all it needs.
    """

    find_links: Path | None = None
    borrow: bool = False

    def of(self, index: Index, out: Console) -> int:
        """How much is wrong with what `index` lists, which is printed as it is found."""
        by: dict[str, list[tuple[str, Entry]]] = {}
        for kind, entry in index.entries():
            by.setdefault(normal_name(entry.distribution), []).append((kind, entry))
        count = 0
        for rows in by.values():
            distribution = rows[0][1].distribution
            out.print(f"installing {distribution} into an environment of its own")
            try:
                told = self._tried(distribution, rows[0][1].checked)
                found = list(_compared(told, rows))
            except (InstallerError, subprocess.SubprocessError, OSError) as error:
                found = [f"it cannot be tried: {error}"]
            for text in found:
                out.print(Text.assemble((f"{distribution}: ", "red"), text))
            if not found:
                out.print(Text.assemble(("ok    ", "green"), f"{distribution}: {len(rows)} as listed"))
            count += len(found)
        return count

    def _tried(self, distribution: str, version: str) -> Mapping[str, Any]:
        """What the distribution says of itself in an environment that is removed afterwards."""
        with tempfile.TemporaryDirectory(prefix="eigenwalk-trial-") as folder:
            home = Path(folder, "env")
            venv.create(home, with_pip=False, symlinks=os.name != "nt")
            python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
            if self.borrow:
                base = {"base": str(home), "platbase": str(home)}
                site = Path(sysconfig.get_path("purelib", "venv", base))
                site.mkdir(parents=True, exist_ok=True)
                here = [path for path in sys.path if path and Path(path).is_dir()]
                lines = [f"import site; site.addsitedir({path!r})" for path in here]
                (site / "zz_borrowed.pth").write_text("\n".join(lines), encoding="utf-8")
            wanted = f"{distribution}=={version}" if version else distribution
            core = [] if self.borrow else [f"eigenwalk=={metadata.version('eigenwalk')}"]
            _run(self._install(python, [wanted, *core]))
            return json.loads(_run([str(python), "-c", TELL, distribution]))

    def _install(self, python: Path, wanted: Sequence[str]) -> list[str]:
        """The command that installs what is `wanted` into the environment of `python`."""
        program = installer()
        links = ["--find-links", str(self.find_links)] if self.find_links else []
        deps = ["--no-deps"] if self.borrow else []
        if program.name == "uv":
            again = ["--reinstall"] if self.borrow else []
            return [*program.words, "install", "--python", str(python), *again, *deps, *links, *wanted]
        # What is borrowed counts as installed: pip would leave it.
        again = ["--ignore-installed"] if self.borrow else []
        quiet = ["--quiet", "--disable-pip-version-check"]
        return [*program.words, "--python", str(python), "install", *quiet, *again, *deps, *links, *wanted]


TELL = "import sys; from eigenwalk_author.index_trial import tell; tell(sys.argv[1])"


def tell(distribution: str) -> None:
    """Prints as JSON what the installed `distribution` offers here, each plugin asked in a process of its own."""
    sources, failures = entry_points()
    own = [source for source in sources if normal_name(source.distribution) == normal_name(distribution)]
    probes = list(ask_apart(own))
    failures = [one for one in failures if normal_name(one.distribution) == normal_name(distribution)]
    said: Any = metadata.metadata(distribution)  # a message: its protocol lacks `get` before Python 3.12
    specs: dict[str, list[Any]] = {hook: [] for hook in OFFERED}
    for one in probes:
        for hook, answered in (one.plugin.answers.specs if one.plugin else {}).items():
            specs[hook] += map(coding.encode, answered)
    print(
        json.dumps(
            {
                "version": metadata.version(distribution),
                "licence": said.get("License-Expression", ""),
                "plugins": len(probes),
                "heavy": sorted({name for one in probes for name in one.heavy}),
                "failures": [str(failure) for failure in (*failures, *(f for one in probes for f in one.failures))],
                "specs": specs,
            }
        )
    )


def _compared(told: Mapping[str, Any], rows: Sequence[tuple[str, Entry]]) -> Iterator[str]:
    """What an installed distribution does not say as its `rows` do."""
    yield from told["failures"]
    if not told["plugins"]:
        yield "it has no entry point of group eigenwalk"
    if told["heavy"]:
        yield f"its entry module imports {', '.join(told['heavy'])}: declare specs without it"
    first = rows[0][1]
    if told["version"] != first.checked:
        yield f"version {told['version']} was installed, the index says that {first.checked or 'none'} was checked"
    if told["licence"] and told["licence"] != first.licence:
        yield f"its licence is {told['licence']}, the index says {first.licence}"
    offered = {
        (hook.removeprefix("eigenwalk_").removesuffix("s"), spec.name): spec
        for hook, specs in told["specs"].items()
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


def _run(command: Sequence[str]) -> str:
    """What `command` printed.

    Raises:
        InstallerError: it failed; with its last lines.
    """
    ours = {name: value for name, value in os.environ.items() if name not in (ONLY, WITHOUT, "PYTHONPATH")}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=ours, timeout=TIMEOUT)
    if done.returncode:
        last = "; ".join(done.stderr.strip().splitlines()[-2:])
        raise InstallerError(f"{Path(command[0]).name} ended with exit code {done.returncode}: {last}")
    return done.stdout
