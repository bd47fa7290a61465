r"""Validate ODVG files, and print statistics of their records.

Every invalid record is reported with all its problems; then the problems are counted. Files are
streamed, one record at a time. Images in tar shards are checked too, those of other files with
--images. docs/odvg.md describes the format.

The exit code is 1 if a record is invalid, else 0.

Examples:
    python tools/misc/check_odvg.py train.jsonl --label-map labels.json --images train2017
    python tools/misc/check_odvg.py 'shards/train-{000..099}.tar' --max-report 20 --json report.json
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from glip.cli.argument_types import positive_int
from glip.cli.common import new_parser, parse_and_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="JSON lines or tar shards; patterns are expanded"
    )
    parser.add_argument("--label-map", type=Path, help="check labels and categories against this")
    parser.add_argument("--images", type=Path, help="check the images in this folder")
    parser.add_argument(
        "--max-report",
        type=positive_int,
        help="report at most this number of invalid records; default: all",
    )
    parser.add_argument("--json", type=Path, help="store counts and statistics in this file")


def run(args: argparse.Namespace) -> None:
    """Validate and print.

    Raises:
        AnnotationFileError: a file does not exist, or is a shard that cannot be read.
        SystemExit: a record is invalid; the exit code is 1.
    """
    from glip.analysis.odvg_check import check_files
    from glip.utils.atomic_write import atomic_write

    checker, found, invalid = check_files(args.files, args.label_map, args.images, args.max_report)
    if args.max_report is not None and invalid > args.max_report:
        print(f"... and {invalid - args.max_report} more invalid records")
    for name, count in checker.counts.items():
        print(f"{name}: {count}")
    if checker.categories:
        common = ", ".join(f"{name} {count}" for name, count in checker.categories.most_common(10))
        print(f"categories: {len(checker.categories)}, the most common: {common}")
    print(f"invalid records: {invalid}")
    for reason, count in sorted(found.counts.items(), key=lambda each: -each[1]):
        print(f"  {count} x {reason}")
    if args.json is not None:
        report = dict(
            files=args.files,
            statistics=dict(checker.counts),
            categories=dict(checker.categories.most_common()),
            invalid_records=invalid,
            problems={
                reason: dict(count=count, first_lines=found.examples[reason])
                for reason, count in found.counts.items()
            },
        )
        atomic_write(args.json, json.dumps(report, indent=1, ensure_ascii=False).encode())
    if invalid:
        sys.exit(1)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    return new_parser(__doc__, add_arguments)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and validate; see :func:`run`."""
    parse_and_run(build_parser(), run, argv)
