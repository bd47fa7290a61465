"""Read and validate annotation files in COCO's format.

Data sets, metrics and converters read their files here, with the parsers of
:mod:`glip.datasets.annotation_values`, so that all read the same values, skip the same entries and
report them once, with counts. What must be a mistake (a missing file, no images, one id for two
different entries) raises an error at once; single invalid annotations are skipped.
"""

from __future__ import annotations

import logging
import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from mmengine.logging import print_log

from glip.datasets.annotation_entries import (
    name_entry,
    read_annotations,
    read_categories,
    read_images,
    shorten_entry,
)
from glip.datasets.annotation_json import check_exists as check_exists
from glip.datasets.annotation_json import load_content
from glip.datasets.annotation_values import box_problem as box_problem
from glip.datasets.annotation_values import remedy
from glip.datasets.box_layout import look_at_layout
from glip.utils.errors import AnnotationFileError
from glip.utils.messages import shorten


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
        self._entries: dict[str, Any] = {}
        self._limit = examples

    def add(self, reason: str, example: Any, entry: Any = None, count: int = 1) -> None:
        """Count more entries.

        Args:
            reason: Why they are skipped.
            example: Names one of them.
            entry: Its content, for the error if nothing is left.
            count: Number of entries.
        """
        self.counts[reason] += count
        if len(self._examples[reason]) < self._limit:
            self._examples[reason].append(example)
            self._entries.setdefault(reason, entry)

    @property
    def total(self) -> int:
        """The number of all skipped entries."""
        return sum(self.counts.values())

    def summary(self) -> str:
        """Return the counts in one line; empty if nothing was skipped."""
        parts = []
        for reason, count in self.counts.items():
            examples = ", ".join(str(example)[:100] for example in self._examples[reason])
            more = ", ..." if count > len(self._examples[reason]) else ""
            kind = self.kind if count == 1 else self.plural
            parts.append(f"{count} {kind} {reason} ({examples}{more})")
        return "; ".join(parts)

    def to_list(self) -> list[tuple[str, int, list[Any]]]:
        """Return reason, count and examples of each reason; :meth:`from_list` reads them."""
        return [(reason, count, self._examples[reason]) for reason, count in self.counts.items()]

    @classmethod
    def from_list(
        cls, kind: str, plural: str | None, content: Iterable[tuple[str, int, list[Any]]]
    ) -> Skipped:
        """Return the counts of :meth:`to_list`."""
        skipped = cls(kind, plural)
        for reason, count, examples in content:
            skipped.counts[reason] = count
            skipped._examples[reason] = examples
        return skipped

    def log(self, prefix: str) -> None:
        """Log the summary as a warning, if anything was skipped."""
        if self.total:
            print_log(f"{prefix}: {self.summary()}", logger="current", level=logging.WARNING)

    def explain(self) -> str:
        """Return the most frequent reason with an example, and what to do about it."""
        reason = self.counts.most_common(1)[0][0]
        entry = self._entries.get(reason)
        example = "" if entry is None else f" An example: {shorten_entry(entry)}."
        advice = remedy(reason)
        return f"{self.summary()}.{example} {advice[0].upper()}{advice[1:]}"


@dataclass
class AnnotationFile:
    """The content of a file in COCO's format, each id once, its values normalized.

    Attributes:
        path: Path of the file.
        images: The entries of ``images``, in the order of the file. ``width`` and ``height`` are
            integers, 0 if unknown.
        categories: The entries of ``categories``; ``name`` is a text, or None if it is invalid.
        annotations: The annotations of each image, by image id, in the order of the file. Their
            ``bbox`` is four finite numbers, ``iscrowd`` and ``ignore`` are 0 or 1, ``image_id`` and
            ``category_id`` are ids of the file.
        skipped: The annotations that were skipped.
        num_annotations: The number of all annotations in the file.
        unusual: What is unusual about most boxes, for warnings; see
            :class:`~glip.datasets.box_layout.LayoutCounter`.
        only_fractions: Whether all boxes are within 0 and 1, so that no box is in pixels.
    """

    path: str
    images: list[dict[str, Any]]
    categories: list[dict[str, Any]] = field(default_factory=list)
    annotations: dict[Any, list[dict[str, Any]]] = field(default_factory=dict)
    skipped: Skipped = field(default_factory=lambda: Skipped("annotation"))
    num_annotations: int = 0
    unusual: str = ""
    only_fractions: bool = False

    def all_annotations(self) -> Iterable[dict[str, Any]]:
        """Iterate over the annotations of all images, image by image."""
        for image in self.images:
            yield from self.annotations.get(image["id"], ())

    def warn_of_unusual(self) -> None:
        """Log a warning if most boxes are not as COCO defines them."""
        if self.unusual:
            print_log(f"'{self.path}': {self.unusual}", logger="current", level=logging.WARNING)

    def check_not_all_skipped(self, kept: int, skipped: Iterable[Skipped]) -> None:
        """Check that annotations are left of a file that has some.

        Args:
            kept: The number of annotations that are used.
            skipped: Those that are not.

        Raises:
            AnnotationFileError: Nothing is left; the message tells why.
        """
        if kept or not self.num_annotations or not self.images:
            return
        skipped = [each for each in skipped if each.total]
        why = ". ".join(each.explain() for each in skipped) or "they are of no image"
        if self.only_fractions:
            why += ". The boxes are within 0 and 1: multiply them by the size of their image"
        raise AnnotationFileError(
            f"none of the {self.num_annotations} annotations of '{self.path}' can be used: {why}. "
            f"`glip check {shlex.quote(self.path)}` lists all problems."
        )


