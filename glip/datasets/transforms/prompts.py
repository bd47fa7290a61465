"""Prompts that fit the language encoder, for training."""

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
    """Draw an image's prompt: the names of all that is in it, and some that are not, shuffled.

    The official pre-training on detection data: half the time as many negatives as allowed, half
    the time a random number of them; names are left out, negatives first, where the caption would
    be longer than the language encoder reads. An image without objects gets at least one name.

    Reads ``text``, the names of all classes, and ``gt_bboxes_labels`` (G,), and writes both: the
    names drawn, and the labels as positions among them. Where the data set words some names in
    another way (``caption_prompt``), these words count.

    A prompt that is a caption passes unchanged if the encoder can read it. If it is too long, a
    phrase with a box is drawn, and of the caption as many words around it as can be read; the same
    image shows another part another time.

    Boxes of names that are left out, or of phrases that the piece of a caption lacks, go too, which
    is said in a warning. A caption none of whose phrases fits, or that is too long and has none,
    gives None, so that the data set takes another image.

    Args:
        tokenizer_name: folder or hub name of the tokenizer, ``lang_model_name`` in configs.
        num_sample_negative: names of absent things at most (official: 85).
        full_sampling_prob: how often to take as many negatives as allowed (official: 0.5).
        max_tokens: tokens of a caption at most, [CLS] and [SEP] included (official: 256).
        label_map_file: a file ``{"0": "person", ...}`` with the names of all classes, instead of
            those that the data set gives.

    Raises:
        glip.datasets.annotation_file.AnnotationFileError: there is no such file, or it is none.
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
        chosen = self._fitting(costs, present, self._negatives(costs, set(present)))
        if len(chosen) == 0:
            self._report(results, f"no name fits into {self.max_tokens} tokens", "another is taken")
            return None
        missing = set(present) - set(chosen)
        if missing:
            keep_objects(results, ~np.isin(results["gt_bboxes_labels"], list(missing)))
            self._report(
                results,
                f"it shows more classes than {self.max_tokens} tokens name",
                f"{len(missing)} are left out with their boxes",
            )
        random.shuffle(chosen)
        _number_anew(results, chosen)
        results["text"] = tuple(names[label] for label in chosen)
        return results

    def _negatives(self, costs: list[int], present: set[int]) -> list[int]:
        """Draw labels that no object has, of the classes whose name is not blank (cost 1)."""
        absent = [label for label, cost in enumerate(costs) if label not in present and cost > 1]
        count = min(len(absent), max(self.num_sample_negative, 0 if present else 1))
        if count and random.random() >= self.full_sampling_prob:
            count = random.randint(1, count)
        return random.sample(absent, count)

    def _fitting(self, costs: list[int], present: list[int], negatives: list[int]) -> list[int]:
        """As many labels as the language encoder reads: each of an object if there is room."""
        left = self.max_tokens - 2 + 1  # [CLS] and [SEP] come on top, the last separator does not
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
        """Tokens that a name adds to a caption, the separator included."""
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
            whole = tokenize(Prompt.from_spans(caption, spans), tokenizer)
            labels = sorted(set(results["gt_bboxes_labels"].tolist()))
            found = self._cut(whole, labels or list(range(len(spans))))
        too_long = f"its caption takes {tokens} tokens instead of {self.max_tokens}"
        if found is None:
            self._report(results, too_long, "it has no phrase that fits: another is taken")
            return None
        piece, inside = found
        keep = np.isin(results["gt_bboxes_labels"], inside)
        keep_objects(results, keep)
        self._report(results, too_long, f"{(~keep).sum()} boxes of phrases elsewhere are left out")
        _number_anew(results, inside)
        results["text"] = piece.caption
        results["tokens_positive"] = [
            [list(span) for span in phrase.spans] for phrase in piece.phrases
        ]
        return results

    def _cut(self, whole: TokenizedPrompt, labels: list[int]) -> tuple[Prompt, list[int]] | None:
        """A piece of the caption around one of these phrases, if one is short enough."""
        for label in random.sample(labels, len(labels)):
            try:
                return chunk_around(whole, label, self.max_tokens)
            except PromptError:
                continue
        return None

    def _load_tokenizer(self) -> Any:
        if self._tokenizer is None:
            self._tokenizer = load_tokenizer(self.tokenizer_name)
        return self._tokenizer

    def _report(self, results: dict, cause: str, effect: str) -> None:
        """Say what had to be left out, the first, tenth, hundredth... time."""
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


def _number_anew(results: dict, chosen: list[int]) -> None:
    """Make the labels positions among the chosen ones."""
    position = {label: at for at, label in enumerate(chosen)}
    results["gt_bboxes_labels"] = np.array(
        [position[label] for label in results["gt_bboxes_labels"].tolist()], dtype=np.int64
    )
