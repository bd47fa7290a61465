"""Cutting a prompt that is too long for the language encoder into several.

Nothing is ever left out: every phrase is in exactly one piece, whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .prompt import Phrase, Prompt, PromptError, Span
from .tokens import TokenizedPrompt, cover, tokenize

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
        pieces in the order of the phrases; one if all fits.

    Raises:
        PromptError: one phrase alone is longer than ``max_tokens``.
    """
    whole = tokenize(prompt, tokenizer)
    count = len(prompt.phrases)
    if chunked_size > 0 and prompt.divisible:
        groups = [
            list(range(i, min(i + chunked_size, count))) for i in range(0, count, chunked_size)
        ]
    else:
        groups = [list(range(count))]
    if len(groups) == 1 and whole.num_tokens <= max_tokens:
        return [PromptChunk(whole, np.arange(count))]
    parts = [part for group in groups for part in _fit(group, whole, max_tokens)]
    starts = [_hull(prompt, part)[0] for part in parts]
    chunks = []
    for index, part in enumerate(parts):
        # A sentence keeps the words around its phrases, as far as they fit; a list has none.
        wide = (starts[index] if index else 0, (*starts, len(prompt.caption))[index + 1])
        ranges = [_hull(prompt, part)] if prompt.divisible else [wide, _hull(prompt, part)]
        for span in ranges:
            tokens = tokenize(_extract(prompt, part, span), tokenizer)
            if tokens.num_tokens <= max_tokens:
                break
        else:
            raise PromptError(_too_long(prompt.phrases[part[0]], tokens.num_tokens, max_tokens))
        chunks.append(PromptChunk(tokens, np.asarray(part)))
    return chunks


def _fit(group: list[int], whole: TokenizedPrompt, max_tokens: int) -> list[list[int]]:
    """Split a group of phrases, greedily, so that the tokens of each part fit."""
    phrases = whole.prompt.phrases
    extents = {index: _token_range(whole, phrases[index].extent) for index in group}
    budget = max_tokens - 2  # [CLS] and [SEP]
    parts: list[list[int]] = []
    first = last = 0
    for index in sorted(group, key=extents.__getitem__):
        begin, end = extents[index]
        if end - begin > budget:
            raise PromptError(_too_long(phrases[index], end - begin + 2, max_tokens))
        if parts and max(last, end) - first <= budget:
            parts[-1].append(index)
            last = max(last, end)
        else:
            parts.append([index])
            first, last = begin, end
    return [sorted(part) for part in parts]


def _token_range(tokens: TokenizedPrompt, span: Span) -> tuple[int, int]:
    """First token, and one past the last, that share a character with ``span``."""
    columns = np.flatnonzero(cover([span], tokens.offsets))
    return int(columns[0]), int(columns[-1]) + 1


def _hull(prompt: Prompt, part: list[int]) -> Span:
    """From the first to the last character of some phrases."""
    extents = [prompt.phrases[index].extent for index in part]
    return min(start for start, _ in extents), max(end for _, end in extents)


def _extract(prompt: Prompt, part: list[int], span: Span) -> Prompt:
    """A piece of the caption with some of the phrases."""
    start, end = span
    end = max(end, _hull(prompt, part)[1])  # phrases may overlap the next part's
    moved = tuple(prompt.phrases[index].moved(start) for index in part)
    return Prompt(prompt.caption[start:end], moved, prompt.divisible)


def _too_long(phrase: Phrase, tokens: int, max_tokens: int) -> str:
    return (
        f"the phrase {phrase.name[:60]!r} alone takes {tokens} tokens with its markers, and the "
        f"language encoder reads {max_tokens}: shorten it"
    )
