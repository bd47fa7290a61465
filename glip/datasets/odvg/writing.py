"""Writing ODVG files and their label maps, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from glip.datasets.annotation_file import check_exists
from glip.datasets.odvg.records import check_record
from glip.utils.atomic_write import fsync_rename
from glip.utils.errors import AnnotationFileError, DataError


class RecordWriter:
    """Write a file of lines; to be used with ``with``.

    The lines go to ``path + ".part"``, which gets its name when all are written. After an error it
    stays, with the lines until then, each of them whole.

    Example:
        >>> with RecordWriter("train.jsonl") as writer:  # doctest: +SKIP
        ...     writer.write(detection_record(filename="a.jpg", height=9, width=9, instances=[]))

    Args:
        path: of the file; its folder is made.
        overwrite: write although there is a file already.

    Attributes:
        lines: how many were written.

    Raises:
        DataError: there is a file already (on entering).
    """

    def __init__(self, path: str | Path, overwrite: bool = False) -> None:
        self.path = Path(path)
        self.part = self.path.with_name(self.path.name + ".part")
        self.overwrite = overwrite
        self.lines = 0

    def __enter__(self) -> RecordWriter:
        if self.path.exists() and not self.overwrite:
            raise DataError(
                f"'{self.path}' exists already; name another file, or say that it may be "
                "overwritten (--overwrite)."
            )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Without a buffer a line is one write, which a kill does not cut in half.
        self._file = open(self.part, "wb", buffering=0)
        return self

    def write(self, line: dict[str, Any]) -> None:
        """Write one line.

        Raises:
            OdvgRecordError: it is not as the format says; nothing of it is written.
        """
        self.check(line)
        content = to_json_line(line)
        if self._file.write(content) != len(content):
            raise OSError(f"'{self.part}' could not take a whole line; the disk may be full.")
        self.lines += 1

    def check(self, line: dict[str, Any]) -> None:
        """See to it that a line is one.

        Raises:
            OdvgRecordError: it is not.
        """
        check_record(line)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()
        if kind is None:
            _finish(self.part, self.path)


def to_json_line(line: Mapping[str, Any]) -> bytes:
    """A JSON object as a line; half of a surrogate pair, which UTF-8 cannot hold, as an escape."""
    text = json.dumps(line, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace") + b"\n"


def write_label_map(path: str | Path, names: Sequence[str]) -> None:
    """Write the names of the labels, ``{"0": "person", "1": ...}``.

    Raises:
        DataError: a name is no text or is empty, or stands there twice.
    """
    _check_names(names, "the label map to write")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {str(label): name for label, name in enumerate(names)}
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(content, ensure_ascii=False, indent=0), encoding="utf-8")
    _finish(part, path)


def read_label_map(path: str | Path) -> tuple[str, ...]:
    """Read the names of the labels; a name's place is its label.

    Raises:
        AnnotationFileNotFoundError: there is no such file.
        AnnotationFileError: it is no JSON object with the keys "0", "1", ... and a name for each.
    """
    check_exists(str(path))
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise AnnotationFileError(f"the label map '{path}' is no valid JSON ({error}).") from error
    expected = 'expected an object of names, {"0": "person", "1": "dog", ...}'
    if not isinstance(content, dict) or not content:
        raise AnnotationFileError(f"'{path}' is no label map: {expected}.")
    keys = [str(label) for label in range(len(content))]
    missing = [key for key in keys if key not in content]
    if missing:
        raise AnnotationFileError(
            f"'{path}' is no label map: {expected}, with labels from 0 and without gaps, but among "
            f"its {len(content)} labels there is no {missing[0]!r}."
        )
    names = tuple(content[key] for key in keys)
    _check_names(names, f"the label map '{path}'")
    return names


def _check_names(names: Sequence[str], where: str) -> None:
    seen: dict[str, int] = {}
    for label, name in enumerate(names):
        if not isinstance(name, str) or not name.strip():
            raise AnnotationFileError(f"{where}: expected a name for label {label}, got {name!r}.")
        if name in seen:
            raise AnnotationFileError(
                f"{where}: {name!r} is the name of the labels {seen[name]} and {label}; give each "
                "label its own."
            )
        seen[name] = label


def _finish(part: Path, path: Path) -> None:
    """Give a finished file its name, its content on the disk first."""
    fsync_rename(part, path)
