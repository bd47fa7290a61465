"""Cutting a prompt that is too long for the language encoder into several.

Nothing is ever left out: every phrase is in exactly one piece, whole. Cuts are between words, so
the tokens of a piece are those that the whole prompt has there.

Shapes: P phrases of the whole prompt, p of a piece, T tokens, [CLS] and [SEP] included.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from glip.text.prompt import Prompt, Span
from glip.text.tokens import TokenizedPrompt, cover, tokenize
from glip.utils.errors import PromptError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class PromptChunk:
    """A piece of a prompt.

    Attributes:
        tokens: the piece's own caption and phrases, tokenized.
        labels: (p,) for each of its p phrases the label in the whole prompt.
    """

    tokens: TokenizedPrompt
    labels: np.ndarray


def chunk_prompt(
    prompt: Prompt,
    tokenizer: PreTrainedTokenizerBase,
    *,
    max_tokens: int = 256,
    chunked_size: int = -1,
) -> list[PromptChunk]:
    """Tokenize a prompt, in as many pieces as it takes.

    Args:
        prompt: what to look for.
        tokenizer: a fast tokenizer.
        max_tokens: longest caption, [CLS] and [SEP] included (GLIP: 256).
        chunked_size: for class names, so many phrases a piece (the paper's LVIS: 40); -1 for as
            many as fit. Pieces that are still too long are cut further.

    Returns:
        pieces in the order of the phrases; one if all fits. A piece of a sentence has as many of
        the words around its phrases as fit, also where another piece has them too.

    Raises:
        PromptError: one phrase alone is longer than ``max_tokens``.
    """
    whole = tokenize(prompt, tokenizer)
    count = len(prompt.phrases)
    if chunked_size > 0 and prompt.is_class_list:
        groups = [
            list(range(i, min(i + chunked_size, count))) for i in range(0, count, chunked_size)
        ]
    else:
        groups = [list(range(count))]
    if len(groups) == 1 and whole.num_tokens <= max_tokens:
        return [PromptChunk(whole, np.arange(count))]
    budget = max_tokens - 2  # [CLS] and [SEP]
    # Blank names are in no piece: there is nothing to find.
    groups = [[index for index in group if prompt.phrases[index].spans] for group in groups]
    extents = {
        index: _token_range(whole, prompt.phrases[index].extent)
        for group in groups
        for index in group
    }
    for index, (first, last) in extents.items():
        phrase = prompt.phrases[index]
        if last - first > budget:
            raise PromptError(_too_long(phrase.name, last - first, max_tokens))
    chunks = []
    for part in [part for group in groups for part in _fit(group, extents, budget)]:
        first = min(extents[index][0] for index in part)
        last = max(extents[index][1] for index in part)
        if not prompt.is_class_list:
            first, last = _widen(first, last, whole.words, budget)
        piece = _extract(whole, part, first, last)
        chunks.append(PromptChunk(tokenize(piece, tokenizer), np.asarray(part)))
    return chunks


def piece_around(whole: TokenizedPrompt, label: int, max_tokens: int) -> tuple[Prompt, list[int]]:
    """Cut a sentence to the words around one of its phrases, as many as the encoder reads.

    Args:
        whole: the sentence.
        label: of the phrase.
        max_tokens: longest caption, [CLS] and [SEP] included.

    Returns:
        the piece, with every phrase that it holds whole, and their labels in the sentence.

    Raises:
        PromptError: the phrase alone is longer than ``max_tokens``.
    """
    phrases, budget = whole.prompt.phrases, max_tokens - 2  # [CLS] and [SEP]
    first, last = _token_range(whole, phrases[label].extent)
    if last - first > budget:
        raise PromptError(_too_long(phrases[label].name, last - first, max_tokens))
    first, last = _widen(first, last, whole.words, budget)
    ranges = [_token_range(whole, phrase.extent) for phrase in phrases]
    inside = [at for at, (begin, end) in enumerate(ranges) if first <= begin and end <= last]
    return _extract(whole, inside, first, last), inside


def _too_long(name: str, tokens: int, max_tokens: int) -> str:
    return (
        f"the phrase {name[:60]!r} alone takes {tokens + 2} tokens with its markers, and the "
        f"language encoder reads {max_tokens}: shorten it"
    )


def _token_range(tokens: TokenizedPrompt, span: Span) -> tuple[int, int]:
    """First token, and one past the last, of the words that share a character with ``span``."""
    words = tokens.words[cover([span], tokens.offsets)]
    columns = np.flatnonzero((tokens.words >= words[0]) & (tokens.words <= words[-1]))
    return int(columns[0]), int(columns[-1]) + 1


def _fit(group: list[int], extents: dict[int, tuple[int, int]], budget: int) -> list[list[int]]:
    """Split a group of phrases, greedily, so that the tokens of each part fit.

    Args:
        group: indices of phrases.
        extents: token range of each phrase.
        budget: most tokens of a part.
    """
    parts: list[list[int]] = []
    first = last = 0
    for index in sorted(group, key=extents.__getitem__):
        begin, end = extents[index]
        if parts and end - first <= budget:
            parts[-1].append(index)
            last = max(last, end)
        else:
            parts.append([index])
            first, last = begin, end
    return [sorted(part) for part in parts]


def _widen(first: int, last: int, words: np.ndarray, budget: int) -> tuple[int, int]:
    """Take in the words on both sides of a token range, by turns, as far as they fit.

    Args:
        first, last: the range, half-open.
        words: (T,), the word of each token.
        budget: most tokens of the range.
    """
    sizes = np.bincount(words[1:-1])  # all but [CLS] and [SEP]
    left, right = words[first] - 1, words[last - 1] + 1  # the next words
    room, before = budget - (last - first), -1
    while room != before:
        before = room
        if right < len(sizes) and sizes[right] <= room:
            room -= sizes[right]
            right += 1
        if left >= 0 and sizes[left] <= room:
            room -= sizes[left]
            left -= 1
    columns = np.flatnonzero((words > left) & (words < right))
    return int(columns[0]), int(columns[-1]) + 1


def _extract(whole: TokenizedPrompt, part: list[int], first: int, last: int) -> Prompt:
    """Some of the phrases, in the piece of the caption that a token range covers."""
    prompt, offsets = whole.prompt, whole.offsets
    extents = [prompt.phrases[index].extent for index in part]
    # Phrases may begin or end with characters that no token has.
    start = min(int(offsets[first, 0]), *(begin for begin, _ in extents))
    end = max(int(offsets[last - 1, 1]), *(end for _, end in extents))
    moved = tuple(prompt.phrases[index].shifted(start) for index in part)
    return Prompt(prompt.caption[start:end], moved, prompt.is_class_list)
