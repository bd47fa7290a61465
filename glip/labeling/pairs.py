"""Image-caption pairs to label: a JSON lines file, or a tar shard.

A source is read once from start to end, which finds invalid entries before any slow work. After
that its images are read by index, in any order and by several processes.
"""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from glip.apis.inference import Image
from glip.datasets.annotation_file import Skipped
from glip.datasets.image_bytes import check_size
from glip.datasets.images import decode_image
from glip.datasets.odvg.records import parse_record
from glip.labeling.pairs_index import open_index
from glip.utils.errors import DataError, ImageReadError, OdvgRecordError
from glip.utils.file_names import is_safe_path
from glip.utils.file_ranges import read_range
from glip.utils.image_files import ImageLimits, readable_extensions
from glip.utils.messages import shorten
from glip.utils.remote_files import RemoteFile, is_remote, open_remote, remote_size
from glip.utils.tar_files import MAX_TEXT, TarMember, iter_members
from glip.utils.text_lines import iter_lines

#: Keys that are not copied to labeled records: these get their own from the image and the teacher.
_OWN_KEYS = ("filename", "caption", "captions", "height", "width")
_LABEL_KEYS = ("detection", "grounding")
#: Images whose files are checked when a JSON lines file is opened.
_NUM_CHECKED = 20


@dataclass(frozen=True)
class Caption:
    """A caption of an image.

    Attributes:
        text: of the caption.
        extra: other keys of its entry, which are copied to the labeled record.
    """

    text: str
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CaptionedImage:
    """An image and its captions, one or more.

    Attributes:
        filename: relative to the image folder; in a tar shard, the name of the member.
        captions: in file order.
    """

    filename: str
    captions: tuple[Caption, ...]


class Pairs(ABC):
    """Images with captions, by index.

    Attributes:
        path: of the source file.
        digest: hash of its content; equal digests mean equal pairs.
        skipped: counts of invalid entries, with reasons.
        from_array: whether :meth:`image` returns arrays instead of paths.
        limits: of the images.
    """

    from_array: bool

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        self.digest = ""
        self.skipped = Skipped("entry", "entries")
        self.limits = ImageLimits()

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of images."""

    @abstractmethod
    def __getitem__(self, index: int) -> CaptionedImage:
        """Return an image's file name and captions."""

    @abstractmethod
    def image(self, filename: str) -> Image:
        """Return an image's path, or its pixels (H, W, 3), BGR.

        Raises:
            ImageReadError: the pixels cannot be read.
        """

    def _check_not_empty(self, expected: str) -> None:
        if not len(self):
            raise DataError(
                f"'{self.path}' has no image with a caption: expected {expected}. Skipped: "
                f"{self.skipped.summary() or 'nothing'}"
            )


def open_pairs(path: str | Path, images: str | Path | None = None) -> Pairs:
    """Open image-caption pairs.

    Args:
        path: a JSON lines file, ``{"filename": "a.jpg", "caption": "a dog"}`` or with a list
            ``"captions"``; or a ``.tar`` with members ``a.jpg`` and ``a.txt`` or ``a.json``, the
            latter with ``"caption"`` or ``"captions"``.
        images: image folder of a JSON lines file; ``None`` for a ``.tar``.

    Both may be URLs that fsspec reads, such as ``'s3://bucket/00000.tar'``.

    Raises:
        DataError: the file or the folder cannot be used, or has nothing to label.
    """
    if not is_remote(path) and not os.path.isfile(path):
        raise DataError(f"there is no file '{path}': expected images with captions")
    if str(path).lower().endswith((".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")):
        raise DataError(
            f"'{path}' is compressed, but images are read at random positions of a shard: "
            "decompress it to a .tar (the images in it are compressed already)"
        )
    if str(path).lower().endswith(".tar"):
        if images is not None:
            raise DataError(f"'{path}' contains its images: omit the image folder '{images}'")
        return PairsTar(path)
    if images is None:
        raise DataError(f"'{path}' only names its images: give the image folder")
    return PairsFile(path, images)


class PairsFile(Pairs):
    """A JSON lines file. Consecutive lines of the same image are one image with several captions.

    A large file is read once by all processes, see :mod:`glip.labeling.pairs_index`.

    Args:
        path: of the file.
        images: image folder.

    Raises:
        DataError: there is nothing to label, or none of the first images exists.
    """

    def __init__(self, path: str | Path, images: str | Path) -> None:
        super().__init__(path)
        self.images = str(images)
        self.from_array = is_remote(self.images)
        index = open_index(self.path, self._index)
        self._ranges, self.digest, self.skipped = index.ranges, index.digest, index.skipped
        self._check_not_empty('lines such as {"filename": "a.jpg", "caption": "a dog on a sofa"}')
        first = [self[index].filename for index in range(min(_NUM_CHECKED, len(self)))]
        if not any(map(self._exists, first)):
            raise DataError(
                f"none of the first {len(first)} images of '{path}' exists, for example "
                f"'{self._place(first[0])}': check the image folder"
            )

    def __len__(self) -> int:
        return len(self._ranges)

    def __getitem__(self, index: int) -> CaptionedImage:
        start, end = map(int, self._ranges[index])
        content = read_range(self.path, start, end - start)
        captions: list[Caption] = []
        filename = ""
        for line in content.split(b"\n"):
            try:
                filename, found, _ = _read_line(line)
            except OdvgRecordError:  # counted by _index
                continue
            captions += found
        return CaptionedImage(filename, tuple(captions))

    def image(self, filename: str) -> Image:
        """Return an image's path, or its pixels if the folder is at a URL."""
        place = self._place(filename)
        if not self.from_array:
            return place
        name = f"the image {shorten(place)}"
        if not is_safe_path(filename):
            raise ImageReadError(f"cannot read {name}: expected a file name below {self.images}")
        try:
            content = RemoteFile(place).read(self.limits.bytes_allowed + 1)
        except DataError as error:
            raise ImageReadError(str(error)) from None
        check_size(len(content), self.limits, name)
        return decode_image(content, name, self.limits)

    def _place(self, filename: str) -> str:
        if self.from_array:
            return f"{self.images.rstrip('/')}/{filename}"
        return os.path.join(self.images, filename)

    def _exists(self, filename: str) -> bool:
        place = self._place(filename)
        try:
            return remote_size(place) >= 0 if self.from_array else os.path.isfile(place)
        except DataError:
            return False

    def _index(self, ranges: array, skipped: Skipped) -> str:
        """Find the lines of each image, and count invalid ones; return the digest of the file."""
        digest = hashlib.sha256()
        at, last = 0, None
        with open_remote(self.path) if is_remote(self.path) else open(self.path, "rb") as file:
            for line_number, line in enumerate(iter_lines(file, self.path), start=1):
                digest.update(line)
                at += len(line)
                if not line.strip():
                    continue
                try:
                    filename, _, num_invalid = _read_line(line)
                except OdvgRecordError as error:
                    skipped.add(error.reason, f"line {line_number}")
                    continue
                for _ in range(num_invalid):
                    skipped.add("of several captions that are invalid", line_number)
                if filename == last:
                    ranges[-1] = at
                else:
                    ranges.extend((at - len(line), at))
                last = filename
        return digest.hexdigest()


