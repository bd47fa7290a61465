"""Counts add up for any parts in any order, also after a round trip through JSON."""

from __future__ import annotations

import json
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from glip.labeling import Statistics
from glip.labeling.statistics import NUM_BINS

numbers = st.dictionaries(st.integers(0, 200), st.integers(0, 9)).map(Counter)
texts = st.dictionaries(st.text(), st.integers(0, 9)).map(Counter)
statistics = st.builds(Statistics, texts, texts, numbers, numbers, numbers)


@given(st.lists(statistics))
def test_sums(parts):
    forward, backward = Statistics(), Statistics()
    for part in parts:
        forward.update(part)
    for part in reversed(parts):
        backward.update(Statistics.from_dict(json.loads(json.dumps(part.to_dict()))))
    assert json.dumps(forward.to_dict()) == json.dumps(backward.to_dict())
    assert forward == backward


@given(st.lists(st.floats(0, 1)), st.floats(0, 1))
def test_scores(scores, one):
    counts = Statistics()
    counts.add_scores([one])
    (at,) = counts.scores
    assert at <= one * NUM_BINS
    assert one * NUM_BINS < at + 1 or (one, at) == (1, NUM_BINS - 1)
    counts.add_scores(scores)
    assert sum(counts.scores.values()) == len(scores) + 1
