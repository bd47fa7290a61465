"""Parts of error messages."""

from __future__ import annotations

import pytest

from glip.utils.messages import shorten, suggest


@pytest.mark.parametrize(
    "value",
    ["a" * 10**6, b"a" * 10**6, list(range(10**5)), 10**10_000, {"a": "b" * 500}, "a\nb" * 100],
    ids=["text", "bytes", "list", "int", "dict", "lines"],
)
def test_values_are_bounded(value):
    text = shorten(value)
    assert 0 < len(text) <= 100
    assert "\n" not in text


def test_short_values_are_whole():
    assert shorten("a b") == "'a b'"
    assert shorten([1, None]) == "[1, None]"


class Broken:
    def __repr__(self):
        raise RuntimeError


def test_objects_without_repr():
    assert shorten(Broken()) == "<Broken>"


@pytest.mark.parametrize(
    ("name", "known", "end"),
    [
        ("score_threshold", ["score_thr", "nms"], "did you mean 'score_thr'?"),
        ("cocometric", ["CocoMetric", "LVISMetric"], "did you mean 'CocoMetric'?"),
        ("x", ["abc", "def"], "expected one of abc, def"),
        ("x", [], "there is none to choose from"),
        (5, ["abc"], "expected one of abc"),
        ("x" * 10**6, ["abc"], "expected one of abc"),
    ],
)
def test_nearest_name(name, known, end):
    assert suggest(name, known) == end


def test_many_names_are_not_listed():
    assert suggest("x", [f"name{i}" for i in range(50)]).endswith("(50 in total)")
