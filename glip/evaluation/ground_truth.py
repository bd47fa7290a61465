"""The annotations to score against, and results in COCO's format."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from glip.datasets.annotation_file import AnnotationFile, Skipped, box_problem, read_annotation_file
from glip.datasets.categories import check_classes, match_categories
from glip.evaluation.image_metric import Predictions
from glip.utils.errors import AnnotationFileError, DataError


@dataclass(frozen=True)
class GroundTruth:
    """The annotations of a file, fit for scoring.

    Attributes:
        file: its content; every annotation has ``id``, ``bbox``, ``area`` and ``iscrowd``.
        classes: the names, label by label.
        category_ids: the category id of each label, None where the file lacks the class.
    """

    file: AnnotationFile
    classes: tuple[str, ...]
    category_ids: tuple[Any, ...]

    @property
    def scored_ids(self) -> list[Any]:
        """The category ids that some class names, in rising order."""
        return sorted(number for number in self.category_ids if number is not None)

    def names(self) -> dict[Any, str]:
        """Return the class name of each scored category id."""
        pairs = zip(self.category_ids, self.classes, strict=True)
        return {number: name for number, name in pairs if number is not None}

    def of_image(self, image: dict[str, Any]) -> GroundTruth:
        """Return the annotations of one image, of which no more is scored than their classes.

        Args:
            image: its entry in the file.
        """
        annotations = self.file.annotations[image["id"]]
        shown = {annotation["category_id"] for annotation in annotations}
        file = replace(
            self.file,
            images=[image],
            categories=[each for each in self.file.categories if each["id"] in shown],
            annotations={image["id"]: annotations},
        )
        ids = (number if number in shown else None for number in self.category_ids)
        return replace(self, file=file, category_ids=tuple(ids))


def load_ground_truth(
    path: str,
    classes: Sequence[str],
    backend_args: dict | None = None,
    *,
    same_order: bool = False,
) -> GroundTruth:
    """Read the annotations to score against.

    What COCO's tools can score stays as it is, boxes without area included: nothing matches them,
    so they count as missed, and a warning says how many there are. Only annotations whose boxes are
    not four finite numbers are left out (COCO's tools would let NaN match everything). A missing
    ``area`` becomes width x height, a missing ``iscrowd`` 0.

    Args:
        path: of the annotation file.
        classes: the names, label by label.
        backend_args: mmengine's file backend and its settings.
        same_order: see :func:`glip.datasets.categories.match_categories`.

    Raises:
        glip.datasets.annotation_file.AnnotationFileError: the file is absent or unusable, or its
            categories are not the classes.
    """
    file = read_annotation_file(path, backend_args)
    if not file.images:
        raise AnnotationFileError(f"there is nothing to score against: '{path}' has no images.")
    hollow = Skipped("annotation")
    for image_id, entries in file.annotations.items():
        file.annotations[image_id] = list(_completed(entries, file.skipped, hollow))
    file.skipped.log(f"Scoring leaves out of '{path}'")
    hollow.log(f"Scoring counts as missed in '{path}', as COCO's tools do")
    classes = check_classes(classes)
    used = {annotation.get("category_id") for annotation in file.all_annotations()}
    ids = match_categories(classes, file.categories, used, path, same_order=same_order)
    return GroundTruth(file, classes, tuple(ids))


def _completed(
    entries: list[dict[str, Any]], skipped: Skipped, hollow: Skipped
) -> Iterable[dict[str, Any]]:
    """Yield the annotations that can be scored, with all fields that scoring needs."""
    for annotation in entries:
        problem = box_problem(annotation.get("bbox"))
        if problem is not None:
            skipped.add(problem, f"id {annotation['id']}")
            continue
        _, _, width, height = annotation["bbox"]
        if width <= 0 or height <= 0:
            hollow.add("with a box without area", f"id {annotation['id']}")
        elif annotation["id"] == 0:
            hollow.add("with the id 0, which means 'no match' there", f"id {annotation['id']}")
        area = annotation.get("area")
        if not isinstance(area, (int, float)) or not math.isfinite(area):
            annotation["area"] = width * height
        annotation["iscrowd"] = int(bool(annotation.get("iscrowd", 0)))
        yield annotation


def results_of(
    img_id: Any, predictions: Predictions, category_ids: Sequence[Any]
) -> list[dict[str, Any]]:
    """Write detections in COCO's result format; those of classes the file lacks are left out.

    Args:
        img_id: the id of the image.
        predictions: its K detections.
        category_ids: the category id of each label, None for a class without one.

    Returns:
        At most K dictionaries with ``image_id``, ``category_id``, ``bbox`` (x, y, width, height in
        pixels) and ``score``.

    Raises:
        DataError: a label is not one of the classes.
    """
    check_labels(predictions, len(category_ids))
    boxes, scores = predictions.xywh.tolist(), predictions.scores.tolist()
    rows = zip(boxes, scores, predictions.labels.tolist(), strict=True)
    return [
        dict(image_id=img_id, category_id=category_ids[label], bbox=box, score=score)
        for box, score, label in rows
        if category_ids[label] is not None
    ]


def check_labels(predictions: Predictions, num_classes: int) -> None:
    """See to it that every label means a class.

    Raises:
        DataError: one does not.
    """
    labels = predictions.labels
    if len(labels) and not (labels.min() >= 0 and labels.max() < num_classes):
        worst = int(labels.max() if labels.max() >= num_classes else labels.min())
        raise DataError(
            f"a detection has the label {worst}, but there are {num_classes} classes, so expected "
            f"0 to {num_classes - 1}. The prompt the model was given is not the metric's classes."
        )
