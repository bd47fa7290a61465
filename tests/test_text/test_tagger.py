import pytest

from glip.text.lexicon import Kind
from glip.text.tagger import Tagger


@pytest.mark.parametrize(
    ("caption", "word", "kind"),
    [
        # The same word in two places
        ("a man rides a horse", "rides", Kind.VERB),
        ("two rides at a fair", "rides", Kind.NOUN),
        ("dogs walk", "walk", Kind.VERB),
        ("a walk", "walk", Kind.NOUN),
        ("a parked car", "parked", Kind.ADJECTIVE),
        ("a car parked outside", "parked", Kind.VERB),
        ("a smiling boy", "smiling", Kind.ADJECTIVE),
        ("a boy smiling", "smiling", Kind.VERB),
        ("the left hand", "left", Kind.ADJECTIVE),
        ("left of a car", "left", Kind.ADVERB),
        ("a can of soda", "can", Kind.NOUN),
        ("it can swim", "can", Kind.MODAL),
        ("the dog that runs", "that", Kind.PRONOUN),
        ("that dog", "that", Kind.DETERMINER),
        ("a couple of men", "couple", Kind.QUANTIFIER),
        ("a couple poses", "couple", Kind.NOUN),
    ],
)
def test_tag(caption, word, kind):
    words = caption.split()
    assert Tagger(words).tags[words.index(word)] is kind


def test_phrases_are_word_ranges():
    caption = "a very old man holds the top of two black and white umbrellas ."
    words = caption.split()
    assert Tagger(words).find_phrases() == [(2, 4), (9, 13)]


def test_no_words():
    assert Tagger([]).find_phrases() == []
