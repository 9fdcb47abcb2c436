"""Plugins are found, asked and cached; a bad one loses only its own names."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from eigenwalk.errors import AmbiguousName, FileError, UnknownName
from eigenwalk.hookspecs import hookimpl
from eigenwalk.names.discovery import coding, objection, plugin, probe
from eigenwalk.names.discovery.source import Source
from eigenwalk.names.index import Index
from eigenwalk.names.registry import Registry
from eigenwalk.spec import FeatureSpec, GeneratorSpec, Option, Weights
from zookeeper import BAD, HEAD, PLAIN, ZOO, Site

FROM = Source("some", "eigenwalk-some", "1.0", dict)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A folder on the path with a good plugin in it."""
    made = Site(tmp_path / "site")
    made.zoo("good")
    monkeypatch.syspath_prepend(str(made.folder))
    yield made
    for name in [name for name in sys.modules if name.startswith("zoo_")]:
        del sys.modules[name]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record for which plugins a process is started."""
    names: list[str] = []
    start = probe.ask_apart

    def ask_apart(sources, *others):
        names.extend(source.plugin for source in sources)
        return start(sources, *others)

    monkeypatch.setattr(probe, "ask_apart", ask_apart)
    return names


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Registry, list[str]]:
    """Discover every plugin of the zoo; return the result and what was printed."""
    made = Site(tmp_path_factory.mktemp("zoo"))
    made.zoo(*ZOO)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(made.folder))
        patch.setattr(probe, "TIMEOUT", 2.0)
        patch.setattr(probe, "PATIENCE", 1.0)
        found = Registry.discover()
        patch.setattr(probe, "ask_apart", None)  # what was answered is remembered, failures too
        assert Registry.discover().failures == found.failures
    return found, sorted(sys.modules)


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_plugin_loses_only_its_own_names(zoo, kind):
    registry, _ = zoo
    name = f"eigenwalk-zoo-{kind.replace('_', '-')}"
    (failure,) = [failure for failure in registry.failures if failure.distribution == name]
    assert failure.stage == BAD[kind].stage and BAD[kind].said in failure.error and f"{name} 1.0" in str(failure)


def test_good_plugins_are_unharmed_and_not_imported(zoo):
    registry, modules = zoo
    names = {offer.name for offer in registry.features}
    assert names >= {"zoo.good", "zoo.prints", "zoo.closes", "zoo.first", "zoo.two", "fourier.low"}
    assert not names & {"zoo.none", "zoo.five", "zoo.word", "zoo.old", "zoo.new"}
    assert len(registry.failures) == len(BAD) and not [name for name in modules if name.startswith("zoo_")]
    (late,) = [one for one in registry.failures if one.plugin == "zoo_new_api"]
    assert late.names == ("zoo.new",)


@pytest.mark.parametrize("points", ["[eigenwalk]\nno equals sign\n", "[eigenwalk]\nbroken = not a module!\n"])
def test_unreadable_metadata_loses_only_its_distribution(site, points):
    site.add("eigenwalk-broken", "zoo_broken", "", points=points)
    registry = Registry.discover()
    (failure,) = [one for one in registry.failures if one.distribution == "eigenwalk-broken"]
    assert failure.stage in ("reading its entry points", "import") and registry.feature("zoo.good")


def test_a_name_of_several_distributions_is_ambiguous(site):
    for who, version in (("x", "1.0"), ("y", "2.1")):
        site.add(f"eigenwalk-hair-{who}", f"zoo_{who}", PLAIN.format(name="hair"), version, plugin="same")
    registry = Registry.discover()
    with pytest.raises(AmbiguousName) as caught:
        registry.feature("hair")
    for part in ("eigenwalk-hair-x 1.0", "eigenwalk-hair-y 2.1", 'hair(package="eigenwalk-hair-x")'):
        assert part in str(caught.value)
    assert registry.feature("hair", package="Eigenwalk_Hair.X").distribution == "eigenwalk-hair-x"
    assert registry.feature("zoo.good").version == "1.0"
    with pytest.raises(UnknownName, match=r"not offered by 'eigenwalk-hair-z', but by eigenwalk-hair-x 1\.0"):
        registry.feature("hair", package="eigenwalk-hair-z")


def test_the_error_of_an_unknown_name_says_what_to_do(site, tmp_path):
    (tmp_path / "index.toml").write_text(
        '[features.wrinkles]\ndistribution = "eigenwalk-wrinkles"\n[features.newer]\n'
        'distribution = "eigenwalk-zoo-good"\n[features.hair]\ndistribution = "eigenwalk-bad"\n'
        '[features.late]\ndistribution = "acme-late"\napi = 9\n'
        '[features.ours]\ndistribution = "eigenwalk-ours"\nhomepage = "plugins/of-no-copy"\n'
    )
    site.add("eigenwalk-bad", "zoo_bad", "raise OSError('no such library')\n", plugin="bad")
    registry = Registry.discover(index=Index.read(tmp_path / "index.toml"))
    (bad,) = [failure for failure in registry.failures if failure.distribution == "eigenwalk-bad"]
    assert bad.names == ("hair",)
    for name, text in {
        "wrinkles": "not installed: pip install eigenwalk-wrinkles",
        "ours": r"not installed: pip install \./plugins/of-no-copy, in a copy of eigenwalk's repository",
        "newer": "pip install --upgrade eigenwalk-zoo-good",
        "late": "written for version 9 .* pip install --upgrade acme-late",
        "zoo.god": "nearest: zoo.good",
        "wrinkle": r"nearest: wrinkles \(pip install eigenwalk-wrinkles\)",
        "hair": "not available, because plugin 'bad' .* failed at import: OSError: no such library",
        "bad.thing": "not available, because plugin 'bad'",
        "zzzzzz": "(?s)no feature is called 'zzzzzz'.*no such library",
    }.items():
        with pytest.raises(UnknownName, match=text):
            registry.feature(name)
    with pytest.raises(UnknownName, match=r"'zoo\.good' is a feature, not a generator"):
        registry.generator("zoo.good")
    with pytest.raises(UnknownName, match="must be the name of a distribution, got '--index-url=x'"):
        registry.feature("hare", package="--index-url=x")


def test_a_file_is_opened_by_the_first_plugin_that_knows_its_bytes(site, tmp_path):
    reader = HEAD + (
        "@hookimpl\ndef eigenwalk_open(path):\n    '''{mark} files.'''\n    print('noise')\n"
        "    return GeneratorSpec('g', 'a:b', '') if path.read_bytes().startswith(b'{mark}') else None\n"
    )
    site.add("eigenwalk-a", "zoo_a", HEAD + "@hookimpl\ndef eigenwalk_open(path):\n    1 / 0\n")
    site.add("eigenwalk-b", "zoo_b", reader.format(mark="BB"))
    site.add("eigenwalk-c", "zoo_c", reader.format(mark="CC"))
    registry = Registry.discover()
    assert "zoo_c" not in sys.modules
    (tmp_path / "weights").write_bytes(b"CC...")
    assert registry.open(tmp_path / "weights").distribution == "eigenwalk-c"
    (tmp_path / "weights").write_bytes(b"??")
    with pytest.raises(FileError) as caught:
        registry.open(tmp_path / "weights")
    for part in ("BB files", "CC files", "ZeroDivisionError", "./my_generator.py:build"):
        assert part in str(caught.value)


def test_plugins_given_in_process(capsys):
    class Given:
        __name__ = "given"

        @hookimpl
        def eigenwalk_features(self):
            print("noise")
            return [FeatureSpec("given.feature", "a:b", "")]

    registry = Registry.discover(extra=[(Given(), "eigenwalk-given", "0.3")], installed=False)
    told = [(str(offer), offer.plugin) for offer in registry.features]
    assert told == [("given.feature (eigenwalk-given 0.3)", "given")]
    assert registry.failures == () and capsys.readouterr().out == ""


def test_cached_answers_equal_the_plugins_own(site, asked):
    first = Registry.discover()
    assert "zoo_good" in asked
    asked.clear()
    second = Registry.discover()
    for table in ("features", "generators", "directions", "commands", "failures"):
        assert getattr(first, table) == getattr(second, table)
    assert second.feature("zoo.good").spec.options[0].default == (0.0, 0.5)
    assert asked == [] and "zoo_good" not in sys.modules


@pytest.mark.parametrize("change", ["version", "RECORD", "direct_url.json", "damaged", "value", "code", "other module"])
def test_a_changed_plugin_is_asked_again(site, asked, change, tmp_path, monkeypatch):
    monkeypatch.setenv("EIGENWALK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("EIGENWALK_PLUGINS", "zoo_some, other")
    (site.folder / "zoo_words.py").write_text("NAME = 'some.feature'\n")
    code = "from zoo_words import NAME\n" + PLAIN.replace("{name!r}", "NAME")
    info = site.add("eigenwalk-some", "zoo_some", code)
    for _ in range(2):
        assert Registry.discover().feature("some.feature")
    assert asked == ["zoo_some"]
    if change == "version":
        info.rename(info.with_name("eigenwalk_some-2.0.dist-info"))
    elif change == "value":
        (info / "entry_points.txt").write_text("[eigenwalk]\nother = zoo_some\n")
    elif change == "damaged":
        for file in (tmp_path / "cache" / "plugins").glob("*.json"):
            file.write_text(file.read_text(encoding="utf-8").replace('"FeatureSpec"', '"Popen"'), encoding="utf-8")
    elif change == "code":
        (site.folder / "zoo_some.py").write_text(code + "\n# changed\n")
    elif change == "other module":
        (site.folder / "zoo_words.py").write_text("NAME = 'some.new.feature'\n")
    else:
        (info / change).write_text('{"url": "file:///elsewhere"}')
    assert Registry.discover().feature("some.new.feature" if change == "other module" else "some.feature")
    assert len(asked) == 2


def test_a_failed_plugin_is_asked_again_after_it_changes(site, asked):
    site.zoo("kills", "syntax", "lacks_a_module")
    assert len(Registry.discover().failures) == 3
    asked.clear()
    assert len(Registry.discover().failures) == 3 and asked == []
    for kind in ("kills", "syntax"):
        (site.folder / f"zoo_{kind}.py").write_text(PLAIN.format(name=f"zoo.{kind}"))
    (site.folder / "a_module_that_nobody_has.py").write_text("")
    registry = Registry.discover()
    assert registry.failures == () and {"zoo.kills", "zoo.syntax"} <= {offer.name for offer in registry.features}
    assert sorted(asked) == ["zoo_kills", "zoo_lacks_a_module", "zoo_syntax"]


def test_a_plugin_whose_answers_vary_is_asked_every_time(site):
    text = PLAIN.replace("{name!r}", "__import__('os').environ['ZOO_NAME']") + "\neigenwalk_volatile = True\n"
    site.add("eigenwalk-some", "zoo_some", text)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("zoo.first", "zoo.second"):
            patch.setenv("ZOO_NAME", name)
            assert Registry.discover().feature(name)


def test_discovery_works_without_a_cache_or_subprocesses(site, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("EIGENWALK_CACHE", str(tmp_path / "file"))
    monkeypatch.setenv("EIGENWALK_PLUGINS", "zoo_good")
    assert Registry.discover().feature("zoo.good") and "zoo_good" not in sys.modules
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert Registry.discover().feature("zoo.good") and "zoo_good" in sys.modules


def test_specs_are_cached_only_if_plain_data_restores_them():
    weights = Weights("a/b.pt", "0" * 64, 3, "MIT", "https://example.org/b.pt", ("box", (0, 1.5)))
    spec = FeatureSpec("a", "b:c", "d", (Option("box", "numbers", (0, 1.5)),), (weights,), kind="projection", half=True)
    for one in (spec, GeneratorSpec("g", "a:b", "", spaces=("z", "w"))):
        assert coding.decode(json.loads(json.dumps(coding.encode(one)))) == one
    with pytest.raises(TypeError, match="plain data"):
        coding.encode(FeatureSpec("a", "b:c", "", (Option("where", "path", Path("x")),)))


@pytest.mark.parametrize(
    ("api", "upgrade"), [(1, "eigenwalk-some"), (2, ""), (3, ""), (4, "eigenwalk"), ("x", "eigenwalk-some")]
)
def test_a_contract_version_mismatch_says_what_to_upgrade(monkeypatch, api, upgrade):
    monkeypatch.setattr(plugin, "API", 3)
    monkeypatch.setattr(plugin, "OLDEST", 2)
    told = objection(FROM, FeatureSpec("a", "b:c", "", api=api), FeatureSpec)
    if not upgrade:
        assert told == ""
    else:
        assert "speaks versions 2 to 3" in told and told.endswith(f": pip install --upgrade {upgrade}")


def test_a_plugin_that_imports_large_packages_is_named(site):
    site.add("eigenwalk-heavy", "zoo_heavy", "import numpy\n" + PLAIN.format(name="zoo.heavy"))
    (told,) = probe.ask_apart([Source.of("zoo_heavy", "zoo_heavy", "eigenwalk-heavy", "1.0", site.folder)])
    assert told.heavy == ["numpy"] and told.plugin is not None and not told.failures
    assert told.seconds is not None and told.seconds > 0
