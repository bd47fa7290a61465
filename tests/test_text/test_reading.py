"""Prompts that were probably meant otherwise give a warning that shows how they were read."""

import logging

import pytest

from glip.text import Prompt, load_vocabulary, parse_prompt
from glip.text.reading import find_doubts, warn_doubtful

SEPARATED = [
    "dog, cat",
    "dog,cat",
    "dog , cat . bus",
    "dog; cat",
    "dog|cat",
    "dog | cat",
    "dog/cat",
    "dog\\cat",
    "dog\ncat",
    "dog\r\ncat",
    "dog\\ncat",
    "dog\tcat",
    "dog\u2028cat",
    "dog.cat.bus",
    "d.c.b",
    "dog .cat .bus",
    "狗。猫",
    "狗、猫",
    "狗\uff0c猫",
    "dog・cat",
    "dog، cat",
    "• dog • cat",
    "dog · cat",
    "- dog\n- cat",
    "* dog * cat",
    "dog - cat",
    "dog -> cat",
    "1) dog 2) cat",
    '["dog", "cat"]',
    "{dog, cat}",
]


@pytest.mark.parametrize("text", SEPARATED)
def test_other_separators(text, caplog):
    with caplog.at_level(logging.WARNING, "glip"):
        prompt = parse_prompt(text, custom_entities=True)
    assert prompt == Prompt.from_class_text(text)  # the meaning stays
    message = find_doubts(prompt)["separator"]
    assert message in caplog.messages
    count = "2 class names: " if "bus" in text and "." not in text.rstrip(".bus") else "class name"
    assert count in message
    assert "class names are separated by ' . '" in message


def test_what_the_warning_says(caplog):
    with caplog.at_level(logging.WARNING, "glip"):
        parse_prompt("red star, blue circle", custom_entities=True)
    assert caplog.messages == [
        "the prompt was read as 1 class name: 'red star, blue circle'; class names are separated "
        "by ' . '. If ',' separates names, write 'red star . blue circle .' or pass a list of names"
    ]


@pytest.mark.parametrize("text", SEPARATED)
def test_the_suggested_text_is_read_without_doubt(text):
    message = find_doubts(parse_prompt([text], warn=False))["separator"]
    if "dog" in text and "." not in text and "\\ncat" not in repr(text):
        suggested = message.partition(", write ")[2].partition(" or pass")[0].strip("'\"")
        assert parse_prompt(suggested, warn=False).names[:2] == ["dog", "cat"]


@pytest.mark.parametrize(
    "names",
    [
        ["mug, with a handle", "dog", "cat"],
        ["TV/monitor", "pen", "cup", "knife"],
        ["t-shirt"],
        ["mother-in-law"],
        ["no.5 bus"],
        ["3.5 inch disk"],
        ["don't walk sign"],
        ["rock 'n' roll band"],
        ["C++ book"],
        ["dog and cat"],
        ["A dog runs."],
        ["bat_(animal)", "bat_(sports)"],
        list(load_vocabulary("coco")),
        list(load_vocabulary("lvis")),
    ],
)
def test_names_without_doubt(names):
    assert find_doubts(Prompt.from_class_names(names)) == {}


@pytest.mark.parametrize("text", ["bench . car .", "bench. car", "bench ... car", "$: lvis"])
def test_texts_without_doubt(text):
    assert find_doubts(parse_prompt(text, custom_entities=True)) == {}


@pytest.mark.parametrize("options", [{}, dict(tokens_positive=-1), dict(tokens_positive=[[2, 5]])])
def test_sentences_without_doubt(options, caplog):
    parse_prompt("A dog, a cat; and a bus.", **options)
    assert not caplog.messages


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ('"dog" . "cat" .', "quotes", "are part of the name"),
        ("'dog'", "quotes", "are part of the name"),
        ("<dog>", "quotes", "are part of the name"),
        ("\u201cdog\u201d . cat .", "quotes", "are part of the name"),
        ("1. dog 2. cat 3. bus", "numbers", "not numbered"),
        ("???", "punctuation", "1 class name without a letter"),
        ("!!! . ... --- . dog .", "punctuation", "2 class names without a letter"),
        ("caf\ufffd", "replacement", "U\\+FFFD"),
        ("car . dog . car . car .", "duplicates", r"'car' \(3 times\)"),
    ],
)
def test_other_doubts(text, kind, message):
    found = find_doubts(parse_prompt(text, custom_entities=True, warn=False))
    assert kind in found
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(found[kind])


def test_one_warning_for_many_prompts(caplog):
    prompts = [Prompt.from_class_names([f"dog, cat {at}"]) for at in range(5)]
    warn_doubtful(prompts * 2)
    assert len(caplog.messages) == 1
    assert caplog.messages[0].endswith("(4 more prompts like this)")


def test_messages_are_short(caplog):
    parse_prompt("dog, " * 100_000, custom_entities=True)
    assert len(caplog.messages[0]) < 500
