"""Prompts of captions for training: what other images show, beside what this one shows."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mmcv.transforms import BaseTransform

from glip.registry import TRANSFORMS
from glip.text.joining import join_captions, with_period
from glip.text.tokenizer import load_tokenizer
from glip.text.tokens import count_tokens
from glip.utils.errors import DataError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

#: How many images to look at for each caption that is wanted; some have none, or the same.
_TRIES = 4


@TRANSFORMS.register_module()
class PackNegativeCaptions(BaseTransform):
    """Put captions of other images before and behind an image's own, in a random order.

    The official pre-training on captions with pseudo boxes: their words are negatives. In four of
    ten images there are none, else half the time as many as allowed and half the time a random
    number of them; those that do not fit beside the image's own caption are left out.

    Reads ``text``, a caption, and ``tokens_positive``, the ranges of characters of its phrases;
    writes both. The image's own caption stands in the new one to the letter, and its phrases are
    the same words at other places. Names, and captions without phrases, pass unchanged, and so does
    a caption that leaves no room.

    The others are drawn from the data set whose pipeline this is a step of; captions of the same
    image, and those that are equal, are not taken. What is drawn follows from Python's random
    generator, which :mod:`glip.engine.seeding` seeds for each image.

    Args:
        tokenizer_name: folder or hub name of the tokenizer, ``lang_model_name`` in configs.
        num_captions: other captions at most (official: 20).
        none_prob: how often to take none (official: 0.4).
        full_prob: how often, of the other times, to take as many as allowed (official: 0.5).
        max_tokens: tokens of a caption at most, [CLS] and [SEP] included (official: 256).

    Raises:
        DataError: a number is out of its range; or the step is in no data set's pipeline, or in
            those of two (on use).
    """

    def __init__(
        self,
        tokenizer_name: str,
        *,
        num_captions: int = 20,
        none_prob: float = 0.4,
        full_prob: float = 0.5,
        max_tokens: int = 256,
    ) -> None:
        if num_captions < 1 or not 0 <= none_prob <= 1 or not 0 <= full_prob <= 1:
            raise DataError(
                "PackNegativeCaptions: expected num_captions of 1 or more, and none_prob and "
                f"full_prob from 0 to 1, got {num_captions}, {none_prob} and {full_prob}."
            )
        self.tokenizer_name = tokenizer_name
        self.num_captions = num_captions
        self.none_prob = none_prob
        self.full_prob = full_prob
        self.max_tokens = max_tokens
        self._tokenizer: PreTrainedTokenizerBase | None = None
        self._dataset: Any = None

    def use_dataset(self, dataset: Any) -> None:
        """Draw from this data set; it has a length and ``get_data_info``."""
        if self._dataset is not None and self._dataset is not dataset:
            raise DataError(
                "this PackNegativeCaptions is a step of two data sets' pipelines and would draw "
                "from one for the other; give each data set a step of its own, as its config does."
            )
        self._dataset = dataset

    def transform(self, results: dict) -> dict:
        """Replace the caption and the spans."""
        caption, spans = results.get("text"), results.get("tokens_positive")
        if not isinstance(caption, str) or not isinstance(spans, Sequence):
            return results
        if self._dataset is None:
            raise DataError(
                "PackNegativeCaptions draws captions from a data set, but belongs to none: it must "
                "be a step of a data set's pipeline itself, not inside another step."
            )
        wanted = self._how_many()
        others = self._fitting(caption, self._draw(results, wanted)) if wanted else []
        if not others:
            return results
        order = list(range(len(others) + 1))
        random.shuffle(order)
        captions = [caption, *others]
        results["text"], results["tokens_positive"] = join_captions(
            [captions[at] for at in order], order.index(0), spans
        )
        return results

    def _how_many(self) -> int:
        if random.random() < self.none_prob:
            return 0
        if random.random() < self.full_prob:
            return self.num_captions
        return random.randrange(self.num_captions)

    def _draw(self, results: dict, wanted: int) -> list[str]:
        """Draw captions of other images."""
        own = results["text"].strip()
        found: dict[str, None] = {}  # in the order drawn, each once
        for _ in range(_TRIES * wanted):
            other = self._dataset.get_data_info(random.randrange(len(self._dataset)))
            caption = other.get("text")
            if not isinstance(caption, str) or other.get("img_path") == results.get("img_path"):
                continue
            if caption.strip() not in ("", own):
                found[caption.strip()] = None
            if len(found) == wanted:
                break
        return list(found)

    def _fitting(self, caption: str, others: list[str]) -> list[str]:
        """Those that fit into the tokens beside the image's own caption, as many as possible."""
        if self._tokenizer is None:
            self._tokenizer = load_tokenizer(self.tokenizer_name)
        left = (
            self.max_tokens - 2 - count_tokens(with_period(caption), self._tokenizer)
        )  # [CLS], [SEP]
        kept = []
        for other in others:
            tokens = count_tokens(with_period(other), self._tokenizer)
            if tokens <= left:
                left -= tokens
                kept.append(other)
        return kept

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(num_captions={self.num_captions}, none_prob={self.none_prob}, "
            f"full_prob={self.full_prob}, max_tokens={self.max_tokens})"
        )
