"""Every row of the table in the module's docstring, and what fits no row."""

import numpy as np
import pytest

from glip.apis.prompting import prompts_for
from glip.text import Prompt, load_vocabulary, parse_prompt
from glip.text.parse import is_class_text, parse_prompt_fields
from glip.utils.errors import PromptError


def test_a_prompt_says_itself():
    prompt = Prompt.from_whole_caption("a dog")
    assert parse_prompt(prompt) is prompt


@pytest.mark.parametrize("names", [["bench", "car"], ("bench", "car")])
def test_a_list_of_names(names):
    prompt = parse_prompt(names)
    assert prompt == Prompt.from_class_names(["bench", "car"])


def test_a_list_of_one_sentence_is_one_name():
    assert parse_prompt(["a man rides a horse"]).names == ["a man rides a horse"]


@pytest.mark.parametrize("text", ["bench . car .", "bench . car", "bench. car ."])
def test_points_set_apart(text):
    assert parse_prompt(text) == Prompt.from_class_names(["bench", "car"])


@pytest.mark.parametrize("text", ["bench. car", "bench . car .", "bench. car."])
def test_custom_entities(text):
    prompt = parse_prompt(text, custom_entities=True)
    assert prompt == Prompt.from_class_names(["bench", "car"])


def test_custom_entities_of_a_sentence_is_one_name():
    assert parse_prompt("a man rides a horse", custom_entities=True).names == [
        "a man rides a horse"
    ]


@pytest.mark.parametrize(
    ("text", "vocabulary"), [("$: coco", "coco"), ("$:lvis", "lvis"), (" $:  LVIS ", "lvis")]
)
def test_vocabularies(text, vocabulary):
    prompt = parse_prompt(text)
    assert prompt.names == list(load_vocabulary(vocabulary))
    assert prompt.is_class_list


def test_a_vocabulary_with_descriptions():
    prompt = parse_prompt("$: coco", descriptions={"bicycle": {"suffix": " with two wheels"}})
    assert prompt.caption.startswith("person. bicycle with two wheels. car.")


def test_unknown_vocabulary():
    with pytest.raises(PromptError, match=r"a vocabulary out of \('coco', 'lvis'\)"):
        parse_prompt("$: imagenet")


def test_spans_of_a_sentence():
    prompt = parse_prompt("a red car", tokens_positive=[[[2, 9]]])
    assert prompt == Prompt.from_spans("a red car", [[[2, 9]]])


def test_spans_win_over_points():
    prompt = parse_prompt("bench . car .", tokens_positive=[[[8, 11]]])
    assert prompt.names == ["car"]
    assert not prompt.is_class_list


@pytest.mark.parametrize("text", ["a man rides a horse", "bench . car ."])
def test_whole_caption(text):
    assert parse_prompt(text, tokens_positive=-1) == Prompt.from_whole_caption(text)


def test_a_sentence():
    assert parse_prompt("A man rides a horse.").names == ["man", "horse"]
    # Points at words are a sentence's, never a list's.
    assert parse_prompt("There is a bench. There is a car.").names == ["bench", "car"]


def test_chunker_is_handed_on():
    with pytest.raises(ValueError, match="expected np_extractor out of"):
        parse_prompt("a man", np_extractor="magic")


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", {}, "the prompt is empty"),
        ("  ", {}, "the prompt is empty"),
        (" . ", {}, "the prompt is empty"),
        ([], {}, "the prompt is empty"),
        (["bench", ""], {}, "number 1 is empty"),
        (["bench", 3], {}, r"a list of names or .*got list: \['bench', 3\]"),
        (3, {}, "got int: 3"),
        (None, {}, "got NoneType"),
        (b"bench", {}, "got bytes"),
        ({"bench": 1}, {}, "got dict"),
        ("a car", {"tokens_positive": 0}, "or -1 for the whole caption, got 0"),
        ("a car", {"tokens_positive": []}, r"or -1 for the whole caption, got \[\]"),
        ("a car", {"tokens_positive": {0: [[2, 5]]}}, "or -1 for the whole caption, got {0"),
        ("a car", {"tokens_positive": [2, 5]}, "expected the spans of each phrase"),
        ("a car", {"tokens_positive": [[[2, 6]]]}, "not inside the caption of 5 characters"),
    ],
)
def test_bad_prompts(text, options, message):
    with pytest.raises(PromptError, match=message):
        parse_prompt(text, **options)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bench . car", True),
        ("bench .", True),
        ("bench. car.", False),
        ("version 1.5 of a car", False),
        ("bench.car", False),
        ("bench", False),
    ],
)
def test_is_class_text(text, expected):
    assert is_class_text(text) is expected


@pytest.mark.parametrize("value", ["yes", "no", "false", "True", "", [], [True], 2, -1, 0.5, b"1"])
def test_custom_entities_of_no_clear_meaning(value):
    for parse in (
        lambda: parse_prompt("dog. cat", custom_entities=value),
        lambda: parse_prompt_fields(dict(text="dog. cat", custom_entities=value)),
        lambda: prompts_for(1, "dog. cat", custom_entities=value),
        lambda: prompts_for(2, ["dog", "cat"], custom_entities=value),
    ):
        with pytest.raises(PromptError, match="expected custom_entities as True or False, got"):
            parse()


@pytest.mark.parametrize("value", [True, 1, np.bool_(True), np.int64(1), False, 0, None])
def test_custom_entities_as_a_number(value):
    assert parse_prompt("two dogs. a cat sits", custom_entities=value).is_class_list == bool(value)
