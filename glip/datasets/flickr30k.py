"""Flickr30k Entities for phrase grounding, in MDETR's format."""

from __future__ import annotations

import os.path as osp
from pathlib import Path
from typing import Any

from glip.datasets.annotation_file import (
    Skipped,
    find_phrases,
    parse_spans,
    read_annotation_file,
    require,
)
from glip.datasets.annotation_values import id_order
from glip.datasets.base import BaseDetDataset
from glip.datasets.flickr30k_entities import Flickr30kEntities, Span
from glip.datasets.image_paths import correct_paths
from glip.registry import DATASETS


@DATASETS.register_module()
class Flickr30kDataset(BaseDetDataset):
    """Captions and the boxes of their phrases: ``final_flickr_separateGT_{train,val,test}.json``.

    Each entry of the file is an image with one of its captions. The prompt is the caption with the
    character spans of its phrases, and a label is the index of a phrase. An annotation belongs to
    every phrase whose span is among its ``tokens_positive``, so one box may belong to several
    phrases. (In files with ``phrase_ids`` instead, these are in the order of the phrases.)

    Captions without a phrase that has boxes are excluded, as in the official evaluation.

    The data info has, besides the keys of all data sets, for the P phrases of a caption

    - ``text``, the caption, and ``tokens_positive``, P lists of spans ``[start, end]``;
    - ``phrases``, their words, and ``phrase_types``, P lists of types (empty where unknown);
    - ``phrase_boxes``, P lists of boxes, xyxy pixels of the original image;
    - ``instances``, the same boxes as a flat list, and ``phrase_ids``, the phrase of each.

    MDETR's files lack the type of a phrase (people, animals, ...), and merge boxes that overlap by
    95 %. With ``entities_root`` types and boxes are read from the original annotations, as the
    official evaluation does.

    Args:
        entities_root: a release of Flickr30k Entities, relative to ``data_root`` if not absolute.
        test_mode: read for evaluation, the only use of this data set.
        **others: the arguments of :class:`~glip.datasets.base.BaseDetDataset`.

    Raises:
        glip.datasets.annotation_file.AnnotationFileError: a file is absent or unusable, or nothing
            is left.
    """

    def __init__(
        self,
        ann_file: str = "",
        *,
        entities_root: str | None = None,
        test_mode: bool = True,
        **others: Any,
    ) -> None:
        if entities_root is not None:
            entities_root = osp.join(others.get("data_root") or "", entities_root)
        self.entities = None if entities_root is None else Flickr30kEntities(Path(entities_root))
        super().__init__(ann_file, test_mode=test_mode, **others)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read the annotation file into one dictionary for each caption."""
        file = read_annotation_file(self.ann_file, self.backend_args)
        captions, phrases = Skipped("caption"), Skipped("phrase")
        data_list = []
        for image in file.images:
            for key in ("file_name", "caption"):
                require(image, key, self.ann_file)
            found = find_phrases(image, phrases)
            boxes = _boxes_of_phrases(found, file.annotations[image["id"]], file.skipped)
            types: list[list[str]] = [[] for _ in found]
            if self.entities is not None:
                boxes, types = _read_original(self.entities, image, found)
            kept = [number for number, each in enumerate(boxes) if each]
            for number in sorted(set(range(len(found))) - set(kept)):
                phrases.add("without a box", f"image {image['id']}, number {number}")
            if not kept:
                captions.add("without a phrase to find", f"image {image['id']}")
                continue
            data_list.append(
                self._info(
                    image,
                    [found[number] for number in kept],
                    [boxes[number] for number in kept],
                    [types[number] for number in kept],
                )
            )
        file.check_not_all_skipped(len(data_list), [file.skipped, phrases, captions])
        correct_paths(data_list, self.data_prefix["img"], self.ann_file, self.backend_args)
        for skipped in (file.skipped, phrases, captions):
            skipped.log(f"{type(self).__name__} skipped in '{self.ann_file}'")
        return data_list

    def _info(
        self,
        image: dict[str, Any],
        spans: list[list[Span]],
        boxes: list[list[list[float]]],
        types: list[list[str]],
    ) -> dict[str, Any]:
        """Build the data info of a caption of P phrases, given one list entry for each."""
        caption = image["caption"]
        pairs = [(label, box) for label, each in enumerate(boxes) for box in each]
        return dict(
            img_id=image["id"],
            img_path=osp.join(self.data_prefix["img"], image["file_name"]),
            height=image.get("height", 0),
            width=image.get("width", 0),
            text=caption,
            custom_entities=False,
            tokens_positive=[[list(span) for span in each] for each in spans],
            phrases=[" ".join(caption[start:end] for start, end in each) for each in spans],
            phrase_types=types,
            phrase_boxes=boxes,
            phrase_ids=[label for label, _ in pairs],
            instances=[dict(bbox=box, bbox_label=label, ignore_flag=0) for label, box in pairs],
        )


def _read_original(
    entities: Flickr30kEntities, image: dict[str, Any], phrases: list[list[Span]]
) -> tuple[list[list[list[float]]], list[list[str]]]:
    """Return each phrase's boxes (xyxy) and types from the original annotations."""
    number = str(image.get("original_img_id", osp.splitext(image["file_name"])[0]))
    mentions = entities.mentions(number, int(image.get("sentence_id", 0)))
    found = [mentions.get(spans[0]) for spans in phrases]
    boxes = entities.boxes(number)
    return (
        [boxes.get(mention.entity, []) if mention else [] for mention in found],
        [list(mention.types) if mention else [] for mention in found],
    )


def _boxes_of_phrases(
    phrases: list[list[Span]], annotations: list[dict[str, Any]], skipped: Skipped
) -> list[list[list[float]]]:
    """Return the boxes (xyxy) of each phrase."""
    by_span = {span: label for label, spans in enumerate(phrases) for span in spans}
    phrase_ids = {_hashable(entry["phrase_ids"]) for entry in annotations if "phrase_ids" in entry}
    ids = sorted(phrase_ids)
    boxes: list[list[list[float]]] = [[] for _ in phrases]
    for entry in annotations:
        problem = None
        spans = parse_spans(entry.get("tokens_positive")) or []
        labels = {by_span[span] for span in spans if span in by_span}
        if not labels and "phrase_ids" in entry and len(ids) == len(phrases):
            labels = {ids.index(_hashable(entry["phrase_ids"]))}
        if entry["bbox"][2] <= 0 or entry["bbox"][3] <= 0:
            problem = "without area"
        elif not labels:
            problem = "of no phrase of the caption"
        if problem is not None:
            skipped.add(problem, f"id {entry['id']}", entry)
            continue
        left, top, wide, high = entry["bbox"]
        for label in sorted(labels):
            boxes[label].append([left, top, left + wide, top + high])
    return boxes


def _hashable(phrase_ids: Any) -> tuple:
    """Return the ids of an annotation's phrases so that those of others compare with them."""
    ids = phrase_ids if isinstance(phrase_ids, list) else [phrase_ids]
    return tuple(id_order(key) if isinstance(key, (int, str)) else (2, str(key)) for key in ids)
