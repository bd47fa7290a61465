r"""Calibrate a class file on labelled images: thresholds, probabilities, and a report.

CLASSES is a class file (docs/label.md) or names. LABELLED.json is an annotation file in COCO's
format of about 50 images with each class, in which every object of the classes is annotated, and of
some images without it. OUT is the class file with the threshold of each class and its calibration;
beside it OUT.html shows precision-recall curves, the reliability diagram and what to change.

The calibration holds for these weights, classes and image scale alone: detect with
glip detect IMAGE --classes OUT, or DetInferencer(classes="OUT").

Examples:
    glip calibrate classes.yaml labelled.json --images photos --out classes.calibrated.yaml
    glip calibrate classes.yaml labelled.json --images photos --out sure.yaml --precision 0.9
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from glip.cli.common import (
    UsageError,
    add_cfg_options,
    add_device_option,
    add_model_options,
    new_parser,
    parse_and_run,
)
from glip.weights import SMALL_MODEL

_EXTENSIONS = (".yaml", ".yml")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("classes", metavar="CLASSES", help="class file, or names 'bench . car .'")
    parser.add_argument("labelled", metavar="LABELLED.json", help="annotations in COCO's format")
    parser.add_argument("--images", required=True, metavar="DIR", help="folder of the images")
    parser.add_argument("--out", required=True, type=Path, help="class file to write (.yaml)")
    add_model_options(parser)
    parser.add_argument(
        "--precision",
        type=float,
        metavar="P",
        help="choose for each class the lowest threshold of this precision, for example 0.9; "
        "default: the threshold of the best F1",
    )
    parser.add_argument(
        "--add-negatives",
        action="store_true",
        help="add the suggested competing phrases to the class file before it is calibrated",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of folds and resampling; default: %(default)s"
    )
    add_device_option(parser)
    add_cfg_options(parser)


def run(args: argparse.Namespace) -> None:
    """Calibrate.

    Raises:
        UsageError: ``--precision`` is not between 0 and 1, or ``--out`` is no YAML file or CLASSES.
        DependencyError: scikit-learn is not installed.
        ClassFileError: the classes are invalid.
        DataError: the labels are invalid, or images are missing.
        CheckpointError: the checkpoint does not fit the config.
    """
    if args.precision is not None and not 0 < args.precision <= 1:
        raise UsageError(f"expected --precision above 0 and up to 1, got {args.precision}")
    if args.out.suffix.lower() not in _EXTENSIONS:
        raise UsageError(f"expected --out with the extension .yaml, got {args.out}")
    if args.seed < 0:
        raise UsageError(f"expected --seed of 0 or more, got {args.seed}")

    from dataclasses import replace

    from glip.classes import load_classes, write_class_file

    classes = replace(load_classes(args.classes), calibration=None)

    from glip.apis.build import config_name, make_detector
    from glip.apis.class_detection import binding_of, with_class_limit
    from glip.apis.results import default_score_thr
    from glip.calibration.advice import prompt_effects, suggest_competitors, with_competitors
    from glip.calibration.calibrating import calibrate, with_calibration
    from glip.calibration.labelled_images import detect_in_labelled, read_labels
    from glip.calibration.report_page import format_report, report_page
    from glip.calibration.score_maps import check_sklearn
    from glip.utils.atomic_write import atomic_write

    check_sklearn()
    truth = read_labels(args.labelled, args.images, classes)
    weights = args.weights
    if weights is None and args.config_option is None:
        weights = SMALL_MODEL
    model = make_detector(
        args.config_option, weights, args.device, with_class_limit(args.cfg_options)
    )
    images = detect_in_labelled(model, classes, truth, args.images)

    old = classes.thresholds(default_score_thr(model.cfg))
    options = dict(precision=args.precision, seed=args.seed)
    calibrated = calibrate(classes, images, old, **options)
    competitors = suggest_competitors(classes, images, calibrated)
    if args.add_negatives and competitors:
        classes = with_competitors(classes, competitors)
        calibrated = calibrate(classes, images, old, **options)
    effects = prompt_effects(classes, images)
    binding = binding_of(model, classes)
    write_class_file(args.out, with_calibration(classes, calibrated, binding))
    wanted = "best F1" if args.precision is None else f"precision {args.precision:g}"
    facts = [
        ("model", f"{config_name(model.cfg)}, weights {str(binding['weights'])[:12]}"),
        ("labels", f"{args.labelled}, {len(images)} images"),
        ("thresholds", wanted),
        ("image scale", binding["image scale"]),
    ]
    page = args.out.with_suffix(".html")
    content = report_page(calibrated, effects, competitors, facts)
    atomic_write(page, content.encode("utf-8", "backslashreplace"))
    print(format_report(calibrated, effects, competitors))
    if competitors and args.add_negatives:
        print("the suggested competing phrases were added")
    print(f"written: {args.out} and {page}")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    return new_parser(__doc__, add_arguments)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and calibrate; see :func:`run`."""
    parse_and_run(build_parser(), run, argv)
