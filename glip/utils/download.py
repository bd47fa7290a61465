"""Download large files: resumed, verified, atomic, and once for any number of processes."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from ssl import SSLError
from urllib.parse import unquote, urlsplit

from glip.utils.atomic_write import atomic_write, fsync_rename
from glip.utils.errors import DownloadError, shorten, summarize

#: Seconds to wait for a connection and for a server's next bytes.
TIMEOUT = 30.0
#: Attempts in a row that may fail without receiving a byte, and seconds before the second one.
ATTEMPTS = 4
WAIT = 1.0
#: Seconds to wait for another process that downloads the same file.
LOCK_TIMEOUT = 3600.0
#: The hash of torch's and OpenMMLab's file names, ``name-<hash>.pth``: the start of the SHA-256. A
#: suffix of digits alone is a date.
_HASH_SUFFIX = re.compile(r"-(?=[0-9]*[a-f])([0-9a-f]{8,64})\.[a-z]+$")
_BLOCK = 1 << 20
#: HTTP status codes that a later attempt may not get.
_TEMPORARY = (408, 425, 429, 500, 502, 503, 504)
#: Other errors of the operating system come from the disk.
_NETWORK_ERRORS = (
    HTTPException,
    TimeoutError,
    ConnectionError,
    SSLError,
    urllib.error.URLError,
)


class _BrokenOffError(Exception):
    """The connection ended before the file did."""


@dataclass
class _Partial:
    """A file that is being downloaded, with what tells whether the server's file is the same.

    Attributes:
        path: The file's first bytes.
        url: Where they come from.
        validator: The server's ETag or date of the file; empty if it sent none.
        verified: Whether a hash will show if the bytes are of two different files.
    """

    path: Path
    url: str
    validator: str = ""
    verified: bool = False

    @property
    def size(self) -> int:
        """Number of bytes that are there."""
        return self.path.stat().st_size if self.path.is_file() else 0

    @property
    def _note(self) -> Path:
        return self.path.with_name(self.path.name + ".json")

    def load(self) -> None:
        """Read the note of an earlier download, and remove the bytes of another URL."""
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
            self.validator = str(note["validator"])
            same = note["url"] == self.url
        except (OSError, ValueError, KeyError, TypeError):
            same = False
        if not same:
            self.remove()

    def save(self) -> None:
        """Write the note."""
        note = {"url": self.url, "validator": self.validator}
        atomic_write(self._note, json.dumps(note).encode())

    def remove(self) -> None:
        """Remove the bytes and the note."""
        self.validator = ""
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)


def file_name(url: str) -> str:
    """Return the name under which the file of a URL is stored.

    Raises:
        DownloadError: the URL has no file name.
    """
    try:
        name = os.path.basename(unquote(urlsplit(url).path))
    except ValueError:
        name = ""
    if name in ("", ".", "..") or "\0" in name:
        raise DownloadError(
            f"{shorten(url)} names no file: expected the URL of a .pth or .safetensors file"
        )
    return name


def hash_of_name(name: str) -> str:
    """Return the start of the SHA-256 in a file's name, an empty string if it has none."""
    match = _HASH_SUFFIX.search(name)
    return match[1] if match else ""


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def download(
    url: str,
    path: Path,
    *,
    progress: bool = True,
    timeout: float = TIMEOUT,
    attempts: int = ATTEMPTS,
    wait: float = WAIT,
) -> Path:
    """Download a file, unless it is there.

    The bytes of an interrupted download are kept and completed, also by a later call. A SHA-256 in
    the file's name (``name-b3654169.pth``) is verified. Of several processes that download the
    same file one does so, and the others wait for it.

    Args:
        url: an http(s) URL.
        path: the file to write.
        progress: show a progress bar.
        timeout: seconds to wait for a connection and for the next bytes.
        attempts: failures in a row without a received byte, after which it gives up.
        wait: seconds before the second attempt, doubled before each further one.

    Returns:
        ``path``.

    Raises:
        DownloadError: the file cannot be downloaded or written, or has other bytes than expected.
    """
    from filelock import FileLock, Timeout

    if path.is_file():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(f".{path.name}.lock")
        with FileLock(lock, timeout=LOCK_TIMEOUT):
            try:
                if not path.is_file():  # another process may have written it meanwhile
                    _fetch(url, path, progress, timeout, attempts, wait)
            finally:
                with suppress(OSError):  # Windows does not remove an open file
                    lock.unlink(missing_ok=True)
    except Timeout as error:
        raise DownloadError(
            f"another process has been downloading {path} for an hour: end it, then try again"
        ) from error
    except DownloadError:
        raise
    except OSError as error:
        raise DownloadError(
            f"{shorten(url, 300)} cannot be stored at {path} ({error.strerror or error}): free "
            "some space, or set GLIP_HOME to another folder"
        ) from error
    return path


