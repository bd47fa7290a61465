"""Long prompts: every phrase in exactly one chunk, whole, and every chunk short enough."""

from itertools import pairwise
from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glip.text import Prompt, chunk_prompt, load_vocabulary, tokenize
from glip.text.chunking import chunk_around
from glip.utils.errors import PromptError
from tests.test_text.strategies import many, names, sentences

#: Names that fit the shortest captions below; a word is at most 8 characters, and so 8 tokens.
short_names = names.map(lambda name: name[:28])


def phrase_texts(prompt):
    """The characters of each phrase."""
    return [[prompt.caption[start:end] for start, end in p.spans] for p in prompt.phrases]


def check_chunks(prompt, chunks, max_tokens):
    """What holds however a prompt is cut."""
    labels = np.concatenate([chunk.labels for chunk in chunks])
    assert sorted(labels) == list(range(len(prompt.phrases)))
    whole = phrase_texts(prompt)
    for chunk in chunks:
        assert chunk.tokens.num_tokens <= max_tokens
        assert len(chunk.labels) == len(chunk.tokens.prompt.phrases) > 0
        assert chunk.tokens.prompt.names == [prompt.names[label] for label in chunk.labels]
        assert phrase_texts(chunk.tokens.prompt) == [whole[label] for label in chunk.labels]
        assert chunk.tokens.prompt.caption in prompt.caption


def ids_of_phrases(tokens):
    """The token ids of each phrase."""
    return [[tokens.input_ids[i] for i in np.flatnonzero(row)] for row in tokens.token_map]


# --- class names ----------------------------------------------------------------------------------


def test_what_fits_stays_whole(tokenizer):
    prompt = Prompt.from_class_names(load_vocabulary("coco"))
    (chunk,) = chunk_prompt(prompt, tokenizer)
    assert chunk.tokens.prompt == prompt
    assert chunk.labels.tolist() == list(range(80))


def test_the_limit_itself_fits(tokenizer):
    prompt = Prompt.from_class_names(["car"] * 8)  # [CLS], 8 cars, 7 points, [SEP]
    assert len(chunk_prompt(prompt, tokenizer, max_tokens=17)) == 1
    assert [chunk.labels.tolist() for chunk in chunk_prompt(prompt, tokenizer, max_tokens=16)] == [
        [0, 1, 2, 3, 4, 5, 6],
        [7],
    ]


def test_pieces_are_captions_of_their_own(tokenizer):
    prompt = Prompt.from_class_names(["bench", "traffic light", "hair drier", "car"])
    chunks = chunk_prompt(prompt, tokenizer, max_tokens=7)
    assert [chunk.tokens.prompt.caption for chunk in chunks] == [
        "bench. traffic light",
        "hair drier. car",
    ]
    assert [chunk.labels.tolist() for chunk in chunks] == [[0, 1], [2, 3]]
    assert chunks[1].tokens.prompt == Prompt.from_class_names(["hair drier", "car"])


def test_lvis_in_the_chunks_of_the_paper(tokenizer):
    prompt = Prompt.from_class_names(load_vocabulary("lvis"))
    chunks = chunk_prompt(prompt, tokenizer, chunked_size=40)
    check_chunks(prompt, chunks, 256)
    assert [len(chunk.labels) for chunk in chunks] == [40] * 30 + [3]
    assert chunks[1].labels.tolist() == list(range(40, 80))
    assert chunks[1].tokens.prompt == Prompt.from_class_names(load_vocabulary("lvis")[40:80])


def test_lvis_in_as_few_pieces_as_can_be(tokenizer):
    prompt = Prompt.from_class_names(load_vocabulary("lvis"))
    chunks = chunk_prompt(prompt, tokenizer)
    check_chunks(prompt, chunks, 256)
    # A chunk saves the point that stood between it and the next.
    tokens = tokenize(prompt, tokenizer).num_tokens - 2
    assert len(chunks) == ceil((tokens + 1) / 255)
    assert np.concatenate([chunk.labels for chunk in chunks]).tolist() == list(range(1203))


