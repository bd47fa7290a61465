"""Several captions in one prompt; the phrases of one of them follow."""

from __future__ import annotations

from collections.abc import Sequence


def join_captions(
    captions: Sequence[str], own: int, tokens_positive: Sequence[Sequence[Sequence[int]]]
) -> tuple[str, list[list[list[int]]]]:
    """Put captions one after another, and move the spans of one's phrases along.

    Every caption ends with a point, its own or one that is added, and a space follows.

    Args:
        captions: the captions, in their order.
        own: the position among them of the one that has phrases; it is kept to the letter.
        tokens_positive: for each of its phrases the ranges of characters in it,
            ``[[start, end], ...]``.

    Returns:
        The text and the ranges in it: each holds what it held.
    """
    text, start = "", 0
    for at, caption in enumerate(captions):
        text += " " if at else ""
        start = len(text) if at == own else start
        text += ended(caption)
    moved = [[[first + start, last + start] for first, last in each] for each in tokens_positive]
    return text, moved


def ended(caption: str) -> str:
    """A caption with a point at its end."""
    return caption if caption.endswith(".") else caption + "."
