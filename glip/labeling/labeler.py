"""The teacher's pass: from pictures and captions to labeled lines.

Work goes by blocks, the pictures that go through the model together. What is found in a block
depends on nothing else, to the last bit, so that a run may stop between any two, and different
machines may take different ones.

Shapes: K detections.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from mmengine.dataset import Compose
from mmengine.structures import InstanceData
from torch.utils.data import DataLoader, Dataset

from glip.apis.inference import make_pipeline, prepare
from glip.datasets.odvg.records import Region, check_record, grounding_record
from glip.labeling.pairs import Caption, Pairs
from glip.labeling.statistics import Tally
from glip.models import GLIP
from glip.text import Prompt
from glip.utils.errors import ImageReadError, PromptError

NO_PHRASE = "no noun phrase"
NO_TOKENS = "a phrase that the teacher cannot read"
NO_PICTURE = "picture unreadable"
NO_BOX = "no box above the threshold"


@dataclass
class CaptionQuery:
    """A caption to ask the teacher about.

    Attributes:
        caption: of the picture.
        prompt: its noun phrases; ``None`` if it is left out.
        problem: why it is left out.
    """

    caption: Caption
    prompt: Prompt | None = None
    problem: str = ""


@dataclass
class Item:
    """A picture and its questions.

    Attributes:
        filename: of the picture.
        questions: one for each caption.
        packed: the picture as the pipeline gives it; ``None`` if it cannot be read, or if there is
            nothing to ask.
        problem: why it cannot be read.
    """

    filename: str
    questions: list[CaptionQuery]
    packed: dict | None = None
    problem: str = ""


@dataclass
class Labels:
    """What comes of a block.

    Attributes:
        lines: grounding lines in the order of the pairs.
        left_out: pictures and captions that gave none, with the reason.
        tally: counts of both.
    """

    lines: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[dict[str, str]] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)


class CaptionDataset(Dataset):
    """Pictures and the phrases of their captions, as the loading processes read them.

    Args:
        pairs: what to read.
        pipeline: the teacher's transforms.
        np_extractor: what finds the noun phrases, see :meth:`glip.text.Prompt.from_caption`.
    """

    def __init__(self, pairs: Pairs, pipeline: Compose, np_extractor: str):
        self.pairs = pairs
        self.pipeline = pipeline
        self.np_extractor = np_extractor

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Item:
        picture = self.pairs[index]
        item = Item(picture.filename, [self._ask(caption) for caption in picture.captions])
        prompt = next((each.prompt for each in item.questions if each.prompt is not None), None)
        if prompt is not None:
            try:
                image = self.pairs.image(picture.filename)
                item.packed = prepare(image, prompt, self.pipeline)
            except ImageReadError as error:
                item.problem = str(error)
        return item

    def _ask(self, caption: Caption) -> CaptionQuery:
        try:
            return CaptionQuery(
                caption, Prompt.from_caption(caption.text, np_extractor=self.np_extractor)
            )
        except PromptError:
            return CaptionQuery(caption, problem=NO_PHRASE)


class Labeler:
    """A detector that labels blocks of pictures.

    Args:
        model: in evaluation mode.
        score_thr: boxes with a score above this are kept (GLIP: 0.5).
        max_boxes_per_phrase: the best so many of them; ``None`` for all. A thing whose box is not
            kept counts as background in training.
        keep_empty: write captions of which no box is kept, too.
    """

    def __init__(
        self,
        model: GLIP,
        *,
        score_thr: float = 0.5,
        max_boxes_per_phrase: int | None = None,
        keep_empty: bool = False,
    ):
        self.model = model
        self.score_thr = score_thr
        self.max_boxes_per_phrase = max_boxes_per_phrase
        self.keep_empty = keep_empty

    def label(self, items: Sequence[Item]) -> Labels:
        """Label a block."""
        labels = Labels()
        for item in items:
            for question in item.questions:
                self._check(question)
        found = iter(self._detect([item for item in items if _asked(item)]))
        for item in items:
            labels.tally.counts.update(pictures=1, captions=len(item.questions))
            if item.problem:
                labels.tally.counts["unreadable"] += 1
                labels.tally.left_out[NO_PICTURE] += len(item.questions)
                labels.left_out.append(dict(filename=item.filename, reason=item.problem))
                continue
            answers = iter(next(found) if _asked(item) else ())
            for question in item.questions:
                line = None
                if question.prompt is not None:
                    line = self._line(item, question, next(answers), labels.tally)
                if line is not None:
                    labels.tally.counts["lines"] += 1
                    labels.lines.append(line)
                    continue
                text, reason = question.caption.text, question.problem or NO_BOX
                labels.tally.left_out[reason] += 1
                labels.left_out.append(dict(filename=item.filename, caption=text, reason=reason))
        return labels

    def _check(self, question: CaptionQuery) -> None:
        """Leave a caption out that no number of passes can read."""
        if question.prompt is None:
            return
        try:
            self.model.chunk_prompt(question.prompt)
        except PromptError:
            question.prompt, question.problem = None, NO_TOKENS

    def _detect(self, items: Sequence[Item]) -> list[list[InstanceData]]:
        """Detect the phrases of every question in every picture, looking at each picture once."""
        if not items:
            return []
        batch = dict(
            inputs=[item.packed["inputs"] for item in items],
            data_samples=[item.packed["data_samples"] for item in items],
        )
        prompts = [[q.prompt for q in item.questions if q.prompt is not None] for item in items]
        # A caption encoded in an earlier block would differ in its last digits.
        self.model.forget_texts()
        with torch.inference_mode():
            batch = self.model.data_preprocessor(batch, False)
            return self.model.ground(batch["inputs"], batch["data_samples"], prompts)

    def _line(
        self, item: Item, question: CaptionQuery, found: InstanceData, tally: Tally
    ) -> dict[str, Any] | None:
        """Make the line of a caption, and count; ``None`` if no box is kept."""
        height, width = item.packed["data_samples"].ori_shape
        prompt = question.prompt
        kept: list[list[tuple[list[float], float]]] = [[] for _ in prompt.phrases]
        scores = [round(score, 4) for score in found.scores.tolist()]
        boxes = [_clip(box, height, width) for box in found.bboxes.tolist()]
        for box, score, label in zip(boxes, scores, found.labels.tolist(), strict=True):
            full = len(kept[label]) == self.max_boxes_per_phrase
            if score > self.score_thr and not full and box[2] > box[0] and box[3] > box[1]:
                kept[label].append((box, score))
        tally.add_scores(scores)
        tally.phrases[len(kept)] += 1
        tally.boxes.update(map(len, kept))
        regions = []
        for phrase, own in zip(prompt.phrases, kept, strict=True):
            if own:
                of_phrase, their_scores = zip(*own, strict=True)
                spans = [list(span) for span in phrase.spans]
                regions.append(Region(of_phrase, phrase.name, spans, their_scores))
        if not regions and not self.keep_empty:
            return None
        tally.counts.update(phrases=len(regions), boxes=sum(map(len, kept)))
        line = grounding_record(
            filename=item.filename,
            height=height,
            width=width,
            caption=prompt.caption,
            regions=regions,
            extra=question.caption.extra,
        )
        check_record(line)
        return line


def label_pairs(
    teacher: Labeler,
    pairs: Pairs,
    blocks: Sequence[range],
    *,
    np_extractor: str = "rules",
    num_workers: int = 0,
) -> Iterator[Labels]:
    """Label blocks of pairs, one after the other.

    Args:
        teacher: labels them.
        pairs: what to label.
        blocks: positions of the pictures of each block.
        np_extractor: what finds the noun phrases.
        num_workers: processes that read pictures.

    Raises:
        ConfigError: the teacher's config has no pipeline that can be used.
    """
    pipeline = make_pipeline(teacher.model.cfg, from_array=pairs.from_array)
    loader = DataLoader(
        CaptionDataset(pairs, pipeline, np_extractor),
        batch_sampler=blocks,
        num_workers=num_workers,
        collate_fn=list,
    )
    for items in loader:
        yield teacher.label(items)


def _asked(item: Item) -> bool:
    """Whether there is anything to ask about a picture that could be read."""
    return item.packed is not None and any(each.prompt is not None for each in item.questions)


def _clip(box: Sequence[float], height: int, width: int) -> list[float]:
    """Clip a box (xyxy, pixels) to the picture, and leave digits off that mean nothing."""
    sides = (width, height, width, height)
    return [round(min(max(edge, 0.0), side), 2) for edge, side in zip(box, sides, strict=True)]
