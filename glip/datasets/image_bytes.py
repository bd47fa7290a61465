"""Read the content of image files: paths, URLs, members of tar archives and file objects.

Sizes are limited before anything is read, and only regular files are opened: a FIFO would wait for
ever, and ``/dev/zero`` has no end.
"""

from __future__ import annotations

import io
import os
import re
import stat
import threading
import time
import urllib.request
from collections.abc import Callable
from contextlib import nullcontext
from http.client import HTTPException
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from glip.utils.errors import ImageReadError, shorten
from glip.utils.image_files import ImageLimits

#: Seconds to wait for a server's next bytes, and for a whole download.
HTTP_TIMEOUT = 30.0
HTTP_TOTAL_TIMEOUT = 600.0
_BLOCK = 1 << 20
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")  # one letter would be a drive of Windows
_TAR_SIZE = re.compile(r"tar://.+?\.tar@\d+\+(\d+)/", re.DOTALL)

# A file object has one position, which threads that share the object would move.
_FILE_OBJECT_LOCK = threading.Lock()


def read_bytes(
    source: str | os.PathLike[str],
    backend_args: dict[str, Any] | None = None,
    limits: ImageLimits | None = None,
) -> bytes:
    """Read the content of an image file, without decoding it.

    Args:
        source: A path, or a URL: ``http(s)://``, ``file://``, ``tar://`` or another scheme of
            mmengine's file backends.
        backend_args: mmengine's file backend and its settings; by default chosen by ``source``.
        limits: The largest file.

    Raises:
        ImageReadError: The file does not exist, is a folder or another special file, is too large,
            or cannot be opened or downloaded.
    """
    limits = limits or ImageLimits()
    text = os.fspath(source)
    name = image_name(text)
    scheme = url_scheme(text)
    try:
        if backend_args is not None or scheme not in (None, "file", "http", "https"):
            return _from_backend(text, backend_args, limits, name)
        if scheme in ("http", "https"):
            return _download(text, limits, name)
        return _from_file(file_path(text) if scheme else text, limits, name)
    except ImageReadError:
        raise
    except FileNotFoundError:
        raise failure(name, "the file does not exist", "check the path") from None
    except IsADirectoryError:
        raise failure(name, "it is a folder", "give the path of one image file") from None
    except PermissionError:
        advice = "change its permissions, or copy it"
        raise failure(name, "reading it is not permitted", advice) from None
    except (OSError, ValueError, LookupError, HTTPException, ImportError) as error:
        problem = f"it cannot be opened ({type(error).__name__}: {shorten(str(error))})"
        raise failure(name, problem, "check the path or URL and the access to it") from None


def read_file_object(file: Any, limits: ImageLimits | None = None) -> bytes:
    """Read the content of an image from an object with a method ``read`` that returns bytes.

    A file that can seek is read from its start, whatever its position is.

    Raises:
        ImageReadError: The file is closed, too large, or cannot be read.
        TypeError: ``read`` returns something else than bytes.
    """
    limits = limits or ImageLimits()
    name = "the image given as a file object"
    try:
        if isinstance(file, io.BytesIO):
            content = file.getvalue()
        else:
            with _FILE_OBJECT_LOCK if _can_seek(file) else nullcontext():
                if _can_seek(file):
                    file.seek(0)
                content = _read_blocks(file.read, limits, name)
    except (OSError, ValueError, HTTPException) as error:
        if isinstance(error, ImageReadError):
            raise
        problem = f"{type(error).__name__}: {shorten(str(error))}"
        raise failure(name, problem, "pass an open file in mode 'rb'") from None
    check_size(len(content), limits, name)
    return content


def check_size(size: int, limits: ImageLimits, name: str) -> None:
    """Check the size of a file in bytes.

    Raises:
        ImageReadError: It is larger than ``max_bytes``.
    """
    if size > limits.bytes_allowed:
        raise failure(
            name,
            f"it has {size:,} bytes and max_bytes is {limits.bytes_allowed:,}",
            "resize it, or raise max_bytes if you trust its source",
        )


def url_scheme(text: str) -> str | None:
    """Return the scheme of a URL in lowercase; None for a path."""
    match = _URL.match(text)
    if match is not None:
        return match[1].lower()
    return "data" if text[:5].lower() == "data:" and "," in text[:200] else None


def file_path(url: str) -> str:
    """Return the path that a ``file://`` URL names.

    ``file://a/b.jpg``, which by the standard is ``/b.jpg`` of the host a, is read as the relative
    path that its writer meant.
    """
    rest = url[len("file://") :]
    if rest.startswith("localhost/"):
        rest = rest[len("localhost") :]
    if os.path.exists(rest):  # a name may hold a percent sign
        return rest
    path = unquote(rest)
    # file:///C:/a.jpg on Windows
    return path[1:] if os.name == "nt" and re.match(r"/[A-Za-z]:", path) else path


