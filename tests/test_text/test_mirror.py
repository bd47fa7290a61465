"""Left and right change places, and every phrase still holds its words."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glip.text import Prompt
from glip.text.mirror import mirror_caption, mirror_text


@pytest.mark.parametrize(
    ("text", "mirrored"),
    [
        ("", ""),
        ("a dog", "a dog"),
        ("left", "right"),
        ("man on the left, dog on the right", "man on the right, dog on the left"),
        ("Left. RIGHT! Right?", "Right. LEFT! Left?"),
        ("the leftmost cup in her right-hand", "the rightmost cup in her left-hand"),
        ("a left-handed man, righthand side", "a right-handed man, lefthand side"),
        ("left_shoe. right_shoe", "right_shoe. left_shoe"),
        ("his left's", "his right's"),
        ("a bright leftover, an upright copyright", "a bright leftover, an upright copyright"),
        ("rightful lefty cleft", "rightful lefty cleft"),
        ("links, gauche, слева left", "links, gauche, слева right"),
        ("left2 aleft", "left2 aleft"),
        ("lEFT r\u0131ght", "lEFT r\u0131ght"),
    ],
)
def test_texts(text, mirrored):
    assert mirror_text(text) == mirrored


def test_spans_by_hand():
    caption = "left dog, a cat on the right and a right-hand mug left"
    phrases = ["left dog", "a cat", "the right", "a right-hand mug", "left"]
    starts = [0, 10, 19, 33, 50]
    spans = [[[at, at + len(each)]] for at, each in zip(starts, phrases, strict=True)]
    mirrored, moved = mirror_caption(caption, spans)
    assert mirrored == "right dog, a cat on the left and a left-hand mug right"
    assert [mirrored[each[0][0] : each[0][1]] for each in moved] == [
        "right dog",
        "a cat",
        "the left",
        "a left-hand mug",
        "right",
    ]
    assert Prompt.from_spans(mirrored, moved).names == [
        "right dog",
        "a cat",
        "the left",
        "a left-hand mug",
        "right",
    ]


@pytest.mark.parametrize(
    ("span", "words"),
    [([2, 6], "a right"), ([2, 5], "a right"), ([5, 12], "right dog"), ([5, 6], "right")],
)
def test_a_span_that_cuts_a_word_gets_it_whole(span, words):
    mirrored, moved = mirror_caption("  a left dog  ", [[span]])
    assert mirrored[slice(*moved[0][0])] == words


WORDS = st.sampled_from(
    ["left", "right", "Left", "Right", "LEFT", "RIGHT", "leftmost", "dog", "bright", "Ünder", "a"]
)
SPACES = st.sampled_from([" ", ", ", "-", "_", " . "])


@st.composite
def captions(draw):
    """A caption and the spans of its words."""
    caption, spans = draw(st.sampled_from(["", " "])), []
    for word in draw(st.lists(WORDS, min_size=1, max_size=9)):
        spans.append([len(caption), len(caption) + len(word)])
        caption += word + draw(SPACES)
    return caption, spans


@given(captions(), st.data())
def test_spans_hold_the_mirrored_words(made, data):
    caption, words = made
    # Phrases of one or two ranges, from the beginning of a word to the end of one.
    ranges = st.tuples(st.sampled_from(words), st.sampled_from(words)).map(
        lambda pair: [min(pair)[0], max(pair)[1]]
    )
    phrases = data.draw(st.lists(st.lists(ranges, min_size=1, max_size=2), max_size=4))
    mirrored, moved = mirror_caption(caption, phrases)
    assert mirrored == mirror_text(caption)
    for before, after in zip(phrases, moved, strict=True):
        for (start, end), (new_start, new_end) in zip(before, after, strict=True):
            assert mirrored[new_start:new_end] == mirror_text(caption[start:end])
    assert mirror_caption(mirrored, moved) == (caption, phrases)


@given(captions(), st.data())
def test_any_span_stays_a_span(made, data):
    """Also one that begins and ends within words; nothing of it is lost."""
    caption, _ = made
    start = data.draw(st.integers(0, len(caption) - 1))
    end = data.draw(st.integers(start + 1, len(caption)))
    mirrored, moved = mirror_caption(caption, [[[start, end]]])
    assert 0 <= moved[0][0][0] < moved[0][0][1] <= len(mirrored)
    back = mirror_caption(mirrored, moved)[1][0][0]
    assert back[0] <= start < end <= back[1]


@given(st.text(alphabet="leftrighLEFTRIGHmos .-_", max_size=40))
def test_twice_is_nothing(text):
    assert mirror_text(mirror_text(text)) == text


@given(st.text(max_size=30))
def test_any_text(text):
    """Nothing but the words themselves changes."""
    blank = re.compile(r"left|right", re.IGNORECASE)
    assert blank.sub("?", mirror_text(text)) == blank.sub("?", text)
