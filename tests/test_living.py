"""Living with plugins: remembered answers, plugins left out, versions of the contracts, and the commands for them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from eigenwalk.cli import environment, main
from eigenwalk.cli.environment import Installer, origin
from eigenwalk.names.discovery import coding, plugin
from eigenwalk.names.discovery.source import Source
from eigenwalk.names.registry import Registry
from eigenwalk.spec import FeatureSpec, GeneratorSpec, Option, Weights
from zookeeper import BAD, PLAIN, Site

GOOD = {"fourier.low", "pixels", "mask", "zoo.good"}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """An empty folder on the path, for this process and those that it starts, and an empty cache."""
    made = Site(tmp_path / "site")
    monkeypatch.syspath_prepend(str(made.folder))
    monkeypatch.setenv("PYTHONPATH", str(made.folder))
    monkeypatch.setenv("EIGENWALK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ZOO_SLEEP", "0.2")
    monkeypatch.setenv("COLUMNS", "300")
    for name in ("EIGENWALK_WITHOUT", "EIGENWALK_PLUGINS", "EIGENWALK_INDEX"):
        monkeypatch.delenv(name, raising=False)
    yield made
    for name in [name for name in sys.modules if name.startswith("zoo_")]:
        del sys.modules[name]


def eigenwalk(*words: str) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own."""
    code = "import sys; from eigenwalk.cli import main; main(sys.argv[1:])"
    return subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)