@pytest.mark.parametrize("size", [-1, 0, 80, 1000])
def test_a_size_that_does_not_cut(size, tokenizer):
    prompt = Prompt.from_class_names(load_vocabulary("coco"))
    assert len(chunk_prompt(prompt, tokenizer, chunked_size=size)) == 1


def test_a_size_that_is_still_too_long_is_cut_further(tokenizer):
    prompt = Prompt.from_class_names(["car"] * 10)
    chunks = chunk_prompt(prompt, tokenizer, chunked_size=4, max_tokens=7)
    assert [chunk.labels.tolist() for chunk in chunks] == [[0, 1, 2], [3], [4, 5, 6], [7], [8, 9]]


def test_descriptions_stay_with_their_names(tokenizer):
    descriptions = {
        "puffin": {"prefix": "a small ", "suffix": " with an orange beak"},
        "penguin": {"suffix": ", which swims"},
    }
    prompt = Prompt.from_class_names(["car", "puffin", "penguin"], descriptions=descriptions)
    chunks = chunk_prompt(prompt, tokenizer, max_tokens=12)
    assert [chunk.tokens.prompt.caption for chunk in chunks] == [
        "car. a small puffin with an orange beak",
        "penguin, which swims",
    ]
    assert [ids_of_phrases(chunk.tokens) for chunk in chunks] == [
        [tokenizer("car")["input_ids"][1:-1], tokenizer("puffin")["input_ids"][1:-1]],
        [tokenizer("penguin")["input_ids"][1:-1]],
    ]
    # One token less, and the car is alone: a description is not torn from its name.
    chunks = chunk_prompt(prompt, tokenizer, max_tokens=11)
    assert [chunk.labels.tolist() for chunk in chunks] == [[0], [1], [2]]


@many
@given(
    given_names=st.lists(short_names, min_size=8, max_size=20),
    max_tokens=st.integers(30, 60),
    size=st.integers(-1, 8),
)
def test_pieces_of_any_names(given_names, max_tokens, size, tokenizer):
    prompt = Prompt.from_class_names(given_names)
    chunks = chunk_prompt(prompt, tokenizer, max_tokens=max_tokens, chunked_size=size)
    check_chunks(prompt, chunks, max_tokens)
    for chunk in chunks:
        assert chunk.tokens.prompt == Prompt.from_class_names(chunk.tokens.prompt.names)
        assert np.diff(chunk.labels).tolist() == [1] * (len(chunk.labels) - 1)
        assert size <= 0 or len(chunk.labels) <= size


@many
@given(given_names=st.lists(short_names, min_size=8, max_size=20), max_tokens=st.integers(40, 60))
def test_no_two_neighbours_would_fit_together(given_names, max_tokens, tokenizer):
    prompt = Prompt.from_class_names(given_names)
    chunks = chunk_prompt(prompt, tokenizer, max_tokens=max_tokens)
    for left, right in pairwise(chunks):
        first = right.tokens.prompt.names[0]
        longer = Prompt.from_class_names([*left.tokens.prompt.names, first])
        assert tokenize(longer, tokenizer).num_tokens > max_tokens


# --- sentences ------------------------------------------------------------------------------------


def test_a_sentence_that_fits_is_never_cut(tokenizer):
    prompt = Prompt.from_spans("a red car beside a bench", [[2, 9], [19, 24]])
    (chunk,) = chunk_prompt(prompt, tokenizer, chunked_size=1)
    assert chunk.tokens.prompt == prompt


