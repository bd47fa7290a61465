"""Tokenize prompts, and map phrases to tokens.

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
        prompt: the prompt.
        input_ids: T token ids.
        offsets: (T, 2), the half-open character span of each token; 0, 0 for [CLS] and [SEP].
        words: (T,), the 0-based index of each token's word; -1 for [CLS] and [SEP].
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
    """Tokenize a prompt without truncation.

    A token belongs to a phrase if they share a character. Special tokens that are written in the
    caption (``'[SEP]'``) are tokenized as plain characters.

    Raises:
        PromptError: a phrase has no token (it consists of control characters, for example).
    """
    caption = _lower_special_tokens(prompt.caption, tokenizer)
    encoded = tokenizer(caption, return_offsets_mapping=True, truncation=False, verbose=False)
    offsets = np.asarray(encoded["offset_mapping"]).reshape(-1, 2)  # (T, 2); special tokens: 0, 0
    token_map = np.stack([cover(phrase.spans, offsets) for phrase in prompt.phrases])
    for phrase, tokens in zip(prompt.phrases, token_map, strict=True):
        if phrase.spans and not tokens.any():
            raise PromptError(
                f"the phrase {phrase.name!r} has no token: expected words or symbols that the "
                "tokenizer knows"
            )
    words = np.asarray([-1 if word is None else word for word in encoded.word_ids()])
    return TokenizedPrompt(prompt, tuple(encoded["input_ids"]), offsets, words, token_map)


def count_tokens(text: str, tokenizer: PreTrainedTokenizerBase) -> int:
    """Return the number of tokens of a text, without [CLS] and [SEP].

    Texts joined with a space have the sum of their tokens; joined with a period and a space, one
    more per period.
    """
    plain = _lower_special_tokens(text, tokenizer)
    encoded = tokenizer(plain, add_special_tokens=False, truncation=False, verbose=False)
    return len(encoded["input_ids"])


def _lower_special_tokens(text: str, tokenizer: PreTrainedTokenizerBase) -> str:
    """Return the text with special tokens in lower case, which makes them plain characters."""
    for token in tokenizer.all_special_tokens:
        text = text.replace(token, token.lower())  # transformers 4.36 has no option for this
    return text


def cover(spans: Sequence[tuple[int, int]], offsets: np.ndarray) -> np.ndarray:
    """Return a mask (T,) bool of the tokens that share a character with one of the spans."""
    covered = np.zeros(len(offsets), dtype=bool)
    for start, end in spans:
        covered |= (offsets[:, 0] < end) & (offsets[:, 1] > start)
    return covered
