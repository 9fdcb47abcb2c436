"""Discovery with a zoo of bad plugins: each costs its own names and nobody else's."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from eigenwalk.errors import AmbiguousName, FileError, UnknownName
from eigenwalk.hookspecs import hookimpl
from eigenwalk.names.index import Index, shipped_index
from eigenwalk.names.registry import Registry
from eigenwalk.spec import FeatureSpec

ROOT = Path(__file__).parents[1]
HEAD = "from eigenwalk.hookspecs import hookimpl\nfrom eigenwalk.spec import FeatureSpec, GeneratorSpec, Option\n"
GOOD = (
    HEAD
    + """
@hookimpl
def eigenwalk_features():
    return [FeatureSpec(name="{name}", load="nowhere:Nothing", summary="")]
"""
)


class Zoo:
    """Distributions with real metadata in a folder on `sys.path`."""

    def __init__(self, folder: Path):
        self.folder, self.modules = folder, []

    def add(self, distribution: str, source: str, plugin: str | None = None, version: str = "1.0", points: str = ""):
        """A distribution whose one module is `source`; `points` replaces its entry_points.txt."""
        module = "zoo_" + distribution.replace("-", "_").replace(".", "_")
        plugin = plugin or distribution.removeprefix("eigenwalk-")
        (self.folder / f"{module}.py").write_text(source)
        info = self.folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(points or f"[eigenwalk]\n{plugin} = {module}\n")
        self.modules.append(module)


@pytest.fixture
def zoo(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    made = Zoo(tmp_path)
    made.add("eigenwalk-good", GOOD.format(name="good"))
    yield made
    for module in made.modules:
        sys.modules.pop(module, None)


def failure(registry: Registry, distribution: str):
    """The one failure of `distribution`; the good plugin beside it is unharmed."""
    assert registry.feature("good").distribution == "eigenwalk-good"
    (found,) = [failure for failure in registry.failures if failure.distribution == distribution]
    return found


BAD = {
    "fails at import": ("import no_such_module_at_all\n", "import", "no_such_module_at_all"),
    "syntax error": ("def f(:\n", "import", "SyntaxError"),
    "ends the process at import": ("import sys\nsys.exit(3)\n", "import", "end the process"),
    "hook raises": (
        HEAD + "@hookimpl\ndef eigenwalk_features():\n    raise RuntimeError('boom')\n",
        "hook eigenwalk_features",
        "RuntimeError: boom",
    ),
    "hook raises half way": (
        HEAD
        + "@hookimpl\ndef eigenwalk_features():\n    yield FeatureSpec('half', 'a:b', '')\n    raise KeyError('x')\n",
        "hook eigenwalk_features",
        "KeyError",
    ),
    "hook ends the process": (
        HEAD + "@hookimpl\ndef eigenwalk_generators():\n    raise SystemExit(1)\n",
        "hook eigenwalk_generators",
        "end the process",
    ),
    "misspelt hook": (
        HEAD + "@hookimpl\ndef eigenwalk_featurs():\n    return []\n",
        "hook eigenwalk_featurs",
        "did you mean 'eigenwalk_features'",
    ),
    "hook without its marker": (
        HEAD + "def eigenwalk_features():\n    return []\n",
        "hook eigenwalk_features",
        "@hookimpl",
    ),
    "wrong arguments": (HEAD + "@hookimpl\ndef eigenwalk_open(file):\n    return None\n", "registration", "file"),
    "returns None": (
        HEAD + "@hookimpl\ndef eigenwalk_features():\n    pass\n",
        "hook eigenwalk_features",
        "expected an iterable of FeatureSpec, got None",
    ),
    "returns text": (
        HEAD + "@hookimpl\ndef eigenwalk_features():\n    return 'hair'\n",
        "hook eigenwalk_features",
        "got 'hair'",
    ),
    "returns the wrong spec": (
        HEAD + "@hookimpl\ndef eigenwalk_features():\n    return [GeneratorSpec('g', 'a:b', '')]\n",
        "hook eigenwalk_features",
        "expected a FeatureSpec",
    ),
    "speaks a later version": (
        HEAD + "@hookimpl\ndef eigenwalk_features():\n    return [FeatureSpec('late', 'a:b', '', api=99)]\n",
        "hook eigenwalk_features",
        "pip install --upgrade eigenwalk",
    ),
    "speaks an earlier version": (
        HEAD + "@hookimpl\ndef eigenwalk_features():\n    return [FeatureSpec('old', 'a:b', '', api=0)]\n",
        "hook eigenwalk_features",
        "pip install --upgrade eigenwalk-bad",
    ),
    "offers a name twice": (
        HEAD + "@hookimpl\ndef eigenwalk_features():\n    return [FeatureSpec('two', 'a:b', '')] * 2\n",
        "hook eigenwalk_features",
        "offered twice",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_plugin_costs_only_itself(zoo, kind):
    source, stage, text = BAD[kind]
    zoo.add("eigenwalk-bad", source)
    found = failure(Registry.discover(), "eigenwalk-bad")
    assert found.stage == stage
    assert text in found.error
    assert "eigenwalk-bad 1.0" in str(found)


def test_one_wrong_item_leaves_the_others_of_its_plugin(zoo):
    zoo.add(
        "eigenwalk-some",
        HEAD + "@hookimpl\ndef eigenwalk_features():\n"
        "    return [FeatureSpec('first', 'a:b', ''), 7, FeatureSpec('last', 'a:b', '')]\n",
    )
    registry = Registry.discover()
    assert "got 7" in failure(registry, "eigenwalk-some").error
    assert registry.feature("first").plugin == registry.feature("last").plugin == "some"


@pytest.mark.parametrize("points", ["[eigenwalk]\nno equals sign\n", "[eigenwalk]\nbroken = not a module!\n"])
def test_unreadable_metadata_costs_only_its_distribution(zoo, points):
    zoo.add("eigenwalk-broken", "", points=points)
    assert failure(Registry.discover(), "eigenwalk-broken").stage in ("reading its entry points", "import")


def test_two_entry_points_of_one_name_are_both_loaded(zoo):
    zoo.add("eigenwalk-one", GOOD.format(name="one"), plugin="same")
    zoo.add("eigenwalk-two", GOOD.format(name="two"), plugin="same")
    registry = Registry.discover()
    assert [registry.feature(name).distribution for name in ("one", "two")] == ["eigenwalk-one", "eigenwalk-two"]


def test_a_name_of_two_distributions_is_an_error_for_it_alone(zoo):
    zoo.add("eigenwalk-hair-x", GOOD.format(name="hair"))
    zoo.add("eigenwalk-hair-y", GOOD.format(name="hair"), version="2.1")
    registry = Registry.discover()
    with pytest.raises(AmbiguousName) as caught:
        registry.feature("hair")
    for part in ("eigenwalk-hair-x 1.0", "eigenwalk-hair-y 2.1", 'hair(package="eigenwalk-hair-x")'):
        assert part in str(caught.value)
    assert registry.feature("hair", package="Eigenwalk_Hair.X").distribution == "eigenwalk-hair-x"
    assert registry.feature("good").version == "1.0"
    with pytest.raises(UnknownName, match=r"not offered by 'eigenwalk-hair-z', but by eigenwalk-hair-x 1\.0"):
        registry.feature("hair", package="eigenwalk-hair-z")


def test_unknown_names_say_how_to_go_on(zoo, tmp_path):
    (tmp_path / "index.toml").write_text(
        '[features.wrinkles]\ndistribution = "eigenwalk-wrinkles"\n[features.newer]\ndistribution = "eigenwalk-good"\n'
        '[features.hair]\ndistribution = "eigenwalk-bad"\n'
    )
    zoo.add("eigenwalk-bad", "raise OSError('no such library')\n")
    registry = Registry.discover(index=Index.read(tmp_path / "index.toml"))
    (bad,) = [failure for failure in registry.failures if failure.distribution == "eigenwalk-bad"]
    assert bad.names == ("hair",)
    for name, text in {
        "wrinkles": "not installed: pip install eigenwalk-wrinkles",
        "newer": "pip install --upgrade eigenwalk-good",
        "goood": "nearest: good",
        "wrinkle": r"nearest: wrinkles \(pip install eigenwalk-wrinkles\)",
        "hair": "not available, because plugin 'bad' .* failed at import: OSError: no such library",
        "bad.thing": "not available, because plugin 'bad'",
        "zzzzzz": "(?s)no feature is called 'zzzzzz'.*no such library",
    }.items():
        with pytest.raises(UnknownName, match=text):
            registry.feature(name)
    with pytest.raises(UnknownName, match="'good' is a feature, not a generator"):
        registry.generator("good")


def test_a_file_is_opened_by_the_first_plugin_that_knows_its_bytes(zoo, tmp_path):
    reader = HEAD + (
        "@hookimpl\ndef eigenwalk_open(path):\n    '''{mark} files.'''\n"
        "    return GeneratorSpec('g', 'a:b', '') if path.read_bytes().startswith(b'{mark}') else None\n"
    )
    zoo.add("eigenwalk-a", HEAD + "@hookimpl\ndef eigenwalk_open(path):\n    1 / 0\n")
    zoo.add("eigenwalk-b", reader.format(mark="BB"))
    zoo.add("eigenwalk-c", reader.format(mark="CC"))
    registry = Registry.discover()
    (tmp_path / "weights").write_bytes(b"CC...")
    assert registry.open(tmp_path / "weights").distribution == "eigenwalk-c"
    (tmp_path / "weights").write_bytes(b"??")
    with pytest.raises(FileError) as caught:
        registry.open(tmp_path / "weights")
    for part in ("BB files", "CC files", "ZeroDivisionError", "./my_generator.py:build"):
        assert part in str(caught.value)


def test_plugins_given_in_process():
    class Given:
        __name__ = "given"

        @hookimpl
        def eigenwalk_features(self):
            return [FeatureSpec("given.feature", "a:b", "")]

    registry = Registry.discover(extra=[(Given(), "eigenwalk-given", "0.3")], installed=False)
    assert [(str(offer), offer.plugin) for offer in registry.features] == [
        ("given.feature (eigenwalk-given 0.3)", "given")
    ]
    assert registry.failures == ()


def test_the_index_agrees_with_the_plugins_of_this_repository():
    registry = Registry.discover()
    offers = {(offer.name, offer.distribution): offer.spec for offer in registry.features}
    for (name, distribution), spec in offers.items():
        if (ROOT / "plugins" / distribution.removeprefix("eigenwalk-")).is_dir():
            entry = shipped_index().features[name]
            assert (entry.distribution, entry.kind) == (distribution, spec.kind)
            assert entry.unit == spec.unit
    assert {"fourier.low", "mask", "pixels"} <= {name for name, _ in offers}
    folders = {entry.distribution.removeprefix("eigenwalk-") for entry in shipped_index().features.values()}
    assert all((ROOT / "plugins" / folder / "pyproject.toml").is_file() for folder in folders)


def test_the_index_at_the_root_is_the_one_that_ships():
    assert (ROOT / "registry.toml").resolve() == ROOT / "core/src/eigenwalk/registry.toml"


def test_discovery_imports_no_torch():
    code = (
        "import sys; from eigenwalk.names.registry import Registry; Registry.discover(); print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout == "False\n"
