"""Training prompts that fit the language encoder."""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.logging import print_log

from glip.datasets.odvg.writing import read_label_map
from glip.datasets.transforms.annotations import keep_objects
from glip.registry import TRANSFORMS
from glip.text import Prompt, tokenize
from glip.text.chunking import chunk_around
from glip.text.prompt import name_in_caption
from glip.text.tokenizer import load_tokenizer
from glip.text.tokens import TokenizedPrompt, count_tokens
from glip.utils.errors import PromptError


@TRANSFORMS.register_module()
class RandomSamplingNegPos(BaseTransform):
    """Sample an image's class names: all positive ones and some negative ones, shuffled.

    This is the official pre-training on detection data. With probability ``full_sampling_prob`` the
    number of negatives is ``num_sample_negative``, otherwise a random smaller one. If the caption
    would be longer than the language encoder reads, names are dropped, negatives first. An image
    without objects gets at least one name.

    Reads ``text``, the names of all classes, and ``gt_bboxes_labels`` (G,), and writes both: the
    sampled names, and the labels as indices into them. For names with another wording in the data
    set's ``caption_prompt``, the tokens of that wording are counted.

    A prompt that is a caption is not changed if it fits. If it is too long, a phrase with a box is
    sampled, and the caption is cut to it and as many words around it as fit. The next epoch may
    sample another phrase.

    Boxes of dropped names or phrases are dropped, too, with a warning. If no phrase of a caption
    fits, or a caption that is too long has no phrase, the result is None, and the data set loads
    another image.

    Args:
        tokenizer_name: folder or hub name of the tokenizer, ``lang_model_name`` in configs.
        num_sample_negative: negative names at most (official: 85).
        full_sampling_prob: probability of as many negatives as allowed (official: 0.5).
        max_tokens: longest caption in tokens, [CLS] and [SEP] included (official: 256).
        label_map_file: a file ``{"0": "person", ...}`` with the names of all classes, to use
            instead of the data set's.

    Raises:
        glip.utils.errors.AnnotationFileError: the file does not exist or is not a label map.
        ValueError: a label has no name (on use).
    """

    def __init__(
        self,
        tokenizer_name: str,
        num_sample_negative: int = 85,
        full_sampling_prob: float = 0.5,
        max_tokens: int = 256,
        label_map_file: str | None = None,
    ) -> None:
        self.tokenizer_name = tokenizer_name
        self.num_sample_negative = num_sample_negative
        self.full_sampling_prob = full_sampling_prob
        self.max_tokens = max_tokens
        self.names = None if label_map_file is None else read_label_map(label_map_file)
        self._tokenizer: Any = None
        self._costs: dict[tuple, int] = {}
        self._dropped = 0

    def transform(self, results: dict) -> dict | None:
        """Replace the prompt and the labels."""
        if isinstance(results.get("text"), str):
            return self._fit_caption(results)
        names = list(self.names or results["text"])
        present = sorted(set(results["gt_bboxes_labels"].tolist()))
        if present and not 0 <= present[0] <= present[-1] < len(names):
            raise ValueError(
                f"the image '{results.get('img_path')}' has labels from {present[0]} to "
                f"{present[-1]}, and there are {len(names)} names: expected labels from 0 to "
                f"{len(names) - 1}"
            )
        random.shuffle(present)
        costs = [self._cost(name, results.get("caption_prompt")) for name in names]
        chosen = self._select_fitting(costs, present, self._sample_negatives(costs, set(present)))
        if len(chosen) == 0:
            self._report(
                results, f"no name fits into {self.max_tokens} tokens", "another is loaded"
            )
            return None
        missing = set(present) - set(chosen)
        if missing:
            keep_objects(results, ~np.isin(results["gt_bboxes_labels"], list(missing)))
            self._report(
                results,
                f"the names of its classes take more than {self.max_tokens} tokens",
                f"{len(missing)} of them are dropped with their boxes",
            )
        random.shuffle(chosen)
        _renumber_labels(results, chosen)
        results["text"] = tuple(names[label] for label in chosen)
        return results

    def _sample_negatives(self, costs: list[int], present: set[int]) -> list[int]:
        """Sample labels that no object has, of classes whose name is not blank (cost 1)."""
        absent = [label for label, cost in enumerate(costs) if label not in present and cost > 1]
        count = min(len(absent), max(self.num_sample_negative, 0 if present else 1))
        if count and random.random() >= self.full_sampling_prob:
            count = random.randint(1, count)
        return random.sample(absent, count)

    def _select_fitting(
        self, costs: list[int], present: list[int], negatives: list[int]
    ) -> list[int]:
        """Return as many labels as fit into a caption, those of objects first."""
        left = self.max_tokens - 2 + 1  # minus [CLS] and [SEP]; the last name has no separator
        kept = []
        for label in present:
            if costs[label] <= left:
                left -= costs[label]
                kept.append(label)
        for label in negatives:
            left -= costs[label]
            if left < 0:
                break
            kept.append(label)
        return kept

    def _cost(self, name: str, descriptions: dict | None) -> int:
        """Return the number of tokens that a name adds to a caption, with the separator."""
        description = (descriptions or {}).get(name, {})
        key = (name, *description.items())
        if key not in self._costs:
            words = "".join(name_in_caption(name, descriptions))
            self._costs[key] = count_tokens(words, self._load_tokenizer()) + 1
        return self._costs[key]

    def _fit_caption(self, results: dict) -> dict | None:
        """Cut a caption that is too long."""
        caption, spans = results["text"], results.get("tokens_positive")
        tokenizer = self._load_tokenizer()
        tokens = count_tokens(caption, tokenizer) + 2  # [CLS] and [SEP]
        if tokens <= self.max_tokens:
            return results
        found = None
        if isinstance(spans, Sequence):
            full = tokenize(Prompt.from_spans(caption, spans), tokenizer)
            labels = sorted(set(results["gt_bboxes_labels"].tolist()))
            found = self._cut(full, labels or list(range(len(spans))))
        too_long = f"its caption takes {tokens} tokens instead of {self.max_tokens}"
        if found is None:
            self._report(results, too_long, "it has no phrase that fits: another is loaded")
            return None
        chunk, inside = found
        keep = np.isin(results["gt_bboxes_labels"], inside)
        keep_objects(results, keep)
        self._report(results, too_long, f"{(~keep).sum()} boxes of its other phrases are dropped")
        _renumber_labels(results, inside)
        results["text"] = chunk.caption
        results["tokens_positive"] = [
            [list(span) for span in phrase.spans] for phrase in chunk.phrases
        ]
        return results

    def _cut(self, full: TokenizedPrompt, labels: list[int]) -> tuple[Prompt, list[int]] | None:
        """Return a chunk around a random one of these phrases, if one is short enough."""
        for label in random.sample(labels, len(labels)):
            try:
                return chunk_around(full, label, self.max_tokens)
            except PromptError:
                continue
        return None

    def _load_tokenizer(self) -> Any:
        if self._tokenizer is None:
            self._tokenizer = load_tokenizer(self.tokenizer_name)
        return self._tokenizer

    def _report(self, results: dict, cause: str, effect: str) -> None:
        """Log a warning the first, tenth, hundredth... time that something is dropped."""
        self._dropped += 1
        if str(self._dropped).strip("0") == "1":
            print_log(
                f"'{results.get('img_path')}': {cause}; {effect}. So far {self._dropped} image(s) "
                "had a prompt that is too long.",
                logger="current",
                level=logging.WARNING,
            )

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(num_sample_negative={self.num_sample_negative}, "
            f"full_sampling_prob={self.full_sampling_prob}, max_tokens={self.max_tokens})"
        )


def _renumber_labels(results: dict, chosen: list[int]) -> None:
    """Replace each label by its index in ``chosen``."""
    position = {label: at for at, label in enumerate(chosen)}
    results["gt_bboxes_labels"] = np.array(
        [position[label] for label in results["gt_bboxes_labels"].tolist()], dtype=np.int64
    )
