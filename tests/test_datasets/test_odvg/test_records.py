"""Records: what is built is valid, and every problem is found."""

from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glip.datasets.odvg.records import (
    Region,
    boxes_of,
    check_record,
    detection_record,
    grounding_record,
    parse_record,
    scores_of,
    spans_of,
)
from glip.datasets.odvg.validation import find_problems
from glip.utils.errors import OdvgRecordError

SIDE = 400
NUMBERS = st.floats(0, SIDE, allow_nan=False).map(lambda value: round(value, 2))
WORDS = st.text(st.characters(categories=("Ll", "Lu", "Lo", "Nd")), min_size=1, max_size=6)


@st.composite
def boxes(draw):
    left, top = draw(st.integers(0, SIDE - 2)), draw(st.integers(0, SIDE - 2))
    return [left, top, left + draw(st.floats(1, SIDE)), top + draw(st.integers(1, SIDE))]


@st.composite
def lines(draw):
    """Valid records of both kinds."""
    common = dict(filename=draw(WORDS), height=SIDE, width=SIDE, extra=dict(dataset="x"))
    if draw(st.booleans()):
        labels = st.integers(0, 5)
        instances = draw(st.lists(st.tuples(boxes(), labels, WORDS), max_size=4))
        return detection_record(**common, instances=instances)
    words = draw(st.lists(WORDS, min_size=1, max_size=6))
    regions, start = [], 0
    for word in words:
        found = draw(st.lists(boxes(), min_size=1, max_size=3))
        scores = draw(st.none() | st.just([0.5] * len(found)))
        regions.append(Region(found, word, [[start, start + len(word)]], scores))
        start += len(word) + 1
    return grounding_record(**common, caption=" ".join(words), regions=regions)


@given(line=lines())
def test_built_records_are_valid_and_survive_json(line):
    check_record(line, num_labels=6)
    again = parse_record(json.dumps(line).encode())
    assert again == line
    assert list(find_problems(again)) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@given(line=lines(), wrong=JSON, data=st.data())
def test_anything_in_any_place_is_judged_and_never_crashes(line, wrong, data):
    line = copy.deepcopy(line)
    node = line
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = data.draw(st.sampled_from(keys))
        inner = node[key]
        if isinstance(inner, (dict, list)) and inner and data.draw(st.booleans()):
            node = inner
            continue
        node[key] = wrong
        break
    found = [str(problem) for problem in find_problems(line, num_labels=6)]
    if found:
        with pytest.raises(OdvgRecordError) as raised:
            check_record(line, num_labels=6)
        assert str(raised.value) == found[0]
        assert found[0].startswith(raised.value.reason)
    else:  # the fields of a valid record can be read
        for region in line.get("grounding", {}).get("regions", ()):
            assert len(scores_of(region) or boxes_of(region)) == len(boxes_of(region))
            assert spans_of(region, line["grounding"]["caption"])


def detection(**changes):
    instance = dict(bbox=[1, 2, 30, 40], label=1, category="dog", **changes)
    return dict(filename="a.jpg", height=50, width=60, detection=dict(instances=[instance]))


def grounding(caption="A dog and a dog on a sofa", **changes):
    region = {**dict(bbox=[1, 2, 30, 40], phrase="a dog", tokens_positive=[[0, 5]]), **changes}
    region = {key: value for key, value in region.items() if value is not None}
    content = dict(caption=caption, regions=[region])
    return dict(filename="a.jpg", height=50, width=60, grounding=content)


def with_(line, **changes):
    return {**line, **changes}


