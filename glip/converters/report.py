"""What a conversion kept, what it left out, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glip.datasets.annotation_file import Skipped
from glip.datasets.odvg.writing import LineWriter
from glip.utils.errors import AnnotationFileError, OdvgRecordError

_PLURALS = dict(box="boxes")


class Report:
    """Counts of a conversion.

    Example:
        >>> report = Report()
        >>> report.keep("image")
        >>> report.keep("box", 2)
        >>> report.drop("box", "of a crowd", "id 5")
        >>> report.kept()
        '1 image, 2 boxes'
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.skipped: dict[str, Skipped] = {}

    def keep(self, kind: str, number: int = 1) -> None:
        """Count what was kept."""
        self.counts[kind] += number

    def drop(self, kind: str, reason: str, example: Any, number: int = 1) -> None:
        """Count what was left out."""
        for _ in range(number):
            self.of(kind).add(reason, example)

    def of(self, kind: str) -> Skipped:
        """Return what was left out of a kind."""
        if kind not in self.skipped:
            self.skipped[kind] = Skipped(kind, _PLURALS.get(kind))
        return self.skipped[kind]

    def kept(self) -> str:
        """Say what was kept."""
        return ", ".join(
            f"{number} {kind if number == 1 else _PLURALS.get(kind, kind + 's')}"
            for kind, number in self.counts.items()
            if number
        )

    def write(self, writer: LineWriter, line: dict[str, Any], contents: Mapping[str, int]) -> None:
        """Write a line and count it; one that is not as the format says is left out.

        Args:
            writer: of the file.
            line: to write.
            contents: how many of each kind the line holds.
        """
        try:
            writer.write(line)
        except OdvgRecordError as error:
            self.drop("line", f"because {error.reason}", line.get("filename"))
            return
        for kind, number in contents.items():
            self.keep(kind, number)

    def check(self, source: str | Path) -> None:
        """See to it that something was kept.

        Raises:
            AnnotationFileError: nothing was; the message says what was left out.
        """
        if any(self.counts.values()):
            return
        why = "; ".join(each.summary() for each in self.skipped.values() if each.total)
        raise AnnotationFileError(f"nothing of '{source}' can be used: {why or 'it is empty'}.")

    def show(self, out: str | Path) -> None:
        """Print what was written and what was left out."""
        print(f"{out}: {self.kept()}")
        for skipped in self.skipped.values():
            if skipped.total:
                print(f"left out: {skipped.summary()}")
