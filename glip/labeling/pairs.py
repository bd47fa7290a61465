"""Pictures with captions, for a teacher to label: a file of JSON lines, or a tar shard.

Both are gone through once, which finds what is wrong with entries before any slow work, and then
read by position, in any order and by several processes.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from glip.apis.inference import Image
from glip.datasets.annotation_file import Skipped
from glip.datasets.images import decode_image
from glip.datasets.odvg.records import parse_record
from glip.utils.errors import DataError, OdvgRecordError
from glip.utils.image_files import IMAGE_EXTENSIONS

#: What a line has of its own, and labeled lines get from the picture and the teacher.
_OWN_KEYS = ("filename", "caption", "captions", "height", "width")
_LABELS = ("detection", "grounding")
#: Pictures looked for before the work begins.
_FIRST = 20


@dataclass(frozen=True)
class Caption:
    """A caption of a picture.

    Attributes:
        text: of the caption.
        extra: what else was said of it; it is carried along.
    """

    text: str
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Picture:
    """A picture and its captions, one or more.

    Attributes:
        filename: relative to the folder of the pictures; of a tar shard, the name of the member.
        captions: in the order of the file.
    """

    filename: str
    captions: tuple[Caption, ...]


class Pairs(ABC):
    """Pictures with captions, by position.

    Attributes:
        path: of the file.
        digest: of its content; two files with the same one hold the same pairs.
        skipped: what was left out of it, and why.
        from_array: whether :meth:`image` gives arrays rather than paths.
    """

    from_array: bool

    def __init__(self, path: str | Path):
        self.path = str(path)
        self.digest = ""
        self.skipped = Skipped("entry", "entries")

    @abstractmethod
    def __len__(self) -> int:
        """Count the pictures."""

    @abstractmethod
    def __getitem__(self, index: int) -> Picture:
        """Read a picture's captions."""

    @abstractmethod
    def image(self, filename: str) -> Image:
        """Return a picture's path, or its pixels (H, W, 3), BGR.

        Raises:
            ImageReadError: the pixels cannot be read.
        """

    def _check_not_empty(self, expected: str) -> None:
        if not len(self):
            raise DataError(
                f"'{self.path}' has no picture with a caption: expected {expected}. Left out: "
                f"{self.skipped.summary() or 'nothing'}"
            )


def open_pairs(path: str | Path, images: str | Path | None = None) -> Pairs:
    """Open pictures with captions.

    Args:
        path: of a file of JSON lines, ``{"filename": "a.jpg", "caption": "a dog"}`` or with
            ``"captions"``, a list; or of a ``.tar`` with members ``a.jpg`` and ``a.txt`` or
            ``a.json``, the latter with ``"caption"`` or ``"captions"``.
        images: folder of the pictures; ``None`` for a ``.tar``.

    Raises:
        DataError: the file or the folder cannot be used, or holds nothing to label.
    """
    if not os.path.isfile(path):
        raise DataError(f"there is no file '{path}': expected pictures with captions")
    if str(path).lower().endswith((".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")):
        raise DataError(
            f"'{path}' is compressed, and pictures are read from any place of a shard: unpack it "
            "to a .tar (pictures are compressed themselves)"
        )
    if str(path).lower().endswith(".tar"):
        if images is not None:
            raise DataError(f"'{path}' brings its pictures: leave the folder {images} out")
        return PairsTar(path)
    if images is None:
        raise DataError(f"'{path}' only names its pictures: give the folder they are in")
    return PairsFile(path, images)


class PairsFile(Pairs):
    """A file of JSON lines. Lines of the same picture that follow each other make one picture.

    Args:
        path: of the file.
        images: folder of the pictures.

    Raises:
        DataError: there is nothing to label, or the first pictures are all absent.
    """

    from_array = False

    def __init__(self, path: str | Path, images: str | Path):
        super().__init__(path)
        self.images = str(images)
        self._starts, self._ends = array("q"), array("q")  # bytes of the file, of each picture
        self._index()
        self._check_not_empty('lines such as {"filename": "a.jpg", "caption": "a dog on a sofa"}')
        first = [self[index].filename for index in range(min(_FIRST, len(self)))]
        if not any(os.path.isfile(self.image(name)) for name in first):
            raise DataError(
                f"none of the first {len(first)} pictures of '{path}' is there, for example "
                f"'{self.image(first[0])}': check the folder of the pictures"
            )

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: int) -> Picture:
        start, end = self._starts[index], self._ends[index]
        with open(self.path, "rb") as file:
            file.seek(start)
            content = file.read(end - start)
        captions: list[Caption] = []
        filename = ""
        for line in content.split(b"\n"):
            try:
                filename, found, _ = _read_line(line)
            except OdvgRecordError:  # counted before
                continue
            captions += found
        return Picture(filename, tuple(captions))

    def image(self, filename: str) -> str:
        """Return a picture's path."""
        return os.path.join(self.images, filename)

    def _index(self) -> None:
        """Find where each picture's lines are, and count those that are no good."""
        digest = hashlib.sha256()
        at, last = 0, None
        with open(self.path, "rb") as file:
            for number, line in enumerate(file, start=1):
                digest.update(line)
                at += len(line)
                if not line.strip():
                    continue
                try:
                    filename, _, blank = _read_line(line)
                except OdvgRecordError as error:
                    self.skipped.add(error.reason, f"line {number}")
                    continue
                for _ in range(blank):
                    self.skipped.add("of several captions that are empty or no text", number)
                if filename == last:
                    self._ends[-1] = at
                else:
                    self._starts.append(at - len(line))
                    self._ends.append(at)
                last = filename
        self.digest = digest.hexdigest()


