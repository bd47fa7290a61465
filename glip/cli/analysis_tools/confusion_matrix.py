r"""Draw the confusion matrix of stored predictions.

The predictions are the file that tools/test.py --out stores. In each image the detections are
matched to the annotated boxes regardless of class, highest score first. Rows are annotated classes,
columns detected ones. A detection without a box counts in the row "background", a box without a
detection in the column "background". The numbers go to a .csv file beside the image.

Example:
    python tools/analysis_tools/confusion_matrix.py CONFIG results.pkl confusion.png --score-thr 0.4
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from glip.cli.argument_types import probability
from glip.cli.common import add_cfg_options, add_config_argument, new_parser, parse_and_run
from glip.utils.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_config_argument(parser)
    parser.add_argument("predictions", help="file that tools/test.py --out stored: .pkl or .json")
    parser.add_argument("out", type=Path, help="image to write: .png")
    parser.add_argument(
        "--score-thr",
        type=probability,
        default=0.3,
        help="minimum score of a detection; default: %(default)s",
    )
    parser.add_argument(
        "--iou-thr",
        type=probability,
        default=0.5,
        help="minimum IoU of a detection with its box; default: %(default)s",
    )
    add_cfg_options(parser)


def run(args: argparse.Namespace) -> np.ndarray:
    """Count and draw.

    Returns:
        (C + 1, C + 1) counts, annotated class by detected class; the last is the background.

    Raises:
        ConfigError: OUT is not a ``.png``, or the test data are not in COCO format.
        DataError: the annotations or the predictions cannot be used.
    """
    if args.out.suffix != ".png":
        raise ConfigError(f"expected OUT to end in .png, got '{args.out}'")
    from glip.analysis.confusion_matrix import confusion_matrix, draw
    from glip.apis.build import load_config
    from glip.apis.evaluation import build_dataset, check_test_data
    from glip.datasets import CocoDataset
    from glip.evaluation import check_predictions, load_predictions
    from glip.utils.atomic_write import write_new_file
    from glip.utils.tables import format_csv

    cfg = load_config(args.config, args.cfg_options)
    check_test_data(cfg)
    predictions = load_predictions(args.predictions)
    dataset = build_dataset(cfg)
    if not isinstance(dataset, CocoDataset):
        raise ConfigError(
            f"expected test data of one data set in COCO format in '{args.config}', got "
            f"{type(dataset).__name__}"
        )
    check_predictions(predictions, dataset, args.predictions)
    matrix = confusion_matrix(dataset, predictions, args.score_thr, args.iou_thr)
    names = [*dataset.metainfo["classes"], "background"]
    draw(matrix, names, args.out)
    rows = [[name, *row] for name, row in zip(names, matrix.tolist(), strict=True)]
    table = format_csv([["annotated \\ detected", *names], *rows])
    write_new_file(args.out.with_suffix(".csv"), table)
    right = int(matrix.diagonal().sum())
    print(f"{right} of {int(matrix[:-1].sum())} boxes are detected with their class")
    print(f"wrote {args.out} and {args.out.with_suffix('.csv')}")
    return matrix


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    return new_parser(__doc__, add_arguments)


def main(argv: Sequence[str] | None = None) -> np.ndarray:
    """Parse the command line and draw; see :func:`run`."""
    return parse_and_run(build_parser(), run, argv)
