"""What is no prompt gives an error that says what was expected."""

import itertools
import json

import numpy as np
import pytest

from glip.datasets import CocoDataset
from glip.models.detectors.samples import read_prompt
from glip.structures import DetDataSample
from glip.text import Prompt, parse_prompt
from glip.text.parse import parse_prompt_fields
from glip.utils.errors import PromptError

LONG = 10**5000  # more digits than Python converts to a text
NESTED = json.loads("[" * 900 + "]" * 900)
CAPTION = "a red car"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("abc", "the string 'abc', whose letters would be the names"),
        (b"abc", "got bytes"),
        (bytearray(b"abc"), "got bytearray"),
        ({"dog", "cat"}, "a set has no order"),
        (frozenset(["dog"]), "a set has no order"),
        ({"dog": 1}, "got dict"),
        (None, "got NoneType"),
        (5, "got int: 5"),
        (float("nan"), "got float: nan"),
        (["dog", None], "name number 1 is of type NoneType"),
        (["dog", 3], "write a number as a text, '3'"),
        ([float("nan")], "write every name as a text"),
        ([True], "write every name as a text"),
        ([b"dog"], "name number 0 is of type bytes"),
        ([["dog"], ["cat"]], "a prompt for each of several images"),
        ([LONG], "name number 0 is of type int"),
        (np.array([1, 2]), "name number 0 is of type int"),
        (np.array("dog"), "got str"),
        (itertools.count(), "name number 0 is of type int"),
        (["dog", "c\ud800t"], "lone surrogate"),
        (["dog\0cat"], "control character"),
        (["dog\x1b[31m"], "control character"),
        (["$: coco"], "only if it is the whole prompt"),
        (["$:", "coco"], "only if it is the whole prompt"),
        (["dog", "\t\n"], "number 1 is empty"),
    ],
)
def test_bad_names(names, message):
    with pytest.raises(PromptError, match=message) as error:
        Prompt.from_class_names(names)
    assert len(str(error.value)) < 500


@pytest.mark.parametrize(
    "names",
    [
        (name for name in ("dog", "cat")),
        iter(["dog", "cat"]),
        {"dog": 1, "cat": 2}.keys(),
        np.array(["dog", "cat"]),
        np.array(["dog", "cat"], dtype=object),
        ("dog", "cat"),
    ],
)
def test_any_ordered_names(names):
    assert Prompt.from_class_names(names).names == ["dog", "cat"]


def test_an_endless_generator_ends(monkeypatch):
    monkeypatch.setattr("glip.text.validation.MAX_NAMES", 1000)
    with pytest.raises(PromptError, match="at most 1000 class names"):
        Prompt.from_class_names(itertools.repeat("dog"))


@pytest.mark.parametrize(
    "spans",
    [
        None,
        5,
        "2,5",
        b"ab",
        {0: [[2, 5]]},
        {(2, 5)},
        [False, True],
        [[False, True]],
        [[[False, True]]],
        [[[2.0, 5.0]]],
        [["2", "5"]],
        [[[2, None]]],
        [[[2, float("nan")]]],
        [[[2, 5, 7]]],
        [[[[[2, 5]]]]],
        NESTED,
        [[[0, LONG]]],
        [[[-LONG, 5]]],
        [[[2, 500]]],
        [[[5, 2]]],
        [[[-3, -1]]],
        [[]],
        np.array([[[0.5, 2.5]]]),
        np.array([[True, False]]),
        np.array(3),
    ],
)
@pytest.mark.parametrize(
    "make", [Prompt.from_spans, lambda c, s: parse_prompt(c, tokens_positive=s)]
)
def test_bad_spans(spans, make):
    if spans is None and make is not Prompt.from_spans:
        return  # a sentence without spans
    with pytest.raises(PromptError) as error:
        make(CAPTION, spans)
    assert len(str(error.value)) < 500


@pytest.mark.parametrize(
    "spans",
    [
        np.array([[2, 9]]),
        np.array([[[2, 9]]]),
        [np.array([2, 9])],
        [[np.array([2, 9])]],
        [[np.int64(2), np.uint8(9)]],
        ((2, 9),),
        (((2, 9),),),
    ],
)
def test_spans_of_arrays(spans):
    assert Prompt.from_spans(CAPTION, spans) == Prompt.from_spans(CAPTION, [[[2, 9]]])
    assert parse_prompt(CAPTION, tokens_positive=spans).names == ["red car"]


def test_the_whole_caption_of_an_array():
    assert parse_prompt(CAPTION, tokens_positive=np.array(-1)).names == [CAPTION]


