"""Parsing takes linear time: these sizes would take hours if it were quadratic."""

import pytest

from glip.text import (
    Prompt,
    chunk_prompt,
    find_noun_phrases,
    load_vocabulary,
    parse_prompt,
)
from glip.text.joining import join_captions
from glip.text.mirror import mirror_caption, mirror_text
from glip.text.prompt import clean_name, split_class_text
from glip.text.reading import find_doubts
from glip.text.tagger import Tagger
from glip.text.vocabulary import parse_vocabulary_shorthand

N = 1_000_000


@pytest.mark.parametrize("part", ["(", ")", "((", "(a", "(\n", ") (", "_", " ", "(a)"])
def test_clean_name(part):
    clean_name(part * (N // len(part)) + "x")


@pytest.mark.parametrize(
    "text", ["red" + " " * N + "star .", "." * N + "x", " ." * N, ". " * N, "\n" * N, "a." * N]
)
def test_split_class_text(text):
    split_class_text(text)
    parse_vocabulary_shorthand(text)


def test_parenthesised_names():
    assert Prompt.from_class_names(["(" * 20_000]).names == ["(" * 20_000]
    assert parse_prompt("red" + " " * N + "star .").names[0].startswith("red ")


@pytest.mark.parametrize(
    "words",
    [
        ["very"],
        ["very", "quickly"],
        ["a", "dog", "in", "very"],
        ["dogs", "run"],
        ["runs"],
        ["in", "magnets", "stands", "in"],
        ["running"],
        ["old", "and"],
        ["left", "of"],
        ["that"],
    ],
)
def test_tagger(words):
    count = 100_000 // len(words)
    tagger = Tagger(words * count)
    tagger.find_phrases()
    assert len(tagger.tags) == count * len(words)


@pytest.mark.parametrize("caption", ["x" * N, "-" * 100_000, "'s" * 50_000, "a-" * 100_000])
def test_noun_phrases(caption):
    find_noun_phrases(caption)


def test_mirror():
    count = 50_000
    spans = [[[5 * at, 5 * at + 4]] for at in range(count)]
    _, moved = mirror_caption("left " * count, spans)
    assert moved[-1] == [[6 * (count - 1), 6 * (count - 1) + 5]]
    mirror_text("_" * N + "left")
    join_captions(["a dog"] * count, 5, [[[0, 1]]])


@pytest.mark.parametrize("name", ["," * N, '"' * N, " - " * 100_000, "1" * N + ".", "." * N + "a"])
def test_doubts(name):
    find_doubts(Prompt.from_class_names([name]))


def test_many_names(tokenizer):
    names = [f"name {number}" for number in range(20_000)]
    prompt = Prompt.from_class_names(names)
    assert prompt.names == names
    find_doubts(prompt)
    chunks = chunk_prompt(prompt, tokenizer)
    assert sum(len(chunk.labels) for chunk in chunks) == len(names)


def test_many_spans(tokenizer):
    prompt = Prompt.from_spans("ab " * 20_000, [[3 * at, 3 * at + 2] for at in range(20_000)])
    chunks = chunk_prompt(prompt, tokenizer)
    assert sum(len(chunk.labels) for chunk in chunks) == 20_000


def test_chunks_are_not_changed_by_the_search(tokenizer):
    prompt = Prompt.from_class_names(load_vocabulary("lvis"))
    for chunk in chunk_prompt(prompt, tokenizer):
        found = chunk.tokens
        for phrase, row in zip(found.prompt.phrases, found.token_map, strict=True):
            start, end = phrase.spans[0]
            expected = (found.offsets[:, 0] < end) & (found.offsets[:, 1] > start)
            assert (row == expected).all()
