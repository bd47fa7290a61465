import pytest

from glip.text.lexicon import Kind, is_plural, is_third_person, look_up


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("the", Kind.DETERMINER),
        ("seven", Kind.QUANTIFIER),
        ("42", Kind.QUANTIFIER),
        ("beneath", Kind.PREPOSITION),
        ("carries", Kind.VERB),  # -s forms are made from the list
        ("catches", Kind.NOUN_VERB),
        ("snowmobiling", Kind.GERUND),  # in no list: by the ending
        ("laminated", Kind.PARTICIPLE),
        ("gingerly", Kind.ADVERB),
        ("seedless", Kind.ADJECTIVE),
        ("building", Kind.NOUN),  # against the ending
        ("bed", Kind.NOUN),
        ("family", Kind.NOUN),
        ("vegetable", Kind.NOUN),
        ("long-sleeved", Kind.ADJECTIVE),  # by the last part
        ("t-shirt", Kind.NOUN),
        ("zyzzyva", Kind.NOUN),  # anything else
        (",", Kind.PUNCTUATION),
        ("", Kind.PUNCTUATION),
    ],
)
def test_look_up(word, kind):
    assert look_up(word) is kind


@pytest.mark.parametrize("noun", ["dogs", "people", "glasses", "sheep"])
def test_plural(noun):
    assert is_plural(noun)


@pytest.mark.parametrize("noun", ["dog", "bus", "glass", "tennis", "child"])
def test_singular(noun):
    assert not is_plural(noun)


def test_third_person():
    assert is_third_person("sits")
    assert not any(map(is_third_person, ["sit", "pass", "bus", "tennis", "pants"]))
