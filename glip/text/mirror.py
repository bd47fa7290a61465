"""Swap "left" and "right" in a text, for the horizontally flipped image."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

_PAIRS = {"left": "right", "Left": "Right", "LEFT": "RIGHT"}
_OTHER = _PAIRS | {right: left for left, right in _PAIRS.items()}
#: The two words, and a few longer ones that begin with them ("leftmost"). An underscore separates
#: words, as in class names.
_SIDE = re.compile(
    rf"(?<![^\W_])({'|'.join(_OTHER)})(?=(?i:most|hand|handed|side|ward|wards)?(?![^\W_]))"
)


def mirror_text(text: str) -> str:
    """Swap left and right in a text.

    Every such word is swapped, also where it means no side ("there is one left", "right behind"),
    since the meaning of a word is not analysed.

    Args:
        text: any text.

    Returns:
        The text with ``left`` and ``right`` swapped and the case of each word kept. Applied twice,
        it returns the original text.
    """
    return _SIDE.sub(lambda found: _OTHER[found[0]], text)


def mirror_caption(
    caption: str, tokens_positive: Sequence[Sequence[Sequence[int]]]
) -> tuple[str, list[list[list[int]]]]:
    """Swap left and right in a caption, and adjust the character spans of its phrases.

    Args:
        caption: the caption.
        tokens_positive: for each phrase its character spans, ``[[start, end], ...]``.

    Returns:
        The new caption and spans. Each span holds the swapped form of its former text; one that
        began or ended within a swapped word now includes all of that word.
    """
    words = _SwappedWords(caption)
    moved = [
        [[words.move(start), words.move(end, is_end=True)] for start, end in ranges]
        for ranges in tokens_positive
    ]
    return mirror_text(caption), moved


class _SwappedWords:
    """The swapped words of a caption, and where they move its characters.

    Args:
        caption: the caption before the swap.
    """

    def __init__(self, caption: str) -> None:
        found = list(_SIDE.finditer(caption))
        self._starts = [word.start() for word in found]
        self._ends = [word.end() for word in found]
        growth = [len(_OTHER[word[0]]) - len(word[0]) for word in found]
        self._shifts = [0, *accumulate(growth)]  # before each word, and after the last

    def move(self, position: int, *, is_end: bool = False) -> int:
        """Return the position in the new text of a position in the old one.

        Args:
            position: index of a character.
            is_end: the position ends a span; within a word it moves to the word's end, not its
                start.
        """
        number = bisect_left(self._starts, position)  # words that start before the position
        if number and position < self._ends[number - 1]:
            last = number - 1
            if is_end:
                return self._ends[last] + self._shifts[number]
            return self._starts[last] + self._shifts[last]
        return position + self._shifts[number]
