"""Measure what a calibration changes, on generated shapes with absent phrases.

For each seed, labelled images and test images are drawn, and the small model is prompted with every
class in every image; most classes are absent from an image. Compared on the test images are one raw
threshold for all classes, the calibrated thresholds, and the calibrated thresholds with the
competing phrases that the calibration suggests. Printed are the mean and the standard deviation
over the seeds.

Examples:
    python tools/misc/calibration_experiment.py work_dirs/calibration
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from glip.cli.argument_types import positive_int
from glip.cli.common import new_parser, parse_and_run

if TYPE_CHECKING:
    from glip.calibration.calibrating import LabelledImages
    from glip.classes import ClassFile

#: 16 classes: every pair of a colour and a shape.
WORDS = ["red", "orange", "purple", "blue", "circle", "square", "star", "heart"]
#: Recall over all classes at which the precision is measured.
RECALL = 0.9


def draw(folder: Path, seed: int, count: int, side: int) -> None:
    """Draw images and their annotations, unless they are there."""
    from glip.config import demo_file
    from glip.testing.shapes.dataset import choose_pairs, make_shapes

    if not (folder / "annotations" / "detection.json").exists():
        make_shapes(
            folder,
            seed=seed,
            num_images=count,
            backgrounds=demo_file("backgrounds"),
            pairs=choose_pairs(WORDS, without_held_out=False),
            side=side,
            max_objects=8,
        )


def evaluate(classes: ClassFile, images: LabelledImages, default: float) -> dict[str, float]:
    """Return cgF1 with the thresholds, and the precision at a recall over all classes."""
    import numpy as np

    from glip.calibration.matching import outcomes_of
    from glip.calibration.score_maps import reliability
    from glip.classes.results import apply_classes
    from glip.evaluation import cgf1

    thresholds = classes.thresholds(default)
    kept = [apply_classes(classes, found, thresholds).kept for found in images.found]
    every = [apply_classes(classes, found, [0.0] * len(thresholds)).kept for found in images.found]
    pairs, ranks, right, boxes = [], [], [], 0
    maps = classes.calibration.probabilities if classes.calibration else {}
    for label, name in enumerate(classes.names):
        for truth, own in zip(images.truths, kept, strict=True):
            pairs.append((truth.boxes[truth.labels == label], own.boxes[own.labels == label]))
        own = [each[each.labels == label] for each in every]
        found = [(each.boxes, each.scores) for each in own]
        outcomes = outcomes_of(found, images.truths, label)
        score_map = maps.get(name)
        ranks += [score_map(s) if score_map else s for s in outcomes.scores.tolist()]
        right += outcomes.right.tolist()
        boxes += int(outcomes.num_boxes.sum())
    order = np.argsort(-np.array(ranks), kind="stable")
    hits = np.cumsum(np.array(right)[order])
    at = int(np.searchsorted(hits, RECALL * boxes))
    measured = cgf1(pairs)
    chosen = {name: measured[name] for name in ("cgF1", "pmF1", "IL_MCC")}
    precision = hits[at] / (at + 1) if at < len(hits) else float("nan")
    error = reliability(np.array(ranks), np.array(right)).error
    return {**chosen, "precision": float(precision), "ECE": error}


def run(args: argparse.Namespace) -> None:
    """Run all seeds, and print the table."""
    import numpy as np

    from glip.apis.build import make_detector
    from glip.apis.class_detection import with_class_limit
    from glip.apis.results import default_score_thr
    from glip.calibration.advice import suggest_competitors, with_competitors
    from glip.calibration.calibrating import calibrate, with_calibration
    from glip.calibration.labelled_images import detect_in_labelled, read_labels
    from glip.classes import ClassFile, LabelClass
    from glip.testing.shapes import class_name
    from glip.testing.shapes.dataset import choose_pairs
    from glip.utils.tables import format_table

    model = make_detector(None, "glip_nano_shapes", "cpu", with_class_limit(None))
    names = [class_name(pair) for pair in choose_pairs(WORDS, without_held_out=False)]
    classes = ClassFile(tuple(LabelClass(name) for name in names))
    default = default_score_thr(model.cfg)
    results: dict[str, list[dict[str, float]]] = {}
    for seed in range(args.seeds):
        parts = {}
        for part, number, count in (
            ("labelled", 100 + seed, args.num_labelled),
            ("test", 200 + seed, args.num_test),
        ):
            folder = args.out / f"{part}{seed}"
            draw(folder, number, count, args.side)
            truth = read_labels(
                str(folder / "annotations/detection.json"), folder / "images", classes
            )
            parts[part] = detect_in_labelled(model, classes, truth, folder / "images")
        labelled, test = parts["labelled"], parts["test"]
        shown = {f"raw threshold {default:g}": classes}
        shown["raw threshold 0.3"] = replace(classes, threshold=0.3)
        old = classes.thresholds(default)
        plain = calibrate(classes, labelled, old, seed=seed)
        shown["calibrated"] = with_calibration(classes, plain, {"experiment": seed})
        suggestions = suggest_competitors(classes, labelled, plain)
        rivals = with_competitors(classes, suggestions)
        shown["calibrated, with negatives"] = with_calibration(
            rivals, calibrate(rivals, labelled, old, seed=seed), {"experiment": seed}
        )
        present = np.mean([len(set(t.labels.tolist())) for t in test.truths]) / len(names)
        print(
            f"seed {seed}: {present:.0%} of the phrases are present; {len(suggestions)} suggestions"
        )
        for name, file in shown.items():
            results.setdefault(name, []).append(evaluate(file, test, default))
    header = ["", "cgF1", "pmF1", "IL_MCC", f"precision at recall {RECALL}", "calibration error"]
    rows: list[list[object]] = []
    for name, runs in results.items():
        row: list[object] = [name]
        for key, digits in (("cgF1", 1), ("pmF1", 3), ("IL_MCC", 3), ("precision", 3), ("ECE", 3)):
            values = [each[key] for each in runs]
            row.append(f"{np.mean(values):.{digits}f} ± {np.std(values):.{digits}f}")
        rows.append(row)
    print(format_table(header, rows))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("out", type=Path, help="folder for the images; those there are kept")
    for name, default, text in (
        ("--seeds", 3, "number of seeds"),
        ("--num-labelled", 200, "labelled images of a seed"),
        ("--num-test", 300, "test images of a seed"),
        ("--side", 192, "longer side of the images in pixels"),
    ):
        parser.add_argument(
            name, type=positive_int, default=default, help=f"{text}; default: %(default)s"
        )


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and run; see :func:`run`."""
    parse_and_run(new_parser(__doc__, add_arguments), run, argv)


if __name__ == "__main__":
    main()
