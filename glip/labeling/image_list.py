"""The images of a labeling run: a folder, a pattern, a JSON lines file or tar shards.

A source is listed once from start to end. After that its images are read by index, in any order and
by several processes.
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeGuard

from glip.apis.image_inputs import ImageInputs, output_name
from glip.apis.inference import Image
from glip.datasets.image_bytes import check_size
from glip.datasets.images import decode_image
from glip.datasets.odvg.records import parse_record
from glip.utils.errors import DataError, ImageReadError, OdvgRecordError
from glip.utils.file_names import is_safe_path
from glip.utils.image_files import ImageLimits, is_image_file
from glip.utils.messages import shorten
from glip.utils.regular_files import file_problem
from glip.utils.remote_files import RemoteFile, find_remote, is_remote, open_remote
from glip.utils.tar_files import TarMember, iter_members
from glip.utils.text_lines import iter_lines

_MAGIC = re.compile(r"[*?\[]")


#: Where an image is: a path, a member of a tar archive, or a file at a URL.
Source = str | TarMember | RemoteFile


@dataclass(frozen=True)
class ListedImage:
    """An image to label.

    Attributes:
        source: its path, the member of a tar archive, or the file at a URL.
        file_name: the name in the output, with ``/``: relative to the folder that was searched;
            for a tar archive the name of the member, after that of the archive if there are
            several.
        stem: the file name for output files, unique also where case does not count, without
            extension; it may have folders.
    """

    source: Source
    file_name: str
    stem: str


class ImageList:
    """Images by index.

    Args:
        images: a folder; a pattern such as ``'photos/*.jpg'``; one image; ``.jsonl``, lines with
            ``filename``, relative to the file's folder; or a ``.tar``, or a pattern of them. Any of
            these may be a URL that fsspec reads, such as ``'s3://bucket/*.tar'``.
        recursive: also search the subfolders of a folder.

    Attributes:
        from_array: whether :meth:`load` returns pixels instead of paths.
        root: folder that the file names are relative to; ``None`` for tar archives and URLs.
        digest: hash of the file names and sizes.
        limits: of the images.

    Raises:
        DataError: there are no images, or the source cannot be read.
    """

    def __init__(self, images: str | Path, recursive: bool = False) -> None:
        self.limits = ImageLimits()
        self.root: Path | None = None
        self.from_array = False
        text = os.fspath(images)
        self._images: list[ListedImage]
        if text.lower().endswith(".tar"):
            self.from_array = True
            self._images = _unique(_in_archives(text))
        elif text.lower().endswith((".jsonl", ".ndjson")):
            self.from_array = is_remote(text)
            self.root = None if self.from_array else Path(text).parent
            self._images = _unique(_in_lines(text))
        elif is_remote(text):
            self.from_array = True
            self._images = _unique(_at_url(text, recursive))
        else:
            self.root = _root(text)
            self._images = [
                ListedImage(os.fspath(each.source), _relative(each.source, self.root), each.name)
                for each in ImageInputs(text, recursive)
            ]
        digest = hashlib.sha256()
        for each in self._images:
            name = each.file_name.encode("utf-8", "surrogateescape")
            digest.update(name + b"\0%d\n" % _size(each.source))
        self.digest = digest.hexdigest()

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._images)

    def __getitem__(self, index: int) -> ListedImage:
        """Return an image's names."""
        return self._images[index]

    def load(self, index: int) -> Image:
        """Return the path of an image, or its pixels (H, W, 3), BGR.

        Raises:
            ImageReadError: an image of an archive cannot be decoded.
        """
        source = self._images[index].source
        if isinstance(source, str):
            return source
        try:
            if isinstance(source, TarMember):
                name = f"the image '{shorten(source.name)}' of '{source.archive}'"
                check_size(source.size, self.limits, name)
                content = source.read()
            else:
                name = f"the image {shorten(source.url)}"
                content = source.read(self.limits.bytes_allowed + 1)
                check_size(len(content), self.limits, name)
        except DataError as error:
            raise ImageReadError(str(error)) from None
        return decode_image(content, name, self.limits)


def _root(text: str) -> Path:
    """Return the folder that the images of a folder, a pattern or a file are relative to."""
    path = Path(text)
    if os.path.isdir(text):  # also for a name that is too long, unlike Path.is_dir
        return path
    for at, part in enumerate(path.parts):
        if _MAGIC.search(part) and not os.path.exists(text):
            return Path(*path.parts[:at])
    return path.parent


