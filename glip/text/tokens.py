"""Tokenize prompts, and map phrases to tokens.

Shapes: P phrases, T tokens, [CLS] and [SEP] included.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from glip.text.prompt import Prompt
from glip.utils.errors import PromptError
from glip.utils.messages import shorten

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
        ranges: for each phrase the half-open ranges of tokens of its spans.
    """

    prompt: Prompt
    input_ids: tuple[int, ...]
    offsets: np.ndarray
    words: np.ndarray
    ranges: tuple[tuple[tuple[int, int], ...], ...]

    @property
    def num_tokens(self) -> int:
        """T."""
        return len(self.input_ids)

    @cached_property
    def token_map(self) -> np.ndarray:
        """(P, T) bool, the tokens of each phrase.

        Made on first use: for a long prompt, which is split first, it would take P x T bytes.
        """
        covered = np.zeros((len(self.ranges), self.num_tokens), dtype=bool)
        for row, ranges in zip(covered, self.ranges, strict=True):
            for first, last in ranges:
                row[first:last] = True
        return covered

    @cached_property
    def word_edges(self) -> np.ndarray:
        """(W + 1,), the first token of each of the W words, and [SEP]."""
        count = self.words[-2] + 1 if self.num_tokens > 2 else 0
        return np.searchsorted(self.words[1:-1], np.arange(count + 1)) + 1


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
    ranges = _find_ranges(prompt, offsets)
    for phrase, own in zip(prompt.phrases, ranges, strict=True):
        if phrase.spans and all(first >= last for first, last in own):
            raise PromptError(
                f"the phrase {shorten(phrase.name)} has no token: expected words or symbols that "
                "the tokenizer knows"
            )
    words = np.asarray([-1 if word is None else word for word in encoded.word_ids()])
    return TokenizedPrompt(prompt, tuple(encoded["input_ids"]), offsets, words, ranges)


def _find_ranges(prompt: Prompt, offsets: np.ndarray) -> tuple[tuple[tuple[int, int], ...], ...]:
    """Return the token ranges of each phrase; see :func:`find_token_ranges`."""
    spans = [span for phrase in prompt.phrases for span in phrase.spans]
    ranges = iter(find_token_ranges(np.asarray(spans).reshape(-1, 2), offsets).tolist())
    return tuple(
        tuple((first, last) for _, (first, last) in zip(phrase.spans, ranges, strict=False))
        for phrase in prompt.phrases
    )


def find_token_ranges(spans: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Return the tokens that share a character with each span.

    Args:
        spans: (S, 2) half-open character spans.
        offsets: (T, 2), see :attr:`TokenizedPrompt.offsets`.

    Returns:
        (S, 2) half-open ranges of tokens; an empty one for a span without a token.
    """
    # The tokens between [CLS] and [SEP] are in the order of the caption.
    starts, ends = offsets[1:-1].T
    first = np.searchsorted(ends, spans[:, 0], side="right")
    last = np.searchsorted(starts, spans[:, 1], side="left")
    return np.stack([first, np.maximum(first, last)], axis=1) + 1


def find_unknown_phrases(tokens: TokenizedPrompt, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Return the names of the phrases whose every token is [UNK].

    The model cannot tell such phrases from each other.
    """
    is_known = np.asarray(tokens.input_ids) != tokenizer.unk_token_id
    if is_known.all():
        return []
    known_before = np.concatenate([[0], np.cumsum(is_known)])
    return [
        phrase.name
        for phrase, ranges in zip(tokens.prompt.phrases, tokens.ranges, strict=True)
        if phrase.spans and all(known_before[last] == known_before[first] for first, last in ranges)
    ]


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