def image_name(source: str | os.PathLike[str]) -> str:
    """Return how an error names an image file."""
    return f"the image '{shorten(os.fspath(source))}'"


def failure(name: str, problem: str, advice: str) -> ImageReadError:
    """Return the error that says which image cannot be read, why, and what to do."""
    return ImageReadError(f"cannot read {name}: {problem}; {advice}.")


def _from_file(path: str, limits: ImageLimits, name: str) -> bytes:
    if not path:
        raise failure(name, "the path is empty", "check the path or URL")
    if "\0" in path:
        raise failure(name, "the path holds a NUL character", "check the path or URL")
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise failure(name, "it is a folder", "give the path of one image file")
    if not stat.S_ISREG(mode):
        problem = "it is not a regular file, but a device, a pipe or a socket"
        raise failure(name, problem, "copy its content to a file")
    with open(path, "rb") as file:
        check_size(os.fstat(file.fileno()).st_size, limits, name)
        return _read_blocks(file.read, limits, name)


def _from_backend(
    url: str, backend_args: dict[str, Any] | None, limits: ImageLimits, name: str
) -> bytes:
    """Read with a file backend of mmengine."""
    if backend_args is None and url_scheme(url) == "data":
        advice = "decode its part after the comma with base64.b64decode, and pass the bytes"
        raise failure(name, "it is a data URL", advice)
    member = _TAR_SIZE.match(url)
    if member is not None:
        check_size(int(member[1][:20]), limits, name)
    if url_scheme(url) is None and os.path.exists(url) and not os.path.isfile(url):
        return _from_file(url, limits, name)  # raises
    try:
        from mmengine import fileio

        backend = fileio.get_file_backend(url, backend_args=backend_args, enable_singleton=True)
    except (KeyError, ImportError, TypeError, ValueError) as error:
        if backend_args is not None:
            detail = f"{type(error).__name__}: {shorten(str(error))}"
            problem = f"backend_args selects no file backend of mmengine ({detail})"
            raise failure(name, problem, "correct backend_args in the config") from None
        missing = f" ({shorten(str(error))})" if isinstance(error, ImportError) else ""
        raise failure(
            name,
            f"mmengine has no file backend for {url_scheme(url)}://{missing}",
            "check the path or URL, or download the image first",
        ) from None
    content = backend.get(url)
    check_size(len(content), limits, name)
    return content


def _download(url: str, limits: ImageLimits, name: str) -> bytes:
    if not urlsplit(url).hostname:
        raise failure(name, "the URL names no server", "check the path or URL")
    ascii_url = quote(url, safe="%/:?#[]@!$&'()*+,;=~")  # spaces and letters with accents
    request = urllib.request.Request(ascii_url, headers={"User-Agent": "Mozilla/5.0 (glip)"})
    with urllib.request.urlopen(request, timeout=HTTP_TIMEOUT) as response:
        length = response.headers.get("Content-Length", "")
        expected = int(length[:20]) if length.isdecimal() else None
        if expected is not None:
            check_size(expected, limits, name)
        # read1 returns what has arrived: a slow server cannot outwait the deadline
        deadline = time.monotonic() + HTTP_TOTAL_TIMEOUT
        content = _read_blocks(response.read1, limits, name, deadline)
    if expected is not None and len(content) < expected:
        problem = f"the download ended after {len(content):,} of {expected:,} bytes"
        raise failure(name, problem, "try again")
    return content


def _can_seek(file: Any) -> bool:
    seekable = getattr(file, "seekable", None)  # SpooledTemporaryFile lacks it before Python 3.11
    return bool(seekable()) if callable(seekable) else callable(getattr(file, "seek", None))


def _read_blocks(
    read: Callable[[int], Any], limits: ImageLimits, name: str, deadline: float | None = None
) -> bytes:
    """Read a file to its end, but not further than the limit."""
    blocks: list[bytes] = []
    size = 0
    while True:
        block = read(_BLOCK)
        if block is None:
            raise failure(name, "it is not ready to be read", "open it in blocking mode")
        if not isinstance(block, (bytes, bytearray, memoryview)):
            close = getattr(block, "close", None)  # of a coroutine, which would warn otherwise
            if callable(close):
                close()
            raise TypeError(
                f"expected a file object whose read() returns bytes, got {type(block).__name__}; "
                "open the file in mode 'rb'"
            )
        if not block:
            return b"".join(blocks)
        blocks.append(bytes(block))
        size += len(block)
        if size > limits.bytes_allowed:
            problem = f"it has more than max_bytes, {limits.bytes_allowed:,} bytes"
            raise failure(name, problem, "resize it, or raise max_bytes if you trust its source")
        if deadline is not None and time.monotonic() > deadline:
            raise failure(
                name, f"the download took more than {HTTP_TOTAL_TIMEOUT:g} seconds", "try again"
            )
