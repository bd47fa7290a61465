import pytest
from hypothesis import given
from hypothesis import strategies as st

from glip.text.vocabulary import list_vocabularies, load_vocabulary, parse_vocabulary_shorthand


def test_list():
    assert list_vocabularies() == ("coco", "lvis")


@pytest.mark.parametrize(
    ("name", "size", "some"),
    [
        ("coco", 80, {0: "person", 2: "car", 10: "fire hydrant", 62: "tv", 79: "toothbrush"}),
        ("lvis", 1203, {0: "aerosol_can", 2: "airplane", 63: "bat_(animal)", 1202: "zucchini"}),
    ],
)
def test_names_in_order_of_ids(name, size, some):
    names = load_vocabulary(name)
    assert len(names) == len(set(names)) == size
    assert {index: names[index] for index in some} == some


@pytest.mark.parametrize("name", list_vocabularies())
def test_names_are_clean(name):
    for entry in load_vocabulary(name):
        assert entry == entry.strip() != ""


@pytest.mark.parametrize("name", ["COCO", "", "../coco", "imagenet"])
def test_unknown_vocabulary(name):
    with pytest.raises(ValueError, match=r"out of \('coco', 'lvis'\), got"):
        load_vocabulary(name)


@pytest.mark.parametrize("text", ["$: coco", "$:coco", "  $:  coco \n", "$: COCO"])
def test_shorthand(text):
    assert parse_vocabulary_shorthand(text) == "coco"


@given(st.text().filter(lambda text: not text.lstrip().startswith("$:")))
def test_other_text_is_no_shorthand(text):
    assert parse_vocabulary_shorthand(text) is None


@pytest.mark.parametrize("text", ["$:", "$: objects365", "$: coco and lvis"])
def test_unknown_shorthand(text):
    with pytest.raises(ValueError, match=r"out of \('coco', 'lvis'\), got"):
        parse_vocabulary_shorthand(text)
