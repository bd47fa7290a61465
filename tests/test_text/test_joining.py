"""Captions in one text: each is there, and the phrases of one hold the same words."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from glip.text import Prompt, tokenize
from glip.text.joining import join_captions, with_period
from glip.text.tokens import count_tokens
from tests.test_text.strategies import many, sentences


def test_by_hand():
    text, spans = join_captions(["A cat.", "a dog on a sofa", "Snow "], 1, [[[2, 5]], [[9, 15]]])
    assert text == "A cat. a dog on a sofa. Snow ."
    assert [text[slice(*each[0])] for each in spans] == ["dog", "a sofa"]
    assert join_captions(["a dog."], 0, [[[0, 5]]]) == ("a dog.", [[[0, 5]]])


@many
@given(sentences(), st.lists(st.text(max_size=20), max_size=4), st.data())
def test_phrases_hold_the_same_words(tokenizer, made, others, data):
    caption, spans = made
    own = data.draw(st.integers(0, len(others)))
    captions = [*others[:own], caption, *others[own:]]
    text, moved = join_captions(captions, own, spans)
    before, after = Prompt.from_spans(caption, spans), Prompt.from_spans(text, moved)
    assert after.names == before.names
    for old, new in zip(spans, moved, strict=True):
        assert [text[slice(*each)] for each in new] == [caption[slice(*each)] for each in old]
    # The whole has the tokens that its parts have, and the phrases have theirs.
    whole, alone = tokenize(after, tokenizer), tokenize(before, tokenizer)
    assert whole.num_tokens == 2 + sum(
        count_tokens(with_period(each), tokenizer) for each in captions
    )
    for new, old in zip(whole.token_map, alone.token_map, strict=True):
        assert [whole.input_ids[at] for at in new.nonzero()[0]] == [
            alone.input_ids[at] for at in old.nonzero()[0]
        ]
