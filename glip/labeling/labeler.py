"""Labeling: from images and captions to grounding records.

Images are labeled in batches. The results of a batch depend on nothing else, to the last bit, so a
run can stop between any two batches, and several machines can share the batches.

Shapes: K detections.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import torch
from mmengine.dataset import Compose
from mmengine.structures import InstanceData
from torch.utils.data import DataLoader, Dataset

from glip.apis.inference import load_image
from glip.apis.pipelines import make_pipeline
from glip.datasets.odvg.records import Region, check_record, grounding_record
from glip.labeling.pairs import Caption, Pairs
from glip.labeling.statistics import Statistics
from glip.models import GLIP
from glip.text import Prompt, PromptChunk
from glip.utils.errors import ImageReadError, PromptError

# Reasons for exclusion; these texts are part of the output format.
NO_PHRASE = "no noun phrase"
NO_TOKENS = "a phrase that the teacher cannot read"
NO_IMAGE = "picture unreadable"
NO_BOX = "no box above the threshold"


@dataclass
class CaptionQuery:
    """A caption to ground.

    Attributes:
        caption: of the image.
        prompt: its noun phrases; ``None`` if it has none.
        chunks: the tokenized prompt; the labeler fills it.
        detections: of the phrases of the prompt; the labeler fills it.
        problem: why it is excluded; empty if it is not.
    """

    caption: Caption
    prompt: Prompt | None = None
    chunks: list[PromptChunk] = field(default_factory=list)
    detections: InstanceData | None = None
    problem: str = ""


@dataclass
class ImageQueries:
    """An image and the captions to ground in it.

    Attributes:
        filename: of the image.
        queries: one for each caption.
        packed: the image as the pipeline returns it; ``None`` if it cannot be read, or if no
            caption has a prompt.
        problem: why it cannot be read.
    """

    filename: str
    queries: list[CaptionQuery]
    packed: dict[str, Any] | None = None
    problem: str = ""


@dataclass
class BatchLabels:
    """The results of a batch.

    Attributes:
        records: grounding records in the order of the pairs.
        excluded: images and captions without a record, with the reason.
        statistics: counts of both.
    """

    records: list[dict[str, Any]] = field(default_factory=list)
    excluded: list[dict[str, str]] = field(default_factory=list)
    statistics: Statistics = field(default_factory=Statistics)


class CaptionDataset(Dataset):
    """Images and the noun phrases of their captions, prepared in the data-loading workers.

    Args:
        pairs: the images and captions.
        pipeline: the teacher's test pipeline.
        np_extractor: finds the noun phrases, see :meth:`glip.text.Prompt.from_caption`.
    """

    def __init__(self, pairs: Pairs, pipeline: Compose, np_extractor: str) -> None:
        self.pairs = pairs
        self.pipeline = pipeline
        self.np_extractor = np_extractor

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> ImageQueries:
        captioned = self.pairs[index]
        item = ImageQueries(captioned.filename, [self._query(each) for each in captioned.captions])
        if any(query.prompt is not None for query in item.queries):
            try:
                image = self.pairs.image(captioned.filename)
                item.packed = load_image(image, self.pipeline)
            except ImageReadError as error:
                item.problem = str(error)
        return item

    def _query(self, caption: Caption) -> CaptionQuery:
        try:
            prompt = Prompt.from_caption(caption.text, np_extractor=self.np_extractor)
        except PromptError:
            return CaptionQuery(caption, problem=NO_PHRASE)
        return CaptionQuery(caption, prompt)


class Labeler:
    """A teacher model that grounds captions and keeps confident boxes.

    Args:
        model: the teacher, in evaluation mode.
        score_thr: boxes with a higher score are kept (GLIP: 0.5).
        max_boxes_per_phrase: keep at most so many boxes of a phrase, by score; ``None`` for all. An
            object whose box is not kept becomes background in training.
        keep_empty: also write captions without a kept box.
    """

    def __init__(
        self,
        model: GLIP,
        *,
        score_thr: float = 0.5,
        max_boxes_per_phrase: int | None = None,
        keep_empty: bool = False,
    ) -> None:
        self.model = model
        self.score_thr = score_thr
        self.max_boxes_per_phrase = max_boxes_per_phrase
        self.keep_empty = keep_empty

    def label_batch(self, items: Sequence[ImageQueries]) -> BatchLabels:
        """Label the images of a batch."""
        labels = BatchLabels()
        statistics = labels.statistics
        self._detect(items)
        for item in items:
            statistics.counts.update(pictures=1, captions=len(item.queries))
            if item.problem:
                statistics.counts["unreadable"] += 1
                statistics.excluded[NO_IMAGE] += len(item.queries)
                labels.excluded.append(dict(filename=item.filename, reason=item.problem))
                continue
            for query in item.queries:
                record = self._make_record(item, query, statistics)
                if record is not None:
                    statistics.counts["lines"] += 1
                    labels.records.append(record)
                    continue
                reason = query.problem or NO_BOX
                statistics.excluded[reason] += 1
                labels.excluded.append(
                    dict(filename=item.filename, caption=query.caption.text, reason=reason)
                )
        return labels

    def _detect(self, items: Sequence[ImageQueries]) -> None:
        """Ground the captions of all images; each image and each caption is encoded once."""
        groundable: list[tuple[dict[str, Any], list[CaptionQuery]]] = []
        for item in items:
            for query in item.queries:
                self._tokenize(query)
            queries = [query for query in item.queries if query.chunks]
            if item.packed is not None and queries:
                groundable.append((item.packed, queries))
        if not groundable:
            return
        batch = dict(
            inputs=[packed["inputs"] for packed, _ in groundable],
            data_samples=[packed["data_samples"] for packed, _ in groundable],
        )
        with torch.inference_mode():
            # Only the captions of a batch share groups, so batches do not depend on each other.
            chunks = [query.chunks for _, queries in groundable for query in queries]
            encoded = iter(self.model.encode_chunks(chunks))
            prompts = [list(islice(encoded, len(queries))) for _, queries in groundable]
            batch = self.model.data_preprocessor(batch, False)
            levels = self.model.encode_image(batch["inputs"])
            found = self.model.predict_prompts(levels, batch["data_samples"], prompts)
        for (_, queries), own in zip(groundable, found, strict=True):
            for query, result in zip(queries, own, strict=True):
                query.detections = result.instances

    def _tokenize(self, query: CaptionQuery) -> None:
        """Tokenize a caption; exclude one that cannot be tokenized, not even in chunks."""
        if query.prompt is None:
            return
        try:
            query.chunks = self.model.chunk_prompt(query.prompt)
        except PromptError:
            query.problem = NO_TOKENS

    def _make_record(
        self, item: ImageQueries, query: CaptionQuery, statistics: Statistics
    ) -> dict[str, Any] | None:
        """Return the record of a caption, and count it; ``None`` if no box is kept."""
        prompt, detections = query.prompt, query.detections
        if item.packed is None or prompt is None or detections is None:
            return None
        height, width = item.packed["data_samples"].ori_shape
        kept: list[list[tuple[list[float], float]]] = [[] for _ in prompt.phrases]
        scores = [round(score, 4) for score in detections.scores.tolist()]
        boxes = [_clip(box, height, width) for box in detections.bboxes.tolist()]
        for box, score, label in zip(boxes, scores, detections.labels.tolist(), strict=True):
            full = len(kept[label]) == self.max_boxes_per_phrase
            if score > self.score_thr and not full and box[2] > box[0] and box[3] > box[1]:
                kept[label].append((box, score))
        statistics.add_scores(scores)
        statistics.phrases[len(kept)] += 1
        statistics.boxes.update(map(len, kept))
        regions = []
        for phrase, own in zip(prompt.phrases, kept, strict=True):
            if own:
                own_boxes, own_scores = zip(*own, strict=True)
                spans = [list(span) for span in phrase.spans]
                regions.append(Region(own_boxes, phrase.name, spans, own_scores))
        if not regions and not self.keep_empty:
            return None
        statistics.counts.update(phrases=len(regions), boxes=sum(map(len, kept)))
        record = grounding_record(
            filename=item.filename,
            height=height,
            width=width,
            caption=prompt.caption,
            regions=regions,
            extra=query.caption.extra,
        )
        check_record(record)
        return record


def label_pairs(
    labeler: Labeler,
    pairs: Pairs,
    batches: Sequence[range],
    *,
    np_extractor: str = "rules",
    num_workers: int = 0,
) -> Iterator[BatchLabels]:
    """Label batches of pairs, one after the other.

    Args:
        labeler: labels them.
        pairs: the images and captions.
        batches: indices of the images of each batch.
        np_extractor: finds the noun phrases.
        num_workers: number of data-loading processes.

    Raises:
        ConfigError: the teacher's config has no usable test pipeline.
    """
    pipeline = make_pipeline(labeler.model.cfg, from_array=pairs.from_array)
    loader = DataLoader(
        CaptionDataset(pairs, pipeline, np_extractor),
        batch_sampler=batches,  # type: ignore[arg-type]  # any iterable of indices
        num_workers=min(num_workers, len(batches)),
        collate_fn=list,
    )
    for items in loader:
        yield labeler.label_batch(items)


def _clip(box: Sequence[float], height: int, width: int) -> list[float]:
    """Clip a box (xyxy, pixels) to the image, and round it to a hundredth of a pixel."""
    sides = (width, height, width, height)
    return [round(min(max(edge, 0.0), side), 2) for edge, side in zip(box, sides, strict=True)]
