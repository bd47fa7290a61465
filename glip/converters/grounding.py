"""Captions with boxes in MDETR's format to lines: Flickr30k Entities, the mixed data, RefCOCO.

An entry of ``images`` is an image with one caption; an annotation is a box with the spans of the
words that name it, ``tokens_positive``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from glip.converters.box_table import Box
from glip.converters.coco_format import (
    Entry,
    SourceImage,
    boxes_inside,
    read_boxes,
    read_images,
)
from glip.converters.excluded_images import ExcludedImages
from glip.converters.image_files import ImageFolder
from glip.converters.output import write_grounding
from glip.converters.report import Report
from glip.datasets.flickr30k import find_phrases
from glip.datasets.odvg.records import Region
from glip.datasets.odvg.writing import LineWriter

Spans = tuple[tuple[int, int], ...]

#: Keys of an image that are carried along: which data set it is from, which image there.
_CARRIED = ("dataset_name", "data_source", "original_id", "original_img_id", "sentence_id")


def convert_grounding(
    ann_file: Path,
    out: Path,
    *,
    whole_caption: bool,
    name_of: Callable[[Entry], str | None] | None = None,
    folder: ImageFolder,
    left_out: ExcludedImages,
    overwrite: bool,
) -> Report:
    """Convert an annotation file in MDETR's format; see ``docs/converters.md``.

    Captions without a phrase that has a box are left out, as the official training does.

    Args:
        ann_file: the annotation file.
        out: the file of lines.
        whole_caption: take the whole caption as the one phrase, which has all the boxes.
        name_of: what the file of an image is called, if not by ``file_name``.
        folder: of the images.
        left_out: the images to leave out.
        overwrite: write although the file is there already.

    Raises:
        DataError: the file is there already.
        AnnotationFileError: the annotation file cannot be used.
    """
    report = Report()
    with LineWriter(out, overwrite) as writer:
        value_of = (lambda _: ()) if whole_caption else _spans
        table, _ = read_boxes(ann_file, value_of, report, without="the spans of a phrase")
        images = read_images(
            ann_file, table, folder=folder, left_out=left_out, report=report, name_of=name_of
        )
        for image in images:
            boxes = boxes_inside(table.take(image.entry["id"]), image, report)
            caption, number = image.entry.get("caption"), image.entry["id"]
            if not isinstance(caption, str) or not caption.strip():
                report.drop("caption", "without words", f"image {number}")
                continue
            if whole_caption:
                regions = _whole(caption, boxes)
            else:
                regions = list(_phrases(image, caption, boxes, report))
            if not regions:
                report.drop("caption", "without a phrase to find", f"image {number}")
                continue
            carried = {key: image.entry[key] for key in _CARRIED if key in image.entry}
            extra = {"img_id": number, **carried}
            write_grounding(writer, image, caption, regions, extra, report)
        report.check(ann_file)
    return report


def _spans(annotation: Entry) -> Spans | None:
    """Return the spans of an annotation; None if it has none."""
    return _as_spans(annotation.get("tokens_positive"))


def _as_spans(found: Any) -> Spans | None:
    """Check a list of spans ``[start, end)``; in the order of the caption, None if it is none."""
    if not isinstance(found, list) or not found:
        return None
    for span in found:
        if not isinstance(span, list) or [type(edge) for edge in span] != [int, int]:
            return None
    return tuple(sorted({(start, end) for start, end in found}))


def _whole(caption: str, boxes: Iterable[tuple[Box, Any]]) -> list[Region]:
    found = [box for box, _ in boxes]
    return [Region(found, caption, [[0, len(caption)]])] if found else []


def _phrases(
    image: SourceImage, caption: str, boxes: Iterable[tuple[Box, Spans]], report: Report
) -> Iterator[Region]:
    """Go through the phrases of a caption that have boxes.

    Where the file lists the phrases (``tokens_positive_eval``, in Flickr30k's files), a box belongs
    to every phrase whose span is among its own; else the spans of a box are its phrase.
    """
    number, listed = image.entry["id"], image.entry.get("tokens_positive_eval")
    checked = dict(id=number, caption=caption)
    if isinstance(listed, list) and listed:
        spans_of = [_as_spans(each) for each in listed]
        checked["tokens_positive_eval"] = [spans or () for spans in spans_of]
        phrases = find_phrases(checked, report.of("phrase"))
        by_span = {span: at for at, spans in enumerate(phrases) for span in spans}
        shared: list[list[Box]] = [[] for _ in phrases]
        for box, spans in boxes:
            named = sorted({by_span[span] for span in spans if span in by_span})
            for at in named:
                shared[at].append(box)
            if not named:
                report.drop("box", "of no phrase of the caption", f"image {number}")
        grouped = list(zip(phrases, shared, strict=True))
    else:
        by_spans: dict[Spans, list[Box]] = {}
        for box, spans in boxes:
            by_spans.setdefault(spans, []).append(box)
        checked["tokens_positive_eval"] = list(by_spans)
        inside = find_phrases(checked, report.of("phrase"))
        grouped = [(spans, by_spans[tuple(spans)]) for spans in inside]
    for spans, found in grouped:
        phrase = " ".join(caption[start:end] for start, end in spans)
        if not phrase.strip():
            report.drop("phrase", "without words", f"image {number}")
        elif found:
            yield Region(found, phrase, [list(span) for span in spans])
        else:
            report.drop("phrase", "without a box", f"image {number}")
