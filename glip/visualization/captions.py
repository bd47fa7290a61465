"""Text below pictures: captions whose phrases have the colours of their boxes.

Pictures are RGB, uint8 (H, W, 3). A *place* is the number of a character in the caption; what is
not in the caption has the place None.
"""

from __future__ import annotations

import bisect
import itertools
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from glip.text import Prompt
from glip.visualization.draw import ELLIPSIS, load_font
from glip.visualization.palette import RGB, WHITE, label_color, text_color

#: Longer captions are shortened to so many characters, some ten lines.
MAX_CHARACTERS = 700

_PHRASE: RGB = (25, 25, 25)
_OTHER: RGB = (130, 130, 130)  # words of no phrase


@dataclass(frozen=True)
class Word:
    """Text without spaces, and the place of its first character."""

    text: str
    start: int | None

    @property
    def places(self) -> tuple[int | None, ...]:
        """The place of each character."""
        if self.start is None:
            return (None,) * len(self.text)
        return tuple(range(self.start, self.start + len(self.text)))


@dataclass(frozen=True)
class Line:
    """A line of text, and the place of each of its characters."""

    text: str
    places: tuple[int | None, ...]


@dataclass(frozen=True)
class Mark:
    """How a phrase is marked.

    Attributes:
        places: its characters.
        color: of the mark.
        level: 0 lies behind the text, the others are bars below it, from the top.
    """

    places: frozenset[int]
    color: RGB
    level: int


def draw_caption(
    prompt: Prompt,
    labels: Collection[int],
    width: int,
    font_size: int,
    *,
    max_characters: int = MAX_CHARACTERS,
) -> np.ndarray:
    """Draws the caption of a prompt, wrapped, on white.

    The phrases of ``labels`` lie on the colours of their labels, as the tags of their boxes do;
    where several share characters the longer ones are underlined. Other phrases are black, and
    words of no phrase gray. A long caption is shortened, see :func:`shorten`.

    Args:
        prompt: the prompt.
        labels: of the phrases that have boxes; one that is no phrase's is left out.
        width: of the picture in pixels.
        font_size: in pixels.
        max_characters: how many characters to show.

    Returns:
        The picture, ``width`` wide and as high as it takes.
    """
    marked = sorted({label for label in labels if 0 <= label < len(prompt.phrases)})
    marks = find_marks(prompt, marked)
    ink = {place: _PHRASE for label in range(len(prompt.phrases)) for place in _of(prompt, label)}
    for mark in marks:
        if mark.level == 0:
            ink.update(dict.fromkeys(mark.places, text_color(mark.color)))
    words = shorten(prompt, marked, max_characters)
    return _paint(words, width, font_size, ink, marks)


def draw_text(text: str, width: int, font_size: int) -> np.ndarray:
    """Draws gray text, wrapped, on white.

    Args:
        text: to draw.
        width: of the picture in pixels.
        font_size: in pixels.

    Returns:
        The picture, ``width`` wide and as high as it takes.
    """
    return _paint(_words(text), width, font_size, {}, [])


def join(pictures: Sequence[np.ndarray], axis: int, gap: int = 0) -> np.ndarray:
    """Puts pictures together on white; they begin at the same edge.

    Args:
        pictures: one or more, of any sizes.
        axis: 0 for one below the other, 1 for one beside the other.
        gap: pixels between them.
    """
    across = max(picture.shape[1 - axis] for picture in pictures)
    parts = []
    for number, picture in enumerate(pictures):
        margins = [(0, 0), (0, 0), (0, 0)]
        margins[axis] = (gap if number else 0, 0)
        margins[1 - axis] = (0, across - picture.shape[1 - axis])
        parts.append(np.pad(picture, margins, constant_values=255))
    return np.concatenate(parts, axis=axis)


def find_marks(prompt: Prompt, labels: Collection[int]) -> list[Mark]:
    """Marks phrases; those of one level share no characters, and the shortest choose first."""
    taken: list[frozenset[int]] = []
    marks = []
    for label in sorted(labels, key=lambda label: len(_of(prompt, label))):
        places = _of(prompt, label)
        level = next((at for at, others in enumerate(taken) if not others & places), len(taken))
        taken[level : level + 1] = [places.union(*taken[level : level + 1])]
        marks.append(Mark(places, label_color(label), level))
    return marks