class Notes:
    """What is noticed about the entries of a file while it is read.

    This class counts what is skipped, and raises for what must be a mistake;
    ``glip check`` collects everything.

    Args:
        path: Path of the file.

    Attributes:
        skipped: The skipped annotations.
        others: What is unusable about images and categories, and is ignored.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.skipped = Skipped("annotation")
        self.others = {
            "images": Skipped("image"),
            "categories": Skipped("category", "categories"),
        }

    def skip(self, kind: str, index: int, entry: Any, reason: str) -> None:
        """Note an entry, or a part of it, that is not used.

        Args:
            kind: ``images``, ``annotations`` or ``categories``.
            index: Its position in the list, from 0.
            entry: Its content.
            reason: Why it is not used, to be read after the plural of its kind.
        """
        skipped = self.others.get(kind, self.skipped)
        skipped.add(reason, name_entry(index, entry), entry)

    def repair(self, kind: str, index: int, entry: Any, what: str) -> None:
        """Note a value in an unusual form that has one meaning; the arguments are those of skip."""

    def reject(self, kind: str, index: int, entry: Any, message: str) -> None:
        """Note an entry that must be a mistake.

        Raises:
            AnnotationFileError: Always.
        """
        del kind, index, entry
        raise AnnotationFileError(message)

    def log(self) -> None:
        """Log what is unusable about images and categories."""
        for skipped in self.others.values():
            skipped.log(f"ignored in '{self.path}'")


def read_annotation_file(
    path: str, backend_args: dict[str, Any] | None = None, notes: Notes | None = None
) -> AnnotationFile:
    """Read a file in COCO's format: COCO, LVIS, ODinW, MDETR's files of Flickr30k and RefCOCO.

    Values are read in every form that has one meaning (numbers as text, boxes as objects, polygons
    without a box, ...; :mod:`glip.datasets.annotation_values`). Identical entries are kept once.
    Annotations whose box or flags have no clear meaning, or whose image or category is not in the
    file, are skipped. Annotations without an id get one.

    Args:
        path: Path of the JSON file, local or as mmengine's file backends accept it.
        backend_args: mmengine's file backend and its settings; by default chosen by ``path``.
        notes: Collects what is noticed; by default it is counted, and mistakes are errors.

    Raises:
        AnnotationFileNotFoundError: The file does not exist.
        AnnotationFileError: The file is not valid JSON or not in this format, or different entries
            have the same id.
    """
    content = load_content(path, backend_args)
    return read_content(content, path, notes)


def read_content(content: dict[str, Any], path: str, notes: Notes | None = None) -> AnnotationFile:
    """Read the content of a file, in place; see :func:`read_annotation_file`."""
    notes = notes or Notes(str(path))
    images = read_images(content["images"], notes)
    categories = read_categories(content["categories"], notes)
    notes.log()
    annotations = read_annotations(content["annotations"], images, categories, notes)
    layout = look_at_layout(images, annotations)
    return AnnotationFile(
        str(path),
        images,
        categories,
        annotations,
        notes.skipped,
        len(content["annotations"]),
        layout.message(),
        layout.only_fractions,
    )


def load_readable(path: str) -> dict[str, Any]:
    """Load a local file in COCO's format with normalized entries, without those that are skipped.

    Returns:
        The content of the file, in its order.

    Raises:
        AnnotationFileError: As for :func:`read_annotation_file`.
    """
    content = load_content(path)
    file = read_content(content, path)
    file.skipped.log(f"skipped in '{path}'")
    readable = {id(annotation) for annotation in file.all_annotations()}
    annotations = [each for each in content["annotations"] if id(each) in readable]
    lists = dict(images=file.images, annotations=annotations, categories=file.categories)
    return {**content, **lists}


def require(image: dict[str, Any], key: str, path: str) -> str:
    """Return a required text of an image's entry.

    Raises:
        AnnotationFileError: It is missing, empty or not a text.
    """
    value = image.get(key)
    if value in (None, ""):
        raise AnnotationFileError(
            f"the image with id {shorten(image['id'])} in '{path}' has no '{key}'."
        )
    if not isinstance(value, str):
        raise AnnotationFileError(
            f"the image with id {shorten(image['id'])} in '{path}' has {shorten(value)} as its "
            f"'{key}': expected a text."
        )
    return value


def parse_spans(value: Any) -> list[tuple[int, int]] | None:
    """Return character spans ``[start, end)``; None if the value is not a list of them."""
    if not isinstance(value, list):
        return None
    for span in value:
        if not isinstance(span, (list, tuple)) or [type(edge) for edge in span] != [int, int]:
            return None
    return [(start, end) for start, end in value]


def find_phrases(image: dict[str, Any], skipped: Skipped) -> list[list[tuple[int, int]]]:
    """Return the spans of each phrase of a caption in MDETR's format.

    Args:
        image: An entry with ``id``, ``caption`` and ``tokens_positive_eval``, which holds a list of
            character spans ``[start, end)`` per phrase.
        skipped: Counts the phrases that are outside the caption, which are skipped.
    """
    listed = image.get("tokens_positive_eval") or ()
    if not isinstance(listed, (list, tuple)):
        skipped.add("that are not lists of spans", f"image {str(image['id'])[:40]}", image)
        return []
    found = []
    for index, ranges in enumerate(listed):
        spans = parse_spans(list(ranges) if isinstance(ranges, tuple) else ranges)
        if spans and all(0 <= start < end <= len(image["caption"]) for start, end in spans):
            found.append(spans)
        else:
            reason = "that are not lists of spans" if spans is None else "outside the caption"
            skipped.add(reason, f"image {str(image['id'])[:40]}, number {index}")
    return found
