"""Write what a distribution offers, as JSON.

This file is run by itself, inside the environment that a row of an index is tried in, where eigenwalk-author is not.
"""

from __future__ import annotations

import json
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from eigenwalk.names.discovery import coding, entry_points
from eigenwalk.names.discovery.plugin import OFFERED
from eigenwalk.names.discovery.probe import ask_apart
from eigenwalk.names.index import normal_name


def main(distribution: str, answer: str) -> None:
    """Write to the file `answer` what `distribution` offers here; each plugin is asked in a process of its own."""
    sources, failures = entry_points()
    own = [source for source in sources if normal_name(source.distribution) == normal_name(distribution)]
    probes = list(ask_apart(own))
    failures = [one for one in failures if normal_name(one.distribution) == normal_name(distribution)]
    described: Any = metadata.metadata(distribution)  # a message: its protocol lacks `get` before Python 3.12
    specs: dict[str, list[Any]] = {hook: [] for hook in OFFERED}
    for one in probes:
        for hook, answered in (one.plugin.answers.specs if one.plugin else {}).items():
            specs[hook] += map(coding.encode, answered)
    Path(answer).write_text(
        json.dumps(
            {
                "version": metadata.version(distribution),
                "licence": described.get("License-Expression", ""),
                "plugins": len(probes),
                "heavy": sorted({name for one in probes for name in one.heavy}),
                "failures": [str(failure) for failure in (*failures, *(f for one in probes for f in one.failures))],
                "specs": specs,
            }
        ),
        encoding="utf-8",
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
