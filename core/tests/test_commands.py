"""Commands about plugins: listed, left out, searched, installed; and what reaches the terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from eigenwalk.cli import doctor, install, main
from eigenwalk.cli.environment import origin
from eigenwalk.cli.terminal import clean
from eigenwalk.errors import InputError
from eigenwalk.names import installer
from eigenwalk.names.discovery import probe
from eigenwalk.names.discovery.source import Source
from eigenwalk.names.index import Entry, Index, merge, shipped_index
from eigenwalk.names.installer import Installer
from zookeeper import BAD, ESCAPE, HEAD, PLAIN, ZOO, Site

ROOT = Path(__file__).parents[2]
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """An empty folder on the import path of this process and of those that it starts."""
    made = Site(tmp_path / "site")
    monkeypatch.syspath_prepend(str(made.folder))
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setattr(probe, "TIMEOUT", 3.0)
    for name in ("EIGENWALK_WITHOUT", "EIGENWALK_PLUGINS", "EIGENWALK_INDEX", "EIGENWALK_TRACEBACK"):
        monkeypatch.delenv(name, raising=False)
    yield made
    for name in [name for name in sys.modules if name.startswith("zoo_")]:
        del sys.modules[name]


@pytest.fixture
def command(site: Site, capfd: pytest.CaptureFixture[str]) -> Command:
    """Run the command line; return exit code, standard output and standard error."""

    def run(*words: str) -> tuple[int, str, str]:
        capfd.readouterr()
        code: object = 0
        try:
            main(words)
        except SystemExit as end:
            code = end.code or 0
        said = capfd.readouterr()
        return int(str(code)), said.out, said.err

    return run


def names(said: tuple[int, str, str]) -> set[str]:
    """The names at the heads of the lines."""
    return {line.split()[0].partition("(")[0] for line in said[1].splitlines()}


def test_listing_imports_nothing_that_is_slow() -> None:
    code = (
        "import sys; from eigenwalk.cli import main; from eigenwalk.names import index\n"
        "for words in ['features'], ['generators'], ['weights', 'list']: main(words)\n"
        "slow = {'torch', 'numpy', 'typer', 'rich', 'pydantic', 'packaging', 'jinja2', 'matplotlib', 'PIL', 'httpx2'}\n"
        "slow |= {'eigenwalk.checkpoint', 'rapidfuzz'}\n"
        "assert not index.shipped_index.cache_info().currsize\n"
        "sys.exit(', '.join(slow & set(sys.modules)) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "fourier.low" in done.stdout and "eigenwalk-fourier" in done.stdout


def test_help_and_description_need_no_torch() -> None:
    code = (
        "import sys; from eigenwalk.cli import main\n"
        "for words in '--help', 'walk --help', 'describe fourier.low', 'describe ~mask(box=(0,0,1,1))':\n"
        "    try: main(words.split())\n"
        "    except SystemExit: pass\n"
        "    assert 'torch' not in sys.modules, words"
    )
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)


def test_a_pipe_that_closes_early_is_not_an_error() -> None:
    ours = f"{sys.executable} -c \"from eigenwalk.cli import main; main(['features'])\" | true"
    assert subprocess.run(ours, shell=True, capture_output=True, text=True, check=False).stderr == ""


def test_bad_plugins_disturb_no_command(command: Command, site: Site) -> None:
    site.zoo(*ZOO)
    said = command("features")
    assert said[0] == 0 and names(said) >= {"fourier.low", "pixels", "zoo.good", "zoo.prints", "zoo.closes"}
    assert f"{len(BAD)} failures of plugins" in said[2] and "hello" not in said[1]
    assert not {"zoo.old", "zoo.new", "zoo.none"} & names(said)
    assert command("describe", "fourier.low")[0] == 0
    assert "exit code 7" in command("describe", "zoo_kills")[2]
    for kind in BAD:
        code, _, err = command("uninstall", f"zoo_{kind}")
        assert code == 2 and "add --yes" in err
    code, out, _ = command("list")
    assert code == 0 and "eigenwalk-zoo-kills 1.0" in out and "as the index says" not in out.partition("zoo")[0]
    assert not [name for name in sys.modules if name.startswith("zoo_")], "and nothing of it was imported"


@pytest.mark.parametrize("name", ["zoo_kills", "eigenwalk-zoo-kills", "Eigenwalk_Zoo.Kills"])
def test_plugins_can_be_left_out(command: Command, site: Site, monkeypatch, name: str) -> None:
    site.zoo("good", "kills")
    for words in (["features", "--without", name], [f"--without={name}", "features"]):
        said = command(*words)
        assert (said[0], said[2]) == (0, "") and names(said) >= {"fourier.low", "zoo.good"}
    assert names(command("features", "--without", f"pixels,{name}")).isdisjoint({"luminance", "zoo.kills"})
    assert "left out" not in command("describe", "zoo.good", "--without", "zoo_good")[2]
    assert not os.environ.get("EIGENWALK_WITHOUT"), "it ends with the command"
    monkeypatch.setenv("EIGENWALK_WITHOUT", f"{name},another")
    said = command("features")
    assert names(said) >= {"zoo.good"} and said[2] == ""


def test_an_unknown_name_says_which_plugin_left_out_has_it(command: Command, monkeypatch) -> None:
    code, _, err = command("describe", "identity", "--without", "identity")
    assert code == 2 and "'identity' (eigenwalk-identity 0.1.0) is left out, by --without" in err
    assert command("features", "--without", "nobody")[0] == 2
    monkeypatch.setenv("EIGENWALK_PLUGINS", "none")
    assert command("features")[2] == "no installed plugin offers features\n"
    monkeypatch.setenv("EIGENWALK_PLUGINS", "masks, eigenwalk-pixels")
    assert names(command("features")) == {"appearance", "luminance", "mask", "pixels", "position"}


def test_names_of_two_plugins_are_listed_with_their_package(command: Command, site: Site) -> None:
    for who in ("one", "two"):
        site.add(f"made-{who}", f"zoo_{who}", PLAIN.format(name="hair"))
    code, _, err = command("walk", "./made.py:build", "--vary", "hair")
    assert code == 2 and 'hair(package="made-one")' in err and 'hair(package="made-two")' in err
    listed = command("features")[1]
    assert 'hair(package="made-one")' in listed and "fourier.low" in listed


GREET = HEAD + "@hookimpl\ndef eigenwalk_commands():\n    return [CommandSpec('greet', 'zoo_hello:app', 'Hello.')]\n"


def test_a_plugins_command_is_imported_when_it_runs(command: Command, site: Site) -> None:
    site.add("made-commands", "zoo_commands", GREET)
    app = "import typer\napp = typer.Typer()\n@app.command()\ndef greet(name: str):\n"
    app += "    print('\\x1b[1mhello\\x1b]0;x', name)\n"
    (site.folder / "zoo_hello.py").write_text(app)
    assert "Hello." in command("--help")[1] and "zoo_hello" not in sys.modules
    assert command("greet", "world")[1] == "\x1b[1mhello␛]0;x world\n", "styles are its own, all else is shown"
    del sys.modules["zoo_hello"]
    (site.folder / "zoo_hello.py").write_text("1 / 0")
    code, _, err = command("greet", "world")
    assert code == 3 and "made-commands 1.0" in err and "ZeroDivisionError" in err
    assert command("--help")[0] == 0


def test_the_help_lists_commands_that_can_be_installed(command: Command, site: Site) -> None:
    here, _, others = command("--help")[1].partition("Known, and not installed:")
    assert all(f"\n  {name} " in here for name in ("walk", "doctor", "evaluate", "new")) and others == ""
    words = ("--without", "evaluate,author,dataset,invert,testing")
    here, _, others = command("--help", *words)[1].partition("Known, and not installed:")
    lines = " ".join(others.split())
    assert "evaluate" not in here and "walk" in here
    for name, entry in shipped_index().commands.items():
        if entry.distribution in (
            "eigenwalk-evaluate",
            "eigenwalk-author",
            "eigenwalk-dataset",
            "eigenwalk-invert",
            "eigenwalk-testing",
        ):
            assert f"\n  {name} " in others and f"{entry.summary} {entry.pip_line}" in lines
            assert entry.pip_line.endswith(str(ROOT / entry.homepage))
            code, _, err = command(*name.split(), "--any", "word", *words)
            assert code == 2 and err == f"error: eigenwalk {name} comes with {entry.distribution}: {entry.pip_line}\n"
    assert "check" in command("index", "--help", *words)[1]
    assert "evaluate  Compare" in command("search", "evaluate", *words)[1]
    assert command("--version")[1].startswith("eigenwalk ")


def test_control_characters_from_outside_are_escaped(command: Command, site: Site, tmp_path, monkeypatch) -> None:
    quoted = json.dumps(ESCAPE)
    site.zoo("escapes")
    row = f"distribution = 'eigenwalk-evil'\nsummary = {quoted}\nunit = {quoted}\nlicence = {quoted}\n"
    index = tmp_path / "index.toml"
    index.write_text(f"[features.{quoted}]\n{row}[features.evil]\n{row}[commands.evil]\n{row}")
    monkeypatch.setenv("EIGENWALK_INDEX", f"{index},{tmp_path}/\x1b[2Jnone.toml")
    monkeypatch.setenv("EIGENWALK_PLUGINS", "zoo_escapes, author, pixels")
    monkeypatch.setattr(doctor, "device", lambda: ESCAPE)
    monkeypatch.setattr(doctor, "conflicts", lambda: [ESCAPE])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r.toml").write_text(f"generator = {quoted}\nvary = [{quoted}]\n[[{quoted}]]\n")
    (tmp_path / "mine.py").write_text(f"def f(images):\n    raise ValueError({ESCAPE!r})\n")
    (tmp_path / "weights\x1b[2J.bin").write_bytes(b"nothing")
    for words in (
        ["features"],
        ["generators"],
        ["list"],
        ["doctor"],
        ["search"],
        ["search", "evil\x1b[2J"],
        ["--help"],
        ["index", "list"],
        ["index", "check"],
        ["install", "evil"],
        ["install", "\x1b[2J"],
        ["uninstall", "\x1b[2J"],
        ["weights", "list"],
        ["weights", "fetch", "\x1b[2J"],
        ["weights", "verify"],
        ["zoo-escapes"],
        ["describe", "zoo.escapes"],
        ["describe", "zoo.escapes(word=x)"],
        ["describe", "./weights\x1b[2J.bin"],
        ["describe", "./weights\x1b[2J.bin", "--traceback"],
        ["describe", "a" * 5000],
        ["describe", f"./{'a' * 5000}"],
        ["check", "--cases", "a" * 5000],
        ["run", "r.toml"],
        ["run", "\x1b[2J.toml"],
        ["report", "\x1b[2J"],
        ["walk", "\x1b[2J", "--vary", "pixels"],
        ["check", "./mine.py:f"],
        ["check", "./mine.py:f", "--json"],
        ["check", "zoo.escapes"],
        ["features", "--without", "\x1b[2J"],
    ):
        _, out, err = command(*words)
        assert (out or err or "verify" in words) and clean(out) == out and clean(err) == err, words
        assert "Traceback" not in err or "--traceback" in words, words


def test_search_ranks_names_before_summaries_and_marks_installed_ones(command, tmp_path, monkeypatch):
    rows = "".join(
        f'[features.{name}]\ndistribution = "acme-{name}"\nsummary = "{summary}"\napi = {api}\n'
        for name, summary, api in (("beard", "facial hair", 1), ("hair", "how long", 1), ("hairline", "where", 9))
    )
    (tmp_path / "index.toml").write_text(rows)
    monkeypatch.setenv("EIGENWALK_INDEX", str(tmp_path / "index.toml"))
    _, out, err = command("search", "hair")
    heads = [line.split()[0] for line in out.splitlines() if line[0] != " "]
    assert heads[:2] == ["hair", "hairline"] and set(heads) >= {"beard", "faces.part"}
    assert "eigenwalk install hair  (acme-hair, listed by" in out
    assert "needs a later eigenwalk (contracts 9, this speaks 1)" in out
    assert "installed: eigenwalk-miniatures" in out and "Listed is not audited" in err
    assert "fourier.low" in command("search", "forier")[1]
    assert command("search", "RMS", "low")[1].startswith("fourier.low")
    assert command("search", "nothing-of-that-kind")[0] == 1


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that would have been run; pip ends with 0."""
    commands: list[list[str]] = []

    def run(command: list[str], **options: object) -> object:
        commands.append(list(command))
        rows = [{"name": "Eigenwalk_Pixels", "version": "0.1.0", "latest_version": "9.9"}]
        return types.SimpleNamespace(returncode=0, stdout=json.dumps(rows))

    monkeypatch.setattr(installer.subprocess, "run", run)
    return commands


