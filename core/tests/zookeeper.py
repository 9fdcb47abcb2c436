"""Plugins put on the path with the metadata of installed distributions: good, slow and hostile ones."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path

HEAD = """
from eigenwalk.hookspecs import hookimpl
from eigenwalk.spec import CommandSpec, FeatureSpec, GeneratorSpec, Option
"""
PLAIN = (
    HEAD + "@hookimpl\ndef eigenwalk_features():\n    return [FeatureSpec({name!r}, 'nowhere:Nothing', 'made up')]\n"
)
GOOD = (
    HEAD
    + """
@hookimpl
def eigenwalk_features():
    options = (Option("box", "numbers", (0.0, 0.5), "a tuple"), Option("word", choices=("a",)))
    cites = ("Somebody: Something, 2020",)
    return [FeatureSpec("zoo.good", "zoo_good:Nothing", "is well", options=options, cites=cites, unit="spots")]


@hookimpl
def eigenwalk_open(path):
    '''Files of the zoo.'''
    return GeneratorSpec("zoo.file", "zoo_good:Nothing", "") if path.read_bytes().startswith(b"ZOO") else None
"""
)


@dataclass(frozen=True)
class Animal:
    """A plugin's code, and at which stage and with which words its failure is told; nothing where it has none."""

    code: str
    stage: str = ""
    said: str = ""


def returning(answer: str, stage: str, said: str, hook: str = "eigenwalk_features") -> Animal:
    """A plugin whose hook is `answer`: statements."""
    return Animal(f"{HEAD}@hookimpl\ndef {hook}():\n{textwrap.indent(textwrap.dedent(answer), '    ')}\n", stage, said)


