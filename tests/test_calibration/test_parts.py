"""Matching, thresholds and score maps against plain counts, and competing phrases."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from glip.calibration.advice import prompt_effects, suggest_competitors, with_competitors
from glip.calibration.calibrating import LabelledImages, calibrate, with_calibration
from glip.calibration.matching import ImageTruth, Outcomes, match, outcomes_of
from glip.calibration.score_maps import cross_predict, fit, reliability
from glip.calibration.thresholds import bootstrap, choose, cross_validate, curve, measure
from glip.classes import ClassFile, LabelClass, read_class_file, write_class_file
from glip.classes.results import PhraseDetections, apply_classes
from glip.utils.errors import DependencyError

BOX = [10.0, 10, 30, 30]


def random_boxes(rng, count):
    corners = rng.integers(0, 12, (count, 2)) * 5.0
    return np.concatenate([corners, corners + rng.integers(10, 30, (count, 2))], axis=1)


@pytest.mark.parametrize("seed", range(6))
def test_matching_is_that_of_coco(seed):
    rng = np.random.default_rng(seed)
    found, truth = random_boxes(rng, 15), random_boxes(rng, 8)
    found[:6] = truth[:6] + rng.integers(-3, 4, (6, 4))
    found = found[rng.permutation(15)]
    crowd = rng.random(8) < 0.3
    result = match(found, truth, crowd)

    def entry(number, box, **more):
        xywh = [*box[:2], box[2] - box[0], box[3] - box[1]]
        return dict(id=number, image_id=1, category_id=1, bbox=list(map(float, xywh)), **more)

    annotated = COCO()
    annotated.dataset = dict(
        images=[dict(id=1)],
        categories=[dict(id=1)],
        annotations=[
            entry(at + 1, box, area=1, iscrowd=int(crowd[at])) for at, box in enumerate(truth)
        ],
    )
    annotated.createIndex()
    scores = np.linspace(0.9, 0.1, 15)
    detected = annotated.loadRes(
        [entry(at + 1, box, score=float(scores[at])) for at, box in enumerate(found)]
    )
    evaluation = COCOeval(annotated, detected, "bbox")
    evaluation.params.iouThrs = np.array([0.5])
    evaluation.params.areaRng = [[0, 1e10]]
    evaluation.params.areaRngLbl = ["all"]
    evaluation.evaluate()
    (image,) = evaluation.evalImgs
    expected = np.where(image["dtIgnore"][0], -1, (image["dtMatches"][0] > 0).astype(int))
    assert result.tolist() == expected.tolist()
    assert {0, 1} <= set(result.tolist())


def outcomes(scores, right, images=None, num_boxes=(10,)):
    images = np.zeros(len(scores), dtype=int) if images is None else np.asarray(images)
    return Outcomes(np.array(scores), np.array(right, dtype=bool), images, np.array(num_boxes))


def test_thresholds():
    own = outcomes([0.9, 0.8, 0.8, 0.6, 0.4, 0.2], [1, 1, 0, 1, 0, 0], num_boxes=[4])
    best = choose(own, None)
    assert best.value == 0.5  # halfway between 0.6 and 0.4; F1 = 2 * 3 / (4 + 4)
    assert (best.measures.precision, best.measures.recall, best.measures.f1) == (0.75, 0.75, 0.75)
    every = [measure(own, at).f1 for at in np.linspace(0, 1, 101)]
    assert best.measures.f1 == max(every)
    # The lowest threshold of the wanted precision; equal scores are kept together.
    assert choose(own, 0.7).value == 0.5
    assert choose(own, 0.9).value == pytest.approx(0.85)
    assert choose(own, 0.9).reached
    never = choose(outcomes([0.9, 0.8], [0, 1]), 0.9)
    assert (never.reached, never.measures.precision) == (False, 0.5)
    assert choose(outcomes([0.9], [0]), None) is None
    scores, precision, recall = curve(own)
    assert scores.tolist() == [0.9, 0.8, 0.6, 0.4, 0.2]
    np.testing.assert_allclose(precision, [1, 2 / 3, 3 / 4, 3 / 5, 3 / 6])
    np.testing.assert_allclose(recall, [1 / 4, 2 / 4, 3 / 4, 3 / 4, 3 / 4])


@pytest.fixture
def drawn():
    """40 images; the chance of being right is the square of the score."""
    rng = np.random.default_rng(0)
    scores = -np.sort(-rng.random(800).round(4))
    right = rng.random(800) < scores**2
    images = rng.integers(0, 40, 800)
    return Outcomes(scores, right, images, np.bincount(images[right], minlength=40) + 1)


def test_intervals_and_folds(drawn):
    chosen = choose(drawn, 0.7)
    first, again = (bootstrap(drawn, 0.7, np.random.default_rng(3)) for _ in range(2))
    assert first == again
    for name in ("threshold", "precision", "recall"):
        low, high = first[name]
        value = chosen.value if name == "threshold" else getattr(chosen.measures, name)
        assert low <= value <= high
        assert 0 < high - low < 0.3
    folds = np.arange(40) % 5
    held_out = cross_validate(drawn, folds, 0.7)
    right = kept = 0
    for fold in range(5):  # the same, image by image
        threshold = choose(drawn.of_images(folds != fold), 0.7).value
        for score, is_right, image in zip(drawn.scores, drawn.right, drawn.images, strict=True):
            if folds[image] == fold and score >= threshold:
                kept, right = kept + 1, right + is_right
    assert held_out.precision == pytest.approx(right / kept)
    assert held_out.recall == pytest.approx(right / drawn.num_boxes.sum())


def test_probabilities(drawn):
    isotonic = fit(drawn.scores, drawn.right)
    assert len(isotonic.isotonic) > 5
    few = np.arange(0, 800, 13)
    platt = fit(drawn.scores[few], drawn.right[few])
    assert platt.platt is not None
    for score_map, tolerance in ((isotonic, 0.12), (platt, 0.2)):
        for score in (0.2, 0.5, 0.8):
            assert score_map(score) == pytest.approx(score**2, abs=tolerance)
    groups = drawn.images % 5
    predicted = cross_predict(drawn.scores, drawn.right, groups)
    own = groups == 2
    other = fit(drawn.scores[~own], drawn.right[~own])
    np.testing.assert_allclose(predicted[own], [other(score) for score in drawn.scores[own]])
    raw, fitted = reliability(drawn.scores, drawn.right), reliability(predicted, drawn.right)
    assert raw.error > 0.12 > 0.06 > fitted.error
    assert fitted.brier < raw.brier


def test_extreme_examples():
    scores = np.array([0.9, 0.8, 0.2, 0.1])
    apart = fit(scores, np.array([True, True, False, False]))
    assert 0 < apart(0.0) < 0.3 < 0.7 < apart(1.0) < 1
    backwards = fit(scores, np.array([False, False, True, True]))
    assert backwards(0.1) == backwards(0.9) == pytest.approx(0.5)
    assert 0.5 < fit(scores, np.ones(4, dtype=bool))(0.5) < 1
    assert fit(np.zeros(0), np.zeros(0, dtype=bool)) is None


def test_reliability():
    measured = reliability(np.array([0.75, 0.75, 0.15, 1.0]), np.array([1, 0, 0, 1]))
    assert measured.counts.tolist() == [1, 2, 1]
    assert measured.observed.tolist() == [0, 0.5, 1]
    assert measured.error == pytest.approx((0.15 + 2 * 0.25 + 0) / 4)
    assert measured.brier == pytest.approx((0.25**2 + 0.75**2 + 0.15**2) / 4)


def test_without_sklearn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(DependencyError, match="pip install scikit-learn"):
        fit(np.array([0.5]), np.array([True]))


# Competing phrases


def images_of(count: int) -> tuple[ClassFile, LabelledImages]:
    """Cats and dogs: each dog also gets a box of "cat", and "pet" is found in wrong places."""
    rng = np.random.default_rng(1)
    classes = ClassFile((LabelClass("cat", prompts=("cat", "pet")), LabelClass("dog")))
    found, truths = [], []
    for number in range(count):
        is_dog = number % 2 == 1
        best = 0.5 + 0.4 * rng.random()
        detections = [(BOX, best, 0)]
        if is_dog:
            detections = [(BOX, best, 2), (BOX, best - 0.05, 0)]
        if number % 3 == 0:
            detections.append(([60.0, 60, 80, 80], 0.85, 1))
        boxes, scores, labels = zip(*detections, strict=True)
        presence = [0.03] * 3
        for _, score, label in detections:
            presence[label] = max(presence[label], score)
        arrays = (np.array(boxes), np.array(scores), np.array(labels), np.array(presence))
        found.append(PhraseDetections.of_image(*arrays, shape=(100, 100)))
        truths.append(ImageTruth(np.array([BOX]), np.array([int(is_dog)]), np.array([False])))
    return classes, LabelledImages([f"{n}.jpg" for n in range(count)], found, truths)


def test_advice():
    classes, images = images_of(40)
    calibrated = calibrate(classes, images, [0.3, 0.3])
    (cat,) = suggest_competitors(classes, images, calibrated)
    assert (cat.class_name, cat.phrases) == ("cat", ("dog",))
    assert cat.after > cat.before
    effects = {each.prompt: each.verdict for each in prompt_effects(classes, images)}
    assert effects == {"cat": "helps", "pet": "hurts"}
    better = with_competitors(classes, [cat])
    assert better.phrases == classes.phrases  # the model sees the same prompt
    assert better.classes[0].not_ == ("dog",)
    (again, dog) = calibrate(better, images, [0.3, 0.3])
    assert again.threshold.measures.f1 > calibrated[0].threshold.measures.f1
    assert dog.held_out.precision == 1


def test_few_examples():
    classes, images = images_of(8)
    cat, _dog = calibrate(classes, images, [0.3, 0.3])
    assert cat.threshold is None
    assert "not calibrated: 4 annotated boxes" in cat.warnings[0]
    file = with_calibration(classes, [cat, _dog], {"weights": "a"})
    assert file.classes == classes.classes
    cat, _ = calibrate(*images_of(16), [0.3, 0.3], precision=0.99)
    assert "only 8 annotated boxes" in cat.warnings[0]
    assert "only 8 images without the class" in cat.warnings[1]
    assert "0.99 is not reached" in cat.warnings[2]


def test_deterministic_and_stored(tmp_path):
    classes, images = images_of(40)
    first, again = (calibrate(classes, images, [0.3, 0.3], seed=4) for _ in range(2))
    assert [each.threshold for each in first] == [each.threshold for each in again]
    assert [each.intervals for each in first] == [each.intervals for each in again]
    assert [each.held_out for each in first] == [each.held_out for each in again]
    file = with_calibration(classes, first, {"weights": "a", "chunked size": -1})
    write_class_file(tmp_path / "c.yaml", file)
    stored = read_class_file(tmp_path / "c.yaml")
    assert stored == file
    assert set(stored.calibration.presence) == {"cat", "dog"}


# Presence of classes


def test_presence_of_classes():
    classes = ClassFile(
        (
            LabelClass("cat", prompts=("cat", "kitten"), not_=("dog",)),
            LabelClass("pet", prompts=("pet", "animal"), combine="mean"),
        )
    )
    assert classes.phrases == ["cat", "kitten", "pet", "animal", "dog"]
    presence = np.array([0.7, 0.2, 0.6, 0.4, 0.9])

    def found(*detections):
        boxes, scores, labels = zip(*detections, strict=True) if detections else ([], [], [])
        arrays = (np.array(boxes), np.array(scores), np.array(labels), presence)
        phrases = PhraseDetections.of_image(*arrays, shape=(100, 100))
        return apply_classes(classes, phrases, [0.5, 0.5])

    far = [60.0, 60, 80, 80]
    # No box at all: the best score of the prompts, and their mean.
    assert found().presence.tolist() == [0.7, 0.5]
    # A box that no competitor explains better.
    assert found((BOX, 0.7, 0), (far, 0.9, 4)).presence[0] == 0.7
    # The best box is explained better by "dog": what remains of the class counts.
    result = found((BOX, 0.7, 0), (BOX, 0.9, 4), (far, 0.3, 1))
    assert result.presence[0] == 0.3
    assert len(result.kept) == 0
    assert found((BOX, 0.7, 0), (BOX, 0.9, 4)).presence[0] == 0
    for each in (found((BOX, 0.7, 0)), result):
        assert all(
            score <= each.presence[label] + 1e-9
            for score, label in zip(each.candidates.scores, each.candidates.labels, strict=True)
        )


def test_outcomes_leave_crowds_out():
    truth = ImageTruth(np.array([BOX, BOX]), np.array([0, 0]), np.array([True, False]))
    boxes, scores = np.array([BOX, BOX, [50.0, 50, 60, 60]]), np.array([0.9, 0.8, 0.7])
    result = outcomes_of([(boxes, scores)], [truth], 0)
    assert result.scores.tolist() == [0.9, 0.7]
    assert result.right.tolist() == [True, False]
    assert result.num_boxes.tolist() == [1]