def imported(*words: str) -> set[str]:
    """The modules that a process has imported after the command line `words`."""
    code = (
        "import sys\nfrom eigenwalk.cli import main\n"
        "try: main(sys.argv[1:])\nexcept SystemExit: pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def names(said: subprocess.CompletedProcess[str]) -> set[str]:
    """The names at the heads of the lines."""
    return {line.split()[0].partition("(")[0] for line in said.stdout.splitlines()}


def test_a_hundred_plugins_are_listed_without_being_imported(site):
    site.plain(98)
    site.zoo("sleeps", "fails_at_import")
    every = {f"plain_{number}" for number in range(98)} | {"zoo_sleeps"}
    assert every <= imported("features")
    assert not imported("features") & every, "what they answered is remembered"
    said = eigenwalk("features")
    assert {f"plain.f{number}" for number in range(98)} | {"zoo.sleepy", "fourier.low"} <= names(said)
    assert "1 failure" in said.stderr
    (site.folder / "plain_3.py").write_text(PLAIN.format(name="plain.renamed"), encoding="utf-8")
    assert imported("features") & every == {"plain_3"}
    assert {"plain.renamed"} <= names(eigenwalk("features")) and "plain.f3" not in names(eigenwalk("features"))


def test_what_is_remembered_is_what_was_answered(site):
    site.zoo("good")
    asked, recalled = Registry.discover(), Registry.discover()
    for table in ("features", "generators", "directions", "commands"):
        assert getattr(asked, table) == getattr(recalled, table)
    sys.modules.pop("zoo_good")
    offer = Registry.discover().feature("zoo.good")
    assert offer.spec.options[0].default == (0.0, 0.5) and "zoo_good" not in sys.modules


def test_a_file_is_opened_by_a_plugin_that_is_remembered(site, tmp_path):
    site.zoo("good")
    Registry.discover()
    sys.modules.pop("zoo_good")
    (tmp_path / "weights").write_bytes(b"ZOO")
    assert Registry.discover().open(tmp_path / "weights").distribution == "eigenwalk-zoo-good"


@pytest.mark.parametrize("change", ["version", "RECORD", "direct_url.json", "damaged", "value"])
def test_what_has_changed_is_asked_again(site, change, tmp_path):
    info = site.add("eigenwalk-some", "some_plugin", PLAIN.format(name="some.feature"))
    assert "some_plugin" in imported("features") and "some_plugin" not in imported("features")
    if change == "version":
        info.rename(info.with_name("eigenwalk_some-2.0.dist-info"))
    elif change == "value":
        (info / "entry_points.txt").write_text("[eigenwalk]\nother = some_plugin\n")
    elif change == "damaged":
        for file in (tmp_path / "cache" / "plugins").glob("*.json"):
            file.write_text(file.read_text(encoding="utf-8").replace('"FeatureSpec"', '"Popen"'), encoding="utf-8")
    else:
        (info / change).write_text('{"url": "file:///elsewhere"}')
    assert "some_plugin" in imported("features")


def test_a_plugin_whose_answers_depend_on_more_is_asked_every_time(site):
    site.add("eigenwalk-some", "some_plugin", PLAIN.format(name="some.feature") + "\neigenwalk_volatile = True\n")
    assert all("some_plugin" in imported("features") for _ in range(2))


def test_the_modules_that_a_plugin_imports_count_too(site):
    (site.folder / "some_words.py").write_text("NAME = 'first.name'\n")
    text = "from some_words import NAME\n" + PLAIN.replace("{name!r}", "NAME")
    site.add("eigenwalk-some", "some_plugin", text)
    assert "first.name" in names(eigenwalk("features"))
    (site.folder / "some_words.py").write_text("NAME = 'second.name.of.it'\n")
    assert "second.name.of.it" in names(eigenwalk("features"))


def test_a_cache_that_cannot_be_written_costs_only_time(site, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("EIGENWALK_CACHE", str(tmp_path / "file"))
    assert "fourier.low" in names(eigenwalk("features"))


def test_specs_survive_as_plain_data_or_are_not_kept():
    weights = Weights("a/b.pt", "0" * 64, 3, "MIT", "https://example.org/b.pt", ("box", (0, 1.5)))
    spec = FeatureSpec("a", "b:c", "d", (Option("box", "numbers", (0, 1.5)),), (weights,), kind="projection", half=True)
    for one in (spec, GeneratorSpec("g", "a:b", "", spaces=("z", "w"))):
        told = json.loads(json.dumps(coding.encode(one)))
        assert coding.decode(told) == one
    with pytest.raises(TypeError, match="plain data"):
        coding.encode(FeatureSpec("a", "b:c", "", (Option("where", "path", Path("x")),)))


def test_the_zoo_costs_only_itself(site):
    site.zoo("good", *BAD)
    said = eigenwalk("features")
    assert said.returncode == 0 and GOOD | {"zoo.sleepy"} <= names(said)
    assert "7 failures of plugins" in said.stderr
    assert not {"zoo.old", "zoo.new", "zoo.misspelt"} & names(said)
    assert eigenwalk("describe", "fourier.low").returncode == 0


def test_a_plugin_that_kills_the_process_does_it_once(site):
    site.zoo("good", "kills")
    assert eigenwalk("features").returncode == 7
    said = eigenwalk("features")
    assert said.returncode == 0 and names(said) >= GOOD
    assert "exit code 7" in eigenwalk("describe", "zoo_kills").stderr
    (site.folder / "zoo_kills.py").write_text(PLAIN.format(name="zoo.kills"), encoding="utf-8")
    assert "zoo.kills" in names(eigenwalk("features")), "a plugin that does it no more is used again"


@pytest.mark.parametrize("name", ["zoo_kills", "eigenwalk-zoo-kills", "Eigenwalk_Zoo.Kills"])
def test_it_can_be_left_out_at_once(site, name, monkeypatch):
    site.zoo("good", "kills")
    for words in (["features", "--without", name], [f"--without={name}", "features"]):
        said = eigenwalk(*words)
        assert (said.returncode, said.stderr) == (0, "") and names(said) >= GOOD
    monkeypatch.setenv("EIGENWALK_WITHOUT", f"{name},another")
    assert names(eigenwalk("features")) >= GOOD
    monkeypatch.delenv("EIGENWALK_WITHOUT")
    assert names(eigenwalk("features", "--without", f"pixels,{name}")).isdisjoint({"luminance", "zoo.kills"})
    assert eigenwalk("describe", "zoo.good", "--without", "zoo_good").stderr.count("left out") == 0


def test_plugins_left_out_are_named_where_their_names_are_missed(site, monkeypatch):
    said = eigenwalk("describe", "identity", "--without", "identity")
    assert said.returncode == 2 and "'identity' (eigenwalk-identity 0.1.0) is left out, by --without" in said.stderr
    assert eigenwalk("features", "--without", "nobody").returncode == 2
    monkeypatch.setenv("EIGENWALK_PLUGINS", "none")
    assert eigenwalk("features").stderr == "no installed plugin offers features\n"
    monkeypatch.setenv("EIGENWALK_PLUGINS", "masks, eigenwalk-pixels")
    assert names(eigenwalk("features")) == {"appearance", "luminance", "mask", "pixels", "position"}


def test_leaving_out_ends_with_the_command(site, capsys):
    main(["features", "--without", "pixels"])
    assert "EIGENWALK_WITHOUT" not in os.environ and "luminance" not in capsys.readouterr().out
    main(["features"])
    assert "luminance" in capsys.readouterr().out


OF = Source("some", "eigenwalk-some", "1.0", dict)


@pytest.mark.parametrize(
    ("api", "upgrade"), [(1, "eigenwalk-some"), (2, ""), (3, ""), (4, "eigenwalk"), ("x", "eigenwalk-some")]
)
def test_versions_of_the_contracts_say_which_side_to_upgrade(monkeypatch, api, upgrade):
    monkeypatch.setattr(plugin, "API", 3)
    monkeypatch.setattr(plugin, "OLDEST", 2)
    told = plugin.objection(OF, FeatureSpec("a", "b:c", "", api=api), FeatureSpec)
    if not upgrade:
        assert told == ""
    else:
        assert "speaks versions 2 to 3" in told and told.endswith(f": pip install --upgrade {upgrade}")


def test_a_plugin_of_a_later_core_says_so(site):
    site.zoo("new_core")
    (failure,) = [one for one in Registry.discover().failures if one.plugin == "zoo_new_core"]
    assert "it asks for eigenwalk>=99, this is" in failure.error
    assert failure.error.endswith("pip install --upgrade eigenwalk")


def test_search_ranks_names_before_summaries_and_says_what_is_installed(site, tmp_path, monkeypatch):
    rows = "".join(
        f'[features.{name}]\ndistribution = "acme-{name}"\nsummary = "{summary}"\napi = {api}\n'
        for name, summary, api in (("beard", "facial hair", 1), ("hair", "how long", 1), ("hairline", "where", 9))
    )
    (tmp_path / "index.toml").write_text(rows)
    monkeypatch.setenv("EIGENWALK_INDEX", str(tmp_path / "index.toml"))
    said = eigenwalk("search", "hair")
    heads = [line.split()[0] for line in said.stdout.splitlines() if line[0] != " "]
    assert heads[:2] == ["hair", "hairline"] and set(heads) >= {"beard", "faces.part"}
    assert "eigenwalk install hair  (acme-hair, listed by" in said.stdout
    assert "needs a later eigenwalk (contracts 9, this speaks 1)" in said.stdout
    assert "installed: eigenwalk-miniatures" in said.stdout and "Listed is not audited" in said.stderr
    assert "fourier.low" in eigenwalk("search", "forier").stdout
    assert eigenwalk("search", "RMS", "low").stdout.startswith("fourier.low")
    assert eigenwalk("search", "nothing-of-that-kind").returncode == 1


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that would have been run; pip ends with 0."""
    commands: list[list[str]] = []

    def run(command: list[str], **options: object) -> object:
        commands.append(list(command))
        rows = [{"name": "Eigenwalk_Pixels", "version": "0.1.0", "latest_version": "9.9"}]
        return types.SimpleNamespace(returncode=0, stdout=json.dumps(rows))

    monkeypatch.setattr(environment.subprocess, "run", run)
    return commands


@pytest.fixture
def command(site: Site, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def run(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main(words)
        said = capsys.readouterr()
        return int(str(end.value.code or 0)), said.out, said.err

    return run


PIP = [sys.executable, "-m", "pip"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["install", "identity"], ["install", "eigenwalk-identity"]),
        (["install", "mask", "appearance", "rooms"], ["install", "eigenwalk-masks", "eigenwalk-miniatures"]),
        (["install", "Eigenwalk.Masks", "-U"], ["install", "--upgrade", "Eigenwalk.Masks"]),
        (["install", "eigenwalk-unheard-of"], ["install", "eigenwalk-unheard-of"]),
        (["uninstall", "fourier.low"], ["uninstall", "--yes", "eigenwalk-fourier"]),
        (["uninstall", "rooms", "masks"], ["uninstall", "--yes", "eigenwalk-miniatures", "eigenwalk-masks"]),
    ],
)
def test_names_become_distributions(command, ran, words, expected):
    code, out, _ = command(*words, "--yes")
    assert code == 0 and ran == [[*PIP, *expected]]
    assert out.startswith("runs: ") and " ".join(expected) in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["install", "nothing"], "no index lists 'nothing': eigenwalk search nothing"),
        (["install", "identity"], "add --yes"),
        (["uninstall", "identity"], "add --yes"),
        (["uninstall", "eigenwalk", "--yes"], "not removed by itself"),
        (["uninstall", "torch", "--yes"], "no installed plugin is called 'torch'"),
    ],
)
def test_what_cannot_be_done_runs_nothing(command, ran, words, said):
    code, _, err = command(*words)
    assert code == 2 and said in err and ran == []


def test_a_name_that_another_distribution_has_is_said_before_it_is_installed(command, ran, tmp_path, monkeypatch):
    own = tmp_path / "own.toml"
    rows = [f'[features."{name}"]\ndistribution = "acme-pixels"\n' for name in ("pixels", "mask", "acme.own")]
    own.write_text("\n".join([*rows, '[generators.pixels]\ndistribution = "acme-pixels"\n']))
    monkeypatch.setenv("EIGENWALK_INDEX", str(own))
    main(["features"])  # which remembers what is installed
    code, _, err = command("install", "acme.own", "--yes")
    assert code == 0 and ran == [[*PIP, "install", "acme-pixels"]]
    assert f"listed by {own}" in err
    assert "feature 'pixels' is also of eigenwalk-pixels, which is installed here" in err
    assert "feature 'mask' is also of eigenwalk-masks" in err and 'mask(package="acme-pixels")' in err
    assert err.count("is also of") == 2, "another kind with the name is no rival, nor is what nobody else has"
    assert "is also of" not in command("install", "identity", "--yes")[2]


@pytest.mark.parametrize(("answer", "runs"), [("y", 1), ("n", 0)])
def test_it_asks_first(command, ran, monkeypatch, answer, runs):
    monkeypatch.setattr("eigenwalk.cli.install.sys.stdin", types.SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("typer.confirm", lambda text: answer == "y")
    assert command("uninstall", "identity")[0] == 1 - runs and len(ran) == runs


def test_an_installer_that_fails_is_said(command, monkeypatch):
    monkeypatch.setattr(environment.subprocess, "run", lambda *_, **__: types.SimpleNamespace(returncode=3, stdout="x"))
    for words in (["install", "identity", "--yes"], ["list", "--outdated"]):
        code, _, err = command(*words)
        assert code == 1 and "ended with exit code 3" in err


def test_uninstall_and_list_import_nothing_whatever_plugins_do(command, ran, site):
    site.zoo("good", "kills", *BAD)
    for kind in ("kills", *BAD):
        assert command("uninstall", f"zoo_{kind}", "--yes")[0] == 0
        assert ran[-1][-1] == f"eigenwalk-zoo-{kind.replace('_', '-')}"
    code, out, _ = command("list")
    assert code == 0 and "eigenwalk-zoo-kills 1.0" in out and "as the index says" in out
    assert not [name for name in sys.modules if name.startswith("zoo_")]


def test_outdated_lists_what_pip_says(command, ran):
    code, out, err = command("list", "--outdated")
    assert code == 0 and "eigenwalk-pixels 0.1.0 → 9.9" in out and "eigenwalk-fourier" not in out
    assert ran == [[*PIP, "list", "--outdated", "--format", "json"]] and "runs: " in err


@pytest.mark.parametrize(
    ("config", "uv", "pip", "expected"),
    [
        ("uv = 0.9", "/bin/uv", True, ("/bin/uv", "pip")),
        ("version = 3.12", "/bin/uv", True, (sys.executable, "-m", "pip")),
        ("version = 3.12", "/bin/uv", False, ("/bin/uv", "pip")),
        ("uv = 0.9", None, True, (sys.executable, "-m", "pip")),
        ("uv = 0.9", None, False, None),
    ],
)
def test_what_made_the_environment_installs_into_it(tmp_path, monkeypatch, config, uv, pip, expected):
    (tmp_path / "pyvenv.cfg").write_text(f"home = /usr/bin\n{config}\n")
    monkeypatch.setattr(environment.sys, "prefix", str(tmp_path))
    monkeypatch.setattr(environment.shutil, "which", lambda name: uv)
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda name: pip if name == "pip" and pip else None)
    if expected is None:
        with pytest.raises(environment.InputError, match="neither pip nor uv"):
            environment.installer()
    else:
        assert environment.installer().words == expected


def test_uv_is_told_which_python():
    made = Installer("uv", ("uv", "pip"))
    assert made.install(["a"], upgrade=True) == ["uv", "pip", "install", "--python", sys.executable, "--upgrade", "a"]
    assert made.uninstall(["a"]) == ["uv", "pip", "uninstall", "--python", sys.executable, "a"]


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"url": "file:///home/me/a%20b", "dir_info": {"editable": True}}, "editable /home/me/a b"),
        ({"url": "file:///home/me/a", "dir_info": {}}, "folder /home/me/a"),
        ({"url": "file:///a.whl", "archive_info": {}}, "file /a.whl"),
        (
            {"url": "https://example.org/a", "vcs_info": {"vcs": "git", "commit_id": "0123456789abcdef"}},
            "git https://example.org/a at 0123456789ab",
        ),
        (None, "wheel"),
    ],
)
def test_where_a_plugin_comes_from(tmp_path, told, expected):
    if told:
        (tmp_path / "direct_url.json").write_text(json.dumps(told))
    assert origin(replace(OF, info=tmp_path)) == expected