PIP = [sys.executable, "-m", "pip"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["install", "identity"], ["install", f"{ROOT}/plugins/face", f"{ROOT}/plugins/identity"]),
        (
            ["install", "mask", "appearance", "rooms"],
            ["install", f"{ROOT}/plugins/masks", f"{ROOT}/plugins/miniatures"],
        ),
        (["install", "Eigenwalk.Masks", "-U"], ["install", "--upgrade", f"{ROOT}/plugins/masks"]),
        (["install", "eigenwalk-unheard-of"], ["install", "eigenwalk-unheard-of"]),
        (["uninstall", "fourier.low"], ["uninstall", "--yes", "eigenwalk-fourier"]),
        (["uninstall", "rooms", "masks"], ["uninstall", "--yes", "eigenwalk-miniatures", "eigenwalk-masks"]),
    ],
)
def test_install_takes_names_and_finds_their_distributions(command, ran, words, expected):
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
        (["install", "eigenwalk-x --index-url=y", "--yes"], "only the name of a distribution"),
        (["install", "eigenwalk-x@https://y", "--yes"], "only the name of a distribution"),
        (["install", "eigenwalk-far", "--yes"], "on no index of packages yet: pip install ./plugins/far, in a copy"),
    ],
)
def test_an_impossible_install_runs_no_command(command, ran, words, said, monkeypatch):
    far = Entry("far", "eigenwalk-far", homepage="plugins/far")
    monkeypatch.setattr(install, "known_index", lambda: merge([Index({"far": far}), shipped_index()]))
    code, _, err = command(*words)
    assert code == 2 and said in err and ran == []