def _fetch(
    url: str, path: Path, progress: bool, timeout: float, attempts: int, wait: float
) -> None:
    expected = hash_of_name(path.name)
    partial = _Partial(path.with_name(f".{path.name}.partial"), url, verified=bool(expected))
    partial.load()
    resumed = partial.size > 0
    _receive(partial, path, progress, timeout, attempts, wait)
    found = sha256(partial.path) if expected else ""
    if resumed and not found.startswith(expected):
        # The earlier bytes may be those of another version of the file.
        partial.remove()
        _receive(partial, path, progress, timeout, attempts, wait)
        found = sha256(partial.path)
    if not found.startswith(expected):
        size = partial.size
        partial.remove()
        raise DownloadError(
            f"{shorten(url)} is not the expected file: the name says that its SHA-256 starts with "
            f"{expected}, the {size:,} bytes received have {found[: len(expected)]}. A proxy or a "
            f"mirror may have changed it: download it elsewhere and put it at {path}"
        )
    fsync_rename(partial.path, path)
    partial.remove()


def _receive(
    partial: _Partial, path: Path, progress: bool, timeout: float, attempts: int, wait: float
) -> None:
    """Receive all bytes, in as many attempts as needed while some of them get on.

    Raises:
        DownloadError: the server refuses the file, or cannot be reached.
    """
    failures = 0
    while True:
        size = partial.size
        try:
            with _Bar(path.name, progress) as bar:
                _attempt(partial, path, bar, timeout)
            return
        except DownloadError:
            raise
        except urllib.error.HTTPError as error:
            problem, temporary = summarize(error), error.code in _TEMPORARY
        except _BrokenOffError as error:
            problem, temporary = str(error), True
        except _NETWORK_ERRORS as error:
            problem, temporary = summarize(error), True
        except ValueError as error:  # an invalid URL
            problem, temporary = summarize(error), False
        failures = 0 if partial.size > size else failures + 1
        if not temporary or failures >= attempts:
            kept = f". {partial.size:,} bytes are kept; the next attempt resumes there"
            advice = "check the network connection and try again" if temporary else "check the URL"
            raise DownloadError(
                f"{shorten(partial.url, 300)} cannot be downloaded ({problem}): {advice}, or "
                f"download it elsewhere and pass its path, or put it at {path}"
                + (kept if partial.size else "")
            )
        time.sleep(wait * 2 ** max(failures - 1, 0))


def _attempt(partial: _Partial, path: Path, bar: _Bar, timeout: float) -> None:
    """Request the missing bytes and append them.

    Raises:
        _BrokenOffError: the connection ended before the file did.
        DownloadError: the disk has no space for the file.
    """
    # Without a validator or a hash, the bytes of two versions of the file could be mixed.
    start = partial.size if partial.validator or partial.verified else 0
    headers = {"User-Agent": "glip", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if partial.validator:
            headers["If-Range"] = partial.validator  # the whole file, if it has changed
    try:
        response = urllib.request.urlopen(
            urllib.request.Request(partial.url, headers=headers), timeout=timeout
        )
    except urllib.error.HTTPError as error:
        total = (error.headers.get("Content-Range") or "").rpartition("/")[2]
        if error.code != 416 or not start:
            raise
        if total == str(start):
            return  # everything was received before
        partial.remove()
        raise _BrokenOffError("the server has another file than before") from error
    with response:
        start, total_size = _continue_at(response, partial, start)
        free = shutil.disk_usage(path.parent).free
        if total_size is not None and total_size - start > free:
            raise DownloadError(
                f"{path.name} needs {(total_size - start) / 1e9:.1f} GB, and {path.parent} has "
                f"{free / 1e9:.1f} GB of free space: free some, or set GLIP_HOME to another folder"
            )
        bar.start(start, total_size)
        with open(partial.path, "ab" if start else "wb") as file:
            while block := response.read1(_BLOCK):
                file.write(block)
                start += len(block)
                bar.update(len(block))
    if total_size is not None and start < total_size:
        raise _BrokenOffError(f"the connection ended after {start:,} of {total_size:,} bytes")


def _continue_at(response: HTTPResponse, partial: _Partial, start: int) -> tuple[int, int | None]:
    """Return the position of a response's first byte, and the size of the whole file if known."""
    length = response.headers.get("Content-Length")
    size = int(length) if length and length.isdecimal() else None
    if start and response.status == 206:
        match = re.match(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range") or "")
        if match and int(match[1]) == start:
            return start, int(match[2]) if match[2] != "*" else size and start + size
        partial.remove()
        raise _BrokenOffError("the server resumed at another position")
    # The whole file: at the first attempt, without support of ranges, or because it has changed.
    validator = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
    partial.validator = "" if validator.startswith("W/") else validator
    partial.save()
    return 0, size


class _Bar:
    """A progress bar in bytes, shown once the size is known."""

    def __init__(self, name: str, shown: bool):
        self._name, self._shown = name, shown
        self.update: Callable[[int], object] = lambda _: None
        self._close: Callable[[], object] = lambda: None

    def start(self, done: int, total: int | None) -> None:
        """Show the bar."""
        if self._shown:
            from tqdm import tqdm

            bar = tqdm(
                desc=self._name,
                initial=done,
                total=total,
                unit="B",
                unit_scale=True,
                mininterval=0.5,
            )
            self.update, self._close = bar.update, bar.close

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()
