r"""Rename the ODinW categories whose original names tell a language model little.

Of the 35 data sets these are ChessPieces, CottontailRabbits and NorthAmericaMushrooms. For each a
file new_annotations_without_background.json is written beside the original, which does not change.
The names are those of configs/_base_/datasets/odinw.py. Missing data sets are skipped.

Example:
    python tools/dataset_converters/override_category.py data/odinw/
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from glip.cli.common import new_parser, parse_and_run
from glip.utils.errors import AnnotationFileNotFoundError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "data_root", type=Path, help="folder of ODinW, which holds CottontailRabbits/ ..."
    )


def run(args: argparse.Namespace) -> None:
    """Rename.

    Raises:
        AnnotationFileNotFoundError: none of the annotation files exists.
        AnnotationFileError: an annotation file cannot be used.
    """
    from glip.converters.odinw_names import PREFIX, rename, renamed_datasets

    renamed, missing = 0, []
    for name, path, names in renamed_datasets():
        target = args.data_root / path
        source = target.with_name(target.name.removeprefix(PREFIX))
        if not source.is_file():
            missing.append(source)
            continue
        rename(source, target, names)
        renamed += 1
        print(f"{name}: wrote {target}")
    if not renamed:
        listed = "".join(f"\n  {source}" for source in missing)
        raise AnnotationFileNotFoundError(f"none of the files to rename exists; expected{listed}")
    for source in missing:
        print(f"missing: {source}")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    return new_parser(__doc__, add_arguments)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and rename; see :func:`run`."""
    parse_and_run(build_parser(), run, argv)
