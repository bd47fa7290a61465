"""Read and validate annotation files in COCO's format.

Data sets and metrics read their files here, so that both skip the same entries and report them
once, with counts. What must be a mistake (a missing file, no images, one id for two different
entries) raises an error at once; single invalid entries are skipped.
"""

from __future__ import annotations

import json
import logging
import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine import fileio
from mmengine.logging import print_log

from glip.utils.errors import AnnotationFileError, AnnotationFileNotFoundError


class Skipped:
    """The number of skipped entries of a file per reason, with a few examples.

    Args:
        kind: What an entry is, for messages.
        plural: The plural of ``kind``, if it is not ``kind + "s"``.
        examples: Number of examples to keep per reason.

    Attributes:
        counts: Number of skipped entries, per reason.

    Example:
        >>> skipped = Skipped("annotation")
        >>> skipped.add("outside the image", 17)
        >>> skipped.summary()
        '1 annotation outside the image (17)'
    """

    def __init__(self, kind: str, plural: str | None = None, examples: int = 3) -> None:
        self.kind = kind
        self.plural = plural or f"{kind}s"
        self.counts: Counter[str] = Counter()
        self._examples: dict[str, list[Any]] = defaultdict(list)
        self._limit = examples

    def add(self, reason: str, example: Any) -> None:
        """Count one more entry."""
        self.counts[reason] += 1
        if len(self._examples[reason]) < self._limit:
            self._examples[reason].append(example)

    @property
    def total(self) -> int:
        """The number of all skipped entries."""
        return sum(self.counts.values())

    def summary(self) -> str:
        """Return the counts in one line; empty if nothing was skipped."""
        parts = []
        for reason, count in self.counts.items():
            examples = ", ".join(str(example) for example in self._examples[reason])
            more = ", ..." if count > len(self._examples[reason]) else ""
            kind = self.kind if count == 1 else self.plural
            parts.append(f"{count} {kind} {reason} ({examples}{more})")
        return "; ".join(parts)

    def log(self, prefix: str) -> None:
        """Log the summary as a warning, if anything was skipped."""
        if self.total:
            print_log(f"{prefix}: {self.summary()}", logger="current", level=logging.WARNING)


@dataclass
class AnnotationFile:
    """The content of a file in COCO's format, each id once.

    Attributes:
        path: Path of the file.
        images: The entries of ``images``, in the order of the file.
        categories: The entries of ``categories``.
        annotations: The annotations of each image, by image id, in the order of the file.
        skipped: The annotations that were skipped.
    """

    path: str
    images: list[dict[str, Any]]
    categories: list[dict[str, Any]] = field(default_factory=list)
    annotations: dict[Any, list[dict[str, Any]]] = field(default_factory=dict)
    skipped: Skipped = field(default_factory=lambda: Skipped("annotation"))

    def all_annotations(self) -> Iterable[dict[str, Any]]:
        """Iterate over the annotations of all images, image by image."""
        for image in self.images:
            yield from self.annotations.get(image["id"], ())


def read_annotation_file(path: str, backend_args: dict[str, Any] | None = None) -> AnnotationFile:
    """Read a file in COCO's format: COCO, LVIS, ODinW, MDETR's files of Flickr30k and RefCOCO.

    Identical entries are kept once. Annotations of an image or a category that is not in the file
    are skipped. Annotations without an id get one.

    Args:
        path: Path of the JSON file, local or as mmengine's file backends accept it.
        backend_args: mmengine's file backend and its settings; by default chosen by ``path``.

    Raises:
        AnnotationFileNotFoundError: The file does not exist.
        AnnotationFileError: The file is not valid JSON or not in this format, or different entries
            have the same id.
    """
    content = _load(path, backend_args)
    duplicate_images, duplicate_categories = Skipped("image"), Skipped("category", "categories")
    images = _unique(content["images"], path, duplicate_images)
    categories = _unique(content.get("categories") or [], path, duplicate_categories)
    for duplicates in (duplicate_images, duplicate_categories):
        duplicates.log(f"skipped in '{path}'")
    skipped = Skipped("annotation")
    entries = content.get("annotations") or []
    _add_missing_ids(entries)
    annotations: dict[Any, list[dict]] = {image["id"]: [] for image in images}
    category_ids = {category["id"] for category in categories}
    for entry in _unique(entries, path, skipped):
        if entry.get("image_id") not in annotations:
            skipped.add("of images that are not in the file", f"id {entry['id']}")
        elif category_ids and "category_id" in entry and entry["category_id"] not in category_ids:
            skipped.add("of categories that are not in the file", f"id {entry['id']}")
        else:
            annotations[entry["image_id"]].append(entry)
    return AnnotationFile(str(path), images, categories, annotations, skipped)


