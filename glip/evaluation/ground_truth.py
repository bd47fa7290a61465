"""The annotations that metrics evaluate on, and detections in COCO's result format."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from glip.datasets.annotation_entries import category_problem
from glip.datasets.annotation_file import AnnotationFile, Skipped, read_annotation_file
from glip.datasets.annotation_values import id_order, parse_area
from glip.datasets.categories import check_classes, match_categories
from glip.evaluation.predictions import Predictions
from glip.utils.errors import AnnotationFileError, DataError


@dataclass(frozen=True)
class GroundTruth:
    """The annotations of a file, checked and completed.

    Attributes:
        file: its content; every annotation has ``id``, ``bbox``, ``area`` and ``iscrowd``.
        classes: the class names by label.
        category_ids: the category id of each label, None for a class that the file lacks.
    """

    file: AnnotationFile
    classes: tuple[str, ...]
    category_ids: tuple[Any, ...]

    @property
    def evaluated_ids(self) -> list[Any]:
        """The category ids of the classes, in ascending order."""
        return sorted((key for key in self.category_ids if key is not None), key=id_order)

    def category_names(self) -> dict[Any, str]:
        """Return the class name of each evaluated category id."""
        pairs = zip(self.category_ids, self.classes, strict=True)
        return {number: name for number, name in pairs if number is not None}

    def select_image(self, image: dict[str, Any]) -> GroundTruth:
        """Return the annotations of one image, with only the classes that it shows.

        Args:
            image: the image's entry in the file.
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
    """Read the annotations that a metric evaluates on.

    Annotations that pycocotools can evaluate are kept, zero-area boxes included: nothing matches
    them, so they count as missed, and a warning gives their number. An annotation whose box is not
    four finite numbers is dropped, because pycocotools would match NaN with everything. A missing
    ``area`` becomes width x height, a missing ``iscrowd`` becomes 0. The ids of annotations carry
    no meaning.

    Args:
        path: the annotation file.
        classes: the class names by label.
        backend_args: arguments of mmengine's file backend.
        same_order: see :func:`glip.datasets.categories.match_categories`.

    Raises:
        glip.utils.errors.AnnotationFileError: the file does not exist or is invalid, none of its
            annotations can be evaluated, or its categories are not the classes.
    """
    file = read_annotation_file(path, backend_args)
    if not file.images:
        raise AnnotationFileError(f"there is nothing to evaluate on: '{path}' has no images.")
    classes = check_classes(classes)
    unmatchable = Skipped("annotation")
    category_ids = {category["id"] for category in file.categories}
    num_kept = 0
    for image_id, entries in file.annotations.items():
        kept = list(_complete(entries, category_ids, file.skipped, unmatchable))
        file.annotations[image_id] = kept
        num_kept += len(kept)
    num_matchable = 0 if file.only_fractions else num_kept - unmatchable.total
    if num_matchable == 0 and file.only_fractions:
        unmatchable.add("smaller than one pixel", "all", count=num_kept - unmatchable.total)
    file.check_not_all_skipped(num_matchable, [file.skipped, unmatchable])
    file.skipped.log(f"The evaluation drops from '{path}'")
    unmatchable.log(f"The evaluation counts as missed in '{path}', as pycocotools does")
    file.warn_of_unusual()
    annotations = file.all_annotations()
    used = {annotation["category_id"] for annotation in annotations}
    ids = match_categories(classes, file.categories, used, path, same_order=same_order)
    return GroundTruth(file, classes, tuple(ids))


def _complete(
    entries: list[dict[str, Any]],
    category_ids: Container[Any],
    skipped: Skipped,
    unmatchable: Skipped,
) -> Iterator[dict[str, Any]]:
    """Yield the annotations of categories with all fields that the evaluation needs."""
    for annotation in entries:
        if annotation.get("category_id") not in category_ids:
            problem = category_problem(annotation, category_ids)
            skipped.add(str(problem), f"id {annotation['id']}", annotation)
            continue
        _, _, width, height = annotation["bbox"]
        if width <= 0 or height <= 0:
            unmatchable.add("with a zero-area box", f"id {annotation['id']}", annotation)
        annotation["area"] = parse_area(annotation)
        annotation.setdefault("iscrowd", 0)
        yield annotation


def to_coco_results(
    img_id: Any, predictions: Predictions, category_ids: Sequence[Any]
) -> list[dict[str, Any]]:
    """Convert an image's detections to COCO's result format; drop classes that the file lacks.

    Args:
        img_id: the id of the image.
        predictions: its K detections.
        category_ids: the category id of each label, None for a class that the file lacks.

    Returns:
        At most K dictionaries with ``image_id``, ``category_id``, ``bbox`` (x, y, width, height in
        pixels) and ``score``.

    Raises:
        DataError: a label has no class.
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
    """Check that every label has a class.

    Raises:
        DataError: a label is not from 0 to ``num_classes - 1``.
    """
    labels = predictions.labels
    if len(labels) and not (labels.min() >= 0 and labels.max() < num_classes):
        worst = int(labels.max() if labels.max() >= num_classes else labels.min())
        raise DataError(
            f"a detection has the label {worst}, but there are {num_classes} classes: expected "
            f"0 to {num_classes - 1}. The model's prompt is not the list of the metric's classes."
        )
