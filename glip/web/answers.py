"""An answer of the models: filtered by a threshold without running them again.

The phrases of all prompts of an answer are numbered from 0, in the order of the prompts.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from glip.structures import DetDataSample
from glip.structures.export import to_record
from glip.text import Prompt
from glip.visualization.draw import draw_detections
from glip.visualization.palette import label_color
from glip.web.models import WebModel
from glip.web.shown_image import ShownImage


@dataclass(frozen=True)
class Box:
    """A detection.

    Attributes:
        phrase: number of its phrase.
        name: of the phrase.
        score: of the detection.
        xyxy: in pixels of the image.
    """

    phrase: int
    name: str
    score: float
    xyxy: tuple[float, float, float, float]


@dataclass(frozen=True)
class FoundPhrase:
    """A phrase of a prompt, and how well it was found.

    Attributes:
        number: of the phrase.
        prompt: index of its prompt.
        name: of the phrase.
        spans: its characters in the caption of the prompt.
        count: number of boxes.
        best: its best score, also without a box.
    """

    number: int
    prompt: int
    name: str
    spans: tuple[tuple[int, int], ...]
    count: int
    best: float


@dataclass(frozen=True)
class Answer:
    """What a model found in an image.

    Attributes:
        image: the image.
        model: the model.
        prompts: the prompts.
        samples: a data sample for each prompt, with all detections.
        seconds: that the answer took.
        encoded: whether the image was encoded for it.
    """

    image: ShownImage
    model: WebModel
    prompts: tuple[Prompt, ...]
    samples: tuple[DetDataSample, ...]
    seconds: float
    encoded: bool

    def boxes(self, score_thr: float) -> list[Box]:
        """Return the boxes of this score or more, the best first."""
        boxes = []
        for first, sample in self._numbered():
            found = sample.filter(score_thr).pred_instances
            boxes += [
                Box(first + label, name, score, (x1, y1, x2, y2))
                for label, name, score, (x1, y1, x2, y2) in zip(
                    found.labels.tolist(),
                    found.label_names,
                    found.scores.tolist(),
                    found.bboxes.tolist(),
                    strict=True,
                )
            ]
        return sorted(boxes, key=lambda box: -box.score)

    def phrases(self, score_thr: float) -> list[FoundPhrase]:
        """Return all phrases with the number of their boxes of this score or more."""
        counts = Counter(box.phrase for box in self.boxes(score_thr))
        phrases = []
        for at, (first, sample) in enumerate(self._numbered()):
            best = sample.presence.scores.tolist()
            phrases += [
                FoundPhrase(
                    first + label,
                    at,
                    phrase.name,
                    phrase.spans,
                    counts[first + label],
                    best[label],
                )
                for label, phrase in enumerate(self.prompts[at].phrases)
            ]
        return phrases

    def rows(self, score_thr: float) -> list[list[str | float]]:
        """Return the boxes as rows: phrase, score, x1, y1, x2, y2."""
        return [
            [box.name, round(box.score, 4), *(round(at, 1) for at in box.xyxy)]
            for box in self.boxes(score_thr)
        ]

    def records(self, score_thr: float) -> list[dict[str, Any]]:
        """Return a record for each prompt, as ``glip detect`` saves it."""
        records = []
        for sample in self.samples:
            record = to_record(
                sample.filter(score_thr), model=self.model.config_name, score_thr=score_thr
            )
            record["image"] = self.image.name
            records.append(record)
        return records

    def to_json(self, score_thr: float) -> str:
        """Return the record of the prompt as JSON, of several prompts a list of them."""
        records = self.records(score_thr)
        return json.dumps(records[0] if len(records) == 1 else records, ensure_ascii=False)

    def draw(self, score_thr: float) -> np.ndarray:
        """Return the image with the boxes drawn on it, RGB, in the size that is shown."""
        boxes = self.boxes(score_thr)
        height, width = self.image.shown.shape[:2]
        scale = [width / self.image.width, height / self.image.height] * 2
        return draw_detections(
            self.image.shown,
            np.array([box.xyxy for box in boxes]).reshape(-1, 4) * scale,
            [box.name for box in boxes],
            [box.score for box in boxes],
            [label_color(box.phrase) for box in boxes],
        )

    def _numbered(self) -> Iterator[tuple[int, DetDataSample]]:
        """Yield the number of the first phrase of each prompt, and its sample."""
        first = 0
        for prompt, sample in zip(self.prompts, self.samples, strict=True):
            yield first, sample
            first += len(prompt.phrases)
