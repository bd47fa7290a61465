"""Conversion of captions with boxes in MDETR's format: Flickr30k Entities, mixed data, RefCOCO.

An entry of ``images`` is an image with one caption. An annotation is a box with the spans of the
words that name it, ``tokens_positive``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from glip.converters.box_table import Box
from glip.converters.coco_format import read_boxes, read_images
from glip.converters.conversion import Conversion, Entry, SourceImage
from glip.converters.report import Report
from glip.datasets.annotation_file import find_phrases
from glip.datasets.odvg.records import Region

Spans = tuple[tuple[int, int], ...]

#: Keys of an image that are copied to the output: the data set it is from, and its id there.
_COPIED_KEYS = ("dataset_name", "data_source", "original_id", "original_img_id", "sentence_id")


def convert_grounding(
    ann_file: Path,
    conversion: Conversion,
    *,
    whole_caption: bool,
    name_of: Callable[[Entry], str | None] | None = None,
) -> None:
    """Convert an annotation file in MDETR's format; see ``docs/converters.md``.

    Captions without a phrase that has a box are excluded, as in the official training.

    Args:
        ann_file: the annotation file.
        conversion: the output.
        whole_caption: use the whole caption as the only phrase, with all boxes.
        name_of: gives the file name of an image; by default its ``file_name``.

    Raises:
        AnnotationFileError: the annotation file cannot be used.
    """
    report = conversion.report

    def spans_of(annotation: Entry) -> Spans | None:
        return () if whole_caption else _as_spans(annotation.get("tokens_positive"))

    table, _ = read_boxes(ann_file, spans_of, report, without="the spans of a phrase")
    for image in read_images(ann_file, table, conversion, name_of):
        image_id, caption = image.entry["id"], image.entry.get("caption")
        boxes = conversion.clip_boxes(image, table.boxes_of(image_id))
        if not isinstance(caption, str) or not caption.strip():
            report.exclude("caption", "without words", f"image {image_id}")
            continue
        if whole_caption:
            found = [box for box, _ in boxes]
            regions = [Region(found, caption, [[0, len(caption)]])] if found else []
        else:
            regions = list(_phrases(image, caption, boxes, report))
        if not regions:
            report.exclude("caption", "without a phrase to find", f"image {image_id}")
            continue
        extra = {key: image.entry[key] for key in _COPIED_KEYS if key in image.entry}
        conversion.write_grounding(image, caption, regions, {"img_id": image_id, **extra})
    report.check_not_empty(ann_file)


def _as_spans(value: Any) -> Spans | None:
    """Return spans ``[start, end)`` in caption order; None if the value is not a list of spans."""
    if not isinstance(value, list) or not value:
        return None
    for span in value:
        if not isinstance(span, list) or [type(edge) for edge in span] != [int, int]:
            return None
    return tuple(sorted({(start, end) for start, end in value}))


def _phrases(
    image: SourceImage, caption: str, boxes: Iterable[tuple[Box, Spans]], report: Report
) -> Iterator[Region]:
    """Yield the phrases of a caption that have boxes.

    Where the file lists the phrases (``tokens_positive_eval``, in Flickr30k's files), a box belongs
    to every phrase that has one of its spans; otherwise the spans of a box are its phrase.
    """
    image_id, listed = image.entry["id"], image.entry.get("tokens_positive_eval")
    checked = dict(id=image_id, caption=caption)
    if isinstance(listed, list) and listed:
        checked["tokens_positive_eval"] = [_as_spans(each) or () for each in listed]
        phrases = find_phrases(checked, report.excluded_of("phrase"))
        by_span = {span: at for at, spans in enumerate(phrases) for span in spans}
        shared: list[list[Box]] = [[] for _ in phrases]
        for box, own_spans in boxes:
            indices = sorted({by_span[span] for span in own_spans if span in by_span})
            for at in indices:
                shared[at].append(box)
            if not indices:
                report.exclude("box", "of no phrase of the caption", f"image {image_id}")
        grouped = list(zip(phrases, shared, strict=True))
    else:
        by_spans: dict[Spans, list[Box]] = {}
        for box, own_spans in boxes:
            by_spans.setdefault(own_spans, []).append(box)
        checked["tokens_positive_eval"] = list(by_spans)
        phrases = find_phrases(checked, report.excluded_of("phrase"))
        grouped = [(spans, by_spans[tuple(spans)]) for spans in phrases]
    for spans, found in grouped:
        phrase = " ".join(caption[start:end] for start, end in spans)
        if not phrase.strip():
            report.exclude("phrase", "without words", f"image {image_id}")
        elif found:
            yield Region(found, phrase, [list(span) for span in spans])
        else:
            report.exclude("phrase", "without a box", f"image {image_id}")