def shorten(prompt: Prompt, labels: Sequence[int], max_characters: int) -> list[Word]:
    """Leaves words of a long caption out, an ellipsis in place of each gap.

    The phrases of ``labels`` stay, however long they are. Of the rest, what is nearest to them or
    to the beginning stays; of a list of names, whole names.

    Args:
        prompt: the prompt.
        labels: of the phrases that must stay.
        max_characters: how many characters there may be, unless more must stay.
    """
    words = _words(prompt.caption)
    if len(prompt.caption) <= max_characters:
        return words
    groups = [[word] for word in words]
    if prompt.is_class_list:
        edges = sorted(phrase.extent[0] for phrase in prompt.phrases)
        by_name = itertools.groupby(words, key=lambda word: bisect.bisect(edges, word.start))
        groups = [list(group) for _, group in by_name]
    wanted = frozenset().union(*(_of(prompt, label) for label in labels))
    needed = [any(wanted.intersection(word.places) for word in group) for group in groups]
    anchors = np.flatnonzero([True, *needed[1:]])
    distance = np.abs(np.arange(len(groups))[:, None] - anchors).min(axis=1)
    kept: set[int] = set()
    used = 0
    for at in sorted(range(len(groups)), key=lambda at: (not needed[at], distance[at])):
        used += sum(len(word.text) + 1 for word in groups[at])
        if not needed[at] and used > max_characters:
            break
        kept.add(at)
    shown: list[Word] = []
    for at, group in enumerate(groups):
        if at in kept:
            shown += group
        elif not shown or shown[-1].start is not None:
            shown.append(Word(ELLIPSIS, None))
    return shown


def wrap(words: Sequence[Word], width: int, font: ImageFont.FreeTypeFont) -> list[Line]:
    """Sets words into lines.

    Args:
        words: in their order.
        width: of a line in pixels; a word that is wider is broken.
        font: of the text.
    """
    lines: list[Line] = []
    for word in itertools.chain.from_iterable(_break(word, width, font) for word in words):
        last = lines[-1] if lines else None
        if last is None or font.getlength(f"{last.text} {word.text}") > width:
            lines.append(Line(word.text, word.places))
            continue
        # The space belongs to the phrase, if there is one, that goes on behind it.
        before = last.places[-1]
        space = None if before is None or word.start is None else before + 1
        lines[-1] = Line(f"{last.text} {word.text}", (*last.places, space, *word.places))
    return lines


def _of(prompt: Prompt, label: int) -> frozenset[int]:
    """The characters of a phrase."""
    return frozenset(
        place for start, end in prompt.phrases[label].spans for place in range(start, end)
    )


def _words(text: str) -> list[Word]:
    return [Word(found.group(), found.start()) for found in re.finditer(r"\S+", text)]


def _break(word: Word, width: int, font: ImageFont.FreeTypeFont) -> Iterator[Word]:
    """The word in pieces that are no wider than a line, each at least a character long."""
    text, start = word.text, word.start
    while font.getlength(text) > width and len(text) > 1:
        size = bisect.bisect_right(
            range(1, len(text)), width, key=lambda size: font.getlength(text[:size])
        )
        yield Word(text[: max(size, 1)], start)
        text, start = text[max(size, 1) :], None if start is None else start + max(size, 1)
    yield Word(text, start)


def _paint(
    words: Sequence[Word],
    width: int,
    font_size: int,
    ink: Mapping[int | None, RGB],
    marks: Sequence[Mark],
) -> np.ndarray:
    """Draws words, in the colours that ``ink`` has for their places, and marks."""
    font = load_font(font_size)
    side, edge = round(0.5 * font_size), round(0.2 * font_size)
    high, bar = font_size + 2 * edge, max(2, round(0.15 * font_size))
    step = high + max((mark.level for mark in marks), default=0) * (bar + 1) + edge
    lines = wrap(words, max(width - 2 * side, 1), font)
    canvas = Image.new("RGB", (width, len(lines) * step + edge), WHITE)
    pen = ImageDraw.Draw(canvas)
    for number, line in enumerate(lines):
        top = edge + number * step
        # DejaVu's letters rise 0.76 em above the baseline
        baseline = top + edge + round(0.76 * font_size)
        edges = [side + font.getlength(line.text[:at]) for at in range(len(line.text) + 1)]
        for mark in marks:
            y = top + high + (mark.level - 1) * (bar + 1) + 1 if mark.level else top
            y_end = y + (bar if mark.level else high) - 1
            for inside, first, last in _runs([place in mark.places for place in line.places]):
                if inside:
                    rect = (edges[first] - 1, y, edges[last], y_end)
                    pen.rectangle(rect, fill=mark.color)
        for color, first, last in _runs([ink.get(place, _OTHER) for place in line.places]):
            text = line.text[first:last]
            pen.text((edges[first], baseline), text, font=font, fill=color, anchor="ls")
    return np.array(canvas)


def _runs(values: Sequence) -> Iterator[tuple]:
    """Each run of equal values: the value, where the run begins, and where it ends."""
    end = 0
    for value, group in itertools.groupby(values):
        start, end = end, end + len(list(group))
        yield value, start, end
