"""Captions below images: nothing that has a box is lost, and colours are the boxes'."""

from unittest import mock

import numpy as np
import pytest

from glip.text import Prompt, load_vocabulary
from glip.visualization import label_color
from glip.visualization.captions import (
    Line,
    Word,
    draw_caption,
    draw_text,
    find_marks,
    join,
    shorten,
    wrap,
)
from glip.visualization.draw import ELLIPSIS, load_font

LVIS = Prompt.from_class_names(load_vocabulary("lvis"))
NESTED = Prompt.from_spans("a dog on a red sofa", [[[2, 5]], [[0, 19]], [[9, 14]], [[11, 19]]])


def text_of(words):
    return " ".join(word.text for word in words)


def colors_of(image):
    return {tuple(pixel) for pixel in np.unique(image.reshape(-1, 3), axis=0).tolist()}


@pytest.mark.parametrize("labels", [[0], [7, 600], [1202], list(range(0, 1203, 10))])
def test_long_captions_keep_phrases_with_boxes(labels):
    words = shorten(LVIS, labels, 500)
    kept = {word.start for word in words} - {None}
    for label in labels:
        for start, end in LVIS.phrases[label].spans:
            first = {start, *(at + 1 for at in range(start, end) if LVIS.caption[at] == " ")}
            assert first <= kept
    text = text_of(words)
    assert f"{ELLIPSIS} {ELLIPSIS}" not in text
    if len(labels) < 3:
        assert 400 < len(text) < 520
        names = [name.strip() for name in text.replace(ELLIPSIS, "").split(".")]
        whole = {LVIS.caption[slice(*phrase.spans[0])] for phrase in LVIS.phrases}
        assert set(names) - {""} <= whole  # no name is cut in two


def test_long_sentence():
    caption = "word " * 100 + "a red dog " + "word " * 100
    words = shorten(Prompt.from_spans(caption, [[[500, 509]]]), [0], 60)
    assert text_of(words).startswith("word")
    assert "word a red dog word" in text_of(words)
    assert len(text_of(words)) < 70


def test_long_words_take_linear_time():
    """A word of 100,000 letters took the square of that."""
    font = mock.Mock(getlength=mock.Mock(side_effect=lambda text: 7.0 * len(text)))
    text = "a" * 100_000
    lines = wrap([Word(text, 0)], 600, font)
    assert "".join(line.text for line in lines) == text
    assert {len(line.text) for line in lines[:-1]} == {85}
    measured = sum(len(call.args[0]) for call in font.getlength.call_args_list)
    assert measured < 30 * len(text)


def test_many_phrases_of_a_long_caption():
    """The distances of words and phrases were a matrix."""
    caption = "a red star " * 10_000
    spans = [[[11 * at + 2, 11 * at + 10]] for at in range(10_000)]
    words = shorten(Prompt.from_spans(caption, spans), list(range(0, 10_000, 10)), 500)
    assert sum(word.text == "star" for word in words) >= 1000


def test_short_caption_stays():
    words = shorten(NESTED, [], 500)
    assert words == [
        Word("a", 0),
        Word("dog", 2),
        Word("on", 6),
        Word("a", 9),
        Word("red", 11),
        Word("sofa", 15),
    ]


def test_blank_name():
    prompt = Prompt.from_class_names(["  ", "rook"] * 60, allow_blank=True)
    assert "rook" in text_of(shorten(prompt, [0, 1], 30))
    assert draw_caption(prompt, [0, 1], 300, 12).shape[1] == 300


def test_phrases_that_share_characters_lie_on_different_levels():
    marks = find_marks(NESTED, [0, 1, 2, 3])
    assert [(len(mark.positions), mark.level) for mark in marks] == [
        (3, 0),
        (5, 0),
        (8, 1),
        (19, 2),
    ]
    assert [mark.color for mark in marks] == [label_color(label) for label in (0, 2, 3, 1)]
    assert len(find_marks(NESTED, [])) == 0


def test_colors():
    both = {label_color(0), label_color(1)}
    assert both <= colors_of(draw_caption(NESTED, [0, 1], 300, 14))
    assert both & colors_of(draw_caption(NESTED, [1], 300, 14)) == {label_color(1)}
    assert not both & colors_of(draw_caption(NESTED, [], 300, 14))
    # a label that is no phrase's changes nothing
    assert np.array_equal(
        draw_caption(NESTED, [0, 4, -1], 300, 14), draw_caption(NESTED, [0], 300, 14)
    )


def test_mark_covers_its_words():
    """The mark is as wide as its words and the space between them, on each line."""
    prompt = Prompt.from_whole_caption("red car")
    image = draw_caption(prompt, [0], 300, 20)
    marked = (image == np.array(label_color(0))).all(axis=2)
    columns = np.nonzero(marked)[1]
    width = load_font(20).getlength("red car")
    assert abs(columns.max() - columns.min() - width) <= 2
    assert marked[:, columns.min() : columns.max() + 1].any(axis=0).all()
    narrow = draw_caption(prompt, [0], 60, 20)
    marked = (narrow == np.array(label_color(0))).all(axis=2)
    assert np.count_nonzero(np.diff(marked.any(axis=1).astype(int)) == 1) == 2  # two lines


def test_wrap():
    font = load_font(12)
    words = [Word("ab", 3), Word("cd", 6), Word(ELLIPSIS, None), Word("ef", 20)]
    assert wrap(words, 500, font) == [
        Line(f"ab cd {ELLIPSIS} ef", (3, 4, 5, 6, 7, None, None, None, 20, 21))
    ]
    assert [line.text for line in wrap(words, 20, font)] == ["ab", "cd", ELLIPSIS, "ef"]


@pytest.mark.parametrize("width", [1, 10, 55, 200])
def test_words_wider_than_a_line_are_broken(width):
    font = load_font(12)
    lines = wrap([Word("x" * 50, 10)], width, font)
    assert "".join(line.text for line in lines) == "x" * 50
    assert [place for line in lines for place in line.positions] == list(range(10, 60))
    assert all(font.getlength(line.text) <= width or len(line.text) == 1 for line in lines)
    assert len(lines) < 50 or width <= 10


def test_text():
    image = draw_text("some words " * 10, 200, 13)
    assert image.shape[1:] == (200, 3)
    assert image.shape[0] > draw_text("some", 200, 13).shape[0]
    assert (image[:, 0] == 255).all()
    assert draw_text("", 50, 13).shape[1] == 50


def test_join():
    low, wide = np.zeros((2, 3, 3), np.uint8), np.full((1, 5, 3), 7, np.uint8)
    below = join([low, wide], axis=0, gap=2)
    assert below.shape == (5, 5, 3)
    assert (below[:2, :3] == 0).all()
    assert (below[:2, 3:] == 255).all()
    assert (below[2:4] == 255).all()
    assert (below[4] == 7).all()
    assert np.array_equal(
        join([low, wide], axis=1)[:, :, 0], [[0] * 3 + [7] * 5, [0] * 3 + [255] * 5]
    )
