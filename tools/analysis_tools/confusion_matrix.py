r"""Draw which classes are taken for which, from stored predictions.

The predictions are those that tools/test.py stored with --out. In each image detections meet boxes
whatever the classes, the highest score first; rows are the true classes and columns the detected
ones. What is detected without a box is in the row "background", a box that is not found in the
column "background". The numbers go to a .csv file beside the picture.

Example:
    python tools/analysis_tools/confusion_matrix.py CONFIG results.pkl confusion.png --score-thr 0.4
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import torch
from mmengine.registry import DefaultScope
from torchvision.ops import box_iou

from glip.apis import load_config
from glip.apis.evaluation import check_test_data
from glip.cli.common import CfgOptions, run
from glip.datasets import CocoDataset
from glip.evaluation import load_predictions
from glip.registry import DATASETS
from glip.utils.errors import ConfigError

#: Up to so many classes the cells carry their numbers.
_WRITTEN = 20


def count_image(
    matrix: np.ndarray,
    boxes: np.ndarray,
    labels: np.ndarray,
    found: np.ndarray,
    found_labels: np.ndarray,
    ignored: np.ndarray,
    iou_thr: float,
) -> None:
    """Add an image with G boxes and K detections to the counts, in place.

    A detection takes the free box it overlaps most, by at least ``iou_thr``. One that gets none,
    but overlaps an ignored box so much, is not counted; neither are ignored boxes.

    Args:
        matrix: (C + 1, C + 1) counts, true class by detected class; the last is the background.
        boxes: (G, 4) true boxes, xyxy in pixels.
        labels: (G,) their classes.
        found: (K, 4) detected boxes, xyxy in pixels, best score first.
        found_labels: (K,) their classes.
        ignored: (G,) bool, boxes that may be found or not, crowds for example.
        iou_thr: the least overlap.
    """
    background = len(matrix) - 1
    overlaps = box_iou(
        torch.as_tensor(found, dtype=torch.float64).reshape(-1, 4),
        torch.as_tensor(boxes, dtype=torch.float64).reshape(-1, 4),
    ).numpy()
    free = ~ignored
    for overlap, label in zip(overlaps, found_labels, strict=True):
        open_to = np.where(free, overlap, -1.0)
        best = int(open_to.argmax()) if len(open_to) else -1
        if best >= 0 and open_to[best] >= iou_thr:
            matrix[labels[best], label] += 1
            free[best] = False
        elif not (overlap[ignored] >= iou_thr).any():
            matrix[background, label] += 1
    np.add.at(matrix[:, background], labels[free], 1)


def confusion_matrix(
    dataset: CocoDataset, predictions: list[dict], score_thr: float, iou_thr: float
) -> np.ndarray:
    """Count over a data set of C classes; images without stored predictions count as empty.

    Args:
        dataset: the true boxes.
        predictions: as :func:`glip.evaluation.load_predictions` reads them.
        score_thr: the least score of a detection.
        iou_thr: the least overlap of a detection with a box.

    Returns:
        (C + 1, C + 1) counts, true class by detected class; the last is the background.
    """
    classes = len(dataset.metainfo["classes"])
    matrix = np.zeros((classes + 1, classes + 1), dtype=np.int64)
    stored = {each["img_id"]: each["pred_instances"] for each in predictions}
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        boxes = np.array([each["bbox"] for each in info["instances"]], dtype=float).reshape(-1, 4)
        labels = np.array([each["bbox_label"] for each in info["instances"]], dtype=np.int64)
        ignored = np.array([each["ignore_flag"] for each in info["instances"]], dtype=bool)
        found, found_labels = np.zeros((0, 4)), np.zeros(0, dtype=np.int64)
        if info["img_id"] in stored:
            instances = stored[info["img_id"]]
            order = instances["scores"].argsort(descending=True, stable=True)
            order = order[instances["scores"][order] >= score_thr]
            found = instances["bboxes"][order].numpy()
            found_labels = instances["labels"][order].numpy()
        count_image(matrix, boxes, labels, found, found_labels, ignored, iou_thr)
    return matrix


def draw(matrix: np.ndarray, names: list[str], path: Path) -> None:
    """Draw the counts as shares of their rows, in percent.

    Args:
        matrix: (N, N) counts.
        names: of the N rows and columns.
        path: of the picture.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    share = 100 * matrix / matrix.sum(axis=1, keepdims=True).clip(min=1)
    side = min(max(5.0, 0.3 * len(names)), 60.0)  # inches
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    picture = axes.imshow(share, cmap="Blues", vmin=0, vmax=100)
    figure.colorbar(picture, label="share of the row [%]")
    axes.set(xlabel="detected", ylabel="annotated")
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
    axes.set_yticks(range(len(names)), names, fontsize=7)
    if len(names) <= _WRITTEN:
        for (row, column), number in np.ndenumerate(matrix):
            color = "white" if share[row, column] > 50 else "black"
            axes.text(column, row, number, ha="center", va="center", fontsize=7, color=color)
    figure.savefig(path, dpi=150)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="config file, or the name of a shipped config")
    parser.add_argument("predictions", help="file that tools/test.py --out stored: .pkl or .json")
    parser.add_argument("out", type=Path, help="the picture: .png")
    parser.add_argument("--score-thr", type=float, default=0.3, help="least score of a detection")
    parser.add_argument("--iou-thr", type=float, default=0.5, help="least overlap with a box")
    parser.add_argument(
        "--cfg-options", nargs="+", action=CfgOptions, help="override the config: key=value ..."
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> np.ndarray:
    """Count and draw; see the module's docstring.

    Returns:
        (C + 1, C + 1) counts, true class by detected class; the last is the background.

    Raises:
        ConfigError: the picture is no ``.png``, or the data set is not in COCO's format.
    """
    args = parse_args(argv)
    if args.out.suffix != ".png":
        raise ConfigError(f"expected OUT to end in .png, got '{args.out}'")
    cfg = load_config(args.config, args.cfg_options)
    check_test_data(cfg)
    predictions = load_predictions(args.predictions)
    with DefaultScope.overwrite_default_scope(cfg.get("default_scope", "glip")):
        dataset = DATASETS.build(cfg.test_dataloader.dataset)
    if not isinstance(dataset, CocoDataset):
        raise ConfigError(
            "a confusion matrix needs one data set of classes in COCO's format, and the test data "
            f"of '{args.config}' are a {type(dataset).__name__}"
        )
    matrix = confusion_matrix(dataset, predictions, args.score_thr, args.iou_thr)
    names = [*dataset.metainfo["classes"], "background"]
    args.out.parent.mkdir(parents=True, exist_ok=True)
    draw(matrix, names, args.out)
    with args.out.with_suffix(".csv").open("w", newline="", encoding="utf-8") as file:
        rows = [[name, *row] for name, row in zip(names, matrix.tolist(), strict=True)]
        csv.writer(file).writerows([["annotated \\ detected", *names], *rows])
    right = int(matrix.diagonal().sum())
    print(f"{right} of {int(matrix[:-1].sum())} boxes are found with their class")
    print(f"wrote {args.out} and {args.out.with_suffix('.csv')}")
    return matrix


if __name__ == "__main__":
    run(main)
