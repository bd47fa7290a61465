"""The files of a labeling run: where they are, and writing them without replacing foreign ones."""

from __future__ import annotations

import filecmp
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from glip.utils.atomic_write import describe_write_errors, fsync_rename
from glip.utils.errors import LabelingMismatchError


@dataclass(frozen=True)
class OutputFiles:
    """The files of a run, in a folder of its own or beside a COCO file.

    Attributes:
        folder: that they are in.
        prefix: of their names; empty in a folder of its own.
        overwrite: whether files with another content may be replaced.
    """

    folder: Path
    prefix: str = ""
    overwrite: bool = False

    @classmethod
    def at(cls, out: str | Path, overwrite: bool = False) -> OutputFiles:
        """Return the files of an output.

        Args:
            out: a folder; or ``NAME.json``, the COCO file, with the others beside it, their names
                beginning with ``NAME.``.
            overwrite: see the class.
        """
        path = Path(out)
        if path.suffix.lower() == ".json":
            return cls(path.parent, f"{path.stem}.", overwrite)
        return cls(path, "", overwrite)

    @property
    def detections(self) -> Path:
        """The detections of all images, of which all formats are made."""
        return self.path("detections.jsonl")

    def reviewed(self) -> OutputFiles:
        """Return where the labels are written that people corrected."""
        if self.prefix:
            return replace(self, prefix=f"{self.prefix}reviewed.")
        return replace(self, folder=self.folder / "reviewed")

    def path(self, name: str) -> Path:
        """Return the path of a file or folder."""
        return self.folder / f"{self.prefix}{name}"

    def coco(self) -> Path:
        """Return the COCO file."""
        return self.folder / (f"{self.prefix}json" if self.prefix else "annotations.json")

    @contextmanager
    def open(self, path: Path) -> Iterator[BinaryIO]:
        """Open a file for writing; it gets its name when the block ends.

        A file that exists with the same content stays as it is.

        Raises:
            LabelingMismatchError: it exists with another content.
            StorageError: it cannot be written.
        """
        partial = path.with_name(f".{uuid.uuid4().hex}.partial")
        with describe_write_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with open(partial, "wb") as file:
                    yield file
                if os.path.lexists(path):
                    if path.is_file() and filecmp.cmp(partial, path, shallow=False):
                        return
                    if not self.overwrite:
                        raise LabelingMismatchError(
                            f"'{path}' exists with another content: choose another output, move "
                            "it away, or pass --overwrite"
                        )
                fsync_rename(partial, path)
            finally:
                with suppress(OSError):
                    partial.unlink(missing_ok=True)

    def write(self, path: Path, content: bytes) -> None:
        """Write a file; see :meth:`open`."""
        with self.open(path) as file:
            file.write(content)

    def place_image(self, source: str | None, content: bytes | None, path: Path) -> None:
        """Put an image below the output: a symbolic link, or a copy where there are none.

        Args:
            source: path of the image.
            content: of an image that is no file.
            path: where to put it.
        """
        if source is None:
            self.write(path, content or b"")
            return
        source = os.path.abspath(source)
        if path.is_symlink() and os.readlink(path) == source:
            return
        if os.path.lexists(path) and not self.overwrite:
            if path.is_file() and filecmp.cmp(source, path, shallow=False):
                return
            raise LabelingMismatchError(
                f"'{path}' exists and is not the image '{source}': choose another output, or pass "
                "--overwrite"
            )
        with describe_write_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f".{uuid.uuid4().hex}.partial")
            try:
                try:
                    os.symlink(source, partial)
                except (OSError, NotImplementedError):  # a disk or an account without links
                    shutil.copyfile(source, partial)
                os.replace(partial, path)
            finally:
                with suppress(OSError):
                    partial.unlink(missing_ok=True)


def read_records(path: Path) -> Iterator[dict[str, Any]]:
    """Read the records of a finished run, one after the other."""
    with open(path, "rb") as file:
        for line in file:
            yield json.loads(line)
