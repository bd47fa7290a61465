r"""Check files of ODVG lines, and say what is in them.

Every bad line is named with all that is wrong with it, then the problems are counted. Files are
read from start to end, one line at a time. Pictures in tar shards are checked too; those of other
files with --images. docs/odvg.md has the format.

The exit code is 1 if a line is bad, else 0.

Examples:
    python tools/misc/check_odvg.py train.jsonl --label-map labels.json --images train2017
    python tools/misc/check_odvg.py 'shards/train-{000..099}.tar' --max-report 20 --json report.json
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from glip.cli.common import positive_int, run
from glip.converters.image_files import image_size
from glip.datasets.odvg.index import InvalidRecords
from glip.datasets.odvg.records import boxes_of
from glip.datasets.odvg.sources import Record, expand_patterns, is_shard, iter_records
from glip.datasets.odvg.validation import Problem, find_problems
from glip.datasets.odvg.writing import read_label_map
from glip.utils.atomic_write import atomic_write
from glip.utils.errors import ImageReadError
from glip.utils.file_ranges import read_range


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="lines or tar shards; patterns too"
    )
    parser.add_argument("--label-map", type=Path, help="check labels and categories against it")
    parser.add_argument("--images", type=Path, help="check that the pictures are in this folder")
    parser.add_argument(
        "--max-report", type=positive_int, help="name only so many bad lines; default: all"
    )
    parser.add_argument("--json", type=Path, help="write counts and statistics to this file")
    return parser.parse_args(argv)


class Checker:
    """Goes through lines and keeps counts; nothing of a line stays in memory.

    Args:
        names: of the labels, if they are known.
        images: the folder of the pictures, to check those too.

    Attributes:
        counts: how many lines, boxes, ... there are in good lines.
        categories: boxes of each category, by its name in the lines.
    """

    def __init__(self, names: Sequence[str] | None, images: Path | None) -> None:
        self.names = names
        self.images = images
        self.counts: Counter[str] = Counter()
        self.categories: Counter[str] = Counter()
        self._first_names: dict[int, str] = {}

    def check(self, path: str, record: Record) -> list[Problem]:
        """Say all that is wrong with a line; count what is in it if nothing is."""
        self.counts["lines"] += 1
        error, line = record.error, record.line
        problems = [] if error is None else [Problem(error.reason, error.detail)]
        if line is not None:
            number = None if self.names is None else len(self.names)
            of_line = list(find_problems(line, num_labels=number))
            if not of_line:
                of_line += self._name_problems(line)
                of_line += self._image_problems(path, record)
            problems += of_line
        if not problems:
            self._count(line)
        return problems

    def _name_problems(self, line: dict[str, Any]) -> Iterator[Problem]:
        """Compare categories with the label map, or with what the same label was called before."""
        for instance in (line.get("detection") or {}).get("instances", ()):
            label, name = instance["label"], instance.get("category")
            if name is None:
                continue
            if self.names is None:
                other, where = self._first_names.setdefault(label, name), "an earlier line"
            else:
                other, where = self.names[label], "the label map"
            if name.casefold() != other.casefold():
                detail = f"{label} is {name!r} here and {other!r} in {where}"
                yield Problem("a label has another name", detail)

    def _image_problems(self, path: str, record: Record) -> Iterator[Problem]:
        name = record.line["filename"]
        try:
            if record.image is not None:
                content = io.BytesIO(read_range(path, *record.image))
                height, width = image_size(content, name=name)
            elif self.images is not None:
                with open(self.images / name, "rb") as file:
                    height, width = image_size(file, name=name)
            else:
                return
        except FileNotFoundError:
            yield Problem("there is no such picture", f"{self.images / name}")
            return
        except (ImageReadError, OSError) as error:
            yield Problem("the picture cannot be read", str(error))
            return
        said = (record.line["width"], record.line["height"])
        if (width, height) != said:
            detail = f"{name} is {width} x {height}, and the line says {said[0]} x {said[1]}"
            yield Problem("the picture has another size", detail)

    def _count(self, line: dict[str, Any]) -> None:
        if line.get("detection") is not None:
            instances = line["detection"]["instances"]
            self.counts["detection lines"] += 1
            self.counts["boxes of detection lines"] += len(instances)
            for instance in instances:
                self.categories[str(instance.get("category") or instance["label"])] += 1
        else:
            regions = line["grounding"]["regions"]
            self.counts["grounding lines"] += 1
            self.counts["phrases"] += len(regions)
            self.counts["boxes of grounding lines"] += sum(len(boxes_of(each)) for each in regions)
            self.counts["phrases with scores"] += sum("score" in each for each in regions)


def check_files(args: argparse.Namespace) -> tuple[Checker, InvalidRecords, int]:
    """Check all files and name the bad lines.

    Returns:
        what was counted, the problems, and how many lines are bad.

    Raises:
        AnnotationFileError: a file is absent, or is a shard that cannot be read.
    """
    names = None if args.label_map is None else read_label_map(args.label_map)
    checker, found, bad = Checker(names, args.images), InvalidRecords(limit=100), 0
    paths = expand_patterns(args.files)
    total = sum(map(os.path.getsize, paths))
    with tqdm(total=total, unit="B", unit_scale=True, disable=None) as progress:
        before = 0
        for path in paths:
            unit = "JSON member" if is_shard(path) else "line"
            for record in iter_records(path):
                problems = checker.check(path, record)
                progress.update(max(before + record.offset + record.size - progress.n, 0))
                bad += bool(problems)
                for problem in problems:
                    found.add(problem.reason, record.line_number)
                if problems and (args.max_report is None or bad <= args.max_report):
                    said = "; ".join(f"{each.reason} ({each.detail})" for each in problems)
                    with progress.external_write_mode():
                        print(f"{path}, {unit} {record.line_number}: {said}")
            before += os.path.getsize(path)
    return checker, found, bad


def main(argv: Sequence[str] | None = None) -> None:
    """Check the files; see the module's docstring."""
    args = parse_args(argv)
    checker, found, bad = check_files(args)
    if args.max_report is not None and bad > args.max_report:
        print(f"... and {bad - args.max_report} more bad lines")
    for name, count in checker.counts.items():
        print(f"{name}: {count}")
    if checker.categories:
        common = ", ".join(f"{name} {count}" for name, count in checker.categories.most_common(10))
        print(f"categories: {len(checker.categories)}, the most common: {common}")
    print(f"bad lines: {bad}")
    for reason, count in sorted(found.counts.items(), key=lambda each: -each[1]):
        print(f"  {count} x {reason}")
    if args.json is not None:
        report = dict(
            files=args.files,
            statistics=dict(checker.counts),
            categories=dict(checker.categories.most_common()),
            bad_lines=bad,
            problems={
                reason: dict(count=count, first_lines=found.examples[reason])
                for reason, count in found.counts.items()
            },
        )
        atomic_write(args.json, json.dumps(report, indent=1, ensure_ascii=False).encode())
    if bad:
        sys.exit(1)


if __name__ == "__main__":
    run(main)
