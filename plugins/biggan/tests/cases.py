"""What the conformance kit checks of this package: small networks in the layouts of both formats."""

from __future__ import annotations

from functools import partial

import biggan_files

from eigenwalk.testing import Case

CASES = [
    Case(
        'biggan("{folder}/biggan-32.pth", label="2")',
        prepare=partial(biggan_files.write, "biggan-32"),
        kind="generator",
    ),
    Case(
        'biggan("{folder}/biggan-64-hier-standing.pth", label="3", space=embedding, base=3, eps=0.001)',
        prepare=partial(biggan_files.write, "biggan-64-hier-standing"),
        kind="generator",
    ),
    Case(
        'biggan("{folder}/hf-32-edge", label="1", space=both, truncation=0.4)',
        prepare=partial(biggan_files.write, "hf-32-edge"),
        kind="generator",
    ),
]
