"""Downloads from servers that break off, lie or stall: only the declared file gets its name."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest
from pytest_httpserver import HTTPServer

from eigenwalk import store
from eigenwalk.errors import InputError, WeightsError
from eigenwalk.spec import Weights
from eigenwalk.weights import Item, download
from eigenwalk.weights.fetching import obtain
from publisher import BLOCK, Publisher, noise


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EIGENWALK_WEIGHTS", str(tmp_path / "store"))
    monkeypatch.delenv("EIGENWALK_MIRROR", raising=False)
    monkeypatch.setattr(download, "BACKOFF", 0.0)
    return tmp_path / "store"


@pytest.fixture(scope="module")
def server() -> Iterator[HTTPServer]:
    with HTTPServer(threaded=True) as server:
        yield server


@pytest.fixture
def publisher(server: HTTPServer, folder: Path) -> Iterator[Publisher]:
    published = Publisher(server)
    yield published
    published.gate.set()
    server.clear()


def lying(folder: Path) -> set[str]:
    """The names in the store, but what was remembered of files."""
    return {path.name for path in (folder / "toy").iterdir() if not path.name.endswith((store.CHECKED, ".lock"))}


def fetched(publisher: Publisher, **changes) -> list[str]:
    """The notes of a fetch after which the file is here, whole."""
    notes: list[str] = []
    path = obtain(publisher.item(**changes), progress=lambda item, done, note: notes.append(note) if note else None)
    assert path.read_bytes() == publisher.data
    return notes


def test_a_fetched_file_is_verified_and_nothing_else_is_left(publisher, folder):
    seen: list[int] = []
    path = obtain(publisher.item(), progress=lambda item, done, note: seen.append(done))
    assert path == folder / "toy" / "w.pt" and path.read_bytes() == publisher.data
    assert seen == sorted(seen) and seen[-1] == len(publisher.data) and len(seen) > 3
    assert lying(folder) == {"w.pt"} and not list(folder.rglob("*.lock"))
    assert store.known_sha256(path) == publisher.sha256, "it need not be hashed again when it is first used"
    obtain(publisher.item())
    assert len(publisher.asked) == 1


def test_a_broken_download_resumes(publisher):
    publisher.cuts = [100_000, 100_000]
    notes = fetched(publisher)
    assert [asked.get("Range") for asked in publisher.asked] == [None, "bytes=100000-", "bytes=200000-"]
    assert {asked["If-Range"] for asked in publisher.asked[1:]} == {'"first"'}
    assert len(notes) == 2 and all("trying again" in note for note in notes)
    assert {asked["Accept-Encoding"] for asked in publisher.asked} == {"identity"}


def test_without_range_support_a_download_starts_again(publisher):
    publisher.cuts, publisher.ranges = [100_000], False
    fetched(publisher)
    assert len(publisher.asked) == 2


@pytest.mark.parametrize("summed", [True, False])
def test_parts_of_different_versions_are_not_mixed(publisher, summed):
    right, publisher.data = publisher.data, noise(len(publisher.data), seed=1)
    publisher.cuts = [100_000]
    sums = {"sha256": hashlib.sha256(right).hexdigest() if summed else None}

    def replaced(item, done, note):
        if "trying again" in note:
            publisher.data, publisher.etag = right, '"second"'

    path = obtain(publisher.item(**sums), trust=not summed, progress=replaced)
    assert path.read_bytes() == right
    assert publisher.asked[1]["If-Range"] == '"first"'


def test_the_next_fetch_resumes_a_failed_download(publisher, folder):
    publisher.cuts = [50_000] + [0] * (download.ATTEMPTS - 1)
    with pytest.raises(WeightsError, match=r"the connection .*\(5 attempts\); 0\.1 MB are kept"):
        obtain(publisher.item())
    assert lying(folder) == {"w.pt.part", "w.pt.part.json"} and publisher.item().state() == "partial"
    publisher.asked.clear()
    fetched(publisher)
    assert [asked.get("Range") for asked in publisher.asked] == ["bytes=50000-"]


def test_a_damaged_part_is_downloaded_again_once(publisher, folder):
    publisher.cuts = [50_000] + [0] * (download.ATTEMPTS - 1)
    with pytest.raises(WeightsError):
        obtain(publisher.item())
    part = folder / "toy" / "w.pt.part"
    part.write_bytes(b"?" + part.read_bytes()[1:])
    assert any("beginning again" in note for note in fetched(publisher))


def test_a_complete_part_is_used_without_asking_the_server(publisher, folder):
    (folder / "toy").mkdir(parents=True)
    (folder / "toy" / "w.pt.part").write_bytes(publisher.data)
    fetched(publisher)
    assert not publisher.asked


def test_without_a_sum_the_server_confirms_a_complete_part(publisher, folder):
    item = publisher.item(sha256=None)
    publisher.cuts = [299_999] + [0] * (download.ATTEMPTS - 1)
    with pytest.raises(WeightsError):
        obtain(item, trust=True)
    (folder / "toy" / "w.pt.part").write_bytes(publisher.data)
    assert obtain(item, trust=True).read_bytes() == publisher.data
    assert publisher.asked[-1]["Range"] == f"bytes={len(publisher.data)}-"


def test_a_file_with_another_sum_is_removed_and_both_sums_are_named(publisher, folder):
    expected = publisher.sha256
    publisher.data = noise(len(publisher.data), seed=1)
    with pytest.raises(WeightsError, match=rf"expected {expected}, got {publisher.sha256}"):
        obtain(publisher.item(sha256=expected))
    assert lying(folder) == set()


@pytest.mark.parametrize("more", [-1000, 1000])
def test_a_file_of_another_size_is_not_fetched(publisher, folder, more):
    with pytest.raises(WeightsError, match=r"has 300,000 bytes and \S+ were declared: it is another file"):
        obtain(publisher.item(size=len(publisher.data) + more))
    assert lying(folder) == set()


@pytest.mark.parametrize(("changes", "limit"), [({}, 100_000), ({"sha256": None}, 125_000)])
def test_a_body_without_end_is_stopped_at_the_declared_size(publisher, folder, changes, limit):
    publisher.length = False
    most = []
    with pytest.raises(WeightsError, match="goes on after the 100,000 bytes"):
        obtain(publisher.item(size=100_000, **changes), trust=True, progress=lambda item, done, note: most.append(done))
    assert max(most) <= limit and lying(folder) == set()


def test_a_short_body_without_a_length_counts_as_broken_off(publisher):
    publisher.length, publisher.cuts = False, [100_000]
    fetched(publisher)
    assert [asked.get("Range") for asked in publisher.asked] == [None, "bytes=100000-"]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (404, "is not there .404.: upgrade the plugin"),
        (403, "refuses .403.: the publisher wants a login"),
        (400, "400"),
    ],
)
def test_permanent_errors_are_not_retried(publisher, folder, status, words):
    publisher.statuses = [status]
    with pytest.raises(WeightsError, match=words) as told:
        obtain(publisher.item())
    assert len(publisher.asked) == 1
    assert str(folder / "toy" / "w.pt") in str(told.value), "where to put the file by hand"


def test_a_busy_server_is_asked_again_after_the_time_it_names(publisher, monkeypatch):
    publisher.statuses, publisher.retry_after = [503, 429, 500], "7"
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    fetched(publisher)
    assert slept == [7.0, 7.0, 7.0]


def test_waits_between_attempts_grow(publisher, monkeypatch):
    publisher.statuses = [500] * 4
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    monkeypatch.setattr(download, "BACKOFF", 1.0)
    fetched(publisher)
    assert len(slept) == 4 and all(2**n <= wait <= 1.25 * 2**n for n, wait in enumerate(slept))


def test_a_server_that_stalls_is_given_up(publisher, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", httpx2.Timeout(0.2))
    monkeypatch.setattr(download, "ATTEMPTS", 2)
    publisher.gated = 0
    with pytest.raises(WeightsError, match=r"does not answer in time \(2 attempts\)"):
        obtain(publisher.item())


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_server_that_drips_is_given_up_however_often_it_sends(folder, monkeypatch, head):
    """A byte each hundredth of a second: no read ever waits for long, in the head nor in the body."""
    for name, value in {"GRACE": 0.2, "PACE": 1e6, "ATTEMPTS": 2}.items():
        monkeypatch.setattr(download, name, value)
    served = []

    def drip(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(4096)
            for byte in head or b"HTTP/1.1 200 OK\r\nX-Long: ":
                connection.sendall(bytes([byte]))
            while len(served) < 3000:
                connection.sendall(b"x")
                served.append(1)
                time.sleep(0.01)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=lambda: [drip(server.accept()[0]) for _ in range(2)], daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/w.pt"
        item = Item(Weights("toy/w.pt", "0" * 64, 300_000, "MIT", url), ("toy",), "eigenwalk-toy", "eigenwalk_toy")
        with pytest.raises(WeightsError, match=r"\(2 attempts\)"):
            obtain(item)
    assert len(served) < 1000


def test_links_and_pipes_in_place_of_unfinished_files_are_not_followed(publisher, folder, tmp_path, monkeypatch):
    mine = tmp_path / "mine.txt"
    mine.write_text("mine")
    (folder / "toy").mkdir(parents=True)
    for name in ("w.pt.part", "w.pt.part.json", "w.pt.checked"):
        (folder / "toy" / name).symlink_to(mine)
    fetched(publisher)
    assert mine.read_text() == "mine" and lying(folder) == {"w.pt"}
    (folder / "toy" / "w.pt").unlink()
    os.mkfifo(folder / "toy" / "w.pt.part")
    fetched(publisher)
    (folder / "toy" / "w.pt").unlink()
    (tmp_path / "mirror" / "toy").mkdir(parents=True)
    os.mkfifo(tmp_path / "mirror" / "toy" / "w.pt")
    monkeypatch.setenv("EIGENWALK_MIRROR", (tmp_path / "mirror").as_uri())
    with pytest.raises(WeightsError, match="a pipe or a device"):
        obtain(publisher.item())


@pytest.mark.parametrize("length", ["\u00b2", "9" * 5000])
def test_a_length_that_is_not_a_number_is_ignored(length):
    assert download._total(httpx2.Response(200, headers=[(b"content-length", length.encode("latin-1"))])) is None


def test_an_unreachable_server_is_reported(publisher):
    with pytest.raises(WeightsError, match="there is no connection to the server"):
        obtain(publisher.item(url="http://127.0.0.1:9/w.pt"))


def test_a_web_page_in_place_of_the_file_is_refused(publisher, folder):
    publisher.kind = "text/html; charset=utf-8"
    with pytest.raises(WeightsError, match="is a web page, not the file"):
        obtain(publisher.item())
    assert lying(folder) == set()


def test_redirects_are_followed_with_the_range(publisher):
    publisher.server.expect_request("/moved").respond_with_data("", 302, {"Location": publisher.url})
    publisher.cuts = [100_000]
    fetched(publisher, url=publisher.server.url_for("/moved"))
    assert publisher.asked[1]["Range"] == "bytes=100000-"


def test_a_full_disk_is_reported_before_and_during_a_download(publisher, folder, monkeypatch):
    with monkeypatch.context() as full:
        full.setattr(download.Transfer, "open", lambda self, append: open("/dev/full", "wb"))  # noqa: SIM115
        with pytest.raises(WeightsError, match=r"cannot be written: the disk is full"):
            obtain(publisher.item())
    (folder / "toy" / "w.pt.part.json").unlink()
    free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
    publisher.length = False
    with pytest.raises(WeightsError, match=r"the disk of .* is too full: .* are needed and"):
        obtain(publisher.item(size=2 * free))
    assert lying(folder) == {"w.pt.part.json"}


def test_a_store_that_cannot_be_created_is_reported(publisher, folder):
    folder.write_text("a file")
    with pytest.raises(WeightsError, match="cannot be put into"):
        obtain(publisher.item())


def test_a_damaged_file_is_fetched_anew(publisher, folder):
    (folder / "toy").mkdir(parents=True)
    (folder / "toy" / "w.pt").write_bytes(publisher.data[:-1] + b"?")
    assert any("damaged" in note for note in fetched(publisher))


@pytest.mark.parametrize("kind", ["file", "http"])
def test_a_mirror_is_used_and_its_file_verified(publisher, folder, tmp_path, monkeypatch, kind):
    mirrored = tmp_path / "mirror of ours"
    (mirrored / "toy").mkdir(parents=True)
    (mirrored / "toy" / "w.pt").write_bytes(publisher.data)
    if kind == "file":
        monkeypatch.setenv("EIGENWALK_MIRROR", mirrored.as_uri())
    else:
        publisher.server.expect_request("/deep/toy/w.pt").respond_with_handler(publisher.answer)
        monkeypatch.setenv("EIGENWALK_MIRROR", publisher.server.url_for("/deep/"))
    fetched(publisher, url="http://127.0.0.1:9/never")
    (folder / "toy" / "w.pt").unlink()
    if kind == "file":
        (mirrored / "toy" / "w.pt").write_bytes(noise(seed=2))
    else:
        publisher.server.clear()
        publisher.server.expect_request("/deep/toy/w.pt").respond_with_data(noise(seed=2))
    with pytest.raises(WeightsError, match=rf"expected {publisher.sha256}, got"):
        obtain(publisher.item(url="http://127.0.0.1:9/never"))
    assert lying(folder) == set()


def test_a_mirror_without_the_file_or_with_a_wrong_address_is_reported(publisher, tmp_path, monkeypatch):
    monkeypatch.setenv("EIGENWALK_MIRROR", tmp_path.as_uri())
    with pytest.raises(WeightsError, match="the mirror has no"):
        obtain(publisher.item())
    monkeypatch.setenv("EIGENWALK_MIRROR", "/a/folder")
    with pytest.raises(InputError, match=r"EIGENWALK_MIRROR must be .*, got '/a/folder'"):
        obtain(publisher.item())
    assert not publisher.asked


def test_a_mirrors_password_is_sent_and_not_printed(publisher, folder, monkeypatch):
    publisher.server.expect_request("/toy/w.pt").respond_with_handler(publisher.answer)
    monkeypatch.setenv("EIGENWALK_MIRROR", publisher.server.url_for("").replace("://", "://me:secret@"))
    publisher.cuts = [100_000]
    fetched(publisher)
    assert {asked["Authorization"] for asked in publisher.asked} == {f"Basic {b64encode(b'me:secret').decode()}"}
    (folder / "toy" / "w.pt").unlink()
    publisher.statuses = [404]
    with pytest.raises(WeightsError, match="is not there") as told:
        obtain(publisher.item())
    assert "secret" not in str(told.value)


def test_files_of_a_read_only_store_are_used(publisher, folder, monkeypatch):
    fetched(publisher)

    def refuse(*words, **named):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.replace", refuse)
    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    assert obtain(publisher.item()) == folder / "toy" / "w.pt"
    (folder / "toy" / "w.pt").unlink()
    with pytest.raises(WeightsError, match=r"cannot be put into .*: permission denied"):
        obtain(publisher.item())


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes a certificate with openssl")
def test_an_untrusted_certificate_is_refused(tmp_path, folder, monkeypatch):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    words += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(words, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with HTTPServer(threaded=True, ssl_context=context) as server:
        publisher = Publisher(server)
        with pytest.raises(WeightsError, match=r"certificate is not trusted .*SSL_CERT_FILE"):
            obtain(publisher.item())
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        fetched(publisher)
        plain = HTTPServer(threaded=True)
        with plain:
            item = publisher.item(sha256=None, url=server.url_for("/moved"))
            other = Publisher(plain)
            server.expect_request("/moved").respond_with_data("", 302, {"Location": other.url})
            (folder / "toy" / "w.pt").unlink()
            with pytest.raises(WeightsError, match="is not encrypted, so that the file cannot be trusted"):
                obtain(item, trust=True)
    assert not (folder / "toy" / "w.pt").exists()


CHILD = """
import sys
from eigenwalk.spec import Weights
from eigenwalk.weights import Item
from eigenwalk.weights.fetching import obtain
url, sha256, size = sys.argv[1:]
item = Item(Weights("toy/w.pt", sha256, int(size), "MIT", url), ("toy",), "eigenwalk-toy", "eigenwalk_toy")
print(obtain(item, progress=lambda item, done, note: print(note, flush=True) if note else None), flush=True)
"""


def child(publisher: Publisher) -> subprocess.Popen[str]:
    """Another process that fetches the file."""
    words = (publisher.url, publisher.sha256, str(len(publisher.data)))
    return subprocess.Popen([sys.executable, "-c", CHILD, *words], stdout=subprocess.PIPE, text=True)


def until(true, what: str) -> None:
    """Waits for something that another process does."""
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def test_of_two_processes_one_fetches_and_the_other_waits(publisher, folder):
    publisher.gated = 100_000
    first = child(publisher)
    until(lambda: publisher.asked, "the first process asks the server")
    second = child(publisher)
    assert second.stdout is not None and "another process is fetching" in second.stdout.readline()
    publisher.gate.set()
    assert first.wait(60) == 0 and second.wait(60) == 0
    assert len(publisher.asked) == 1
    assert (folder / "toy" / "w.pt").read_bytes() == publisher.data and lying(folder) == {"w.pt"}


def test_a_download_killed_half_way_is_resumed(publisher, folder):
    publisher.gated = 10 * BLOCK
    part = folder / "toy" / "w.pt.part"
    process = child(publisher)
    until(lambda: part.is_file() and part.stat().st_size > BLOCK, "half of it is here")
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    publisher.gate.set()
    have = part.stat().st_size
    assert 0 < have <= publisher.gated and not (folder / "toy" / "w.pt").exists()
    fetched(publisher)
    assert publisher.asked[-1]["Range"] == f"bytes={have}-"
