"""Join several captions into one prompt, with the phrases of one of them."""

from __future__ import annotations

from collections.abc import Sequence


def join_captions(
    captions: Sequence[str], own: int, tokens_positive: Sequence[Sequence[Sequence[int]]]
) -> tuple[str, list[list[list[int]]]]:
    """Concatenate captions, and shift the character spans of one caption's phrases.

    Every caption ends with a period, which is added where it is missing. A space separates them.

    Args:
        captions: the captions in order.
        own: index of the caption that has phrases. It is in the result unchanged.
        tokens_positive: for each of its phrases the character spans in it, ``[[start, end], ...]``.

    Returns:
        The joined text and the spans in it, which hold the same characters as before.
    """
    text, start = "", 0
    for index, caption in enumerate(captions):
        text += " " if index else ""
        start = len(text) if index == own else start
        text += with_period(caption)
    shifted = [[[first + start, last + start] for first, last in each] for each in tokens_positive]
    return text, shifted


def with_period(caption: str) -> str:
    """Return a caption with a period at its end."""
    return caption if caption.endswith(".") else caption + "."
