"""Indexes of plugins: reading, their order, and checks."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from eigenwalk.cli import main
from eigenwalk.cli.environment import folders
from eigenwalk.errors import FileError
from eigenwalk.names import index
from index_rows import row, run


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return tmp_path / "index.toml"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EIGENWALK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_users_indexes_come_before_the_shipped_one(own, tmp_path, cache, monkeypatch):
    own.write_text(row() + row("mask", distribution='"acme-masks"'))
    second = tmp_path / "second.toml"
    second.write_text(row(distribution='"second-hair"') + row("beard", distribution='"second-beard"'))
    monkeypatch.setenv("EIGENWALK_INDEX", f"{own}{os.pathsep}{second}")
    features = index.known_index().features
    assert (features["hair"].distribution, features["mask"].distribution) == ("acme-hair", "acme-masks")
    assert (features["beard"].distribution, features["pixels"].distribution) == ("second-beard", "eigenwalk-pixels")
    assert (features["beard"].listed_in, features["pixels"].listed_in) == (str(second), "")


def test_an_unreadable_index_is_reported_and_raises_nothing(own, cache, monkeypatch, capsys):
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


def test_unknown_fields_are_ignored_and_unsafe_requirements_refused(own):
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


def test_only_the_index_command_fetches_addresses(httpserver: HTTPServer, cache, monkeypatch, capsys):
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
