"""Detections of phrases become those of classes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from glip.classes import ClassFile, LabelClass, load_classes
from glip.classes.combining import apply_limits, combine_phrases, iou

BOX, NEAR, FAR = [0, 0, 10, 10], [0, 0, 10, 12], [50, 50, 70, 70]


def combine(classes, *detections):
    """Combine detections (box, score, phrase)."""
    labels = [classes.phrases.index(phrase) for _, _, phrase in detections]
    boxes, scores = [box for box, _, _ in detections], [score for _, score, _ in detections]
    return combine_phrases(classes, np.array(boxes), np.array(scores), np.array(labels))


def as_tuples(found):
    return list(zip(found.labels.tolist(), found.scores.round(4).tolist(), strict=True))


def one(**options) -> ClassFile:
    return ClassFile((LabelClass("referee", ("referee", "striped shirt"), **options),))


def test_synonyms_become_one_box():
    found = combine(
        one(), (BOX, 0.5, "referee"), (NEAR, 0.8, "striped shirt"), (FAR, 0.4, "referee")
    )
    assert as_tuples(found) == [(0, 0.8), (0, 0.4)]
    assert found.boxes.tolist() == [NEAR, FAR]
    assert found.phrases.tolist() == [1, 0]


def test_max_averages_the_boxes():
    found = combine(one(combine="max"), (BOX, 0.2, "referee"), (NEAR, 0.6, "striped shirt"))
    assert as_tuples(found) == [(0, 0.6)]
    np.testing.assert_allclose(found.boxes, [[0, 0, 10, 11.5]])


def test_mean_counts_a_missing_prompt_as_zero_and_sorts_again():
    found = combine(
        one(combine="mean"),
        (FAR, 0.7, "referee"),
        (BOX, 0.4, "referee"),
        (NEAR, 0.6, "striped shirt"),
        (NEAR, 0.1, "referee"),  # a second box of a prompt does not count
    )
    assert as_tuples(found) == [(0, 0.5), (0, 0.35)]


@pytest.mark.parametrize(("rival", "box", "kept"), [(0.6, NEAR, 0), (0.4, NEAR, 1), (0.9, FAR, 1)])
def test_a_competing_phrase_that_explains_a_box_better_drops_it(rival, box, kept):
    classes = one(not_=("player",))
    found = combine(classes, (BOX, 0.5, "referee"), (box, rival, "player"))
    assert len(found) == kept
    assert found.labels.tolist() == [0] * kept  # the competing phrase is never in the output


def test_a_competing_phrase_may_be_a_class():
    classes = ClassFile((LabelClass("referee", not_=("player",)), LabelClass("player")))
    found = combine(classes, (BOX, 0.5, "referee"), (BOX, 0.6, "player"))
    assert as_tuples(found) == [(1, 0.6)]


def test_limits():
    classes = ClassFile(
        (LabelClass("dog", threshold=0.5, max=1), LabelClass("cat", min_size=15, max_size=25)),
        threshold=0.2,
    )
    found = combine(
        classes,
        (BOX, 0.9, "dog"),
        (FAR, 0.8, "dog"),
        (BOX, 0.7, "cat"),  # too small
        (FAR, 0.3, "cat"),
        ([0, 0, 99, 99], 0.6, "cat"),  # too large
        ([0, 0, 20, 20], 0.1, "cat"),  # below the threshold
        ([5, 5, 5, 9], 0.9, "dog"),  # empty
    )
    limited = apply_limits(classes, found, classes.thresholds(0.9))
    assert as_tuples(limited) == [(0, 0.9), (1, 0.3)]


def test_class_agnostic_nms_comes_before_the_thresholds():
    """A calibration chooses the threshold of a class without knowing those of the others."""
    classes = replace(load_classes("dog . cat ."), class_agnostic=True)
    found = combine(classes, (BOX, 0.6, "dog"), (NEAR, 0.5, "cat"), (FAR, 0.4, "cat"))
    assert as_tuples(apply_limits(classes, found, [0.3, 0.3])) == [(0, 0.6), (1, 0.4)]
    assert as_tuples(apply_limits(classes, found, [0.7, 0.3])) == [(1, 0.4)]


def test_no_detections():
    classes = one(not_=("player",))
    found = combine(classes)
    assert len(apply_limits(classes, found, [0.3])) == 0


def test_iou_is_that_of_the_definition():
    assert iou(np.array([BOX]), np.array([NEAR, FAR, [0, 0, 0, 0]])).tolist() == [[10 / 12, 0, 0]]
