"""Validate ODVG files, and count what their records hold."""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from glip.datasets.image_sizes import image_size
from glip.datasets.odvg.records import boxes_of
from glip.datasets.odvg.sources import Record, expand_patterns, is_shard, iter_records
from glip.datasets.odvg.validation import InvalidRecords, Problem, find_problems
from glip.datasets.odvg.writing import read_label_map
from glip.utils.errors import ImageReadError
from glip.utils.file_ranges import read_range


class Checker:
    """Validate records one by one and keep counts; no record stays in memory.

    Args:
        names: class names by label, if known.
        images: folder of the images, to check them too.

    Attributes:
        counts: number of records, boxes, ... of the valid records.
        categories: number of boxes by category.
    """

    def __init__(self, names: Sequence[str] | None, images: Path | None) -> None:
        self.names = names
        self.images = images
        self.counts: Counter[str] = Counter()
        self.categories: Counter[str] = Counter()
        self._first_names: dict[int, str] = {}

    def check(self, path: str, record: Record) -> list[Problem]:
        """Return all problems of a record; count its content if there is none."""
        self.counts["records"] += 1
        error, content = record.error, record.content
        problems = [] if error is None else [Problem(error.reason, error.detail)]
        if content is not None:
            num_labels = None if self.names is None else len(self.names)
            found = list(find_problems(content, num_labels=num_labels))
            if not found:
                found += self._name_problems(content)
                found += self._image_problems(path, record, content)
            problems += found
            if not problems:
                self._count(content)
        return problems

    def _name_problems(self, content: dict[str, Any]) -> Iterator[Problem]:
        """Compare categories with the label map, or with earlier names of the same label."""
        for instance in (content.get("detection") or {}).get("instances", ()):
            label, name = instance["label"], instance.get("category")
            if name is None:
                continue
            if self.names is None:
                other, where = self._first_names.setdefault(label, name), "an earlier record"
            else:
                other, where = self.names[label], "the label map"
            if name.casefold() != other.casefold():
                detail = f"{label} is {name!r} here and {other!r} in {where}"
                yield Problem("a label has another name", detail)

    def _image_problems(
        self, path: str, record: Record, content: dict[str, Any]
    ) -> Iterator[Problem]:
        """Compare the image with the size in the record."""
        name = content["filename"]
        try:
            if record.image is not None:
                data = io.BytesIO(read_range(path, *record.image))
                height, width = image_size(data, name=name)
            elif self.images is not None:
                if (self.images / name).exists() and not (self.images / name).is_file():
                    raise ImageReadError("it is not a regular file")  # opening a pipe would hang
                with open(self.images / name, "rb") as file:
                    height, width = image_size(file, name=name)
            else:
                return
        except FileNotFoundError:
            yield Problem("the image does not exist", f"{self.images / name}")
            return
        except (ImageReadError, OSError) as error:
            yield Problem("the image cannot be read", str(error))
            return
        expected = (content["width"], content["height"])
        if (width, height) != expected:
            detail = f"{name} is {width} x {height}, the record says {expected[0]} x {expected[1]}"
            yield Problem("the image has another size", detail)

    def _count(self, content: dict[str, Any]) -> None:
        if content.get("detection") is not None:
            instances = content["detection"]["instances"]
            self.counts["detection records"] += 1
            self.counts["boxes of detection records"] += len(instances)
            for instance in instances:
                self.categories[str(instance.get("category") or instance["label"])] += 1
        else:
            regions = content["grounding"]["regions"]
            self.counts["grounding records"] += 1
            self.counts["phrases"] += len(regions)
            self.counts["boxes of grounding records"] += sum(
                len(boxes_of(each)) for each in regions
            )
            self.counts["phrases with scores"] += sum("score" in each for each in regions)


def check_files(
    files: Sequence[str], label_map: Path | None, images: Path | None, max_report: int | None
) -> tuple[Checker, InvalidRecords, int]:
    """Validate all files, and print the invalid records.

    Args:
        files: paths and patterns.
        label_map: file of the label map, if there is one.
        images: folder of the images, to check them too.
        max_report: largest number of invalid records to print; ``None`` for all.

    Returns:
        The counts, the problems, and the number of invalid records.

    Raises:
        AnnotationFileError: a file does not exist, or is a shard that cannot be read.
    """
    names = None if label_map is None else read_label_map(label_map)
    checker, found, invalid = Checker(names, images), InvalidRecords(limit=100), 0
    paths = expand_patterns(files)
    total = sum(map(os.path.getsize, paths))
    with tqdm(total=total, unit="B", unit_scale=True, disable=None) as progress:
        before = 0
        for path in paths:
            unit = "JSON member" if is_shard(path) else "line"
            num_records = 0
            for record in iter_records(path):
                num_records += 1
                problems = checker.check(path, record)
                progress.update(max(before + record.offset + record.size - progress.n, 0))
                invalid += bool(problems)
                for problem in problems:
                    found.add(problem.reason, record.line_number)
                if problems and (max_report is None or invalid <= max_report):
                    said = "; ".join(f"{each.reason} ({each.detail})" for each in problems)
                    with progress.external_write_mode():
                        print(f"{path}, {unit} {record.line_number}: {said}")
            if not num_records:
                invalid += 1
                found.add("a file without records", 0)
                if max_report is None or invalid <= max_report:
                    with progress.external_write_mode():
                        print(f"{path}: the file has no records")
            before += os.path.getsize(path)
    return checker, found, invalid