def test_installing_a_clashing_name_warns_first(command, ran, tmp_path, monkeypatch):
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
def test_install_asks_first(command, ran, monkeypatch, answer, runs):
    monkeypatch.setattr("eigenwalk.cli.install.sys.stdin", types.SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("typer.confirm", lambda text: answer == "y")
    assert command("uninstall", "identity")[0] == 1 - runs and len(ran) == runs


def test_a_failing_installer_is_reported(command, monkeypatch):
    monkeypatch.setattr(installer.subprocess, "run", lambda *_, **__: types.SimpleNamespace(returncode=3, stdout="x"))
    for words in (["install", "identity", "--yes"], ["list", "--outdated"]):
        code, _, err = command(*words)
        assert code == 1 and "ended with exit code 3" in err


def test_outdated_lists_what_pip_reports(command, ran):
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
def test_the_tool_that_made_the_environment_installs_into_it(tmp_path, monkeypatch, config, uv, pip, expected):
    (tmp_path / "pyvenv.cfg").write_text(f"home = /usr/bin\n{config}\n")
    monkeypatch.setattr(installer.sys, "prefix", str(tmp_path))
    monkeypatch.setattr(installer.shutil, "which", lambda name: uv)
    monkeypatch.setattr(installer.importlib.util, "find_spec", lambda name: pip if name == "pip" and pip else None)
    if expected is None:
        with pytest.raises(InputError, match="neither pip nor uv"):
            installer.installer()
    else:
        assert installer.installer().words == expected


def test_uv_is_given_the_python_of_this_environment():
    made = Installer("uv", ("uv", "pip"))
    assert made.install(["a"], upgrade=True) == ["uv", "pip", "install", "--python", sys.executable, "--upgrade", "a"]
    assert made.uninstall(["a"]) == ["uv", "pip", "uninstall", "--python", sys.executable, "a"]
    for name in ("--index-url=https://example.org", "a @ https://example.org/a.whl", "-r", "./a", ""):
        with pytest.raises(InputError, match="only the name"):
            made.install([name])
        with pytest.raises(InputError, match="only the name"):
            made.uninstall([name])


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
def test_the_source_of_a_plugin_is_shown(tmp_path, told, expected):
    if told:
        (tmp_path / "direct_url.json").write_text(json.dumps(told))
    assert origin(Source("some", "eigenwalk-some", "1.0", dict, info=tmp_path)) == expected


def test_check_says_how_to_install_the_kit() -> None:
    code = "import sys; sys.modules['eigenwalk_testing'] = None; import eigenwalk.testing"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False).stderr
    how = shipped_index().commands["check"].pip_line
    assert told.endswith(f"ModuleNotFoundError: eigenwalk.testing comes with eigenwalk-testing: {how}\n")
