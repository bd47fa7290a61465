"""Training prompts with the captions of other images as negatives."""

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

#: Images sampled at most per caption that is needed; some have no caption, or the same one.
_TRIES = 4


@TRANSFORMS.register_module()
class PackNegativeCaptions(BaseTransform):
    """Concatenate an image's caption with captions of other images, in random order.

    This is the official pre-training on captions with pseudo boxes, where the words of the other
    captions are negatives. With probability ``none_prob`` no caption is added. Otherwise the number
    is ``num_captions`` or, with probability 1 - ``full_prob``, a random smaller one. Captions that
    do not fit beside the image's own are skipped.

    Reads and writes ``text``, a caption, and ``tokens_positive``, the character spans of its
    phrases. The new caption holds the image's own one unchanged, and the spans are shifted along.
    Class names, captions without phrases, and captions that leave no room are not changed.

    The other captions are sampled from the data set that has this transform in its pipeline;
    captions of the same image and equal captions are skipped. Python's random generator is used,
    which :mod:`glip.engine.seeding` seeds for each image.

    Args:
        tokenizer_name: folder or hub name of the tokenizer, ``lang_model_name`` in configs.
        num_captions: other captions at most (official: 20).
        none_prob: probability of adding none (official: 0.4).
        full_prob: otherwise, probability of adding as many as allowed (official: 0.5).
        max_tokens: longest caption in tokens, [CLS] and [SEP] included (official: 256).

    Raises:
        DataError: a number is out of its range; or, on use, the transform is in no data set's
            pipeline, or in those of two.
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
                f"full_prob from 0 to 1, got {num_captions}, {none_prob} and {full_prob}"
            )
        self.tokenizer_name = tokenizer_name
        self.num_captions = num_captions
        self.none_prob = none_prob
        self.full_prob = full_prob
        self.max_tokens = max_tokens
        self._tokenizer: PreTrainedTokenizerBase | None = None
        self._dataset: Any = None

    def use_dataset(self, dataset: Any) -> None:
        """Sample captions from this data set; it has a length and ``get_data_info``."""
        if self._dataset is not None and self._dataset is not dataset:
            raise DataError(
                "this PackNegativeCaptions is in the pipelines of two data sets, and would sample "
                "from one for the other; give each data set a transform of its own, as configs do"
            )
        self._dataset = dataset

    def transform(self, results: dict) -> dict:
        """Replace the caption and the spans of its phrases."""
        caption, spans = results.get("text"), results.get("tokens_positive")
        if not isinstance(caption, str) or not isinstance(spans, Sequence):
            return results
        if self._dataset is None:
            raise DataError(
                "PackNegativeCaptions samples captions from a data set, but belongs to none: put "
                "it into a data set's pipeline itself, not inside another transform"
            )
        wanted = self._sample_number()
        others = self._select_fitting(caption, self._sample(results, wanted)) if wanted else []
        if not others:
            return results
        order = list(range(len(others) + 1))
        random.shuffle(order)
        captions = [caption, *others]
        results["text"], results["tokens_positive"] = join_captions(
            [captions[at] for at in order], order.index(0), spans
        )
        return results

    def _sample_number(self) -> int:
        if random.random() < self.none_prob:
            return 0
        if random.random() < self.full_prob:
            return self.num_captions
        return random.randrange(self.num_captions)

    def _sample(self, results: dict, wanted: int) -> list[str]:
        """Sample captions of other images."""
        own = results["text"].strip()
        found: dict[str, None] = {}  # in the order sampled, each once
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

    def _select_fitting(self, caption: str, others: list[str]) -> list[str]:
        """Return the captions that fit beside the image's own one, in order."""
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
