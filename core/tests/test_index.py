"""Indexes: what is read, in which order, what a check finds, and what a distribution says where it is tried."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from eigenwalk.cli import main
from eigenwalk.cli.environment import folders
from eigenwalk.errors import FileError
from eigenwalk.names import index
from eigenwalk.names.methods import METHODS
from eigenwalk.names.registry import Registry
from eigenwalk.names.schema import RESERVED, check_index

ROW = {
    "distribution": '"acme-hair"',
    "summary": '"how long hair is"',
    "kind": '"feature"',
    "unit": '"logit"',
    "licence": '"MIT"',
    "weights_licence": '"no weights"',
    "homepage": '"https://example.org/hair"',
    "api": "1",
    "checked": '"1.2"',
    "checked_on": "2026-01-31",
    "findings": "[]",
}


def row(name: str = "hair", table: str = "features", **changes: str | None) -> str:
    """A row that is well but for `changes`; None leaves a field out."""
    fields = {key: value for key, value in (ROW | changes).items() if value is not None}
    return f"[{table}.{name}]\n" + "".join(f"{key} = {value}\n" for key, value in fields.items()) + "\n"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return tmp_path / "index.toml"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EIGENWALK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(words)
    return int(str(end.value.code or 0))


def test_the_shipped_index_is_well():
    assert check_index(index.SHIPPED) == []
    assert all(entry.findings is not None and entry.checked for _, entry in index.shipped_index().entries())


def test_the_shipped_index_says_what_the_specs_say():
    registry = Registry.discover()
    ours = {normal for _, entry in index.shipped_index().entries() if (normal := index.normal_name(entry.distribution))}
    for table in index.TABLES:
        offers = {offer.name: offer for offer in getattr(registry, table) if offer.distribution in ours}
        rows = getattr(index.shipped_index(), table)
        assert set(offers) == set(rows)
        for name, offer in offers.items():
            entry, spec = rows[name], offer.spec
            assert (entry.distribution, entry.summary, entry.api) == (
                offer.distribution,
                spec.summary,
                getattr(spec, "api", 1),
            )
            assert (entry.kind, entry.unit) == (getattr(spec, "kind", ""), getattr(spec, "unit", ""))
            assert entry.checked == offer.version


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (row(summary=None, api=None), "line 1: features.hair: it lacks summary, api"),
        (row(finding="[]", findings=None), "finding is no field of features; did you mean findings?"),
        (row(distribution='"eigenwalk"'), "distribution is the core itself"),
        (row(distribution='"has spaces"'), "distribution must be the name of a distribution"),
        (row(distribution='"--index-url=https://example.org"'), "distribution must be the name of a distribution"),
        (row("'Index check'", "commands", kind=None, unit=None), "must be one word, or a group"),
        (row(licence='"Apache 2"'), "licence must be an SPDX expression"),
        (row(licence='"mit"'), "licence is written 'MIT' in SPDX"),
        (row(weights_licence='"unknown"'), "weights_licence must name the licence of the weights"),
        (row(homepage='"example.org"'), "homepage must be the https:// address"),
        (row(homepage='"plugins/hair"'), "homepage must be the https:// address"),
        (row(kind='"projector"'), "kind input should be 'feature' or 'projection'"),
        (row(api="0"), "api input should be greater than or equal to 1"),
        (row(api='"1"'), "api input should be a valid integer"),
        (row(checked='"one"'), "checked must be the version that was checked"),
        (row(checked_on="2999-01-31"), "checked_on lies in the future"),
        (row(findings='""'), "findings input should be a valid list"),
        (row("open"), "is a name of the core"),
        (row('"not a name"'), "must be dotted words"),
        (row("hair") + row("hair", "directions", kind=None, unit=None), "stands beside features.hair"),
        (row("hair_x") + row("hairX"), "can hardly be told from features.hair_x"),
        (row("mask"), "shadows feature mask of eigenwalk-masks in the shipped index"),
        (row("rooms"), "shadows generator rooms of eigenwalk-miniatures"),
        (row(distribution='"eigenwalk-maskz"'), "can be taken for 'eigenwalk-masks'"),
        (row() + row("beard", distribution='"Acme_Hair"'), "written in several ways: Acme_Hair, acme-hair"),
        ("[plugins.hair]\n", "table [plugins] is none of features, generators, directions, commands"),
        ("features = 3\n", "must be a table of rows"),
    ],
)
def test_what_is_wrong_with_an_index_is_found_with_its_line(own, text, expected):
    own.write_text(text)
    found = [str(one) for one in check_index(own, [index.shipped_index()])]
    assert any(expected in one for one in found), found


def test_a_row_that_is_well_is_found_well(own):
    command = row("hair", "commands", kind=None, unit=None)  # a command may be called as a feature is
    own.write_text(row() + row("other", "generators", kind=None, unit=None, reads='[".xyz files"]') + command)
    assert check_index(own, [index.shipped_index()]) == []


def test_own_indexes_come_before_the_shipped_one_in_their_order(own, tmp_path, cache, monkeypatch):
    own.write_text(row() + row("mask", distribution='"acme-masks"'))
    second = tmp_path / "second.toml"
    second.write_text(row(distribution='"second-hair"') + row("beard", distribution='"second-beard"'))
    monkeypatch.setenv("EIGENWALK_INDEX", f"{own}{os.pathsep}{second}")
    features = index.known_index().features
    assert (features["hair"].distribution, features["mask"].distribution) == ("acme-hair", "acme-masks")
    assert (features["beard"].distribution, features["pixels"].distribution) == ("second-beard", "eigenwalk-pixels")
    assert (features["beard"].listed_in, features["pixels"].listed_in) == (str(second), "")


def test_an_index_that_cannot_be_read_is_a_problem_and_no_error(own, cache, monkeypatch, capsys):
    own.write_text("[features.hair]\nsummary = 'no distribution'\n")
    monkeypatch.setenv("EIGENWALK_INDEX", f"{own},/nowhere/index.toml,https://example.org:8080/a.toml")
    known = index.known_index()
    assert len(known.features) == len(index.shipped_index().features)
    for problem, text in zip(known.problems, ("distribution", "/nowhere", "eigenwalk index update"), strict=True):
        assert text in problem
    main(["features"])
    assert "fourier.low" in capsys.readouterr().out
    assert run("search", "fourier") == 0
    assert "cannot read the index /nowhere/index.toml" in capsys.readouterr().err


def test_fields_of_a_later_version_are_left_out_and_what_pip_must_not_see_is_refused(own):
    own.write_text(row(stars="5"))
    assert index.Index.read(own).features["hair"].unit == "logit"
    for change, text in {
        "api": ('"one"', "api of .* must be a int, got 'one'"),
        "distribution": ('"--index-url=https://example.org"', "must have a distribution, the name of what to install"),
        "checked": ('"1.0 --no-deps"', "as checked a version, got 'acme-hair', '1.0 --no-deps'"),
    }.items():
        own.write_text(row(**{change: text[0]}))
        with pytest.raises(FileError, match=text[1]):
            index.Index.read(own)


def test_names_of_the_core_are_reserved():
    assert set(METHODS) <= set(RESERVED)


def test_an_address_is_fetched_by_its_command_alone(httpserver: HTTPServer, cache, monkeypatch, capsys):
    httpserver.expect_request("/index.toml").respond_with_data(row())
    address = httpserver.url_for("/index.toml").replace("//", "//me:secret@") + "?token=secret"
    monkeypatch.setenv("EIGENWALK_INDEX", address)
    main(["features"])
    assert run("search", "mask") == 0
    assert httpserver.log == []
    assert run("index", "update") == 0
    shown = httpserver.url_for("/index.toml")
    assert f"{shown}  1 name" in capsys.readouterr().out
    assert index.known_index().features["hair"].listed_in == shown
    for answer, status in (("<html>the guest network's own page</html>", 200), ("gone", 404), ("x" * (5 << 20), 200)):
        httpserver.clear()
        httpserver.expect_request("/index.toml").respond_with_data(answer, status)
        assert run("index", "update") == 4
    said = capsys.readouterr().err
    assert f"the index {shown} cannot be fetched: 404 NOT FOUND" in said and "larger than 4 MB" in said
    assert index.known_index().features["hair"].distribution == "acme-hair", "what was fetched before stays"
    httpserver.stop()
    assert run("index", "update") == 4 and run("index", "list") == 0
    httpserver.start()  # one server serves all tests
    said = capsys.readouterr()
    assert "ConnectError" in said.err and "secret" not in said.err + said.out
    assert "secret" not in str(dict(folders()))
    monkeypatch.setenv("EIGENWALK_INDEX", "https://me:secret@[bad/index.toml")
    assert run("index", "update") == 4 and "secret" not in capsys.readouterr().err
    monkeypatch.setenv("EIGENWALK_INDEX", "")
    assert run("index", "update") == 2