class PairsTar(Pairs):
    """A tar shard as webdataset has it; the captions are kept in memory.

    Args:
        path: of the shard, not compressed.

    Raises:
        DataError: it is no tar, is cut off, or has nothing to label.
    """

    from_array = True

    def __init__(self, path: str | Path):
        super().__init__(path)
        self._pictures: list[Picture] = []
        self._places: dict[str, tuple[int, int]] = {}  # where a picture's bytes begin, how many
        digest = hashlib.sha256()
        samples: dict[str, dict[str, bytes]] = {}
        names: dict[str, str] = {}
        for key, suffix, member, content in _members(self.path):
            digest.update(f"{member.name} {member.size} {member.mtime}\n".encode() + content)
            sample = samples.setdefault(key, {})
            if suffix in (".txt", ".json"):
                sample[suffix] = content
            elif suffix in IMAGE_EXTENSIONS and key in names:
                self.skipped.add("that are a second picture of a key", member.name)
            elif suffix in IMAGE_EXTENSIONS:
                names[key] = member.name
                self._places[member.name] = (member.offset_data, member.size)
        self.digest = digest.hexdigest()
        for key, sample in samples.items():
            self._add(key, names.get(key), sample)
        self._check_not_empty("members a.jpg and a.txt, or a.jpg and a.json with 'caption'")

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, index: int) -> Picture:
        return self._pictures[index]

    def image(self, filename: str) -> Image:
        """Decode a picture; see the base class."""
        offset, size = self._places[filename]
        with open(self.path, "rb") as file:
            file.seek(offset)
            content = file.read(size)
        return decode_image(content, name=f"the image '{filename}' of '{self.path}'")

    def _add(self, key: str, name: str | None, sample: dict[str, bytes]) -> None:
        if name is None:
            if sample:
                self.skipped.add("without a picture", key)
            return
        try:
            entry = parse_record(sample[".json"]) if ".json" in sample else {}
            if ".txt" in sample and not (entry.get("caption") or entry.get("captions")):
                entry["caption"] = sample[".txt"].decode("utf-8").strip()
            captions, blank = _captions(entry)
        except OdvgRecordError as error:
            self.skipped.add(error.reason, name)
        except UnicodeDecodeError:
            self.skipped.add("with a caption that is no UTF-8", name)
        else:
            for _ in range(blank):
                self.skipped.add("of several captions that are empty or no text", name)
            self._pictures.append(Picture(name, captions))


def _members(path: str) -> Iterator[tuple[str, str, tarfile.TarInfo, bytes]]:
    """Go through the files of a tar: key, suffix, member, and the content of captions."""
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                name = PurePosixPath(member.name)
                if not member.isreg() or name.name.startswith("."):
                    continue
                # A key ends at the first point of the name, as webdataset reads it.
                stem, point, rest = name.name.partition(".")
                suffix = (point + rest).lower()
                is_text = suffix in (".txt", ".json")
                content = tar.extractfile(member).read() if is_text else b""
                yield str(name.with_name(stem)), suffix, member, content
    except tarfile.TarError as error:
        raise DataError(
            f"'{path}' cannot be read as a tar ({error}): copy or download it again"
        ) from error


def _read_line(content: bytes) -> tuple[str, tuple[Caption, ...], int]:
    """Read a line: the picture, its captions, and how many of these are no text.

    Raises:
        OdvgRecordError: it is no good.
    """
    entry = parse_record(content)
    if not _is_text(entry.get("filename")):
        raise OdvgRecordError("without a 'filename'")
    return entry["filename"], *_captions(entry)


def _captions(entry: dict[str, Any]) -> tuple[tuple[Caption, ...], int]:
    """Read the captions of an entry, each once, and count those that are no text.

    Raises:
        OdvgRecordError: there is none, or the entry is labeled already.
    """
    if any(key in entry for key in _LABELS):
        raise OdvgRecordError("labeled already, with 'detection' or 'grounding'")
    given = entry.get("captions")
    several = list(given) if isinstance(given, list) else [given] if "captions" in entry else []
    every = ([entry["caption"]] if "caption" in entry else []) + several
    texts = list(dict.fromkeys(text for text in every if _is_text(text)))
    if not texts:
        raise OdvgRecordError("without a 'caption' that is a text")
    extra = {key: entry[key] for key in entry if key not in _OWN_KEYS}
    return tuple(Caption(text, extra) for text in texts), sum(not _is_text(x) for x in every)


def _is_text(value: object) -> bool:
    """Whether it is a text with something in it, and without half of a surrogate pair."""
    if not isinstance(value, str) or not value.strip():
        return False
    return not any("\ud800" <= character <= "\udfff" for character in value)