def test_a_sentence_keeps_the_words_around_its_phrases(tokenizer):
    caption = "one two three four five six seven eight nine ten"
    prompt = Prompt.from_spans(caption, [[4, 7], [40, 44]])  # two, nine
    chunks = chunk_prompt(prompt, tokenizer, max_tokens=7)
    assert [chunk.tokens.prompt.caption for chunk in chunks] == [
        "one two three four five",
        "six seven eight nine ten",
    ]
    # With phrases in the middle, words come from both sides.
    prompt = Prompt.from_spans(caption, [[19, 23]])  # five
    (chunk,) = chunk_prompt(prompt, tokenizer, max_tokens=7)
    assert chunk.tokens.prompt.caption == "three four five six seven"


def test_words_are_taken_whole(tokenizer):
    prompt = Prompt.from_spans("toothbrushes car toothbrushes", [[13, 16]])  # 3 + 1 + 3 tokens
    captions = {}
    for max_tokens in range(3, 10):
        (chunk,) = chunk_prompt(prompt, tokenizer, max_tokens=max_tokens)
        captions[max_tokens] = chunk.tokens.prompt.caption
    assert captions == {
        **dict.fromkeys((3, 4, 5), "car"),
        **dict.fromkeys((6, 7, 8), "car toothbrushes"),
        9: "toothbrushes car toothbrushes",
    }


def test_phrases_that_overlap_go_together(tokenizer):
    caption = "one two three four five six seven eight nine ten"
    prompt = Prompt.from_spans(caption, [[34, 39], [0, 7], [4, 13], [28, 39]])
    chunks = chunk_prompt(prompt, tokenizer, max_tokens=6)
    check_chunks(prompt, chunks, 6)
    assert [chunk.labels.tolist() for chunk in chunks] == [[1, 2], [0, 3]]


def test_a_span_within_a_word_keeps_the_word(tokenizer):
    caption = "toothbrushes and a long way off a toothbrush"
    prompt = Prompt.from_spans(caption, [[5, 8], [39, 41]])  # "bru" of both
    chunks = chunk_prompt(prompt, tokenizer, max_tokens=6)
    assert [chunk.tokens.prompt.caption for chunk in chunks] == [
        "toothbrushes and",
        "off a toothbrush",
    ]
    whole = ids_of_phrases(tokenize(prompt, tokenizer))
    assert [ids_of_phrases(chunk.tokens)[0] for chunk in chunks] == whole


def test_spaces_at_the_ends_of_a_span(tokenizer):
    prompt = Prompt.from_spans("one two  three  four five", [[7, 16]])
    (chunk,) = chunk_prompt(prompt, tokenizer, max_tokens=3)
    assert chunk.tokens.prompt.caption == "  three  "
    assert phrase_texts(chunk.tokens.prompt) == [["  three  "]]


def test_a_phrase_in_two_places_is_not_torn(tokenizer):
    caption = "one two three four five six seven eight nine ten"
    prompt = Prompt.from_spans(caption, [[[0, 3], [14, 18]], [[45, 48]]])
    chunks = chunk_prompt(prompt, tokenizer, max_tokens=6)
    assert chunks[0].tokens.prompt.caption == "one two three four"
    assert phrase_texts(chunks[0].tokens.prompt) == [["one", "four"]]


def words_of(whole, characters):
    """First and last word that share a character with a range, and the tokens between."""
    start, end = characters
    touched = (whole.offsets[:, 0] < end) & (whole.offsets[:, 1] > start)
    first, last = whole.words[touched].min(), whole.words[touched].max()
    return first, last, np.flatnonzero((whole.words >= first) & (whole.words <= last))


