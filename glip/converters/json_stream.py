"""Reading JSON files that are too large for the memory, one entry of a list at a time."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from tqdm import tqdm

from glip.datasets.annotation_file import check_exists
from glip.utils.errors import AnnotationFileError

#: How many characters are read at once.
CHUNK = 1 << 20

#: An entry of more characters is taken for a file that is broken: a quote or bracket is missing.
LONGEST = 1 << 28

_SPACE = re.compile(r"[ \t\n\r]*")


def stream_entries(
    path: str | Path, *keys: str, whole: bool = True, chunk: int = CHUNK
) -> Iterator[tuple[str, Any]]:
    """Go through the entries of lists of a JSON file, in the order of the file.

    A progress bar tells how much of the file is read.

    Args:
        path: of the file: an object with lists in it, as COCO's annotations, or one list.
        keys: of the lists in the object; without any, the file must be a list.
        whole: read on behind the last of the lists, to see that the rest of the file is there.
        chunk: how many characters are read at once.

    Yields:
        the key of a list (empty if the file is a list), and one of its entries.

    Raises:
        AnnotationFileNotFoundError: there is no such file.
        AnnotationFileError: it is no JSON, or has no such lists.
    """
    check_exists(str(path))
    with (
        open(path, encoding="utf-8-sig") as file,
        tqdm(
            total=os.path.getsize(path), unit="B", unit_scale=True, desc=Path(path).name
        ) as progress,
    ):
        reader = _Reader(file, str(path), progress, chunk)
        try:
            yield from reader.list_entries("") if not keys else reader.object_entries(keys, whole)
        except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
            what = str(error)
            if isinstance(error, json.JSONDecodeError):
                what = f"{error.msg} at character {reader.dropped + error.pos}"
            raise AnnotationFileError(
                f"the annotation file '{path}' is no valid JSON ({what}); copy or download it "
                "again."
            ) from error


class _Reader:
    """A window on the text of a JSON file that moves on as its values are taken."""

    def __init__(self, file: TextIO, path: str, progress: tqdm, chunk: int) -> None:
        self.file = file
        self.path = path
        self.progress = progress
        self.chunk = chunk
        self.text = ""
        self.at = 0
        self.dropped = 0  # characters before the window
        self.done = False  # the window reaches the end of the file
        self.decode = json.JSONDecoder().raw_decode

    def object_entries(self, keys: tuple[str, ...], whole: bool) -> Iterator[tuple[str, Any]]:
        """Go through the lists of an object; what else it holds is passed over."""
        if self.peek() != "{":
            raise self.unexpected(f"an object with {_listed(keys)}, got {self.kind()}")
        self.at += 1
        found = set()
        while self.peek() != "}":
            key = self.value()
            if not isinstance(key, str):
                self.fail("a key in quotes")
            self.skip(":")
            if self.peek() == "[":
                for entry in self.list_entries(key):
                    if key in keys:
                        yield entry
                found.add(key)
                if not whole and found.issuperset(keys):
                    return
            elif key in keys:
                raise self.unexpected(f"'{key}' as a list, got {self.kind()}")
            else:
                self.value()
            if self.peek() != "}":
                self.skip(",")
        self.at += 1
        self.end()
        missing = [key for key in keys if key not in found]
        if missing:
            raise self.unexpected(f"an object with {_listed(keys)}; there is no '{missing[0]}'")

    def list_entries(self, key: str) -> Iterator[tuple[str, Any]]:
        """Go through a list."""
        if self.peek() != "[":
            raise self.unexpected(f"a list, got {self.kind()}")
        self.at += 1
        while self.peek() != "]":
            yield key, self.value()
            if self.peek() != "]":
                self.skip(",")
        self.at += 1
        if not key:
            self.end()

    def value(self) -> Any:
        """Take the next value."""
        self.peek()
        while True:
            try:
                value, end = self.decode(self.text, self.at)
                # A number may go on behind the window, by a digit or by "e+1".
                if not isinstance(value, (int, float)) or end + 3 <= len(self.text) or self.done:
                    self.at = end
                    return value
            except json.JSONDecodeError:
                if self.done or len(self.text) - self.at > LONGEST:
                    raise
            self.more()

    def peek(self) -> str:
        """Go to the next character that is no space, and look at it; empty at the end."""
        while True:
            self.at = _SPACE.match(self.text, self.at).end()
            if self.at < len(self.text) or self.done:
                return self.text[self.at : self.at + 1]
            self.more()

    def skip(self, expected: str) -> None:
        """Take a delimiter."""
        if self.peek() != expected:
            self.fail(f"'{expected}'")
        self.at += 1

    def end(self) -> None:
        """See to it that nothing follows."""
        if self.peek():
            self.fail("the end of the file")

    def more(self) -> None:
        """Widen the window, at least to double what is not taken yet, and drop what is."""
        rest = len(self.text) - self.at
        new = self.file.read(max(self.chunk, rest))
        self.text = self.text[self.at :] + new
        self.dropped += self.at
        self.at = 0
        self.done = not new
        self.progress.update(self.file.buffer.tell() - self.progress.n)

    def fail(self, expected: str) -> None:
        raise json.JSONDecodeError(f"expected {expected}", self.text, self.at)

    def kind(self) -> str:
        """What the next value is."""
        names = {"{": "an object", "[": "a list", "": "nothing"}
        return names.get(self.peek(), "a single value")

    def unexpected(self, expected: str) -> AnnotationFileError:
        return AnnotationFileError(f"'{self.path}' has another format: expected {expected}.")


def _listed(keys: tuple[str, ...]) -> str:
    return " and ".join(f"'{key}'" for key in keys)
