"""Reading JSON files that do not fit into memory, one list entry at a time.

Why not ijson: it rejects NaN and Infinity, which Python's ``json`` writes (here a NaN excludes one
box, not the file); its C backend rejects integers above 64 bits and replaces lone surrogates; and
where an expected list is missing, it yields nothing instead of an error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn, TextIO

from tqdm import tqdm

from glip.converters.progress import byte_progress
from glip.datasets import json_keys
from glip.datasets.annotation_json import check_exists, not_unicode
from glip.utils.errors import AnnotationFileError
from glip.utils.messages import shorten

#: Characters read at a time.
CHUNK_CHARS = 1 << 20

#: A longer entry means that a closing quote or bracket is missing; reading stops there, before the
#: rest of the file fills the memory.
MAX_ENTRY_CHARS = 1 << 28

_WHITESPACE = re.compile(r"[ \t\n\r]*")


def stream_entries(
    path: str | Path, *keys: str, to_end: bool = True, chunk: int = CHUNK_CHARS
) -> Iterator[tuple[str, Any]]:
    """Yield the entries of lists in a JSON file, in file order, with a progress bar.

    Args:
        path: a JSON file in UTF-8, UTF-16 or UTF-32, with or without BOM: an object that holds
            lists, as COCO's annotations, or one list.
        keys: the lists of the object to read; without keys, the file must be a list.
        to_end: also read what follows the last of the lists, to check that the file is complete.
        chunk: characters read at a time.

    Yields:
        the key of a list (empty if the file is a list), and one of its entries.

    Raises:
        AnnotationFileNotFoundError: the file does not exist.
        AnnotationFileError: the file is not valid JSON, or lacks one of the lists, or has it twice.
    """
    check_exists(str(path))
    with open(path, "rb") as raw:
        if raw.read(2) == b"\x1f\x8b":
            raise AnnotationFileError(
                f"the annotation file '{path}' is not valid JSON (compressed by gzip, not utf-8); "
                "unpack it first."
            )
        raw.seek(0)
        encoding = json.detect_encoding(raw.read(4))  # as json.loads does
    encoding = "utf-8-sig" if encoding == "utf-8" else encoding
    with open(path, encoding=encoding) as file, byte_progress(path) as progress:
        reader = _Reader(file, str(path), progress, chunk)
        try:
            yield from reader.object_entries(keys, to_end) if keys else reader.list_entries("")
            json_keys.warn(str(path), reader.repeated)
        except AnnotationFileError:
            raise
        except UnicodeDecodeError as error:
            raise AnnotationFileError(not_unicode(str(path), error)) from None
        except (ValueError, RecursionError) as error:  # also a number of thousands of digits
            what = shorten(str(error), 200)[1:-1]
            if isinstance(error, RecursionError):
                what = "it is nested too deeply"
            if isinstance(error, json.JSONDecodeError):
                what = f"{error.msg} at character {reader.dropped + error.pos}"
            raise AnnotationFileError(
                f"the annotation file '{path}' is not valid JSON ({what}); copy or download it "
                "again."
            ) from None


class _Reader:
    """A window over the text of a JSON file that advances as values are read."""

    def __init__(self, file: TextIO, path: str, progress: tqdm, chunk: int) -> None:
        self.file = file
        self.path = path
        self.progress = progress
        self.chunk = chunk
        self.text = ""
        self.at = 0
        self.dropped = 0  # characters before the window
        self.done = False  # the window reaches the end of the file
        hook = json_keys.PairsHook()
        self.repeated = hook.found
        self.decode = json.JSONDecoder(object_pairs_hook=hook).raw_decode

    def object_entries(self, keys: tuple[str, ...], to_end: bool) -> Iterator[tuple[str, Any]]:
        """Yield the entries of the named lists of an object; skip its other values."""
        expected = f"an object with {' and '.join(map(repr, keys))}"
        if self.peek() != "{":
            raise self.unexpected(f"{expected}, got {self.kind()}")
        self.at += 1
        found = set()
        more = self.peek() != "}"
        while more:
            key = self.value()
            if not isinstance(key, str):
                self.fail("a key in quotes")
            self.skip(":")
            if key in found and key in keys:
                raise AnnotationFileError(
                    f"'{self.path}' has {shorten(key, 40)} twice: merge the lists into one."
                )
            if self.peek() == "[":
                for entry in self.list_entries(key):
                    if key in keys:
                        yield entry
                found.add(key)
                if not to_end and found.issuperset(keys):
                    return
            elif key in keys:
                raise self.unexpected(f"'{key}' as a list, got {self.kind()}")
            else:
                self.value()
            more = self.peek() != "}"
            if more:
                self.skip(",")
        self.at += 1
        self.end()
        missing = [key for key in keys if key not in found]
        if missing:
            raise self.unexpected(f"{expected}; there is no '{missing[0]}'")

    def list_entries(self, key: str) -> Iterator[tuple[str, Any]]:
        """Yield the entries of a list."""
        if self.peek() != "[":
            raise self.unexpected(f"a list, got {self.kind()}")
        self.at += 1
        more = self.peek() != "]"
        while more:
            yield key, self.value()
            more = self.peek() != "]"
            if more:
                self.skip(",")
        self.at += 1
        if not key:
            self.end()

    def value(self) -> Any:
        """Read the next value."""
        self.peek()
        while True:
            try:
                value, end = self.decode(self.text, self.at)
                # A number may continue behind the window, by a digit or by "e+1".
                if not isinstance(value, (int, float)) or end + 3 <= len(self.text) or self.done:
                    self.at = end
                    return value
            except json.JSONDecodeError:
                if self.done or len(self.text) - self.at > MAX_ENTRY_CHARS:
                    raise
            self.read_more()

    def peek(self) -> str:
        """Advance to the next character that is not whitespace and return it; "" at the end."""
        while True:
            self.at = _WHITESPACE.match(self.text, self.at).end()  # type: ignore[union-attr]
            if self.at < len(self.text) or self.done:
                return self.text[self.at : self.at + 1]
            self.read_more()

    def skip(self, expected: str) -> None:
        """Read a delimiter."""
        if self.peek() != expected:
            self.fail(f"'{expected}'")
        self.at += 1

    def end(self) -> None:
        """Check that nothing follows."""
        if self.peek():
            self.fail("the end of the file")

    def read_more(self) -> None:
        """Drop what was read from the window and at least double the rest."""
        rest = len(self.text) - self.at
        new = self.file.read(max(self.chunk, rest))
        self.text = self.text[self.at :] + new
        self.dropped += self.at
        self.at = 0
        self.done = not new
        self.progress.update(self.file.buffer.tell() - self.progress.n)

    def fail(self, expected: str) -> NoReturn:
        """Raise the error of a syntax error at the present position."""
        raise json.JSONDecodeError(f"expected {expected}", self.text, self.at)

    def kind(self) -> str:
        """Return what kind of value is next."""
        names = {"{": "an object", "[": "a list", "": "nothing"}
        return names.get(self.peek(), "a single value")

    def unexpected(self, expected: str) -> AnnotationFileError:
        """Return the error of a file in another format."""
        return AnnotationFileError(f"'{self.path}' has another format: expected {expected}.")
