"""Split a prompt that is too long for the language encoder into chunks.

Nothing is dropped: every phrase is in exactly one chunk, complete. Prompts are split between words,
so the tokens of a chunk are those that the unsplit prompt has there.

Shapes: P phrases of the prompt, p of a chunk, T tokens, [CLS] and [SEP] included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from glip.text.prompt import Prompt, Span
from glip.text.tokens import TokenizedPrompt, find_token_ranges, tokenize
from glip.utils.errors import PromptError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class PromptChunk:
    """A part of a prompt that fits into one caption.

    Attributes:
        tokens: the chunk's own caption and phrases, tokenized.
        labels: (p,) int64, for each of its p phrases the label in the unsplit prompt.
        prompt: the unsplit prompt.
    """

    tokens: TokenizedPrompt
    labels: np.ndarray
    prompt: Prompt


def chunk_prompt(
    prompt: Prompt,
    tokenizer: PreTrainedTokenizerBase,
    *,
    max_tokens: int = 256,
    chunked_size: int = -1,
) -> list[PromptChunk]:
    """Tokenize a prompt, and split it into as many chunks as it needs.

    Args:
        prompt: the prompt.
        tokenizer: a fast tokenizer.
        max_tokens: longest caption, [CLS] and [SEP] included (GLIP: 256).
        chunked_size: number of class names per chunk (the paper's LVIS: 40); -1 for as many as fit.
            Chunks that are still too long are split further.

    Returns:
        Chunks in the order of the phrases; one if everything fits. A chunk of a sentence has as
        many of the words around its phrases as fit, also where another chunk has them too.

    Raises:
        PromptError: a phrase alone is longer than ``max_tokens``, or has no token.
    """
    full = tokenize(prompt, tokenizer)
    count = len(prompt.phrases)
    if chunked_size > 0 and prompt.is_class_list:
        groups = [
            list(range(i, min(i + chunked_size, count))) for i in range(0, count, chunked_size)
        ]
    else:
        groups = [list(range(count))]
    if len(groups) == 1 and full.num_tokens <= max_tokens:
        return [PromptChunk(full, np.arange(count), prompt)]
    budget = max_tokens - 2  # [CLS] and [SEP]
    # Blank names are in no chunk: they are never detected.
    groups = [[index for index in group if prompt.phrases[index].spans] for group in groups]
    shown = [index for group in groups for index in group]
    ranges = _token_ranges(full, [prompt.phrases[index].extent for index in shown])
    extents = dict(zip(shown, ranges, strict=True))
    for index, (first, last) in extents.items():
        if last - first > budget:
            raise PromptError(_too_long(prompt.phrases[index].name, last - first, max_tokens))
    chunks = []
    for members in [part for group in groups for part in _split(group, extents, budget)]:
        first = min(extents[index][0] for index in members)
        last = max(extents[index][1] for index in members)
        if not prompt.is_class_list:
            first, last = _widen(first, last, full, budget)
        chunk = _extract(full, members, first, last)
        chunks.append(PromptChunk(tokenize(chunk, tokenizer), np.asarray(members), prompt))
    return chunks


def chunk_around(full: TokenizedPrompt, label: int, max_tokens: int) -> tuple[Prompt, list[int]]:
    """Cut a sentence to one of its phrases and as many words around it as fit.

    Args:
        full: the sentence.
        label: index of the phrase.
        max_tokens: longest caption, [CLS] and [SEP] included.

    Returns:
        The chunk, with all phrases that are completely in it, and their labels in the sentence.

    Raises:
        PromptError: the phrase alone is longer than ``max_tokens``.
    """
    phrases, budget = full.prompt.phrases, max_tokens - 2  # [CLS] and [SEP]
    ranges = _token_ranges(full, [phrase.extent for phrase in phrases])
    first, last = ranges[label]
    if last - first > budget:
        raise PromptError(_too_long(phrases[label].name, last - first, max_tokens))
    first, last = _widen(first, last, full, budget)
    inside = [index for index, (begin, end) in enumerate(ranges) if first <= begin and end <= last]
    return _extract(full, inside, first, last), inside


def _too_long(name: str, tokens: int, max_tokens: int) -> str:
    return (
        f"the phrase {name[:60]!r} alone takes {tokens + 2} tokens with its markers, and the "
        f"language encoder reads {max_tokens}: shorten it"
    )


def _token_ranges(tokens: TokenizedPrompt, spans: Sequence[Span]) -> list[tuple[int, int]]:
    """Return for each span the tokens of the words that share a character with it."""
    found = find_token_ranges(np.asarray(spans).reshape(-1, 2), tokens.offsets)
    first, last = tokens.words[found[:, 0]], tokens.words[found[:, 1] - 1]
    edges = tokens.word_edges
    return list(zip(edges[first].tolist(), edges[last + 1].tolist(), strict=True))


def _split(group: list[int], extents: dict[int, tuple[int, int]], budget: int) -> list[list[int]]:
    """Split a group of phrases greedily into parts whose tokens fit.

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


def _widen(first: int, last: int, tokens: TokenizedPrompt, budget: int) -> tuple[int, int]:
    """Extend a token range by the words on both sides, alternately, as far as they fit.

    Args:
        first, last: the range, half-open.
        tokens: the tokens.
        budget: most tokens of the range.
    """
    edges = tokens.word_edges
    left, right = int(tokens.words[first]), int(tokens.words[last - 1]) + 1  # the words, half-open
    changed = True
    while changed:
        changed = False
        if right + 1 < len(edges) and edges[right + 1] - edges[left] <= budget:
            right, changed = right + 1, True
        if left > 0 and edges[right] - edges[left - 1] <= budget:
            left, changed = left - 1, True
    return int(edges[left]), int(edges[right])


def _extract(full: TokenizedPrompt, members: list[int], first: int, last: int) -> Prompt:
    """Return some of the phrases with the part of the caption that a token range covers."""
    prompt, offsets = full.prompt, full.offsets
    extents = [prompt.phrases[index].extent for index in members]
    # Phrases may begin or end with characters that no token has.
    start = min(int(offsets[first, 0]), *(begin for begin, _ in extents))
    end = max(int(offsets[last - 1, 1]), *(end for _, end in extents))
    phrases = tuple(prompt.phrases[index].shifted(-start) for index in members)
    return Prompt(prompt.caption[start:end], phrases, prompt.is_class_list)
