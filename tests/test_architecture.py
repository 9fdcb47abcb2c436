"""The layers of the design, checked by reading imports: a module imports only lower levels."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

ROWS = (
    ("errors", "shapes", "textfile", "sealed", "spec", "store", "generator", "chart", "direction", "feature", "path",
     "images", "checkpoint"),
    ("hookspecs",),
    ("names",),
    ("objects", "maths"),
    ("walk",),
    ("runs",),
    ("weights",),
    ("cli",),
    ("testing", "__main__", "__init__"),
)  # fmt: skip
"""Level by level; inside a level, a module may import those that stand before it in its row, and no other."""

LEVELS = {name: level for level, row in enumerate(ROWS) for name in row}
ORDER = [name for row in ROWS for name in row]
OPEN_TO_PLUGINS = {*ROWS[0], *ROWS[1]}
TOOLS = {"author", "dataset", "evaluate", "invert", "studio", "testing"}
"""Plugins that bring a command: they alone may import the whole of the core."""


def imports(file: Path, package: str) -> Iterator[tuple[int, str]]:
    """Line and full name of everything that `file`, a module of `package`, imports, wherever in the file."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            whole = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{whole}.{alias.name}") for alias in node.names)


def of(package: str, name: str) -> str | None:
    """The module of `package` that `name` lies in: ``walk`` for ``eigenwalk.walk.Walk``."""
    parts = name.split(".")
    return None if parts[0] != package else parts[1] if len(parts) > 1 else "__init__"


def core_violations(source: Path) -> Iterator[str]:
    """Every import of the core at `source` that the levels forbid."""
    for file in sorted(source.rglob("*.py")):
        relative = file.relative_to(source)
        own = relative.parts[0].removesuffix(".py")
        if own not in LEVELS:
            yield f"{relative}: module {own!r} has no level: give it one in ROWS"
            continue
        package = ".".join(["eigenwalk", *relative.parts[:-1]])
        for line, name in imports(file, package):
            other = of("eigenwalk", name)
            if name.startswith("eigenwalk_") and own != "testing":  # which is the kit's public name
                yield f"{relative}:{line}: the core imports the plugin {name}"
            elif other in LEVELS and other != own and ORDER.index(other) > ORDER.index(own):
                yield f"{relative}:{line}: {own} (level {LEVELS[own]}) imports {other} (level {LEVELS[other]})"


def declared(plugin: Path) -> set[str]:
    """The packages of other plugins that the pyproject.toml in `plugin` depends on, those of its extras too."""
    file = plugin / "pyproject.toml"
    project = tomllib.loads(file.read_text(encoding="utf-8"))["project"] if file.is_file() else {}
    extras = [line for lines in project.get("optional-dependencies", {}).values() for line in lines]
    found = (re.match(r"eigenwalk-[\w-]+", line) for line in [*project.get("dependencies", ()), *extras])
    return {match[0].replace("-", "_") for match in found if match}


def plugin_violations(plugins: Path) -> Iterator[str]:
    """Every import of the plugins at `plugins` that the design forbids."""
    for file in sorted(plugins.glob("*/src/**/*.py")) + sorted(plugins.glob("*/tests/**/*.py")):
        relative = file.relative_to(plugins)
        own, tests = f"eigenwalk_{relative.parts[0].replace('-', '_')}", relative.parts[1] == "tests"
        package = own if tests else ".".join(relative.parts[2:-1])
        known = {own, *declared(plugins / relative.parts[0])}
        for line, name in imports(file, package):
            other = of("eigenwalk", name)
            allowed = OPEN_TO_PLUGINS | ({"testing"} if tests else set())
            if relative.parts[0] in TOOLS:
                allowed = set(LEVELS)
            if other is not None and other not in allowed:
                yield f"{relative}:{line}: a plugin imports eigenwalk.{other}; open to it: {', '.join(sorted(allowed))}"
            if name.startswith("eigenwalk_") and name.split(".")[0] not in known:
                yield f"{relative}:{line}: a plugin imports the plugin {name}, which its pyproject.toml does not name"


def test_the_core_imports_only_lower_levels():
    assert list(core_violations(ROOT / "core/src/eigenwalk")) == []


def test_plugins_import_only_the_contracts():
    assert list(plugin_violations(ROOT / "plugins")) == []


