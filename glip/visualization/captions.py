"""Draw captions whose phrases have the colours of their boxes, to go below an image.

Images are RGB, uint8 (H, W, 3). A *position* is the index of a character in the caption, None for a
character that is not in the caption.
"""

from __future__ import annotations

import bisect
import itertools
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from glip.text import Prompt
from glip.visualization.draw import ELLIPSIS
from glip.visualization.fonts import TextFont, load_font
from glip.visualization.palette import RGB, WHITE, label_color, text_color

#: Longer captions are shortened to this many characters, about ten lines.
MAX_CHARACTERS = 700

_PHRASE: RGB = (25, 25, 25)
_OTHER: RGB = (130, 130, 130)  # words of no phrase


@dataclass(frozen=True)
class Word:
    """Text without spaces, and the position of its first character."""

    text: str
    start: int | None

    @property
    def positions(self) -> tuple[int | None, ...]:
        """The position of each character."""
        if self.start is None:
            return (None,) * len(self.text)
        return tuple(range(self.start, self.start + len(self.text)))


@dataclass(frozen=True)
class Line:
    """A line of text, and the position of each of its characters."""

    text: str
    positions: tuple[int | None, ...]


@dataclass(frozen=True)
class Mark:
    """How a phrase is marked.

    Attributes:
        positions: of its characters.
        color: of the mark.
        level: 0 is a background of the text; others are bars below it, counted downwards.
    """

    positions: frozenset[int]
    color: RGB
    level: int


def draw_caption(
    prompt: Prompt,
    labels: Collection[int],
    width: int,
    font_size: int,
    *,
    font: str | None = None,
    max_characters: int = MAX_CHARACTERS,
) -> np.ndarray:
    """Draw the caption of a prompt on white, wrapped.

    The phrases of ``labels`` have the background colours of their labels, like the tags of their
    boxes; if phrases share characters, the longer ones are underlined instead. Other phrases are
    black, and words outside phrases gray. A long caption is shortened, see :func:`shorten`.

    Args:
        prompt: the prompt.
        labels: of the phrases that have boxes; labels without a phrase are ignored.
        width: of the image in pixels.
        font_size: in pixels.
        font: font file to use first, see :func:`glip.visualization.fonts.load_font`.
        max_characters: how many characters to show.

    Returns:
        The image, ``width`` wide and as high as needed.
    """
    marked = sorted({label for label in labels if 0 <= label < len(prompt.phrases)})
    marks = find_marks(prompt, marked)
    text_colors = {
        position: _PHRASE
        for label in range(len(prompt.phrases))
        for position in _positions(prompt, label)
    }
    for mark in marks:
        if mark.level == 0:
            text_colors.update(dict.fromkeys(mark.positions, text_color(mark.color)))
    words = shorten(prompt, marked, max_characters)
    return _paint(words, width, load_font(font_size, font), text_colors, marks)


def draw_text(text: str, width: int, font_size: int, font: str | None = None) -> np.ndarray:
    """Draw gray text on white, wrapped.

    Args:
        text: the text.
        width: of the image in pixels.
        font_size: in pixels.
        font: font file to use first.

    Returns:
        The image, ``width`` wide and as high as needed.
    """
    return _paint(_words(text), width, load_font(font_size, font), {}, [])


def join(images: Sequence[np.ndarray], axis: int, gap: int = 0) -> np.ndarray:
    """Concatenate images of any sizes on white, aligned at the left or the top.

    Args:
        images: one or more.
        axis: 0 for vertical, 1 for horizontal concatenation.
        gap: pixels between the images.
    """
    across = max(image.shape[1 - axis] for image in images)
    parts = []
    for number, image in enumerate(images):
        margins = [(0, 0), (0, 0), (0, 0)]
        margins[axis] = (gap if number else 0, 0)
        margins[1 - axis] = (0, across - image.shape[1 - axis])
        parts.append(np.pad(image, margins, constant_values=255))
    return np.concatenate(parts, axis=axis)


def find_marks(prompt: Prompt, labels: Collection[int]) -> list[Mark]:
    """Return the marks of phrases: shorter phrases first, each at the lowest level that is free."""
    taken: list[frozenset[int]] = []
    marks = []
    for label in sorted(labels, key=lambda label: len(_positions(prompt, label))):
        positions = _positions(prompt, label)
        level = next((at for at, others in enumerate(taken) if not others & positions), len(taken))
        taken[level : level + 1] = [positions.union(*taken[level : level + 1])]
        marks.append(Mark(positions, label_color(label), level))
    return marks


