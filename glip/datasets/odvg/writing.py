"""Write ODVG files and label maps atomically, and read label maps."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from glip.datasets.annotation_file import check_exists
from glip.datasets.json_keys import PairsHook, explain
from glip.datasets.odvg.records import check_record
from glip.utils.atomic_write import atomic_write, fsync_rename
from glip.utils.errors import AnnotationFileError, DataError
from glip.utils.messages import shorten


class RecordWriter:
    """Write a file of records, one JSON line each, as a context manager.

    The lines go to ``path + ".part"``, which is renamed when all are written. After an error the
    ``.part`` file stays; it holds complete lines only.

    Example:
        >>> with RecordWriter("train.jsonl") as writer:  # doctest: +SKIP
        ...     writer.write(detection_record(filename="a.jpg", height=9, width=9, instances=[]))

    Args:
        path: Path of the file; its folder is created.
        overwrite: Replace an existing file.

    Attributes:
        num_records: Number of records written.

    Raises:
        DataError: The file exists already (on entering).
    """

    def __init__(self, path: str | Path, overwrite: bool = False) -> None:
        self.path = Path(path)
        self.part = self.path.with_name(self.path.name + ".part")
        self.overwrite = overwrite
        self.num_records = 0

    def __enter__(self) -> RecordWriter:
        if self.path.exists() and not self.overwrite:
            raise DataError(
                f"'{self.path}' exists already; name another file, or allow to overwrite it "
                "(--overwrite)."
            )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Unbuffered: each line is one write, which a kill does not split.
        self._file = open(self.part, "wb", buffering=0)
        return self

    def write(self, record: dict[str, Any]) -> None:
        """Write one record.

        Raises:
            OdvgRecordError: The record is invalid; nothing of it is written.
        """
        self.check(record)
        content = to_json_line(record)
        if self._file.write(content) != len(content):
            raise OSError(f"a line of '{self.part}' was written in part; the disk may be full.")
        self.num_records += 1

    def check(self, record: dict[str, Any]) -> None:
        """Check that a record is valid.

        Raises:
            OdvgRecordError: It is not.
        """
        check_record(record)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()
        if kind is None:
            fsync_rename(self.part, self.path)


def to_json_line(record: Mapping[str, Any]) -> bytes:
    """Encode a JSON object as a line in UTF-8, with escapes for lone surrogates."""
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace") + b"\n"


def write_label_map(path: str | Path, names: Sequence[str]) -> None:
    """Write the names of the labels, ``{"0": "person", "1": ...}``.

    Raises:
        AnnotationFileError: A name is empty, not a string, or the name of two labels.
    """
    _check_names(names, "the label map to write")
    content = {str(label): name for label, name in enumerate(names)}
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, json.dumps(content, ensure_ascii=False, indent=0).encode())


def read_label_map(path: str | Path) -> tuple[str, ...]:
    """Read the names of the labels, in the order of the labels.

    Raises:
        AnnotationFileNotFoundError: The file does not exist.
        AnnotationFileError: The file is not a JSON object with the keys "0", "1", ... and a name
            for each.
    """
    check_exists(str(path))
    hook = PairsHook()
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"), object_pairs_hook=hook)
    except (ValueError, RecursionError) as error:
        raise AnnotationFileError(f"the label map '{path}' is invalid JSON ({error}).") from error
    if hook.found:
        raise AnnotationFileError(
            f"the label map '{path}' has labels twice: {explain(hook.found)}; give each label once."
        )
    expected = 'expected an object of names, {"0": "person", "1": "dog", ...}'
    if not isinstance(content, dict) or not content:
        raise AnnotationFileError(f"'{path}' is not a label map: {expected}.")
    keys = [str(label) for label in range(len(content))]
    missing = [key for key in keys if key not in content]
    if missing:
        raise AnnotationFileError(
            f"'{path}' is not a label map: {expected}, with labels from 0 and without gaps, but "
            f"among its {len(content)} labels there is no {missing[0]!r}."
        )
    names = tuple(content[key] for key in keys)
    _check_names(names, f"the label map '{path}'")
    return names


def _check_names(names: Sequence[str], where: str) -> None:
    labels: dict[str, int] = {}
    for label, name in enumerate(names):
        if not isinstance(name, str) or not name.strip():
            raise AnnotationFileError(f"{where}: expected a name for label {label}, got {name!r}.")
        if name in labels:
            raise AnnotationFileError(
                f"{where}: {shorten(name)} is the name of the labels {labels[name]} and {label}; "
                "give each label a name of its own."
            )
        labels[name] = label
