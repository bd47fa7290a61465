"""Read files line by line in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from glip.utils.errors import AnnotationFileError

#: Longest line of JSON, 64 MiB; a longer one is of another kind of file.
MAX_LINE = 1 << 26


def iter_lines(file: BinaryIO, name: str) -> Iterator[bytes]:
    """Yield the lines of a file with their ends.

    Args:
        file: opened for reading bytes.
        name: of the file, for messages.

    Raises:
        AnnotationFileError: a line has more than :data:`MAX_LINE` bytes.
    """
    number = 0
    while line := file.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE:
            raise AnnotationFileError(
                f"'{name}', line {number}, has more than {MAX_LINE >> 20} MiB: expected JSON lines"
            )
        yield line