def _relative(source: object, root: Path) -> str:
    path = os.fspath(source)  # type: ignore[call-overload]  # ImageInputs of a path has paths only
    return PurePosixPath(os.path.relpath(path, root).replace(os.sep, "/")).as_posix()


def _size(source: Source) -> int:
    if not isinstance(source, str):
        return source.size
    try:
        return os.path.getsize(source)
    except OSError:  # reported when it is read
        return -1


def _in_archives(pattern: str) -> Iterator[tuple[Source, str]]:
    """Yield the images of tar archives and their names."""
    if is_remote(pattern):
        paths = [file.url for file in find_remote(pattern)]
    elif os.path.isfile(pattern):
        paths = [pattern]
    else:
        paths = sorted(glob.glob(pattern, recursive=True))
    if not paths:
        raise DataError(f"there is no tar archive '{pattern}'")
    found = False
    for path in paths:
        for member in iter_members(path):
            if is_image_file(member.path) and member.is_safe:
                found = True
                prefix = f"{Path(path).stem}/" if len(paths) > 1 else ""
                yield member, prefix + member.path.as_posix()
    if not found:
        raise ImageReadError(f"'{pattern}' has no images: expected members such as a.jpg")


def _at_url(url: str, recursive: bool) -> Iterator[tuple[Source, str]]:
    """Yield the images of a folder or a pattern at a URL, and their names."""
    files = [file for file in find_remote(url, recursive) if is_image_file(file.url)]
    if not files:
        raise ImageReadError(f"'{url}' has no images: expected a folder, a pattern or an image")
    root = os.path.commonpath([file.url.rpartition("/")[0] for file in files])
    for file in files:
        yield file, os.path.relpath(file.url, root)


def _in_lines(path: str) -> Iterator[tuple[Source, str]]:
    """Yield the images that a JSON lines file names, each once, and their names."""
    seen: set[str] = set()
    folder = path.rpartition("/")[0] if is_remote(path) else None
    if folder is None and (problem := file_problem(path)):
        raise DataError(f"'{path}' {problem}: expected a file of JSON lines")
    with open_remote(path) if folder else open(path, "rb") as file:
        for number, line in enumerate(iter_lines(file, path), start=1):
            if not line.strip():
                continue
            try:
                name = parse_record(line).get("filename")
            except OdvgRecordError as error:
                raise DataError(f"'{path}', line {number}: {error}") from None
            if not _is_file_name(name):
                raise DataError(
                    f'\'{path}\', line {number}: expected {{"filename": "a.jpg"}}, got '
                    f"{shorten(name)} as the file name"
                )
            if name in seen:
                continue
            seen.add(name)
            if folder is None:
                yield os.path.join(Path(path).parent, name), name.replace(os.sep, "/")
            elif is_safe_path(name):
                yield RemoteFile(f"{folder}/{name}"), name
            else:
                raise DataError(
                    f"'{path}', line {number}: expected a file name below {folder}, got "
                    f"{shorten(name)}"
                )
    if not seen:
        raise ImageReadError(f'\'{path}\' is empty: expected lines such as {{"filename": "a.jpg"}}')


def _is_file_name(name: Any) -> TypeGuard[str]:
    """Return whether a value can be the name of a file: no folder, NUL or lone surrogate."""
    return (
        isinstance(name, str)
        and bool(name.strip())
        and PurePosixPath(name).name not in ("", "..")
        and not re.search("[\0\ud800-\udfff]", name)
    )


def _unique(images: Iterable[tuple[Source, str]]) -> list[ListedImage]:
    """Give each image a stem of its own, as :class:`ImageInputs` does."""
    found: list[ListedImage] = []
    taken: Counter[str] = Counter()
    for index, (source, name) in enumerate(images):
        parts = [part for part in PurePosixPath(name).parts if part not in ("/", "..", ".")]
        stem = output_name(Path("root", *parts), index, Path("root"))
        number, unique = taken[stem.casefold()], stem
        while unique.casefold() in taken:
            number += 1
            unique = f"{stem}_{number}"
        taken[stem.casefold()] = number
        taken.setdefault(unique.casefold(), 0)
        found.append(ListedImage(source, name, unique))
    return found