def instance_with(**changes):
    line = detection()
    line["detection"]["instances"][0].update(changes)
    return line


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ([1], "not a JSON object"),
        (with_(detection(), filename=""), "'filename' is not a non-empty string"),
        (with_(detection(), filename="\ud800.jpg"), "'filename' is not valid Unicode"),
        (with_(detection(), height=50.0), "'height' is not a positive integer"),
        (with_(detection(), width=True), "'width' is not a positive integer"),
        (with_(detection(), grounding={}), "both of 'detection' and 'grounding'"),
        (dict(filename="a", height=1, width=1), "neither of 'detection' and 'grounding'"),
        (with_(detection(), detection=[]), "'detection' is not an object"),
        (with_(detection(), detection={}), "'instances' is not a list"),
        (with_(detection(), detection=dict(instances=[3])), "an instance is not an object"),
        (instance_with(bbox=[1, 2, 3]), "a box is not four finite numbers"),
        (instance_with(bbox=[1, 2, 3, float("nan")]), "a box is not four finite numbers"),
        (instance_with(bbox=[1, 2, 3, 10**400]), "a box is not four finite numbers"),
        (instance_with(bbox=[30, 2, 30, 9]), "a box has no area"),
        (instance_with(bbox=[60, 2, 70, 9]), "a box is outside the image"),
        (instance_with(label=-1), "a label is not a non-negative integer"),
        (instance_with(label=2), "a label is not in the label map"),
        (instance_with(category=4), "'category' is not a non-empty string"),
        (grounding(caption=" "), "'caption' is not a non-empty string"),
        (
            with_(detection(), detection=None, grounding=dict(caption="a")),
            "'regions' is not a list",
        ),
        (grounding(bbox=[]), "a box is not four finite numbers"),
        (grounding(bbox=[[1, 2, 3, 4], 5]), "a box is not four finite numbers"),
        (grounding(phrase=3), "'phrase' is not a non-empty string"),
        (grounding(tokens_positive=None), "a phrase is more than once in the caption"),
        (grounding(phrase="cat", tokens_positive=None), "a phrase is not in the caption"),
        (grounding(phrase="so", tokens_positive=None), "a phrase is not in the caption"),
        (
            grounding(tokens_positive=[0, 5]),
            "'tokens_positive' is not a list of spans [start, end]",
        ),
        (grounding(tokens_positive=[[0, 99]]), "a span is empty or outside the caption"),
        (grounding(tokens_positive=[[3, 3]]), "a span is empty or outside the caption"),
        (grounding(tokens_positive=[[0, 6]]), None),  # spaces do not count
        (grounding(tokens_positive=[[2, 8]]), "the spans of a phrase contain other words"),
        (grounding(score="high"), "a score is not a number from 0 to 1"),
        (grounding(score=1.5), "a score is not a number from 0 to 1"),
        (grounding(score=[0.5, 0.5]), "a region does not have one score per box"),
        (grounding(bbox=[[1, 2, 3, 4], [5, 6, 7, 8]], score=0.5), None),
        (grounding(phrase="A SOFA", tokens_positive=None), None),
        (instance_with(bbox=[-5, 2, 30, 99]), None),  # partly outside
        (with_(detection(), detection=dict(instances=[])), None),
    ],
)
def test_reasons(line, reason):
    reasons = [problem.reason for problem in find_problems(line, num_labels=2)]
    assert reasons == ([] if reason is None else [reason])


def test_all_problems_are_found():
    line = with_(instance_with(bbox=None, label="dog"), height=-1)
    found = [str(problem) for problem in find_problems(line)]
    assert len(found) == 3
    assert found[0] == "'height' is not a positive integer (got -1)"
    assert "instances[0]: got 'dog'" in found[2]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1]", b'{"a": "\xff"}', b"[" * 100_000, b"7" * 9000, b"\xef\xbb\xbf{}"]
)
def test_invalid_json(content):
    with pytest.raises(OdvgRecordError, match=r"invalid JSON|not a JSON object"):
        parse_record(content)


def test_numpy_scalars_become_python_numbers():
    box = np.array([1, 2, 3, 4], dtype=np.float32)
    line = detection_record(
        filename="a",
        height=np.int64(9),
        width=9,
        instances=[(box, np.int64(1), "dog")],
    )
    check_record(line)
    region = Region([box], "dog", [np.array([0, 3])], [np.float64(0.5)])
    line = grounding_record(filename="a", height=9, width=9, caption="dog", regions=[region])
    check_record(line)
    assert json.loads(json.dumps(line))["grounding"]["regions"][0]["score"] == 0.5


def test_several_boxes_of_a_region():
    region = Region([[0, 0, 1, 1], [1, 1, 2, 2]], "dogs", [], [0.25, 0.75])
    line = grounding_record(filename="a", height=9, width=9, caption="two dogs", regions=[region])
    check_record(line)
    (written,) = line["grounding"]["regions"]
    assert "tokens_positive" not in written
    assert boxes_of(written) == [[0, 0, 1, 1], [1, 1, 2, 2]]
    assert scores_of(written) == [0.25, 0.75]
    assert spans_of(written, "two dogs") == [[4, 8]]


def test_extra_keys():
    line = detection_record(filename="a", height=9, width=9, instances=[], extra=dict(img_id=7))
    assert line["img_id"] == 7
    with pytest.raises(OdvgRecordError, match="'extra' has keys of the record itself"):
        detection_record(filename="a", height=9, width=9, instances=[], extra=dict(height=7))


def test_the_error_can_be_pickled():
    error = OdvgRecordError("not a JSON object", "got 3")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.reason) == (str(error), "not a JSON object")
