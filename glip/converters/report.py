"""Counts of what a conversion kept and excluded, with the reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glip.datasets.annotation_file import Skipped
from glip.datasets.odvg.writing import RecordWriter
from glip.utils.errors import AnnotationFileError, OdvgRecordError

_PLURALS = dict(box="boxes")


class Report:
    """Counts of a conversion.

    Example:
        >>> report = Report()
        >>> report.counts.update(image=1, box=2)
        >>> report.exclude("box", "of a crowd", "id 5")
        >>> report.kept()
        '1 image, 2 boxes'
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.excluded: dict[str, Skipped] = {}
        self.warnings: list[str] = []

    def exclude(self, kind: str, reason: str, example: Any, count: int = 1) -> None:
        """Count what was excluded."""
        self.excluded_of(kind).add(reason, example, count=count)

    def excluded_of(self, kind: str) -> Skipped:
        """Return the counts of what was excluded of a kind."""
        if kind not in self.excluded:
            self.excluded[kind] = Skipped(kind, _PLURALS.get(kind))
        return self.excluded[kind]

    def kept(self) -> str:
        """Return the counts of what was kept as text."""
        return ", ".join(
            f"{count} {kind if count == 1 else _PLURALS.get(kind, kind + 's')}"
            for kind, count in self.counts.items()
            if count
        )

    def write(
        self, writer: RecordWriter, record: dict[str, Any], counts: Mapping[str, int]
    ) -> None:
        """Write a record and count what it holds; exclude and count a record that is invalid.

        Args:
            writer: of the output file.
            record: to write.
            counts: how many of each kind the record holds.
        """
        try:
            writer.write(record)
        except OdvgRecordError as error:
            self.exclude("record", f"because {error.reason}", record.get("filename"))
        else:
            self.counts.update(counts)

    def check_not_empty(self, source: str | Path) -> None:
        """Check that something was kept, and a box if there are any.

        Raises:
            AnnotationFileError: nothing was kept; the message tells what was excluded.
        """
        boxes = self.excluded.get("box")
        if not any(self.counts.values()) or (boxes and boxes.total and not self.counts["box"]):
            why = "; ".join(each.summary() for each in self.excluded.values() if each.total)
            raise AnnotationFileError(f"nothing of '{source}' can be used: {why or 'it is empty'}.")

    def show(self, out: str | Path) -> None:
        """Print what was written and what was excluded."""
        print(f"{out}: {self.kept()}")
        for excluded in self.excluded.values():
            if excluded.total:
                print(f"excluded: {excluded.summary()}")
        for warning in self.warnings:
            print(f"warning: {warning}")
