r"""Find the images where stored predictions are best and worst.

The predictions are those that tools/test.py stored with --out. The metric of the config scores each
image as if there were no other, and the images are ranked by the first of its numbers: the AP of
the classes that are annotated in the image, averaged over these classes and the metric's IoU
thresholds (0.50 to 0.95). So detections of classes that are not annotated there change nothing, and
images without annotations have no number and no rank. Of images with equal numbers those with more
annotated boxes go first, among the best and among the worst.

OUT_DIR gets best.png and worst.png, each image's annotations at the left and its detections at the
right, and images.csv with all numbers of all images. The data are one data set in COCO's or LVIS's
format.

Example:
    python tools/analysis_tools/analyze_results.py CONFIG results.pkl analysis --topk 10
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.registry import DefaultScope
from PIL import Image

from glip.apis import load_config
from glip.apis.evaluation import build_evaluator, check_test_data
from glip.cli.common import CfgOptions, positive_int, run
from glip.datasets import CocoDataset
from glip.datasets.images import read_image
from glip.evaluation import Predictions, load_predictions
from glip.evaluation.annotated_metric import AnnotatedMetric
from glip.evaluation.image_metric import read_predictions
from glip.registry import DATASETS
from glip.utils.errors import ConfigError, DataError, ImageReadError
from glip.visualization import draw_detections, label_color
from glip.visualization.captions import draw_text, join
from glip.visualization.palette import IGNORED

#: Sheets: the longer side of a picture and the distance between pictures in pixels, the size of
#: the text below, and how many images stand in a row.
_SIDE, _GAP, _FONT, _COLUMNS = 360, 10, 13, 2


@dataclass(frozen=True)
class ScoredImage:
    """An image with what was found in it.

    Attributes:
        info: the data set's entry.
        found: its detections.
        numbers: of the metric, -1 for what cannot be measured.
    """

    info: dict[str, Any]
    found: Predictions
    numbers: dict[str, float]

    @property
    def score(self) -> float:
        """What the images are ranked by."""
        return next(iter(self.numbers.values()))

    @property
    def num_boxes(self) -> int:
        """How many annotated boxes there are to find."""
        return sum(not each["ignore_flag"] for each in self.info["instances"])


def build(cfg: Config) -> tuple[CocoDataset, AnnotatedMetric]:
    """Build the data set, and the metric that scores it.

    Raises:
        ConfigError: the data are of another kind.
        DataError: the annotations are absent or unusable.
    """
    check_test_data(cfg)
    with DefaultScope.overwrite_default_scope(cfg.get("default_scope", "glip")):
        dataset = DATASETS.build(cfg.test_dataloader.dataset)
        if not isinstance(dataset, CocoDataset):
            raise ConfigError(
                "images are scored in one data set of classes in COCO's or LVIS's format, and the "
                f"test data are a {type(dataset).__name__}"
            )
        metrics = build_evaluator(cfg).metrics
    metric = next((each for each in metrics if isinstance(each, AnnotatedMetric)), None)
    if metric is None:
        kinds = ", ".join(type(each).__name__ for each in metrics)
        raise ConfigError(
            "images are scored by CocoMetric, LVISMetric or LVISFixedAPMetric, and the "
            f"test_evaluator is {kinds}"
        )
    metric.dataset_meta = dataset.metainfo
    return dataset, metric


def score_images(
    dataset: CocoDataset, metric: AnnotatedMetric, predictions: list[dict]
) -> list[ScoredImage]:
    """Score each image that has stored predictions.

    Args:
        dataset: the annotations.
        metric: what scores.
        predictions: as :func:`glip.evaluation.load_predictions` reads them.

    Returns:
        The images, in the order of their ids.

    Raises:
        DataError: predictions are of other images or other classes.
    """
    infos = {info["img_id"]: info for info in map(dataset.get_data_info, range(len(dataset)))}
    images = {each["img_id"]: read_predictions(each)[0] for each in predictions}
    strangers = [img_id for img_id in images if img_id not in infos]
    if strangers:
        raise DataError(
            f"{len(strangers)} of {len(images)} images with predictions are not in "
            f"'{dataset.ann_file}', for example {strangers[:3]}: the predictions are of other data"
        )
    return [
        ScoredImage(infos[img_id], images[img_id].best_first(), numbers)
        for img_id, numbers in metric.score_each(images)
    ]


def rank(images: Sequence[ScoredImage], topk: int) -> tuple[list[ScoredImage], list[ScoredImage]]:
    """Return the best and the worst images, at most ``topk`` each."""
    measured = [image for image in images if image.score != -1]
    best = sorted(measured, key=lambda image: (-image.score, -image.num_boxes))
    worst = sorted(measured, key=lambda image: (image.score, -image.num_boxes))
    return best[:topk], worst[:topk]


def draw_sheet(
    images: Sequence[ScoredImage], classes: Sequence[str], score_thr: float
) -> np.ndarray:
    """Draw images, two in a row, each with its annotations and its detections.

    Args:
        images: one or more.
        classes: the names of the labels.
        score_thr: the least score of a detection that is drawn.

    Returns:
        RGB picture, uint8.
    """
    cells = [_draw_image(image, classes, score_thr) for image in images]
    rows = [
        join(cells[at : at + _COLUMNS], axis=1, gap=3 * _GAP)
        for at in range(0, len(cells), _COLUMNS)
    ]
    return join(rows, axis=0, gap=_GAP)


def _draw_image(image: ScoredImage, classes: Sequence[str], score_thr: float) -> np.ndarray:
    """Draw an image twice, side by side, and its numbers below."""
    try:
        pixels = np.ascontiguousarray(read_image(image.info["img_path"])[..., ::-1])
        note = ""
    except ImageReadError:
        size = (image.info["height"] or _SIDE, image.info["width"] or _SIDE, 3)
        pixels, note = np.full(size, 220, dtype=np.uint8), ", cannot be read"
    scale = _SIDE / max(pixels.shape[:2])
    size = [max(1, round(side * scale)) for side in pixels.shape[1::-1]]
    small = np.array(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))
    annotated = image.info["instances"]
    truth = draw_detections(
        small,
        np.array([each["bbox"] for each in annotated]).reshape(-1, 4) * scale,
        [classes[each["bbox_label"]] for each in annotated],
        colors=[
            IGNORED if each["ignore_flag"] else label_color(each["bbox_label"])
            for each in annotated
        ],
    )
    found = image.found[image.found.scores >= score_thr]
    labels = found.labels.tolist()
    detected = draw_detections(
        small,
        found.bboxes * scale,
        [classes[label] for label in labels],
        found.scores,
        [label_color(label) for label in labels],
    )
    text = (
        f"{image.score:.3f}  {Path(image.info['img_path']).name}, {image.num_boxes} annotated, "
        f"{len(found)} detected{note}"
    )
    pair = join([truth, detected], axis=1, gap=_GAP)
    return join([pair, draw_text(text, 2 * _SIDE + _GAP, _FONT)], axis=0)


def write_table(images: Sequence[ScoredImage], score_thr: float, path: Path) -> None:
    """Write the numbers of all images; what cannot be measured is left empty."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        keys = list(images[0].numbers) if images else []
        writer.writerow(["img_id", "file", "annotated", "detected", *keys])
        for image in images:
            numbers = ["" if value == -1 else f"{value:.6f}" for value in image.numbers.values()]
            detected = int((image.found.scores >= score_thr).sum())
            path_of_image = image.info["img_path"]
            row = [image.info["img_id"], path_of_image, image.num_boxes, detected]
            writer.writerow([*row, *numbers])


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="config file, or the name of a shipped config")
    parser.add_argument("predictions", help="file that tools/test.py --out stored: .pkl or .json")
    parser.add_argument("out_dir", type=Path, help="folder to write to")
    parser.add_argument(
        "--topk", type=positive_int, default=20, help="images of a sheet; default: 20"
    )
    parser.add_argument(
        "--score-thr",
        type=float,
        default=0.3,
        help="least score of a detection that is drawn and counted; all are scored; default: 0.3",
    )
    parser.add_argument(
        "--cfg-options", nargs="+", action=CfgOptions, help="override the config: key=value ..."
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> list[ScoredImage]:
    """Score and draw; see the module's docstring.

    Returns:
        The scored images, in the order of their ids.
    """
    args = parse_args(argv)
    cfg = load_config(args.config, args.cfg_options)
    predictions = load_predictions(args.predictions)
    dataset, metric = build(cfg)
    images = score_images(dataset, metric, predictions)
    args.out_dir.mkdir(parents=True, exist_ok=True)
    write_table(images, args.score_thr, args.out_dir / "images.csv")
    best, worst = rank(images, args.topk)
    for name, chosen in (("best", best), ("worst", worst)):
        if chosen:
            sheet = draw_sheet(chosen, dataset.metainfo["classes"], args.score_thr)
            Image.fromarray(sheet).save(args.out_dir / f"{name}.png")
            key = next(iter(chosen[0].numbers))
            between = f"{chosen[0].score:.3f} to {chosen[-1].score:.3f}"
            print(f"{name}.png: {len(chosen)} images, {key} {between}")
    unmeasured = sum(image.score == -1 for image in images)
    print(f"images.csv: {len(images)} images, {unmeasured} of them without annotations")
    print(f"wrote to {args.out_dir}")
    return images


if __name__ == "__main__":
    run(main)
