"""Count and draw the confusion matrix of stored predictions."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from torchvision.ops import box_iou

from glip.datasets import CocoDataset
from glip.utils.atomic_write import write_new_file
from glip.visualization.figures import font_families, label_text

#: Largest number of classes whose cells show their counts.
_MAX_CLASSES_WITH_COUNTS = 20


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

    Each detection is matched to the unmatched box of the largest IoU, if that is at least
    ``iou_thr``. Ignored boxes do not count, nor do unmatched detections that overlap one by
    ``iou_thr``.

    Args:
        matrix: (C + 1, C + 1) counts, annotated class by detected class; the last is the
            background.
        boxes: (G, 4) annotated boxes, xyxy in pixels.
        labels: (G,) classes of the annotated boxes.
        found: (K, 4) detected boxes, xyxy in pixels, highest score first.
        found_labels: (K,) classes of the detections.
        ignored: (G,) bool, boxes that need not be detected, crowds for example.
        iou_thr: minimum IoU of a match.
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
    """Count over a data set of C classes; images without stored predictions have no detections.

    Args:
        dataset: data set with the annotated boxes.
        predictions: result of :func:`glip.evaluation.load_predictions`.
        score_thr: minimum score of a detection.
        iou_thr: minimum IoU of a match.

    Returns:
        (C + 1, C + 1) counts, annotated class by detected class; the last is the background.
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
    """Draw the counts, normalized by row, in percent.

    Args:
        matrix: (N, N) counts.
        names: names of the N rows and columns.
        path: image file to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    percent = 100 * matrix / matrix.sum(axis=1, keepdims=True).clip(min=1)
    side = min(max(5.0, 0.3 * len(names)), 60.0)  # inches
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    heatmap = axes.imshow(percent, cmap="Blues", vmin=0, vmax=100)
    figure.colorbar(heatmap, label="fraction of the row [%]")
    axes.set(xlabel="detected", ylabel="annotated")
    shown, families = [label_text(name) for name in names], font_families(names)
    axes.set_xticks(range(len(names)), shown, rotation=90, fontsize=7, fontfamily=families)
    axes.set_yticks(range(len(names)), shown, fontsize=7, fontfamily=families)
    if len(names) <= _MAX_CLASSES_WITH_COUNTS:
        for (row, column), number in np.ndenumerate(matrix):
            color = "white" if percent[row, column] > 50 else "black"
            axes.text(column, row, number, ha="center", va="center", fontsize=7, color=color)
    content = io.BytesIO()
    figure.savefig(content, dpi=150)
    write_new_file(path, content.getvalue())
