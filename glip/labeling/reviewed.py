"""Merge what was corrected on review pages into all labels of a run.

A page downloads its own images only, the most doubtful ones. The labels of other images, and of
those that nobody accepted or changed, stay those of the detector.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from glip.datasets.annotation_file import read_annotation_file
from glip.datasets.annotation_json import load_content
from glip.engine.digests import file_digest
from glip.labeling.files import read_records
from glip.labeling.formats.export import Export, scoring
from glip.structures.export import BOX_DECIMALS
from glip.utils.errors import AnnotationFileError, LabelingMismatchError
from glip.utils.messages import shorten

_REVIEW_AGAIN = "download it again from the review.html of this run"


def _is_share(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1


#: What a page writes of a box beside its place and class: what is expected, and its check.
_BOX_VALUES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "id": ("an integer", lambda value: type(value) is int),
    "corrected": ("true or false", lambda value: isinstance(value, bool)),
    "score": ("a number from 0 to 1", _is_share),
    "probability": ("a number from 0 to 1", _is_share),
    "prompt": ("a text", lambda value: isinstance(value, str)),
}


@dataclass(frozen=True)
class Review:
    """The corrections of an image.

    Attributes:
        path: the file that they are from.
        name: file name of the image.
        ids: of its boxes; the boxes of the run are numbered from 1.
        detections: its boxes as in a record, ``corrected`` where a person changed or added them.
    """

    path: str
    name: str
    ids: list[int]
    detections: list[dict[str, Any]]


@dataclass(frozen=True)
class ReviewedExport(Export):
    """A finished run with corrections; ``files`` is where its formats are written.

    Attributes:
        labels: the detections of the run.
        reviews: number of the image, from 1 -> its corrections.
    """

    labels: Path = Path()
    reviews: dict[int, Review] = field(default_factory=dict)

    @property
    def description(self) -> str:
        """What the labels are."""
        return f"labels of a detector, {len(self.reviews)} images reviewed"

    def records(self) -> Iterator[dict[str, Any]]:
        """Read the records, with ``reviewed``; reviewed images have the corrected boxes."""
        for number, record in enumerate(read_records(self.labels), start=1):
            review = self.reviews.get(number)
            detections = record["detections"] if review is None else review.detections
            yield record | {"detections": detections, "reviewed": review is not None}

    def summary(self) -> str:
        """Return what was changed, in a sentence.

        Raises:
            LabelingMismatchError: the images of the corrections are not those of the run.
        """
        counts: Counter[str] = Counter()
        last, left = 0, dict(self.reviews)
        for number, record in enumerate(read_records(self.labels), start=1):
            first, last = last + 1, last + len(record["detections"])
            review = left.pop(number, None)
            if review is None:
                continue
            if review.name != record["file_name"]:
                left[number] = review
                break
            own = set(range(first, last + 1))
            counts["deleted"] += len(own - set(review.ids))
            counts["added"] += len(set(review.ids) - own)
            counts["changed"] += sum(
                "corrected" in found and key in own
                for key, found in zip(review.ids, review.detections, strict=True)
            )
        if left:
            number, review = next(iter(left.items()))
            raise LabelingMismatchError(
                f"'{review.path}' has the image {shorten(review.name)} with id {number}, which the "
                f"run does not have: {_REVIEW_AGAIN}"
            )
        numbers = ", ".join(f"{counts[name]} {name}" for name in ("changed", "added", "deleted"))
        return f"{len(self.reviews)} images reviewed; boxes: {numbers}"


def read_reviews(paths: Sequence[str], detections: Path, names: Sequence[str]) -> dict[int, Review]:
    """Read the files that review pages download.

    Args:
        paths: the files; two of them may have the same image if they agree on it.
        detections: those of the run that was reviewed.
        names: of its classes.

    Returns:
        Number of the image, from 1 -> its corrections, of images that were accepted or changed.

    Raises:
        AnnotationFileError: a file is invalid.
        LabelingMismatchError: a file is of another run, two files contradict each other, or no
            image was reviewed.
    """
    digest = file_digest(detections)
    found: dict[int, Review] = {}
    for path in paths:
        for number, review in _read(path, digest, names):
            first = found.setdefault(number, review)
            if first.detections != review.detections:
                raise LabelingMismatchError(
                    f"'{first.path}' and '{path}' have different boxes for the image "
                    f"{shorten(review.name)}: accept and change it in one of them only"
                )
    if not found:
        raise LabelingMismatchError(
            f"no image of {', '.join(map(repr, paths))} was accepted or changed: nothing to apply"
        )
    return found


def _read(path: str, digest: str, names: Sequence[str]) -> Iterator[tuple[int, Review]]:
    content = load_content(path, needs_boxes=True)  # without, all would count as deleted
    info = content.get("info")
    labels = info.get("labels") if isinstance(info, dict) else None
    if not isinstance(labels, str):
        raise LabelingMismatchError(
            f"'{path}' was not downloaded from a review page: expected info.labels, the hash of "
            f"the labels that it corrects; {_REVIEW_AGAIN}"
        )
    categories = [dict(id=number, name=name) for number, name in enumerate(names, start=1)]
    if labels != digest or content["categories"] != categories:
        raise LabelingMismatchError(
            f"'{path}' corrects the labels of another run: expected the download of the "
            "review.html that this run wrote"
        )
    _check_form(path, content)
    file = read_annotation_file(path)
    if file.skipped.total:
        raise AnnotationFileError(
            f"'{path}' has annotations that cannot be used: {file.skipped.explain()}; "
            f"{_REVIEW_AGAIN}"
        )
    for image in file.images:
        if image.get("reviewed") is True:
            annotations = file.annotations[image["id"]]
            ids = [each["id"] for each in annotations]
            boxes = [_detection(path, image, each) for each in annotations]
            yield image["id"], Review(path, str(image.get("file_name")), ids, boxes)


def _check_form(path: str, content: dict[str, Any]) -> None:
    """Check values that a page writes, and another program may have changed.

    Raises:
        AnnotationFileError: a value is of another kind.
    """
    for image in content["images"]:
        if not isinstance(image, dict) or not isinstance(image.get("reviewed", False), bool):
            raise AnnotationFileError(
                f"'{path}': expected reviewed as true or false, got the image {shorten(image)}"
            )
    for box in content["annotations"]:
        if not isinstance(box, dict):
            raise AnnotationFileError(f"'{path}': expected a box as an object, got {shorten(box)}")
        for name, (expected, is_valid) in _BOX_VALUES.items():
            if (name in box or name == "id") and not is_valid(box.get(name)):
                raise AnnotationFileError(
                    f"'{path}': expected {name} of a box as {expected}, got "
                    f"{shorten(box.get(name))}: {_REVIEW_AGAIN}"
                )


def _detection(path: str, image: dict[str, Any], annotation: dict[str, Any]) -> dict[str, Any]:
    x, y, width, height = annotation["bbox"]
    x2, y2 = round(x + width, BOX_DECIMALS), round(y + height, BOX_DECIMALS)
    if not (0 <= x < x2 <= image["width"] and 0 <= y < y2 <= image["height"]):
        raise AnnotationFileError(
            f"'{path}': the box {annotation['bbox']} of {shorten(image.get('file_name'))} is empty "
            f"or not in the image of {image['width']} x {image['height']} pixels: correct it"
        )
    found = dict(bbox=[x, y, x2, y2], label=annotation["category_id"] - 1)
    if annotation.get("corrected") is True:
        return found | {"corrected": True}
    return found | scoring(annotation)