@many
@given(caption_and_spans=sentences(), max_tokens=st.integers(10, 40))
def test_pieces_of_any_sentence(caption_and_spans, max_tokens, tokenizer):
    prompt = Prompt.from_spans(*caption_and_spans)
    whole = tokenize(prompt, tokenizer)
    if whole.num_tokens > max_tokens:
        longest = max(len(words_of(whole, phrase.extent)[2]) for phrase in prompt.phrases)
        if longest + 2 > max_tokens:
            with pytest.raises(PromptError, match="alone takes"):
                chunk_prompt(prompt, tokenizer, max_tokens=max_tokens)
            return
    chunks = chunk_prompt(prompt, tokenizer, max_tokens=max_tokens)
    check_chunks(prompt, chunks, max_tokens)
    ids = ids_of_phrases(whole)
    for chunk in chunks:
        assert ids_of_phrases(chunk.tokens) == [ids[label] for label in chunk.labels]
        shift = prompt.phrases[chunk.labels[0]].extent[0]
        shift -= chunk.tokens.prompt.phrases[0].extent[0]
        first, last, columns = words_of(whole, (shift, shift + len(chunk.tokens.prompt.caption)))
        assert chunk.tokens.input_ids[1:-1] == tuple(whole.input_ids[i] for i in columns)
        # Neither of the next words would have fitted.
        for neighbour in (first - 1, last + 1):
            size = (whole.words == neighbour).sum() if neighbour >= 0 else 0
            assert not size or chunk.tokens.num_tokens + size > max_tokens


# --- what cannot be -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "prompt",
    [
        Prompt.from_class_names(["bench", "a very long name of a car"]),
        Prompt.from_spans("a bench and a very long name of a car", [[2, 7], [12, 37]]),
        Prompt.from_whole_caption("bench and a very long name of a car"),
    ],
)
def test_a_phrase_that_is_too_long(prompt, tokenizer):
    with pytest.raises(PromptError, match=r"name of a car' alone takes .* reads 8: shorten it"):
        chunk_prompt(prompt, tokenizer, max_tokens=8)


def test_a_description_counts_with_its_name(tokenizer):
    prompt = Prompt.from_class_names(["car"], descriptions={"car": {"suffix": " of my aunt"}})
    assert len(chunk_prompt(prompt, tokenizer, max_tokens=6)) == 1
    with pytest.raises(PromptError, match="the phrase 'car' alone takes 6 tokens"):
        chunk_prompt(prompt, tokenizer, max_tokens=5)


def test_blank_names_keep_their_label(tokenizer):
    names = ["  ", "black bishop", "white king"]
    prompt = Prompt.from_class_names(names, allow_blank=True)
    assert prompt.caption == ". black bishop. white king"
    (whole,) = chunk_prompt(prompt, tokenizer)
    assert whole.tokens.token_map.any(axis=1).tolist() == [False, True, True]
    chunks = chunk_prompt(prompt, tokenizer, chunked_size=1)
    assert [chunk.labels.tolist() for chunk in chunks] == [[1], [2]]
    with pytest.raises(PromptError, match="the prompt is empty"):
        Prompt.from_class_names(["  "], allow_blank=True)


@many
@given(sentences(), st.integers(30, 60), st.data())
def test_chunk_around_a_phrase(tokenizer, made, max_tokens, data):
    """It fits, the phrase is there, and every other that is whole in it has the same tokens."""
    whole = tokenize(Prompt.from_spans(*made), tokenizer)
    label = data.draw(st.integers(0, len(made[1]) - 1))
    try:
        chunk, labels = chunk_around(whole, label, max_tokens)
    except PromptError:
        assert whole.num_tokens > max_tokens
        return
    tokens = tokenize(chunk, tokenizer)
    assert tokens.num_tokens <= max_tokens
    assert label in labels
    assert chunk.names == [whole.prompt.names[each] for each in labels]
    every = ids_of_phrases(whole)
    assert ids_of_phrases(tokens) == [every[each] for each in labels]
    if whole.num_tokens <= max_tokens:
        assert labels == list(range(len(made[1])))
        assert tokens.num_tokens == whole.num_tokens


def test_chunk_around_a_phrase_that_is_too_long(tokenizer):
    whole = tokenize(Prompt.from_spans("a dog " * 20, [[[0, 5]], [[6, 90]]]), tokenizer)
    assert chunk_around(whole, 0, 24)[1] == [0]
    with pytest.raises(PromptError, match="alone takes 30 tokens with its markers"):
        chunk_around(whole, 1, 24)
