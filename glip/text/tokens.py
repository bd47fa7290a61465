"""From a prompt to tokens, and from phrases to the tokens that mean them.

Shapes: P phrases, T tokens, [CLS] and [SEP] included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from glip.text.prompt import Prompt
from glip.utils.errors import PromptError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class TokenizedPrompt:
    """A prompt's tokens.

    Attributes:
        prompt: what was tokenized.
        input_ids: T token ids.
        offsets: (T, 2), the half-open range of characters of each token; 0, 0 for [CLS] and [SEP].
        words: (T,), which word each token is a part of, counted from 0; -1 for [CLS] and [SEP].
        token_map: (P, T) bool, the tokens of each phrase.
    """

    prompt: Prompt
    input_ids: tuple[int, ...]
    offsets: np.ndarray
    words: np.ndarray
    token_map: np.ndarray

    @property
    def num_tokens(self) -> int:
        """T."""
        return len(self.input_ids)


def tokenize(prompt: Prompt, tokenizer: PreTrainedTokenizerBase) -> TokenizedPrompt:
    """Tokenize a prompt; nothing is cut, however long it is.

    A token belongs to a phrase if they share a character. What looks like a marker in the caption
    (``'[SEP]'``) is read as plain characters.

    Raises:
        PromptError: a phrase has no token at all (it consists of control characters, say).
    """
    caption = _without_markers(prompt.caption, tokenizer)
    encoded = tokenizer(caption, return_offsets_mapping=True, truncation=False, verbose=False)
    offsets = np.asarray(encoded["offset_mapping"]).reshape(-1, 2)  # (T, 2); special tokens: 0, 0
    token_map = np.stack([cover(phrase.spans, offsets) for phrase in prompt.phrases])
    for phrase, tokens in zip(prompt.phrases, token_map, strict=True):
        if phrase.spans and not tokens.any():
            raise PromptError(
                f"the tokenizer makes nothing of the phrase {phrase.name!r}: expected words or "
                "symbols that can be read"
            )
    words = np.asarray([-1 if word is None else word for word in encoded.word_ids()])
    return TokenizedPrompt(prompt, tuple(encoded["input_ids"]), offsets, words, token_map)


def count_tokens(text: str, tokenizer: PreTrainedTokenizerBase) -> int:
    """The tokens of a text, [CLS] and [SEP] not counted.

    Texts that are joined with a space, or with a point and a space, have as many together, the
    point being one more.
    """
    plain = _without_markers(text, tokenizer)
    encoded = tokenizer(plain, add_special_tokens=False, truncation=False, verbose=False)
    return len(encoded["input_ids"])


def _without_markers(text: str, tokenizer: PreTrainedTokenizerBase) -> str:
    """The text with what looks like a marker in small letters: no marker then, and as long."""
    for marker in tokenizer.all_special_tokens:
        text = text.replace(marker, marker.lower())  # transformers 4.36 has no option for this
    return text


def cover(spans: Sequence[tuple[int, int]], offsets: np.ndarray) -> np.ndarray:
    """Tokens (T,) bool whose range of characters meets one of the spans."""
    covered = np.zeros(len(offsets), dtype=bool)
    for start, end in spans:
        covered |= (offsets[:, 0] < end) & (offsets[:, 1] > start)
    return covered