@pytest.mark.parametrize(
    ("path", "source", "expected"),
    [
        ("core/feature.py", "import eigenwalk.names.registry\n", "feature (level 0) imports names (level 2)"),
        ("core/maths/dense.py", "from ..walk import walk\n", "maths (level 3) imports walk (level 4)"),
        ("core/maths/dense.py", "from eigenwalk import cli\n", "maths (level 3) imports cli (level 7)"),
        ("core/hookspecs.py", "from eigenwalk.names.registry import Offer\n", "hookspecs (level 1) imports names"),
        ("core/walk.py", "def f():\n    from eigenwalk.runs import api\n", "walk.py:2: walk (level 4) imports runs"),
        ("core/runs/api.py", "import eigenwalk_masks.mask\n", "the core imports the plugin eigenwalk_masks.mask"),
        ("core/extra.py", "", "module 'extra' has no level"),
        ("core/spec.py", "from eigenwalk import walk\n", "spec (level 0) imports walk"),
        ("core/objects/build.py", "from eigenwalk.maths import typical\n", "objects (level 3) imports maths (level 3)"),
        ("core/maths/typical.py", "from eigenwalk.names.index import load\n", None),
        ("core/names/a.py", "from eigenwalk.names.b import f\nfrom .c import g\n", None),
        ("plugins/evaluate/src/eigenwalk_evaluate/a.py", "from eigenwalk.runs.api import f\n", None),
        ("plugins/x/src/eigenwalk_x/a.py", "from eigenwalk.objects.compose import f\n", "imports eigenwalk.objects"),
        ("plugins/x/src/eigenwalk_x/a.py", "from eigenwalk import walk\n", "imports eigenwalk.walk"),
        ("plugins/x/src/eigenwalk_x/a.py", "import eigenwalk_masks\n", "imports the plugin eigenwalk_masks"),
        ("plugins/x/src/eigenwalk_x/a.py", "from eigenwalk.testing import f\n", "imports eigenwalk.testing"),
        ("plugins/x/tests/test_x.py", "from eigenwalk.testing import f\nfrom eigenwalk_x.a import g\n", None),
        ("plugins/x/tests/test_x.py", "from eigenwalk.names.registry import f\n", "imports eigenwalk.names"),
        ("plugins/x/src/eigenwalk_x/sub/a.py", "from ..b import c\nfrom eigenwalk.hookspecs import hookimpl\n", None),
    ],
)
def test_violations_are_found(tmp_path, path, source, expected):
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(source)
    found = [*core_violations(tmp_path / "core"), *plugin_violations(tmp_path / "plugins")]
    assert (not found) if expected is None else any(expected in line for line in found), found


def test_a_plugin_imports_the_plugins_that_it_depends_on(tmp_path):
    (tmp_path / "x/src/eigenwalk_x").mkdir(parents=True)
    (tmp_path / "x/pyproject.toml").write_text('[project]\ndependencies = ["eigenwalk>=0.1", "eigenwalk-face>=0.1"]\n')
    (tmp_path / "x/src/eigenwalk_x/a.py").write_text("import eigenwalk_face.crop\nimport eigenwalk_masks.mask\n")
    (found,) = plugin_violations(tmp_path)
    assert "a.py:2: a plugin imports the plugin eigenwalk_masks.mask" in found


def loaded_by(code: str) -> set[str]:
    """The top-level modules in a fresh interpreter after `code`; plugins need not be installed."""
    sources = os.pathsep.join(str(folder) for folder in (ROOT / "plugins").glob("*/src"))
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*{{name.split('.')[0] for name in sys.modules}})"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": sources},
    )
    return set(done.stdout.split())


def test_specs_hooks_and_entry_modules_import_nothing_heavy():
    files = [file for file in sorted(ROOT.glob("plugins/*/pyproject.toml")) if "entry-points" in file.read_text()]
    entries = [f"eigenwalk_{file.parent.name.replace('-', '_')}.plugin" for file in files]
    assert {"eigenwalk_fourier.plugin", "eigenwalk_masks.plugin", "eigenwalk_pixels.plugin"} <= set(entries)
    modules = ", ".join(["eigenwalk", "eigenwalk.spec", "eigenwalk.hookspecs", "eigenwalk.names.registry", *entries])
    assert not loaded_by(f"import {modules}") & {"torch", "numpy", "PIL", "timm", "matplotlib", "pydantic"}


def test_expressions_and_options_are_read_without_torch():
    assert "torch" not in loaded_by(
        "import eigenwalk.names.expression, eigenwalk.names.options, eigenwalk.names.resolve"
    )