def shorten(prompt: Prompt, labels: Sequence[int], max_characters: int) -> list[Word]:
    """Return the words of a caption, with an ellipsis for each part omitted from a long one.

    The phrases of ``labels`` are kept, however long they are. Of the other words, those nearest to
    these phrases or to the beginning are kept; class names are kept or omitted as a unit.

    Args:
        prompt: the prompt.
        labels: of the phrases to keep.
        max_characters: the maximum length, unless the phrases to keep are longer.
    """
    words = _words(prompt.caption)
    if len(prompt.caption) <= max_characters:
        return words
    groups = [[word] for word in words]
    if prompt.is_class_list:
        edges = sorted(phrase.extent[0] for phrase in prompt.phrases)
        by_name = itertools.groupby(words, key=lambda word: bisect.bisect(edges, word.start or 0))
        groups = [list(group) for _, group in by_name]
    required = frozenset().union(*(_positions(prompt, label) for label in labels))
    is_required = [any(required.intersection(word.positions) for word in group) for group in groups]
    anchors = np.flatnonzero([True, *is_required[1:]])
    at_all = np.arange(len(groups))
    after = np.searchsorted(anchors, at_all).clip(max=len(anchors) - 1)
    distance = np.abs(at_all - anchors[[after, (after - 1).clip(0)]]).min(axis=0)
    kept: set[int] = set()
    used = 0
    for at in sorted(range(len(groups)), key=lambda at: (not is_required[at], distance[at])):
        used += sum(len(word.text) + 1 for word in groups[at])
        if not is_required[at] and used > max_characters:
            break
        kept.add(at)
    shown: list[Word] = []
    for at, group in enumerate(groups):
        if at in kept:
            shown += group
        elif not shown or shown[-1].start is not None:
            shown.append(Word(ELLIPSIS, None))
    return shown


def wrap(words: Sequence[Word], width: int, font: TextFont) -> list[Line]:
    """Wrap words into lines.

    Args:
        words: in order.
        width: of a line in pixels; wider words are broken.
        font: of the text.
    """
    lines: list[Line] = []
    for word in itertools.chain.from_iterable(_break(word, width, font) for word in words):
        last = lines[-1] if lines else None
        if last is None or font.getlength(f"{last.text} {word.text}") > width:
            lines.append(Line(word.text, word.positions))
            continue
        # A space within a phrase is marked as well.
        before = last.positions[-1]
        space = None if before is None or word.start is None else before + 1
        lines[-1] = Line(f"{last.text} {word.text}", (*last.positions, space, *word.positions))
    return lines


def _positions(prompt: Prompt, label: int) -> frozenset[int]:
    """Return the positions of the characters of a phrase."""
    return frozenset(
        position for start, end in prompt.phrases[label].spans for position in range(start, end)
    )


def _words(text: str) -> list[Word]:
    return [Word(found.group(), found.start()) for found in re.finditer(r"\S+", text)]


def _break(word: Word, width: int, font: TextFont) -> Iterator[Word]:
    """Split a word into parts of at most a line's width and at least one character."""
    text, start = word.text, word.start
    while True:
        # Measuring the whole rest for each line would take the square of its length.
        end = 64
        while end < len(text) and font.getlength(text[:end]) <= width:
            end *= 2
        if len(text) <= 1 or font.getlength(text[:end]) <= width:
            yield Word(text, start)
            return
        size = bisect.bisect_right(
            range(1, min(end, len(text))),
            float(width),
            key=lambda size: font.getlength(text[:size]),
        )
        yield Word(text[: max(size, 1)], start)
        text, start = text[max(size, 1) :], None if start is None else start + max(size, 1)


def _paint(
    words: Sequence[Word],
    width: int,
    font: TextFont,
    text_colors: Mapping[int, RGB],
    marks: Sequence[Mark],
) -> np.ndarray:
    """Draw words in the colours that ``text_colors`` maps their positions to, and marks."""
    font_size = font.size
    side, edge = round(0.5 * font_size), round(0.2 * font_size)
    high, bar = font_size + 2 * edge, max(2, round(0.15 * font_size))
    step = high + max((mark.level for mark in marks), default=0) * (bar + 1) + edge
    lines = wrap(words, max(width - 2 * side, 1), font)
    canvas = Image.new("RGB", (width, len(lines) * step + edge), WHITE)
    pen = ImageDraw.Draw(canvas)
    for number, line in enumerate(lines):
        top = edge + number * step
        # The ascent of DejaVu Sans is 0.76 em.
        baseline = top + edge + round(0.76 * font_size)
        edges = [side + font.getlength(line.text[:at]) for at in range(len(line.text) + 1)]
        for mark in marks:
            y = top + high + (mark.level - 1) * (bar + 1) + 1 if mark.level else top
            y_end = y + (bar if mark.level else high) - 1
            for inside, first, last in _runs(
                [position in mark.positions for position in line.positions]
            ):
                if inside:
                    rect = (edges[first] - 1, y, edges[last], y_end)
                    pen.rectangle(rect, fill=mark.color)
        for color, first, last in _runs(
            [
                _OTHER if position is None else text_colors.get(position, _OTHER)
                for position in line.positions
            ]
        ):
            text = line.text[first:last]
            font.draw(pen, (edges[first], baseline), text, color)
    return np.array(canvas)


def _runs(values: Sequence) -> Iterator[tuple]:
    """Yield each run of equal values as (value, start, end)."""
    end = 0
    for value, group in itertools.groupby(values):
        start, end = end, end + len(list(group))
        yield value, start, end
