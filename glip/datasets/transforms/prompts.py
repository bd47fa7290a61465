"""Prompts of detection data for training: some of the class names, in another order each time."""

from __future__ import annotations

import logging
import random

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.logging import print_log

from ...registry import TRANSFORMS
from ...text import Prompt
from ...text.tokenizer import load_tokenizer


@TRANSFORMS.register_module()
class RandomSamplingNegPos(BaseTransform):
    """Draw an image's prompt: the names of all that is in it, and some that are not, shuffled.

    The official pre-training on detection data: half the time as many negatives as allowed, half
    the time a random number of them; names are left out, negatives first, where the caption would
    be longer than the language encoder reads.

    Reads ``text``, the names of all classes, and ``gt_bboxes_labels`` (G,), and writes both: the
    names drawn, and the labels as positions among them. If even the names of what is in the image
    are too many, the boxes of those that are left out go too, which is said in a warning.

    A prompt that is a caption passes unchanged. One that is longer than the language encoder reads
    would end the training: the result is None, so that the data set takes another image.

    Args:
        tokenizer_name: folder or hub name of the tokenizer, ``lang_model_name`` in configs.
        num_sample_negative: names of absent things at most (official: 85).
        full_sampling_prob: how often to take as many negatives as allowed (official: 0.5).
        max_tokens: tokens of a caption at most, [CLS] and [SEP] included (official: 256).
    """

    def __init__(
        self,
        tokenizer_name: str,
        num_sample_negative: int = 85,
        full_sampling_prob: float = 0.5,
        max_tokens: int = 256,
    ) -> None:
        self.tokenizer_name = tokenizer_name
        self.num_sample_negative = num_sample_negative
        self.full_sampling_prob = full_sampling_prob
        self.max_tokens = max_tokens
        self._tokenizer = None
        self._costs: dict[str, int] = {}
        self._dropped = 0
        self._too_long = 0

    def transform(self, results: dict) -> dict | None:
        """Replace the names and the labels; None where a caption is too long."""
        if isinstance(results["text"], str):
            return results if self._is_read_whole(results) else None
        names = list(results["text"])
        present = sorted(set(results["gt_bboxes_labels"].tolist()))
        random.shuffle(present)
        chosen = self._fitting(names, present + self._negatives(len(names), set(present)))
        missing = set(present) - set(chosen)
        if missing:
            self._drop(results, missing)
        random.shuffle(chosen)
        position = {label: at for at, label in enumerate(chosen)}
        results["gt_bboxes_labels"] = np.array(
            [position[label] for label in results["gt_bboxes_labels"].tolist()], dtype=np.int64
        )
        results["text"] = tuple(names[label] for label in chosen)
        return results

    def _is_read_whole(self, results: dict) -> bool:
        """Say whether a caption is short enough; warn, now and then, if it is not."""
        tokens = len(self._tokens(results["text"])) + 2  # [CLS] and [SEP]
        if tokens <= self.max_tokens:
            return True
        self._too_long += 1
        if self._too_long in (1, 10, 100, 1000):
            print_log(
                f"{self._too_long} caption(s) are longer than {self.max_tokens} tokens; the last "
                f"one, of '{results.get('img_path')}', has {tokens}. Another image takes its "
                "place.",
                logger="current",
                level=logging.WARNING,
            )
        return False

    def _negatives(self, classes: int, present: set[int]) -> list[int]:
        """Draw labels, of so many, that no object has."""
        absent = [label for label in range(classes) if label not in present]
        count = min(len(absent), self.num_sample_negative)
        if count and random.random() >= self.full_sampling_prob:
            count = random.randint(1, count)
        return random.sample(absent, count)

    def _fitting(self, names: list[str], wanted: list[int]) -> list[int]:
        """The first of the wanted labels, as many as the language encoder reads."""
        left = self.max_tokens - 2 + 1  # [CLS] and [SEP] come on top, the last separator does not
        kept = []
        for label in wanted:
            left -= self._cost(names[label])
            if left < 0:
                break
            kept.append(label)
        return kept

    def _cost(self, name: str) -> int:
        """Tokens that a name adds to a caption, the separator included."""
        if name not in self._costs:
            caption = Prompt.from_class_names([name], allow_blank=True).caption
            self._costs[name] = len(self._tokens(caption)) + 1
        return self._costs[name]

    def _tokens(self, caption: str) -> list[str]:
        if self._tokenizer is None:
            self._tokenizer = load_tokenizer(self.tokenizer_name)
        return self._tokenizer.tokenize(caption)

    def _drop(self, results: dict, labels: set[int]) -> None:
        """Leave out the objects of some labels."""
        keep = ~np.isin(results["gt_bboxes_labels"], list(labels))
        for key in ("gt_bboxes", "gt_bboxes_labels", "gt_ignore_flags"):
            if key in results:
                results[key] = results[key][keep]
        self._dropped += 1
        if self._dropped in (1, 10, 100, 1000):
            print_log(
                f"{self._dropped} image(s) show more classes than {self.max_tokens} tokens name; "
                f"{len(labels)} of the last one's, '{results.get('img_path')}', are left out with "
                "their boxes.",
                logger="current",
                level=logging.WARNING,
            )

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(num_sample_negative={self.num_sample_negative}, "
            f"full_sampling_prob={self.full_sampling_prob}, max_tokens={self.max_tokens})"
        )
