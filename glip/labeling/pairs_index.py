"""The places of images in a large JSON lines file of pairs, found once for all processes.

A file of less than :data:`MIN_SIZE` bytes is read by each process. For a larger one the first
process stores the byte ranges of its images, ``NAME.pairs_index.FINGERPRINT.npy``, and what it
counted, ``.json``, beside the file or, where that folder is not writable or remote, below
``~/.cache/glip/pairs`` (``$XDG_CACHE_HOME``). Other processes wait for it and map the ranges. The
fingerprint covers name, size and time of modification, so a stale index is never opened.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from glip.datasets.annotation_file import Skipped
from glip.utils.atomic_write import atomic_open, atomic_write
from glip.utils.regular_files import file_problem
from glip.utils.remote_files import fingerprint_of, is_remote

try:
    import fcntl
except ImportError:  # Windows: processes that start at once each read the file
    fcntl = None  # type: ignore[assignment]

#: Smallest file whose index is stored: 64 MiB, read in about a second.
MIN_SIZE = 64 << 20
_VERSION = 1


@dataclass
class PairsIndex:
    """Where the lines of each image are.

    Attributes:
        ranges: (N, 2) int64, first byte and end of the lines of each of N images.
        digest: SHA-256 of the file.
        skipped: counts of invalid entries, with reasons.
    """

    ranges: np.ndarray
    digest: str
    skipped: Skipped


#: Reads a file and adds the range of each image to an array: start, end, start, end, ...
Build = Callable[[array, Skipped], str]


def open_index(path: str, build: Build) -> PairsIndex:
    """Return the index of a file: the stored one, or a new one.

    Args:
        path: of the file, or its URL.
        build: reads the file, adds ranges and invalid entries, and returns the digest.

    Raises:
        OSError: the file cannot be read.
    """
    data = _describe(path)
    if data["size"] < MIN_SIZE:
        return _built(build)
    for stem in _stems(path, data):
        try:
            stem.parent.mkdir(parents=True, exist_ok=True)
            with _locked(stem):
                index = _load(stem, data)
                if index is None:
                    index = _built(build)
                    _store(stem, data, index)
                return index
        except OSError:  # not writable
            if not os.access(path, os.R_OK) and not is_remote(path):
                raise
    return _built(build)


def _built(build: Build) -> PairsIndex:
    places, skipped = array("q"), Skipped("entry", "entries")
    digest = build(places, skipped)
    return PairsIndex(np.frombuffer(places, np.int64).reshape(-1, 2), digest, skipped)


def _describe(path: str) -> dict[str, Any]:
    """Return what identifies the content of a file."""
    if is_remote(path):
        size, key = fingerprint_of(path)
        return dict(name=path, size=size, key=key, version=_VERSION)
    status = os.stat(path)
    return dict(
        name=os.path.basename(path),
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
        version=_VERSION,
    )


def _stems(path: str, data: dict[str, Any]) -> list[Path]:
    """Return the places of the index without extension, the preferred one first."""
    fingerprint = hashlib.sha256(json.dumps(data).encode()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "glip" / "pairs"
    whole = hashlib.sha256(os.path.realpath(path).encode()).hexdigest()[:16]
    stems = [cache / f"{whole}.{fingerprint}"]
    if not is_remote(path):
        stems.insert(0, Path(f"{path}.pairs_index.{fingerprint}"))
    return stems


@contextmanager
def _locked(stem: Path) -> Iterator[None]:
    """Let one process at a time build the index."""
    lock = _beside(stem, ".lock")
    with open(lock, "wb") as file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _load(stem: Path, data: dict[str, Any]) -> PairsIndex | None:
    """Open a stored index; ``None`` if there is none for the content, or if it is damaged."""
    rows, summary = _beside(stem, ".npy"), _beside(stem, ".json")
    if file_problem(rows) or file_problem(summary):
        return None
    with suppress(Exception):  # a damaged file can raise anything; the index is built again
        content = json.loads(summary.read_bytes())
        ranges = np.load(rows, mmap_mode="r")  # refuses pickles
        if (
            content["data"] == data
            and ranges.dtype == np.int64
            and ranges.shape == (content["num_images"], 2)
            and zlib.crc32(ranges.tobytes()) == content["checksum"]
        ):
            skipped = Skipped.from_list("entry", "entries", content["skipped"])
            return PairsIndex(ranges, content["digest"], skipped)
    return None


def _store(stem: Path, data: dict[str, Any], index: PairsIndex) -> None:
    with atomic_open(_beside(stem, ".npy")) as file:
        np.save(file, index.ranges)
    content = dict(
        data=data,
        num_images=len(index.ranges),
        checksum=zlib.crc32(index.ranges.tobytes()),
        digest=index.digest,
        skipped=index.skipped.to_list(),
    )
    atomic_write(_beside(stem, ".json"), json.dumps(content).encode())


def _beside(stem: Path, extension: str) -> Path:
    return stem.with_name(stem.name + extension)
