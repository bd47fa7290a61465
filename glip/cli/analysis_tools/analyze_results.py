r"""Find the images with the best and the worst stored predictions.

The predictions are the file that tools/test.py --out stores. The metric of the config evaluates
each image on its own, and the images are ranked by the first of its numbers: the AP of the classes
that are annotated in the image, averaged over these classes and the metric's IoU thresholds (0.50
to 0.95). Detections of other classes therefore do not count, and images without annotations have no
number and no rank. Images with equal numbers are ranked by their number of annotated boxes, most
boxes first, among the best and among the worst.

OUT_DIR gets best.png and worst.png, with the annotations of each image at the left and its
detections at the right, and images.csv with all numbers of all images. The test data must be one
data set in COCO or LVIS format.

Example:
    python tools/analysis_tools/analyze_results.py CONFIG results.pkl analysis --topk 10
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from glip.cli.argument_types import positive_int, probability
from glip.cli.common import add_cfg_options, add_config_argument, new_parser, parse_and_run
from glip.cli.drawing import add_drawing_options, read_style

if TYPE_CHECKING:
    from glip.analysis.image_scores import ScoredImage


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_config_argument(parser)
    parser.add_argument("predictions", help="file that tools/test.py --out stored: .pkl or .json")
    parser.add_argument("out_dir", type=Path, help="folder for the results")
    parser.add_argument(
        "--topk", type=positive_int, default=20, help="images per sheet; default: %(default)s"
    )
    parser.add_argument(
        "--score-thr",
        type=probability,
        default=0.3,
        help="minimum score of the detections that are drawn and counted; the metric uses all; "
        "default: %(default)s",
    )
    add_drawing_options(parser)
    add_cfg_options(parser)


def run(args: argparse.Namespace) -> list[ScoredImage]:
    """Evaluate, rank and draw the images.

    Returns:
        The evaluated images, sorted by id.

    Raises:
        ConfigError: the config has other test data or another metric, or the font cannot be used.
        DataError: the annotations or the predictions cannot be used.
    """
    from PIL import Image

    from glip.analysis.image_scores import build, draw_sheet, rank, score_images, write_table
    from glip.apis.build import load_config
    from glip.evaluation import check_predictions, load_predictions
    from glip.utils.atomic_write import atomic_open, make_writable_folder

    style = read_style(args)
    cfg = load_config(args.config, args.cfg_options)
    predictions = load_predictions(args.predictions)
    dataset, metric = build(cfg)
    check_predictions(predictions, dataset, args.predictions)
    images = score_images(dataset, metric, predictions)
    make_writable_folder(args.out_dir)
    write_table(images, args.score_thr, args.out_dir / "images.csv")
    best, worst = rank(images, args.topk)
    for name, chosen in (("best", best), ("worst", worst)):
        if chosen:
            sheet = draw_sheet(chosen, dataset.metainfo["classes"], args.score_thr, style)
            with atomic_open(args.out_dir / f"{name}.png") as file:
                Image.fromarray(sheet).save(file, "PNG")
            key = next(iter(chosen[0].numbers))
            between = f"{chosen[0].score:.3f} to {chosen[-1].score:.3f}"
            print(f"{name}.png: {len(chosen)} images, {key} {between}")
    unmeasured = sum(image.score == -1 for image in images)
    print(f"images.csv: {len(images)} images, {unmeasured} of them without annotations")
    print(f"wrote to {args.out_dir}")
    return images


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    return new_parser(__doc__, add_arguments)


def main(argv: Sequence[str] | None = None) -> list[ScoredImage]:
    """Parse the command line and analyze; see :func:`run`."""
    return parse_and_run(build_parser(), run, argv)
