r"""Check annotation files in COCO's format and ODVG records, and repair the former.

The format is that of the file: JSON lines and tar shards hold ODVG records (docs/odvg.md). Every
problem is reported with its place and counted. Training, evaluation and the converters read a file
in the same way. With --images, the image files are compared with it.

--fix writes a COCO file without the problems that have one solution: values in unusual forms are
written as COCO defines them, and annotations that cannot be used are left out.

The exit code is 1 if there is a problem, else 0. In a clone, tools/misc/check_coco.py and
check_odvg.py run the same checks.

Examples:
    glip check instances.json --images images
    glip check export.json --images images --fix instances.json
    glip check train.jsonl --label-map labels.json --images train2017
    glip check 'shards/train-{000..099}.tar' --max-report 20 --json report.json
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from glip.cli.argument_types import positive_int
from glip.cli.common import UsageError, new_parser, parse_and_run
from glip.cli.misc import check_coco, check_odvg


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="annotation files; patterns are expanded"
    )
    parser.add_argument("--images", type=Path, help="check the images in this folder")
    parser.add_argument("--fix", type=Path, metavar="OUT", help="COCO: write the repaired file")
    parser.add_argument(
        "--label-map", type=Path, help="ODVG: check labels and categories against this"
    )
    parser.add_argument(
        "--max-report",
        type=positive_int,
        help="report at most this number of problems of a file; default: all",
    )
    parser.add_argument("--json", type=Path, help="ODVG: store counts and statistics in this file")


def run(args: argparse.Namespace) -> None:
    """Check the files.

    Raises:
        UsageError: an option is not for the format of the files.
        AnnotationFileError: a file does not exist, or cannot be read at all.
        DataError: the folder of the images does not exist, or the file cannot be repaired.
        SystemExit: there is a problem; the exit code is 1.
    """
    from glip.datasets.odvg.sources import expand_patterns, holds_records
    from glip.utils.errors import DataError

    if args.images is not None and not args.images.is_dir():
        raise DataError(f"there is no folder '{args.images}'; give the image folder as --images.")
    paths = expand_patterns(args.files)
    records = [path for path in paths if holds_records(path)]
    if records and len(records) < len(paths):
        raise UsageError(
            f"'{records[0]}' has ODVG records and another file has not: check files of one format"
        )
    if records:
        if args.fix is not None:
            raise UsageError(
                "--fix repairs files in COCO's format; ODVGDataset skips invalid records"
            )
        check_odvg.run(args)
        return
    for name in ("label_map", "json"):
        if getattr(args, name) is not None:
            raise UsageError(f"--{name.replace('_', '-')} is for ODVG records, not for COCO files")
    if args.fix is not None and len(paths) > 1:
        raise UsageError(f"--fix repairs one file at a time, got {len(paths)}")
    found = [
        check_coco.check_file(Path(path), args.images, args.fix, args.max_report) for path in paths
    ]
    if any(found):
        sys.exit(1)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    return new_parser(__doc__, add_arguments)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and check; see :func:`run`."""
    parse_and_run(build_parser(), run, argv)
