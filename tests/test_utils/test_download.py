"""Downloads from a local server, which behaves badly in each way that a server can."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from glip.utils.download import download, file_name, hash_of_name
from glip.utils.errors import CheckpointError, DownloadError

CONTENT = bytes(range(256)) * 4000
HASH = hashlib.sha256(CONTENT).hexdigest()[:8]
HASH = HASH if not HASH.isdecimal() else hashlib.sha256(CONTENT).hexdigest()[:12]


class Server:
    """A server of one file.

    Attributes:
        content: the file.
        requests: the Range header of each request, None without one.
        ranges: whether parts can be requested.
        break_at: close the connection at this position, so many times.
        etag: of the file.
        pause: seconds between parts of the answer.
        stall: seconds before the answer.
        more: bytes that the header announces and that do not come.
    """

    def __init__(self) -> None:
        self.content, self.requests, self.ranges = CONTENT, [], True
        self.break_at, self.breaks, self.etag, self.more = 0, 0, '"1"', 0
        self.status, self.location, self.pause, self.stall = 200, "", 0.0, 0.0
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                with suppress(ConnectionError):
                    server.answer(self)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.root = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range")
        self.requests.append(wanted)
        time.sleep(self.stall)
        if request.path.startswith("/redirect"):
            request.send_response(302)
            request.send_header("Location", self.location)
            request.end_headers()
            return
        if self.status != 200:
            request.send_error(self.status)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        unchanged = request.headers.get("If-Range") in (None, self.etag)
        total = len(self.content) + self.more
        if wanted and self.ranges and unchanged:
            if start >= total:
                request.send_response(416)
                request.send_header("Content-Range", f"bytes */{total}")
                request.end_headers()
                return
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        else:
            start = 0
            request.send_response(200)
        request.send_header("Content-Length", str(total - start))
        if self.etag:
            request.send_header("ETag", self.etag)
        request.end_headers()
        end = len(self.content)
        if self.breaks and start <= self.break_at:
            self.breaks -= 1
            end = self.break_at
        for at in range(start, end, 100_000):
            request.wfile.write(self.content[at : min(at + 100_000, end)])
            time.sleep(self.pause)
        request.close_connection = True


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


@pytest.fixture
def get(tmp_path) -> Callable[..., bytes]:
    """Download to an empty folder; gives the content."""

    def get(url: str, **options: object) -> bytes:
        options = dict(timeout=2.0, attempts=2, wait=0.01, progress=False) | options
        path = tmp_path / "cache" / file_name(url)
        assert download(url, path, **options) == path
        assert [each.name for each in path.parent.iterdir()] == [path.name]
        return path.read_bytes()

    return get


@pytest.mark.parametrize("name", ["model.pth", f"model-{HASH}.pth", "model-20230914.pth"])
def test_whole(server, get, name):
    assert get(f"{server.root}/{name}?download=true") == CONTENT
    assert get(f"{server.root}/{name}") == CONTENT
    assert server.requests == [None]


@pytest.mark.parametrize("etag", ['"1"', ""])
def test_broken_off_and_resumed_in_one_call(server, get, etag):
    server.break_at, server.breaks, server.etag = 300_000, 1, etag
    assert get(f"{server.root}/model-{HASH}.pth") == CONTENT
    assert server.requests == [None, "bytes=300000-"]


def test_broken_off_and_resumed_in_another_call(server, get, tmp_path):
    server.break_at, server.breaks = 300_000, 99
    url = f"{server.root}/model.pth"
    with pytest.raises(DownloadError) as caught:
        get(url)
    message = str(caught.value)
    assert url in message
    assert str(tmp_path / "cache" / "model.pth") in message
    assert "after 300,000 of 1,024,000 bytes" in message
    assert "300,000 bytes are kept" in message
    assert not (tmp_path / "cache" / "model.pth").exists()
    server.breaks, before = 0, len(server.requests)
    assert get(url) == CONTENT
    assert server.requests[before:] == ["bytes=300000-"]


def test_the_file_changed_meanwhile(server, get):
    server.break_at, server.breaks = 300_000, 99
    with pytest.raises(DownloadError):
        get(f"{server.root}/model.pth")
    server.content, server.etag, server.breaks = CONTENT[::-1], '"2"', 0
    assert get(f"{server.root}/model.pth") == CONTENT[::-1]


def test_without_ranges_or_validator_it_restarts(server, get, tmp_path):
    server.break_at, server.breaks, server.ranges = 300_000, 1, False
    assert get(f"{server.root}/a.pth") == CONTENT
    server.requests.clear()
    server.breaks, server.ranges, server.etag = 1, True, ""
    (tmp_path / "cache" / "a.pth").unlink()
    assert get(f"{server.root}/b.pth") == CONTENT
    assert server.requests == [None, None]


def test_all_bytes_were_received_before(server, get, tmp_path):
    server.breaks, server.break_at = 99, len(CONTENT)
    server.more = 5
    with pytest.raises(DownloadError, match="1,024,000 of 1,024,005"):  # wrong length
        get(f"{server.root}/model.pth")
    server.more = server.breaks = 0
    assert get(f"{server.root}/model.pth") == CONTENT
    assert server.requests[-1] == "bytes=1024000-"


def test_wrong_bytes(server, get, tmp_path):
    server.content = CONTENT[::-1]
    with pytest.raises(CheckpointError, match=f"SHA-256 starts with {HASH}, the 1,024,000 bytes"):
        get(f"{server.root}/model-{HASH}.pth")
    assert list((tmp_path / "cache").iterdir()) == []


def test_wrong_bytes_of_an_earlier_attempt(server, get):
    server.content, server.break_at, server.breaks, server.etag = CONTENT[::-1], 300_000, 99, ""
    with pytest.raises(DownloadError):
        get(f"{server.root}/model-{HASH}.pth")
    server.content, server.breaks = CONTENT, 0
    assert get(f"{server.root}/model-{HASH}.pth") == CONTENT


def test_refused(server, get):
    server.status = 404
    with pytest.raises(DownloadError, match=r"HTTP Error 404.*: check the URL, or download"):
        get(f"{server.root}/model.pth")
    assert len(server.requests) == 1
    server.status = 503
    with pytest.raises(DownloadError, match=r"HTTP Error 503.*: check the network"):
        get(f"{server.root}/model.pth")
    assert len(server.requests) == 3


def test_redirect(server, get, tmp_path):
    server.location = f"{server.root}/elsewhere/x"
    server.break_at, server.breaks = 300_000, 1
    assert get(f"{server.root}/redirect/model.pth") == CONTENT
    assert server.requests == [None, None, "bytes=300000-", "bytes=300000-"]
    (tmp_path / "cache" / "model.pth").unlink()
    server.location = "file:///etc/passwd"
    with pytest.raises(DownloadError, match="not allowed"):
        get(f"{server.root}/redirect/other.pth")


def test_slow(server, get, tmp_path):
    server.pause = 0.05
    assert get(f"{server.root}/model.pth", timeout=1.0) == CONTENT
    (tmp_path / "cache" / "model.pth").unlink()
    server.stall = 1.0
    with pytest.raises(DownloadError, match=r"timed out.*check the network"):
        get(f"{server.root}/model.pth", timeout=0.2, attempts=1)


def test_offline(get, tmp_path):
    url = "http://127.0.0.1:9/model.pth"
    with pytest.raises(DownloadError) as caught:
        get(url)
    assert url in str(caught.value)
    assert f"or put it at {tmp_path / 'cache' / 'model.pth'}" in str(caught.value)
    assert list((tmp_path / "cache").iterdir()) == []


def test_two_processes_download_once(server, tmp_path):
    server.pause = 0.05
    code = "import sys, pathlib; from glip.utils.download import download; "
    code += "download(sys.argv[1], pathlib.Path(sys.argv[2]), progress=False)"
    argv = [sys.executable, "-c", code, f"{server.root}/model.pth", str(tmp_path / "model.pth")]
    processes = [subprocess.Popen(argv) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    assert (tmp_path / "model.pth").read_bytes() == CONTENT
    assert server.requests == [None]


def test_the_folder_cannot_be_written(server, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DownloadError, match="GLIP_HOME"):
        download(f"{server.root}/model.pth", tmp_path / "file" / "model.pth", progress=False)


def test_names():
    assert file_name("https://a.org/b/c%20d.pth?x=1#y") == "c d.pth"
    for url in ("https://a.org", "https://a.org/", "https://a.org/..", "http://[a/b.pth"):
        with pytest.raises(DownloadError, match="names no file"):
            file_name(url)
    assert hash_of_name("glip_l_mmdet-abfe026b.pth") == "abfe026b"
    for name in ("model-20230914.pth", "model.pth", "model-abc.pth", "abfe026b.pth"):
        assert hash_of_name(name) == ""
