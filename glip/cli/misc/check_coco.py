r"""Check an annotation file in COCO's format, and repair it.

Every problem is reported with its place (the position in its list, from 0, and the id) and what is
done about it; then the problems are counted. With --images, the names and sizes of the image files
are compared with the file. Training, evaluation and the converters read the file in the same way.

--fix writes a file without the problems that have one solution: values in unusual forms are written
as COCO defines them, and annotations that cannot be used are left out. It gives the same boxes and
the same AP as the original.

The exit code is 1 if there is a problem, else 0.

Examples:
    python tools/misc/check_coco.py instances.json --images images
    python tools/misc/check_coco.py export.json --images images --fix instances.json
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from glip.cli.argument_types import positive_int
from glip.cli.common import new_parser, parse_and_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("file", type=Path, metavar="FILE", help="annotation file in COCO's format")
    parser.add_argument("--images", type=Path, help="check the images in this folder")
    parser.add_argument("--fix", type=Path, metavar="OUT", help="write the repaired file")
    parser.add_argument(
        "--max-report",
        type=positive_int,
        help="report at most this number of problems; default: all",
    )


def run(args: argparse.Namespace) -> None:
    """Check, print and repair.

    Raises:
        AnnotationFileError: the file does not exist, is not valid JSON or not in COCO's format.
        DataError: the folder of the images does not exist, or the file cannot be repaired.
        SystemExit: the file has a problem; the exit code is 1.
    """
    from glip.utils.errors import DataError

    if args.images is not None and not args.images.is_dir():
        raise DataError(f"there is no folder '{args.images}'; give the image folder as --images.")
    if check_file(args.file, args.images, args.fix, args.max_report):
        sys.exit(1)


def check_file(
    file: Path, images: Path | None, fix: Path | None = None, max_report: int | None = None
) -> bool:
    """Check and print, and write the repaired file.

    Args:
        file: the annotation file.
        images: folder of the images, to check them too.
        fix: where to write the repaired file.
        max_report: largest number of problems to print; ``None`` for all.

    Returns:
        Whether the file has a problem.

    Raises:
        AnnotationFileError: the file does not exist, is not valid JSON or not in COCO's format.
        DataError: the file cannot be repaired.
    """
    from glip.analysis.coco_check import CocoChecker

    checker = CocoChecker(file, images)
    for problem in checker.problems[:max_report]:
        detail = f": {problem.detail}" if problem.detail else ""
        repair = f" [{problem.repair}]" if problem.repair else ""
        print(f"{file}, {problem.place}, {problem.reason}{detail}{repair}")
    hidden = len(checker.problems) - len(checker.problems[:max_report])
    if hidden:
        print(f"... and {hidden} more problems")
    for key in ("images", "annotations", "categories"):
        print(f"{key} that can be used: {len(checker.content[key])}")
    for reason, count in checker.remarks.items():
        print(f"{reason}, not used in training: {count}")
    print(f"problems: {len(checker.problems)}")
    for reason, count in Counter(each.reason for each in checker.problems).most_common():
        print(f"  {count} x {reason}")
    if fix is not None:
        checker.write(fix)
        rest = sum(not each.repair for each in checker.problems)
        print(f"wrote {fix}" + (f"; {rest} problems need a decision" if rest else ""))
    return bool(checker.problems)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    return new_parser(__doc__, add_arguments)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and check; see :func:`run`."""
    parse_and_run(build_parser(), run, argv)