class PairsTar(Pairs):
    """A tar shard in WebDataset format; its captions are kept in memory.

    Args:
        path: of the shard, not compressed.

    Raises:
        TarFileError: it is not a tar file or is truncated.
        DataError: it has nothing to label.
    """

    from_array = True

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self._images: list[CaptionedImage] = []
        self._members: dict[str, TarMember] = {}
        digest = hashlib.sha256()
        texts: dict[str, dict[str, bytes]] = {}  # of each key, by extension
        names: dict[str, str] = {}
        extensions = readable_extensions()
        for member in iter_members(path):
            if member.path.name.startswith("."):
                continue
            key, extension = member.key, member.extension
            content = b""
            if extension in (".txt", ".json"):
                if member.size > MAX_TEXT:
                    self.skipped.add("with captions of more than 64 MiB", member.name)
                    continue
                content = member.read()
            digest.update(f"{member.name} {member.size} {member.mtime}\n".encode() + content)
            own = texts.setdefault(key, {})
            if extension in (".txt", ".json"):
                own[extension] = content
            elif extension in extensions and key in names:
                self.skipped.add("that are a second image of a key", member.name)
            elif extension in extensions:
                names[key] = member.name
                self._members[member.name] = member
        self.digest = digest.hexdigest()
        for key, own in texts.items():
            self._add(key, names.get(key), own)
        self._check_not_empty("members a.jpg and a.txt, or a.jpg and a.json with 'caption'")

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> CaptionedImage:
        return self._images[index]

    def image(self, filename: str) -> Image:
        """Decode an image; see the base class."""
        member = self._members[filename]
        if member.size > self.limits.bytes_allowed:
            raise ImageReadError(
                f"the image '{filename}' of '{self.path}' has {member.size} bytes, more than "
                f"max_bytes={self.limits.bytes_allowed}"
            )
        return decode_image(member.read(), f"the image '{filename}' of '{self.path}'", self.limits)

    def _add(self, key: str, name: str | None, texts: dict[str, bytes]) -> None:
        if name is None:
            if texts:
                self.skipped.add("without an image", key)
            return
        try:
            entry = parse_record(texts[".json"]) if ".json" in texts else {}
            if ".txt" in texts and not (entry.get("caption") or entry.get("captions")):
                entry["caption"] = texts[".txt"].decode("utf-8").strip()
            captions, num_invalid = _captions(entry)
        except OdvgRecordError as error:
            self.skipped.add(error.reason, name)
        except UnicodeDecodeError:
            self.skipped.add("with a caption that is not UTF-8", name)
        else:
            for _ in range(num_invalid):
                self.skipped.add("of several captions that are invalid", name)
            self._images.append(CaptionedImage(name, captions))


def _read_line(content: bytes) -> tuple[str, tuple[Caption, ...], int]:
    """Return the file name, the captions and the number of invalid captions of a line.

    Raises:
        OdvgRecordError: the line is invalid.
    """
    entry = parse_record(content)
    if not _is_text(entry.get("filename")):
        raise OdvgRecordError("without a 'filename'")
    return entry["filename"], *_captions(entry)


def _captions(entry: dict[str, Any]) -> tuple[tuple[Caption, ...], int]:
    """Return the captions of an entry without duplicates, and the number of invalid ones.

    Raises:
        OdvgRecordError: the entry has no caption, or is labeled already.
    """
    if any(key in entry for key in _LABEL_KEYS):
        raise OdvgRecordError("labeled already, with 'detection' or 'grounding'")
    given = entry.get("captions")
    several = list(given) if isinstance(given, list) else [given] if "captions" in entry else []
    every = ([entry["caption"]] if "caption" in entry else []) + several
    texts = list(dict.fromkeys(text for text in every if _is_text(text)))
    if not texts:
        raise OdvgRecordError("without a valid 'caption'")
    extra = {key: entry[key] for key in entry if key not in _OWN_KEYS}
    captions = tuple(Caption(text, extra) for text in texts)
    return captions, sum(not _is_text(text) for text in every)


def _is_text(value: object) -> bool:
    """Return whether a value is a string with content and without a lone surrogate."""
    if not isinstance(value, str) or not value.strip():
        return False
    return not any("\ud800" <= character <= "\udfff" for character in value)
