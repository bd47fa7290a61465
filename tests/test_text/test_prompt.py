"""The four ways to ask, and what is wrong with a prompt."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glip.text import Phrase, Prompt
from glip.text.prompt import clean_name, split_class_text
from glip.utils.errors import PromptError
from tests.test_text.strategies import many, names


def texts(prompt):
    """The characters of each phrase."""
    return [[prompt.caption[start:end] for start, end in p.spans] for p in prompt.phrases]


# --- class names ----------------------------------------------------------------------------------


def test_official_caption_style():
    prompt = Prompt.from_class_names(["bench", "car"])
    assert prompt.caption == "bench. car"
    assert prompt.names == ["bench", "car"]
    assert [phrase.spans for phrase in prompt.phrases] == [((0, 5),), ((7, 10),)]
    assert prompt.is_class_list


def test_separator_of_the_official_demo():
    prompt = Prompt.from_class_names(["bench", "car"], separator=" . ")
    assert prompt.caption == "bench . car"
    assert texts(prompt) == [["bench"], ["car"]]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("traffic_light", "traffic light"),
        ("crab_(animal)", "crab"),
        ("bat (animal)", "bat"),
        ("(wild) boar", "boar"),
        ("a_(b)_c_(d)", "a c"),
        ("hot   dog", "hot dog"),
        ("  tv\t", "tv"),
        ("café", "café"),
        ("unclosed (paren", "unclosed (paren"),
        ("()", ""),
        ("_", ""),
    ],
)
def test_clean_name(name, words):
    assert clean_name(name) == words


def test_names_are_kept_as_they_are():
    prompt = Prompt.from_class_names(["crab_(animal)", "traffic_light"])
    assert prompt.names == ["crab_(animal)", "traffic_light"]
    assert prompt.caption == "crab. traffic light"
    assert texts(prompt) == [["crab"], ["traffic light"]]


def test_the_same_name_twice_gives_two_labels():
    prompt = Prompt.from_class_names(["car", "bench", "car"])
    assert prompt.names == ["car", "bench", "car"]
    assert [phrase.spans for phrase in prompt.phrases] == [((0, 3),), ((5, 10),), ((12, 15),)]


@many
@given(st.lists(names, min_size=1, max_size=10))
def test_the_span_of_a_name_holds_its_words(given_names):
    prompt = Prompt.from_class_names(given_names)
    assert prompt.names == given_names
    assert texts(prompt) == [[clean_name(name)] for name in given_names]
    assert prompt.caption == ". ".join(map(clean_name, given_names))


@pytest.mark.parametrize(
    ("given_names", "message"),
    [
        ([], "the prompt is empty"),
        ([""], "number 0 is empty"),
        (["bench", " "], r"number 1 is empty \(' '\)"),
        (["bench", "car", "(x)"], r"number 2 is empty \('\(x\)'\)"),
    ],
)
def test_empty_names(given_names, message):
    with pytest.raises(PromptError, match=message):
        Prompt.from_class_names(given_names)


def test_descriptions():
    prompt = Prompt.from_class_names(
        ["penguin", "puffin", "auk"],
        descriptions={
            "penguin": {"prefix": "a swimming ", "suffix": ", which is black and white"},
            "puffin": {"name": "puffin_bird", "suffix": ", with orange beaks"},
        },
    )
    assert prompt.caption == (
        "a swimming penguin, which is black and white. puffin bird, with orange beaks. auk"
    )
    assert prompt.names == ["penguin", "puffin", "auk"]
    assert texts(prompt) == [["penguin"], ["puffin bird"], ["auk"]]
    whole = [prompt.caption[slice(*phrase.extent)] for phrase in prompt.phrases]
    assert ". ".join(whole) == prompt.caption


# --- names in one text ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bench . car .", ["bench", "car"]),
        ("bench. car", ["bench", "car"]),
        ("bench", ["bench"]),
        ("bench.", ["bench"]),
        ("  bench  .\ncar\t. ", ["bench", "car"]),
        ("u.s. flag . car", ["u.s", "flag", "car"]),
        ("no.5 bus . car", ["no.5 bus", "car"]),
        ("bench . . car", ["bench", "car"]),
        ("bench ... car ..", ["bench", "car"]),
        ("...", []),
        (". . .", []),
        ("", []),
    ],
)
def test_split_class_text(text, expected):
    assert split_class_text(text) == expected


def test_from_class_text():
    assert Prompt.from_class_text("bench . car .") == Prompt.from_class_names(["bench", "car"])
    with pytest.raises(PromptError, match="the prompt is empty"):
        Prompt.from_class_text(" . ")


# --- given spans ----------------------------------------------------------------------------------

CAPTION = "a red car beside a bench"


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([[[2, 9]], [[19, 24]]], [["red car"], ["bench"]]),
        ([[2, 9], [19, 24]], [["red car"], ["bench"]]),  # without the outer brackets
        ([[[2, 5], [19, 24]]], [["red", "bench"]]),  # one phrase in two places
        ([[[2, 9]], [[6, 9]], [[0, 24]]], [["red car"], ["car"], [CAPTION]]),  # they overlap
        ([[[19, 24]], [[2, 9]]], [["bench"], ["red car"]]),  # in any order
        ([[[2, 9]], [[2, 9]]], [["red car"], ["red car"]]),
        (((2, 9), ((19, 24),)), [["red car"], ["bench"]]),
        ([np.array([2, 9]), np.array([[19, 24]])], [["red car"], ["bench"]]),
    ],
)
def test_spans(spans, expected):
    prompt = Prompt.from_spans(CAPTION, spans)
    assert texts(prompt) == expected
    assert prompt.names == [" ".join(parts) for parts in expected]
    assert prompt.caption == CAPTION
    assert not prompt.is_class_list


def test_spans_count_characters_not_bytes():
    caption = "🐕 und 狗 im Café"
    prompt = Prompt.from_spans(caption, [[0, 1], [6, 7], [11, 15]])
    assert prompt.names == ["🐕", "狗", "Café"]


def test_names_of_spans():
    prompt = Prompt.from_spans(CAPTION, [[2, 9], [19, 24]], names=["vehicle", "seat"])
    assert prompt.names == ["vehicle", "seat"]
    with pytest.raises(PromptError, match="a name for each of 2 spans, got 1"):
        Prompt.from_spans(CAPTION, [[2, 9], [19, 24]], names=["vehicle"])


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        ([[[0, 25]]], r"span \[0, 25\) of phrase '.*' is not inside the caption of 24 characters"),
        ([[[2, 9]], [[30, 40]]], r"span \[30, 40\)"),
        ([[[-3, 24]]], r"span \[-3, 24\) of phrase 'nch' is not inside"),
        ([[[9, 2]]], r"span \[9, 2\) of phrase '' is not inside"),
        ([[[5, 5]]], r"span \[5, 5\) of phrase '' is not inside"),
        ([[[1, 2]]], "holds only spaces"),
        ([[]], "has no spans"),
        ([], "found no phrase to detect"),
        ([2, 9], r"expected the spans of each phrase as \[\[start, end\], ...\], got 2"),
        ([[2, 9, 11]], "expected the spans of each phrase"),
        ([[[2, 9, 11]]], "expected the spans of each phrase"),
        ([[[2.5, 9.0]]], "expected the spans of each phrase"),
        ([["2", "9"]], "expected the spans of each phrase"),
        (["red car"], "expected the spans of each phrase"),
        ([None], "expected the spans of each phrase"),
    ],
)
def test_bad_spans(spans, message):
    with pytest.raises(PromptError, match=message):
        Prompt.from_spans(CAPTION, spans)


# --- sentences ------------------------------------------------------------------------------------


def test_noun_phrases_keep_their_own_place():
    prompt = Prompt.from_caption("a car behind a red car")
    assert prompt.names == ["car", "red car"]
    assert [phrase.spans for phrase in prompt.phrases] == [((2, 5),), ((15, 22),)]
    assert not prompt.is_class_list


@pytest.mark.parametrize("caption", ["", "   ", "is it there?"])
def test_nothing_in_a_sentence(caption):
    with pytest.raises(PromptError, match=r"the prompt is empty|found no phrase to detect"):
        Prompt.from_caption(caption)


def test_whole_caption():
    prompt = Prompt.from_whole_caption(" the man in red \n")
    assert prompt.names == ["the man in red"]
    assert prompt.phrases[0].spans == ((0, 17),)
    with pytest.raises(PromptError, match="the prompt is empty"):
        Prompt.from_whole_caption(" ")


# --- phrases --------------------------------------------------------------------------------------


def test_extent_of_a_phrase():
    phrase = Phrase("x", ((7, 9), (2, 4)))
    assert phrase.extent == (2, 9)
    assert Phrase("x", ((7, 9),), (1, 20)).extent == (1, 20)
    assert phrase.shifted(-2) == Phrase("x", ((5, 7), (0, 2)), (0, 7))
