"""Plugins put on the path with the metadata of installed distributions: those of ``tests/zoo``, and made-up ones."""

from __future__ import annotations

from pathlib import Path

ZOO = Path(__file__).with_name("zoo")
BAD = ("fails_at_import", "raises_in_hook", "sleeps", "clashes", "old_api", "new_api", "new_core", "misspelt", "exits")
"""Every kind that a process survives; ``kills`` is the one that it does not."""
PLAIN = """
from eigenwalk.hookspecs import hookimpl
from eigenwalk.spec import FeatureSpec


@hookimpl
def eigenwalk_features():
    return [FeatureSpec({name!r}, "nowhere:Nothing", "made up")]
"""


class Site:
    """A folder of modules and ``.dist-info`` folders, as pip leaves them."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def zoo(self, *kinds: str) -> None:
        """Puts animals of the zoo here: distribution ``eigenwalk-zoo-KIND``, plugin and module ``zoo_KIND``."""
        for kind in kinds:
            requires = ("eigenwalk>=99",) if kind == "new_core" else ()
            text = (ZOO / f"{kind}.txt").read_text(encoding="utf-8")
            self.add(f"eigenwalk-zoo-{kind.replace('_', '-')}", f"zoo_{kind}", text, requires=requires)

    def plain(self, count: int) -> None:
        """Puts `count` plugins here that offer a feature each, ``plain.f0`` and so on."""
        for number in range(count):
            self.add(f"eigenwalk-plain-{number}", f"plain_{number}", PLAIN.format(name=f"plain.f{number}"))

    def add(
        self, distribution: str, module: str, text: str, version: str = "1.0", requires: tuple[str, ...] = ()
    ) -> Path:
        """Puts one distribution with one module here; the folder of its metadata."""
        (self.folder / f"{module}.py").write_text(text, encoding="utf-8")
        info = self.folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir(exist_ok=True)
        asked = "".join(f"Requires-Dist: {line}\n" for line in requires)
        head = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n{asked}\nA readme.\n"
        (info / "METADATA").write_text(head, encoding="utf-8")
        (info / "entry_points.txt").write_text(f"[eigenwalk]\n{module} = {module}\n", encoding="utf-8")
        (info / "INSTALLER").write_text("pip\n", encoding="utf-8")
        (info / "RECORD").write_text(f"{module}.py,,\n", encoding="utf-8")
        return info