FEATURES = "hook eigenwalk_features"
ESCAPE = "\x1b]0;owned\x07\x9b2J\u202e"
"""Sets a terminal's title, clears it, and turns the direction of text."""
ZOO = {
    "good": Animal(GOOD),
    "lacks_a_module": Animal(
        "import a_module_that_nobody_has\n", "import", "No module named 'a_module_that_nobody_has'"
    ),
    "syntax": Animal("def f(:\n", "import", "SyntaxError"),
    "new_core": Animal("from eigenwalk.spec_of_the_future import X\n", "import", "it asks for eigenwalk>=99, this is"),
    "exits": Animal("import sys\nsys.exit('bye')\n", "import", "it tried to end the process (SystemExit 'bye')"),
    "interrupts": Animal("raise KeyboardInterrupt\n", "import", "KeyboardInterrupt"),
    "panics": Animal("class Panic(BaseException): pass\nraise Panic('no')\n", "import", "Panic: no"),
    "kills": Animal("import os\nos._exit(7)\n", "import", "it ended the process, with exit code 7"),
    "complains": Animal(
        "import os, sys\nprint('no licence key', file=sys.stderr, flush=True)\nos._exit(0)\n",
        "import",
        "exit code 0: no licence key",
    ),
    "crashes": Animal("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n", "import", "by SIGSEGV"),
    "closes_all": Animal("import os, time\nos.closerange(3, 256)\ntime.sleep(600)\n", "import", "it closed what"),
    "scribbles": Animal(
        "import os\nfor number in range(3, 20):\n    try: os.write(number, b'noise\\n')\n    except OSError: pass\n",
        "import",
        "it wrote where only answers go",
    ),
    "hangs": Animal("import time\ntime.sleep(600)\n", "import", "it did not answer within"),
    "prints": Animal(f"import os\nprint('hello')\nos.write(1, b'hello')\n{PLAIN.format(name='zoo.prints')}"),
    "closes": Animal(f"import sys\nsys.stdout.close()\n{PLAIN.format(name='zoo.closes')}"),
    "raises": returning("raise RuntimeError('the table is empty')", FEATURES, "RuntimeError: the table is empty"),
    "half_way": returning("yield FeatureSpec('zoo.half', 'a:b', '')\nraise KeyError('x')", FEATURES, "KeyError"),
    "hook_exits": returning(
        "raise SystemExit(1)", "hook eigenwalk_generators", "end the process", "eigenwalk_generators"
    ),
    "misspelt": returning(
        "return []", "hook eigenwalk_feature", "did you mean 'eigenwalk_features'?", "eigenwalk_feature"
    ),
    "unmarked": Animal("def eigenwalk_features():\n    return []\n", FEATURES, "write @hookimpl above it"),
    "wrong_arguments": Animal(f"{HEAD}@hookimpl\ndef eigenwalk_open(file):\n    return None\n", "registration", "file"),
    "returns_none": returning("return None", FEATURES, "expected an iterable of FeatureSpec, got None"),
    "returns_text": returning("return 'hair'", FEATURES, "got 'hair'"),
    "wrong_spec": returning("return [GeneratorSpec('zoo.g', 'a:b', '')]", FEATURES, "expected a FeatureSpec"),
    "one_wrong": returning("return [FeatureSpec('zoo.first', 'a:b', ''), 7]", FEATURES, "got 7"),
    "raising_repr": returning(
        "class Odd:\n    def __repr__(self): raise ValueError\nreturn [Odd()]", FEATURES, "a Odd that cannot be shown"
    ),
    "raising_text": returning(
        "class Odd(Exception):\n    def __str__(self): raise ValueError\nraise Odd",
        FEATURES,
        "a text that cannot be shown",
    ),
    "no_summary": returning(
        "return [FeatureSpec('zoo.none', 'a:b', None)]", FEATURES, "summary of 'zoo.none' must be str"
    ),
    "odd_unit": returning(
        "return [FeatureSpec('zoo.five', 'a:b', '', unit=5)]", FEATURES, "unit of 'zoo.five' must be str"
    ),
    "odd_cites": returning(
        "return [FeatureSpec('zoo.word', 'a:b', '', cites=(3,))]", FEATURES, "cites of 'zoo.word' must be tuple[str"
    ),
    "new_api": returning(
        "return [FeatureSpec('zoo.new', 'a:b', '', api=99)]",
        FEATURES,
        "speaks version 1: pip install --upgrade eigenwalk",
    ),
    "old_api": returning(
        "return [FeatureSpec('zoo.old', 'a:b', '', api=0)]", FEATURES, "pip install --upgrade eigenwalk-zoo-old-api"
    ),
    "twice": returning("return [FeatureSpec('zoo.two', 'a:b', '')] * 2", FEATURES, "offered twice"),
    "clashes": returning("return [FeatureSpec('pixels', 'a:b', '')]", "", ""),
    "escapes": Animal(
        HEAD
        + f"""
@hookimpl
def eigenwalk_features():
    options = (Option("word", summary={ESCAPE!r}, choices=({ESCAPE!r},)),)
    given = dict(unit={ESCAPE!r}, licence={ESCAPE!r}, cites=({ESCAPE!r},), options=options)
    return [FeatureSpec("zoo.escapes", "a:b", {ESCAPE!r}, **given)]

@hookimpl
def eigenwalk_commands():
    return [CommandSpec("zoo-escapes", "a:b", {ESCAPE!r})]

@hookimpl
def eigenwalk_open(path):
    {ESCAPE!r}
    raise RuntimeError({ESCAPE!r})
"""
    ),
}
BAD = {kind: animal for kind, animal in ZOO.items() if animal.stage}


class Site:
    """A folder of modules and ``.dist-info`` folders, as pip leaves them."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def zoo(self, *kinds: str) -> None:
        """Put animals of the zoo here: distribution ``eigenwalk-zoo-KIND``, plugin and module ``zoo_KIND``."""
        for kind in kinds:
            requires = ("eigenwalk>=99",) if kind == "new_core" else ()
            self.add(f"eigenwalk-zoo-{kind.replace('_', '-')}", f"zoo_{kind}", ZOO[kind].code, requires=requires)

    def add(
        self,
        distribution: str,
        module: str,
        code: str,
        version: str = "1.0",
        requires: tuple[str, ...] = (),
        plugin: str = "",
        points: str = "",
    ) -> Path:
        """Put one distribution with one module here; return the folder of its metadata."""
        (self.folder / f"{module}.py").write_text(code, encoding="utf-8")
        info = self.folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir(exist_ok=True)
        asked = "".join(f"Requires-Dist: {line}\n" for line in requires)
        head = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n{asked}\nA readme.\n"
        (info / "METADATA").write_text(head, encoding="utf-8")
        points = points or f"[eigenwalk]\n{plugin or module} = {module}\n"
        (info / "entry_points.txt").write_text(points, encoding="utf-8")
        (info / "INSTALLER").write_text("pip\n", encoding="utf-8")
        (info / "RECORD").write_text(f"{module}.py,,\n", encoding="utf-8")
        return info