@pytest.mark.parametrize("text", [5, None, b"a dog", ["a dog"], float("nan"), object()])
@pytest.mark.parametrize(
    "make",
    [
        Prompt.from_caption,
        Prompt.from_class_text,
        Prompt.from_whole_caption,
        lambda text: Prompt.from_spans(text, [[[0, 1]]]),
        lambda text: Prompt(text, ()),
    ],
)
def test_a_text_that_is_none(text, make):
    with pytest.raises(PromptError, match="as a string, got"):
        make(text)


@pytest.mark.parametrize("options", [{}, dict(custom_entities=True), dict(tokens_positive=-1)])
@pytest.mark.parametrize("text", ["a d\udcffg", "\ud800", "dog . c\udfff ."])
def test_lone_surrogates(text, options):
    with pytest.raises(PromptError, match="lone surrogate") as error:
        parse_prompt(text, **options)
    str(error.value).encode()  # can be printed


@pytest.mark.parametrize("extractor", ["nltk", "Spacy", "", None, 3, ["rules"]])
def test_unknown_np_extractor(extractor):
    with pytest.raises(PromptError, match="expected np_extractor out of"):
        Prompt.from_caption("a dog", np_extractor=extractor)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (dict(text=5), "got int: 5"),
        (dict(text={"dog": 1}), "got dict"),
        (dict(text={"dog"}), "no order"),
        (dict(text=["dog", None]), "name number 1"),
        (dict(text=[["dog"]]), "name number 0"),
        (dict(text=b"dog"), "got bytes"),
        (dict(text=["dog"], caption_prompt=["dog"]), "expected caption_prompt as"),
        (dict(text=["dog"], caption_prompt="a dog"), "expected caption_prompt as"),
        (dict(text=["dog"], caption_prompt={"dog": "a dog"}), "expected caption_prompt as"),
        (dict(text=["dog"], caption_prompt={"dog": None}), "expected caption_prompt as"),
        (dict(text=["dog"], caption_prompt={1: {}}), "expected caption_prompt as"),
        (dict(text=["dog"], caption_prompt={"dog": {"sufix": "s"}}), "did you mean 'suffix'"),
        (dict(text=["dog"], caption_prompt={"dog": {"name": 5}}), "got 5 as the name of 'dog'"),
        (dict(text=["dog"], caption_prompt={"dog": {"prefix": None}}), "as the prefix of 'dog'"),
        (dict(text=CAPTION, tokens_positive=[[[2, 50]]]), "not inside the caption"),
        (dict(text=CAPTION, tokens_positive=[False, True]), "expected the spans"),
        (dict(text=CAPTION, tokens_positive=NESTED), "expected the spans"),
        (dict(text=CAPTION, tokens_positive="[[2, 5]]"), "expected the spans|or -1"),
    ],
)
def test_prompts_of_data_sets(fields, message):
    with pytest.raises(PromptError, match=message) as error:
        parse_prompt_fields(fields)
    assert len(str(error.value)) < 500


@pytest.mark.parametrize(
    "text", ["$ coco", "$coco", "$; coco", "$\uff1a coco", " $ COCO ", "$=lvis"]
)
def test_nearly_a_vocabulary(text):
    name = "lvis" if "lvis" in text else "coco"
    with pytest.raises(PromptError, match=rf"write '\$: {name}'"):
        parse_prompt(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [("$: nosuch", "vocabulary out of"), ("$: coc", "did you mean 'coco'"), ("$:", "out of")],
)
def test_unknown_vocabularies(text, message):
    with pytest.raises(PromptError, match=message):
        parse_prompt(text)


@pytest.mark.parametrize("value", ["a dog", ["dog"], {"dog": "a dog"}, {"dog": {"sufix": "s"}}, 5])
def test_caption_prompt_of_a_data_set(value):
    with pytest.raises(PromptError, match="caption_prompt"):
        CocoDataset(caption_prompt=value, lazy_init=True)


@pytest.mark.parametrize(
    "fields",
    [
        dict(text=5),
        dict(text=[["dog"]]),
        dict(text=CAPTION, tokens_positive=[[[2, 50]]]),
        dict(text=["dog"], caption_prompt={"dog": 5}),
    ],
)
def test_the_image_is_named(fields):
    results = dict(fields, img_path="images/1.jpg")
    with pytest.raises(PromptError, match=r"image 'images/1\.jpg': "):
        DetDataSample.from_results(results)
    sample = DetDataSample(metainfo=results)
    with pytest.raises(PromptError, match=r"image 'images/1\.jpg': "):
        read_prompt(sample)
