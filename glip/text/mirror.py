"""What a text says of the left and of the right, told of the mirrored picture."""

from __future__ import annotations

import re
from collections.abc import Sequence

_PAIRS = {"left": "right", "Left": "Right", "LEFT": "RIGHT"}
_OTHER = _PAIRS | {right: left for left, right in _PAIRS.items()}
#: These as words, and as what begins a few longer ones. An underscore separates words, as in class
#: names.
_SIDE = re.compile(
    rf"(?<![^\W_])({'|'.join(_OTHER)})(?=(?i:most|hand|handed|side|ward|wards)?(?![^\W_]))"
)


def mirror_text(text: str) -> str:
    """Swap left and right in a text.

    Every such word is swapped, also where it means no side ("there is one left", "right behind"):
    what a word means is not looked at.

    Args:
        text: any text.

    Returns:
        the same with ``left`` for ``right`` and ``right`` for ``left``, in lower case, in capitals
        or with a capital at the beginning, as each was; done twice it is the text again.
    """
    return _SIDE.sub(lambda found: _OTHER[found[0]], text)


def mirror_caption(
    caption: str, tokens_positive: Sequence[Sequence[Sequence[int]]]
) -> tuple[str, list[list[list[int]]]]:
    """Swap left and right in a caption, and move the spans of its phrases along.

    Args:
        caption: the caption.
        tokens_positive: for each phrase its ranges of characters, ``[[start, end], ...]``.

    Returns:
        The new caption and ranges: each range holds the mirrored text of what it held. A range that
        begins or ends within a swapped word holds the whole word then.
    """
    words = [(*found.span(), len(_OTHER[found[0]])) for found in _SIDE.finditer(caption)]
    moved = [
        [[_move(start, words), _move(end, words, is_end=True)] for start, end in ranges]
        for ranges in tokens_positive
    ]
    return mirror_text(caption), moved


def _move(position: int, words: Sequence[tuple[int, int, int]], *, is_end: bool = False) -> int:
    """Return where a position of the old text is in the new one.

    Args:
        position: of a character.
        words: of each swapped word the start, the end and the new length, in their order.
        is_end: the position ends a range; within a word it moves to the word's end, not its start.
    """
    shift = 0
    for start, end, length in words:
        if position <= start:
            break
        if position < end:
            return start + shift + (length if is_end else 0)
        shift += length - (end - start)
    return position + shift
