"""Reading COCO-style annotation files, and telling at once what is wrong with one.

Data sets and metrics read their files here, so that both leave out the same things and say so once,
with counts. What can only be a mistake (no such file, no images, one id for two different things)
is an error before anything runs; what spoils single entries is skipped.
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
    """What was left out of a file, and why: reason -> how many, with a few examples.

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
        """Count one more for this reason."""
        self.counts[reason] += 1
        if len(self._examples[reason]) < self._limit:
            self._examples[reason].append(example)

    @property
    def total(self) -> int:
        """How many were left out."""
        return sum(self.counts.values())

    def summary(self) -> str:
        """Say it in one line; empty if nothing was left out."""
        parts = []
        for reason, count in self.counts.items():
            some = ", ".join(str(example) for example in self._examples[reason])
            more = ", ..." if count > len(self._examples[reason]) else ""
            kind = self.kind if count == 1 else self.plural
            parts.append(f"{count} {kind} {reason} ({some}{more})")
        return "; ".join(parts)

    def log(self, prefix: str) -> None:
        """Warn, once, with the summary; say nothing if nothing was left out."""
        if self.total:
            print_log(f"{prefix}: {self.summary()}", logger="current", level=logging.WARNING)


@dataclass
class AnnotationFile:
    """The content of a COCO-style file, each id once.

    Attributes:
        path: where it was read.
        images: the entries of ``images``, in the order of the file.
        categories: the entries of ``categories``.
        annotations: for each image id the annotations of that image, in the order of the file.
        skipped: what was left out, and why.
    """

    path: str
    images: list[dict[str, Any]]
    categories: list[dict[str, Any]] = field(default_factory=list)
    annotations: dict[Any, list[dict[str, Any]]] = field(default_factory=dict)
    skipped: Skipped = field(default_factory=lambda: Skipped("annotation"))

    def all_annotations(self) -> Iterable[dict[str, Any]]:
        """Go through the annotations of all images, image by image."""
        for image in self.images:
            yield from self.annotations.get(image["id"], ())


def read_annotation_file(path: str, backend_args: dict[str, Any] | None = None) -> AnnotationFile:
    """Read a COCO-style file: COCO, LVIS, ODinW, or the MDETR files of Flickr30k and RefCOCO.

    Entries that stand there twice, word for word, are kept once. Annotations of an image or a
    category that the file lacks are left out. An annotation without an id gets one.

    Args:
        path: of the JSON file, local or as mmengine's file backends take it.
        backend_args: mmengine's file backend and its settings; by default found from ``path``.

    Raises:
        AnnotationFileNotFoundError: there is no such file.
        AnnotationFileError: it is no JSON, or not of this format, or one id stands for two
            different things.
    """
    content = _load(path, backend_args)
    copies = [Skipped("image"), Skipped("category", "categories")]
    images = _unique(content["images"], path, copies[0])
    categories = _unique(content.get("categories") or [], path, copies[1])
    for repeated in copies:
        repeated.log(f"'{path}': left out")
    skipped = Skipped("annotation")
    entries = content.get("annotations") or []
    _number(entries)
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
    """See to it that there is an annotation file.

    Raises:
        AnnotationFileNotFoundError: there is not; the message names what is near.
    """
    if fileio.exists(str(path), backend_args=backend_args):
        return
    near = ""
    if "://" not in str(path):
        parent = Path(path)
        while not parent.exists() and parent != parent.parent:
            parent = parent.parent
        near = f" ('{parent}' is the last folder of that path which exists)"
    raise AnnotationFileNotFoundError(
        f"there is no annotation file '{path}'{near}; check data_root and ann_file."
    )


def require(image: dict[str, Any], key: str, path: str) -> Any:
    """Return a field that an image of the file must have.

    Raises:
        AnnotationFileError: it does not.
    """
    if image.get(key) in (None, ""):
        raise AnnotationFileError(f"the image with id {image['id']!r} in '{path}' has no '{key}'.")
    return image[key]


def box_problem(box: Any) -> str | None:
    """Say what makes an annotated box (x, y, width, height) meaningless; None if nothing does.

    A box without area has a meaning (nothing can match it), one of NaN has not.
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
        image: entry with ``id``, ``caption`` and ``tokens_positive_eval``, for each phrase a list
            of spans ``[start, end)``.
        skipped: counts the phrases that are not inside the caption, which are left out.
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
    """Load the JSON and check its outline."""
    check_exists(path, backend_args)
    try:
        content = json.loads(fileio.get(str(path), backend_args=backend_args))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise AnnotationFileError(
            f"the annotation file '{path}' is no valid JSON ({error}); copy or download it again."
        ) from error
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        found = sorted(content) if isinstance(content, dict) else type(content).__name__
        raise AnnotationFileError(
            f"'{path}' is not an annotation file in COCO's format: expected an object with "
            f"'images', 'annotations' and 'categories', got {found}. A list is the format of "
            "results, not of annotations."
        )
    return content


def _unique(entries: list[dict[str, Any]], path: str, skipped: Skipped) -> list[dict[str, Any]]:
    """Return the entries, each id once; count the copies in ``skipped``."""
    known: dict[Any, dict[str, Any]] = {}
    for entry in entries:
        if not isinstance(entry, dict) or "id" not in entry:
            raise AnnotationFileError(
                f"'{path}' has an entry without an id among its {skipped.plural}: {entry!r}"
            )
        first = known.setdefault(entry["id"], entry)
        if first is entry:
            continue
        if not _same(first, entry):
            raise AnnotationFileError(
                f"'{path}' has one id, {entry['id']!r}, for two different {skipped.plural}, so it "
                f"is not known which is meant: {_short(first)} and {_short(entry)}. Give each its "
                "own id."
            )
        skipped.add("repeated word for word", f"id {entry['id']}")
    return list(known.values())


def _number(annotations: list[dict[str, Any]]) -> None:
    """Give ids to annotations that have none."""
    without = [entry for entry in annotations if isinstance(entry, dict) and "id" not in entry]
    if not without:
        return
    used = {entry["id"] for entry in annotations if "id" in entry}
    start = max((number for number in used if isinstance(number, int)), default=0) + 1
    for number, entry in enumerate(without, start):
        entry["id"] = number


def _same(first: dict[str, Any], second: dict[str, Any]) -> bool:
    """Compare two entries; NaN equals NaN, as it does word for word."""
    return json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)


def _short(entry: dict[str, Any]) -> str:
    """Show an entry in an error, without long polygons."""
    text = json.dumps({key: value for key, value in entry.items() if key != "segmentation"})
    return text if len(text) <= 160 else text[:157] + "..."
