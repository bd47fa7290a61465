"""Which tokens mean which phrase."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glip.text import Phrase, Prompt, load_vocabulary, tokenize
from glip.text.prompt import clean_name
from glip.text.tokens import count_tokens
from glip.utils.errors import PromptError
from tests.test_text.strategies import many, names, sentences

COCO80 = Path(__file__).resolve().parents[3] / "shared" / "golden" / "coco80_caption.json"


def read(tokens, tokenizer):
    """The pieces of words that each phrase has."""
    return [
        tokenizer.convert_ids_to_tokens([tokens.input_ids[i] for i in np.flatnonzero(row)])
        for row in tokens.token_map
    ]


@pytest.mark.skipif(not COCO80.is_file(), reason="the reference files are not beside the clone")
def test_coco_as_the_official_code_reads_it(tokenizer):
    golden = json.loads(COCO80.read_text())
    tokens = tokenize(Prompt.from_class_names(load_vocabulary("coco")), tokenizer)
    assert tokens.prompt.caption == golden["caption"]
    assert list(tokens.input_ids) == golden["input_ids"]
    ours = {str(i + 1): np.flatnonzero(row).tolist() for i, row in enumerate(tokens.token_map)}
    assert ours == golden["positive_map"]


def test_a_list_of_names(tokenizer):
    tokens = tokenize(Prompt.from_class_names(["hair drier", "car"]), tokenizer)
    assert tokenizer.convert_ids_to_tokens(tokens.input_ids) == [
        *("[CLS]", "hair", "dr", "##ier", ".", "car", "[SEP]")
    ]
    assert tokens.offsets.tolist() == [[0, 0], [0, 4], [5, 7], [7, 10], [10, 11], [12, 15], [0, 0]]
    assert tokens.words.tolist() == [-1, 0, 1, 1, 2, 3, -1]
    assert tokens.token_map.astype(int).tolist() == [[0, 1, 1, 1, 0, 0, 0], [0, 0, 0, 0, 0, 1, 0]]
    assert tokens.num_tokens == 7


def test_the_style_of_the_official_demo_has_the_same_map(tokenizer):
    ours = tokenize(Prompt.from_class_names(["bench", "hair drier"]), tokenizer)
    demo = tokenize(Prompt.from_class_names(["bench", "hair drier"], separator=" . "), tokenizer)
    assert ours.input_ids == demo.input_ids
    assert (ours.token_map == demo.token_map).all()


def test_a_name_within_another_has_its_own_tokens(tokenizer):
    prompt = Prompt.from_class_names(["containernumber", "container", "number"])
    tokens = tokenize(prompt, tokenizer)
    assert read(tokens, tokenizer) == [["container", "##num", "##ber"], ["container"], ["number"]]
    assert tokens.token_map.sum(axis=0).max() == 1


def test_duplicates_have_their_own_tokens(tokenizer):
    tokens = tokenize(Prompt.from_class_names(["car", "bench", "car"]), tokenizer)
    assert [np.flatnonzero(row).tolist() for row in tokens.token_map] == [[1], [3], [5]]


def test_unicode(tokenizer):
    prompt = Prompt.from_class_names(["café", "狗", "🐕", "naïve 人", "cafe\u0301"])
    assert read(tokenize(prompt, tokenizer), tokenizer) == [
        ["cafe"],
        ["[UNK]"],
        ["[UNK]"],
        ["naive", "人"],
        ["cafe"],
    ]


def test_only_the_suffix_of_a_description_is_left_out(tokenizer):
    prompt = Prompt.from_class_names(
        ["puffin"], descriptions={"puffin": {"prefix": "small ", "suffix": " with orange beaks"}}
    )
    assert read(tokenize(prompt, tokenizer), tokenizer) == [["puff", "##in"]]


def test_overlapping_spans_share_tokens(tokenizer):
    prompt = Prompt.from_spans("a red car", [[2, 9], [6, 9], [[0, 1], [6, 9]]])
    assert read(tokenize(prompt, tokenizer), tokenizer) == [["red", "car"], ["car"], ["a", "car"]]


def test_a_span_within_a_word_has_the_pieces_it_touches(tokenizer):
    caption = "toothbrushes"  # tooth ##brush ##es
    prompt = Prompt.from_spans(caption, [[0, 5], [1, 2], [4, 6], [10, 12]])
    assert read(tokenize(prompt, tokenizer), tokenizer) == [
        ["tooth"],
        ["tooth"],
        ["tooth", "##brush"],
        ["##es"],
    ]


def test_whole_caption(tokenizer):
    tokens = tokenize(Prompt.from_whole_caption("a man, in red."), tokenizer)
    assert tokens.token_map.tolist() == [[False, *[True] * 6, False]]


@pytest.mark.parametrize("marker", ["[SEP]", "[CLS]", "[MASK]", "[PAD]", "[UNK]"])
def test_markers_are_plain_characters(marker, tokenizer):
    prompt = Prompt.from_class_names(["bench", f"a {marker} sign", "car"])
    tokens = tokenize(prompt, tokenizer)
    # In small letters it is no marker to begin with.
    plain = tokenize(
        Prompt.from_class_names(["bench", f"a {marker.lower()} sign", "car"]), tokenizer
    )
    assert tokens.input_ids == plain.input_ids
    assert (tokens.token_map == plain.token_map).all()
    assert not set(tokens.input_ids[1:-1]) & set(tokenizer.all_special_ids)
    assert tokens.prompt.caption == f"bench. a {marker} sign. car"
    inside = read(tokens, tokenizer)[1]
    assert (inside[:2], inside[-2:]) == (["a", "["], ["]", "sign"])


def test_nothing_is_cut(tokenizer):
    tokens = tokenize(Prompt.from_class_names(load_vocabulary("lvis")), tokenizer)
    assert tokens.num_tokens == 3407
    assert tokens.token_map.shape == (1203, 3407)


@pytest.mark.parametrize("name", ["\u0301", "\ufffd", "\x00\x01", "\u200b"])
def test_unreadable_phrases(name, tokenizer):
    with pytest.raises(PromptError, match=r"the phrase .* has no token"):
        tokenize(Prompt.from_class_names(["bench", name]), tokenizer)


# --- properties -----------------------------------------------------------------------------------


def check_map(tokens):
    """What holds of every token map."""
    phrases, count = len(tokens.prompt.phrases), len(tokens.input_ids)
    assert tokens.token_map.shape == (phrases, count)
    assert tokens.token_map.dtype == bool
    assert tokens.offsets.shape == (count, 2)
    assert tokens.words.shape == (count,)
    assert tokens.token_map.any(axis=1).all()
    assert not tokens.token_map[:, [0, -1]].any()


@many
@given(given_names=st.lists(names, min_size=1, max_size=12))
def test_the_tokens_of_a_name_are_its_words(given_names, tokenizer):
    tokens = tokenize(Prompt.from_class_names(given_names), tokenizer)
    check_map(tokens)
    assert tokens.token_map.sum(axis=0).max() == 1
    for name, row in zip(given_names, tokens.token_map, strict=True):
        covered = [tokens.prompt.caption[start:end] for start, end in tokens.offsets[row]]
        assert "".join(covered) == clean_name(name).replace(" ", "")


@many
@given(caption_and_spans=sentences())
def test_the_tokens_of_spans_are_those_that_share_a_character(caption_and_spans, tokenizer):
    caption, spans = caption_and_spans
    tokens = tokenize(Prompt.from_spans(caption, spans), tokenizer)
    check_map(tokens)
    for ranges, row in zip(spans, tokens.token_map, strict=True):
        characters = {i for start, end in ranges for i in range(start, end)}
        for (start, end), covered in zip(tokens.offsets, row, strict=True):
            assert covered == bool(characters & set(range(start, end)))


@many
@given(st.lists(st.text() | st.sampled_from(["[SEP]", "[sep]", "a [MASK].", "x" * 101])))
def test_count_tokens(tokenizer, texts):
    """Counts add up where texts are joined with a point and a space, markers or not."""
    caption = ". ".join(texts)
    counted = count_tokens(caption, tokenizer)
    assert counted == sum(count_tokens(text, tokenizer) for text in texts) + max(len(texts) - 1, 0)
    if caption.strip():
        whole = tokenize(Prompt(f"a {caption}", (Phrase("a", ((0, 1),)),)), tokenizer)
        assert whole.num_tokens == 2 + 1 + counted