def check_exists(path: str, backend_args: dict[str, Any] | None = None) -> None:
    """Check that an annotation file exists.

    Raises:
        AnnotationFileNotFoundError: It does not; the message names the part of the path that does.
    """
    if fileio.exists(str(path), backend_args=backend_args):
        return
    existing = ""
    if "://" not in str(path):
        parent = Path(path)
        while not parent.exists() and parent != parent.parent:
            parent = parent.parent
        existing = f" ('{parent}' is the last folder of the path that exists)"
    raise AnnotationFileNotFoundError(
        f"there is no annotation file '{path}'{existing}; check data_root and ann_file."
    )


def require(image: dict[str, Any], key: str, path: str) -> Any:
    """Return a required field of an image's entry.

    Raises:
        AnnotationFileError: The field is missing or empty.
    """
    if image.get(key) in (None, ""):
        raise AnnotationFileError(f"the image with id {image['id']!r} in '{path}' has no '{key}'.")
    return image[key]


def box_problem(box: Any) -> str | None:
    """Return why an annotated box (x, y, width, height) is invalid, or None if it is valid.

    A box without area is valid (no detection can match it); a box with NaN is not.
    """
    if not isinstance(box, (list, tuple)) or len(box) != 4:
        return "without a box of four numbers"
    for number in box:
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            return "without a box of four numbers"
        if not math.isfinite(number):
            return "with a box that is not finite"
    return None


def find_phrases(image: dict[str, Any], skipped: Skipped) -> list[list[tuple[int, int]]]:
    """Return the spans of each phrase of a caption in MDETR's format.

    Args:
        image: An entry with ``id``, ``caption`` and ``tokens_positive_eval``, which holds a list of
            character spans ``[start, end)`` per phrase.
        skipped: Counts the phrases that are outside the caption, which are skipped.
    """
    found = []
    for index, ranges in enumerate(image.get("tokens_positive_eval") or ()):
        spans = [(int(start), int(end)) for start, end in ranges]
        if spans and all(0 <= start < end <= len(image["caption"]) for start, end in spans):
            found.append(spans)
        else:
            skipped.add("outside the caption", f"image {image['id']}, number {index}")
    return found


def _load(path: str, backend_args: dict[str, Any] | None) -> dict[str, Any]:
    """Load the JSON, and check that it has images."""
    check_exists(path, backend_args)
    try:
        content = json.loads(fileio.get(str(path), backend_args=backend_args))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise AnnotationFileError(
            f"the annotation file '{path}' is invalid JSON ({error}); copy or download it again."
        ) from error
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        found = sorted(content) if isinstance(content, dict) else type(content).__name__
        raise AnnotationFileError(
            f"'{path}' is not an annotation file in COCO's format: expected an object with "
            f"'images', 'annotations' and 'categories', got {found}. A list is COCO's format of "
            "results, not of annotations."
        )
    return content


def _unique(entries: list[dict[str, Any]], path: str, skipped: Skipped) -> list[dict[str, Any]]:
    """Return the entries, each id once; count the duplicates in ``skipped``.

    Raises:
        AnnotationFileError: An entry has no id, or different entries have the same id.
    """
    known: dict[Any, dict[str, Any]] = {}
    for entry in entries:
        if not isinstance(entry, dict) or "id" not in entry:
            raise AnnotationFileError(
                f"'{path}' has an entry without an id among its {skipped.plural}: {entry!r}"
            )
        first = known.setdefault(entry["id"], entry)
        if first is entry:
            continue
        if not _equal(first, entry):
            raise AnnotationFileError(
                f"'{path}' has two different {skipped.plural} with the id {entry['id']!r}: "
                f"{_shorten(first)} and {_shorten(entry)}. Give each an id of its own."
            )
        skipped.add("that occur twice", f"id {entry['id']}")
    return list(known.values())


def _add_missing_ids(annotations: list[dict[str, Any]]) -> None:
    """Give ids to the annotations that have none, in place."""
    without = [entry for entry in annotations if isinstance(entry, dict) and "id" not in entry]
    if not without:
        return
    used = {entry["id"] for entry in annotations if "id" in entry}
    start = max((key for key in used if isinstance(key, int)), default=0) + 1
    for key, entry in enumerate(without, start):
        entry["id"] = key


def _equal(first: dict[str, Any], second: dict[str, Any]) -> bool:
    """Return whether two entries have the same JSON, in which NaN equals NaN."""
    return json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)


def _shorten(entry: dict[str, Any]) -> str:
    """Return an entry for an error message, without its polygons."""
    text = json.dumps({key: value for key, value in entry.items() if key != "segmentation"})
    return text if len(text) <= 160 else text[:157] + "..."
