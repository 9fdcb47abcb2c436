"""The published files: fetched from a server, verified, opened; or refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from pytest_httpserver import HTTPServer

from eigenwalk.errors import WeightsError
from eigenwalk_face.portraits import portraits
from eigenwalk_identity.identity import identity
from eigenwalk_identity.plugin import WEIGHTS

CASIA = 'identity(pretrained="casia-webface")'


def fetch(server: HTTPServer, store: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """``eigenwalk weights fetch`` from `server` into `store`."""
    return subprocess.run(
        [Path(sys.executable).with_name("eigenwalk"), "weights", "fetch", "--yes", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "EIGENWALK_WEIGHTS": str(store), "EIGENWALK_MIRROR": server.url_for("/mirror")},
    )


@pytest.fixture
def store(tmp_path, monkeypatch) -> Path:
    """An empty store."""
    monkeypatch.setenv("EIGENWALK_WEIGHTS", str(tmp_path / "store"))
    return tmp_path / "store"


@pytest.fixture
def mirror(httpserver, weights) -> HTTPServer:
    """A server that has the test's own weights under the published names."""
    for one in WEIGHTS.values():
        httpserver.expect_request(f"/mirror/{one.file}").respond_with_data(weights.read_bytes())
    return httpserver


def test_weights_without_a_published_sum_are_fetched_on_trust(mirror, store, weights):
    refused = fetch(mirror, store, CASIA)
    assert refused.returncode != 0 and "--trust" in refused.stderr
    assert not (store / WEIGHTS["casia-webface"].file).exists()

    done = fetch(mirror, store, CASIA, "--trust")
    assert done.returncode == 0, done.stderr
    images = portraits()
    with torch.no_grad():
        fetched = identity(pretrained="casia-webface", size=80).at(images)(images)
        own = identity(file=str(weights), size=80).at(images)(images)
    assert torch.equal(fetched, own)

    with open(store / WEIGHTS["casia-webface"].file, "r+b") as file:
        file.seek(5_000_000)
        file.write(b"changed")
    with pytest.raises(WeightsError, match="damaged"):
        identity(pretrained="casia-webface")


def test_another_file_than_the_published_one_is_refused(mirror, store):
    done = fetch(mirror, store, "identity")
    assert done.returncode == WeightsError.exit_code and "connection" not in done.stderr
    assert not (store / WEIGHTS["vggface2"].file).exists()


def test_without_weights_the_error_says_how_to_get_them(store):
    with pytest.raises(WeightsError, match=r'(?s)111\.9 MB.*VGGFace2.*weights fetch "identity\(pretrained=vggface2\)"'):
        identity()
