"""Score each image of a data set on its own, rank the images, and draw the best and the worst."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.registry import DefaultScope
from PIL import Image

from glip.apis.evaluation import build_dataset, build_evaluator, check_test_data
from glip.datasets import CocoDataset
from glip.datasets.images import read_image
from glip.evaluation import Predictions
from glip.evaluation.base_ap_metric import BaseAPMetric
from glip.evaluation.predictions import read_predictions
from glip.utils.atomic_write import write_new_file
from glip.utils.errors import ConfigError, ImageReadError
from glip.utils.tables import format_csv
from glip.visualization import DrawStyle, draw_detections, label_color
from glip.visualization.captions import draw_text, join
from glip.visualization.palette import IGNORED

#: Layout of a sheet: the longer side of an image and the gap between images, in pixels; the font
#: size of the text below; the number of images per row.
_SIDE, _GAP, _FONT, _COLUMNS = 360, 10, 13, 2


@dataclass(frozen=True)
class ScoredImage:
    """An image with its detections and its metrics.

    Attributes:
        info: record of the data set.
        found: detections.
        numbers: metrics by name; -1 where there is nothing to measure.
    """

    info: dict[str, Any]
    found: Predictions
    numbers: dict[str, float]

    @property
    def score(self) -> float:
        """The metric that ranks the images."""
        return next(iter(self.numbers.values()))

    @property
    def num_boxes(self) -> int:
        """Number of annotated boxes that are not ignored."""
        return sum(not each["ignore_flag"] for each in self.info["instances"])


def build(cfg: Config) -> tuple[CocoDataset, BaseAPMetric]:
    """Build the test data set and its metric.

    Raises:
        ConfigError: the data are not one data set in COCO or LVIS format, or no metric scores it.
        DataError: the annotations are missing or cannot be used.
    """
    check_test_data(cfg)
    dataset = build_dataset(cfg)
    with DefaultScope.overwrite_default_scope(cfg.get("default_scope") or "glip"):
        if not isinstance(dataset, CocoDataset):
            raise ConfigError(
                "expected test data of one data set in COCO or LVIS format, got "
                f"{type(dataset).__name__}"
            )
        metrics = build_evaluator(cfg).metrics
    metric = next((each for each in metrics if isinstance(each, BaseAPMetric)), None)
    if metric is None:
        kinds = ", ".join(type(each).__name__ for each in metrics)
        raise ConfigError(
            f"expected a test_evaluator of CocoMetric, LVISMetric or LVISFixedAPMetric, got {kinds}"
        )
    metric.dataset_meta = dataset.metainfo
    return dataset, metric


def score_images(
    dataset: CocoDataset, metric: BaseAPMetric, predictions: list[dict]
) -> list[ScoredImage]:
    """Score each image that has stored predictions.

    Args:
        dataset: data set with the annotations.
        metric: metric that scores an image.
        predictions: result of :func:`glip.evaluation.load_predictions`.

    Returns:
        The images, sorted by id.
    """
    infos = {info["img_id"]: info for info in map(dataset.get_data_info, range(len(dataset)))}
    images = {each["img_id"]: read_predictions(each)[0] for each in predictions}
    return [
        ScoredImage(infos[img_id], images[img_id].sort_by_score(), numbers)
        for img_id, numbers in metric.compute_per_image(images)
    ]


def rank(images: Sequence[ScoredImage], topk: int) -> tuple[list[ScoredImage], list[ScoredImage]]:
    """Return the best and the worst images, at most ``topk`` each."""
    measured = [image for image in images if image.score != -1]
    best = sorted(measured, key=lambda image: (-image.score, -image.num_boxes))
    worst = sorted(measured, key=lambda image: (image.score, -image.num_boxes))
    return best[:topk], worst[:topk]


def draw_sheet(
    images: Sequence[ScoredImage],
    classes: Sequence[str],
    score_thr: float,
    style: DrawStyle | None = None,
) -> np.ndarray:
    """Draw images, two per row, each with its annotations and its detections.

    Args:
        images: one or more images.
        classes: class names by label.
        score_thr: minimum score of the detections that are drawn.
        style: how to draw them.

    Returns:
        (H, W, 3) RGB image, uint8.
    """
    cells = [_draw_image(image, classes, score_thr, style) for image in images]
    rows = [
        join(cells[at : at + _COLUMNS], axis=1, gap=3 * _GAP)
        for at in range(0, len(cells), _COLUMNS)
    ]
    return join(rows, axis=0, gap=_GAP)


def _draw_image(
    image: ScoredImage, classes: Sequence[str], score_thr: float, style: DrawStyle | None
) -> np.ndarray:
    """Draw an image twice, side by side, with its numbers below."""
    try:
        pixels = np.ascontiguousarray(read_image(image.info["img_path"])[..., ::-1])
        note = ""
    except ImageReadError:
        shape = (image.info["height"] or _SIDE, image.info["width"] or _SIDE, 3)
        pixels, note = np.full(shape, 220, dtype=np.uint8), ", cannot be read"
    scale = _SIDE / max(pixels.shape[:2])
    resized = [max(1, round(side * scale)) for side in pixels.shape[1::-1]]
    small = np.array(Image.fromarray(pixels).resize(resized, Image.Resampling.BILINEAR))
    annotated = image.info["instances"]
    truth = draw_detections(
        small,
        np.array([each["bbox"] for each in annotated]).reshape(-1, 4) * scale,
        [classes[each["bbox_label"]] for each in annotated],
        colors=[
            IGNORED if each["ignore_flag"] else label_color(each["bbox_label"])
            for each in annotated
        ],
        style=style,
    )
    found = image.found[image.found.scores >= score_thr]
    labels = found.labels.tolist()
    detected = draw_detections(
        small,
        found.bboxes * scale,
        [classes[label] for label in labels],
        found.scores,
        [label_color(label) for label in labels],
        style=style,
    )
    text = (
        f"{image.score:.3f}  {Path(image.info['img_path']).name}, {image.num_boxes} annotated, "
        f"{len(found)} detected{note}"
    )
    pair = join([truth, detected], axis=1, gap=_GAP)
    return join([pair, draw_text(text, 2 * _SIDE + _GAP, _FONT)], axis=0)


def write_table(images: Sequence[ScoredImage], score_thr: float, path: Path) -> None:
    """Write the metrics of all images as CSV; cells without a measured value are empty."""
    keys = list(images[0].numbers) if images else []
    rows: list[list[object]] = [["img_id", "file", "annotated", "detected", *keys]]
    for image in images:
        numbers = ["" if value == -1 else f"{value:.6f}" for value in image.numbers.values()]
        detected = int((image.found.scores >= score_thr).sum())
        info = image.info
        rows.append([info["img_id"], info["img_path"], image.num_boxes, detected, *numbers])
    write_new_file(path, format_csv(rows))
