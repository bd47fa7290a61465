"""cgF1 against a count of all assignments, and the metric on annotation files."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest

from glip.evaluation import CGF1Metric, cgf1
from glip.registry import METRICS
from glip.utils.errors import ConfigError, DataError
from tests.test_evaluation.generated import CATEGORY_IDS, CLASSES, coco_truth, predictions_for


def overlap(one, other) -> float:
    sides = [min(one[k + 2], other[k + 2]) - max(one[k], other[k]) for k in (0, 1)]
    common = max(sides[0], 0) * max(sides[1], 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return common / (sum(areas) - common)


def matches(boxes, found, threshold) -> int:
    """The matches of the assignment with the largest sum of IoUs, of all assignments."""
    few, many = sorted((list(boxes), list(found)), key=len)
    best = max(
        ([overlap(a, b) for a, b in zip(few, chosen, strict=True)]
         for chosen in itertools.permutations(many, len(few))),
        key=sum,
    )  # fmt: skip
    return sum(value >= threshold for value in best)


def count(pairs) -> dict[str, float]:
    """The definition, pair by pair."""
    f1s = []
    for threshold in [0.5 + 0.05 * at for at in range(10)]:
        tp = fp = fn = 0
        for boxes, found in pairs:
            if len(boxes):
                own = matches(boxes, found, threshold - 1e-12) if len(found) else 0
                tp, fp, fn = tp + own, fp + len(found) - own, fn + len(boxes) - own
        precision, recall = tp / (tp + fp), tp / (tp + fn)
        f1s.append(2 * precision * recall / (precision + recall) if tp else 0.0)
    present = np.array([len(boxes) > 0 for boxes, _ in pairs], dtype=float)
    detected = np.array([len(found) > 0 for _, found in pairs], dtype=float)
    mcc = np.corrcoef(present, detected)[0, 1]  # of two binary variables it is the MCC
    return dict(pmF1=np.mean(f1s), IL_MCC=mcc, cgF1=100 * np.mean(f1s) * mcc)


@pytest.mark.parametrize("seed", range(5))
def test_as_counted(seed):
    rng = np.random.default_rng(seed)
    pairs = []
    for _ in range(40):
        corners = rng.uniform(0, 60, (rng.integers(0, 4), 2))
        boxes = np.concatenate([corners, corners + rng.uniform(20, 40, corners.shape)], axis=1)
        near = boxes[rng.random(len(boxes)) < 0.8] + rng.normal(0, 2, 4)
        other = np.array([[10.0, 10, 40, 40], [15, 10, 45, 40]])[: rng.integers(0, 3)]
        pairs.append((boxes, np.concatenate([near, other])))
    assert any(not len(boxes) and len(found) for boxes, found in pairs)
    computed = cgf1(pairs)
    assert computed["cgF1"] > 5
    for name, value in count(pairs).items():
        assert computed[name] == pytest.approx(value, abs=1e-9)


def test_simple_cases():
    box, far = np.array([[0.0, 0, 10, 10]]), np.array([[50.0, 50, 60, 60]])
    none = np.zeros((0, 4))
    perfect = cgf1([(box, box), (none, none)])
    assert perfect["cgF1"] == perfect["cgF1_50"] == 100
    # Something is detected everywhere: the presence says nothing.
    assert cgf1([(box, box), (none, far)])["cgF1"] == 0
    # Presence is right, localization is not; and the other way round.
    assert cgf1([(box, far), (none, none)]) == {
        "cgF1": 0, "cgF1_50": 0, "pmF1": 0, "pmF1_50": 0,
        "IL_MCC": 1, "IL_precision": 1, "IL_recall": 1,
    }  # fmt: skip
    assert cgf1([(none, far), (box, none)])["IL_MCC"] == -1
    # False positives of absent phrases count in IL_MCC alone.
    assert cgf1([(box, box), (none, far), (none, none)])["pmF1"] == 1
    half = cgf1([(box, np.concatenate([box, far])), (none, none)])
    assert half["pmF1"] == pytest.approx(2 / 3)
    # IoU 0.7 is enough for 0.50 to 0.70.
    assert cgf1([(box, np.array([[0.0, 0, 10, 7]])), (none, none)])["pmF1"] == pytest.approx(0.5)
    # One to one, the largest sum: the worse detection is the false one.
    twice = np.concatenate([np.array([[0.0, 0, 10, 6]]), box])
    assert cgf1([(box, twice), (none, none)])["pmF1"] == pytest.approx(2 / 3)
    assert all(math.isfinite(value) for value in cgf1([]).values())


@pytest.mark.parametrize("score_thr", [0.5, [0.3, 0.5, 0.6, 0.9, 0.9]])
def test_metric(score_thr, tmp_path):
    truth = coco_truth()
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(truth))
    samples = predictions_for(truth)
    metric = METRICS.build(dict(type="CGF1Metric", ann_file=str(path), score_thr=score_thr))
    assert isinstance(metric, CGF1Metric)
    metric.dataset_meta = dict(classes=CLASSES)
    metric.process(None, samples)
    found = metric.evaluate(len(samples))
    thresholds = np.broadcast_to(score_thr, 5)
    pairs = []
    for sample in samples:
        instances = sample["pred_instances"]
        for label, name in enumerate(CLASSES):
            boxes = [
                [x, y, x + w, y + h]
                for each in truth["annotations"]
                for x, y, w, h in [each["bbox"]]
                if each["image_id"] == sample["img_id"]
                and each["category_id"] == CATEGORY_IDS[name]
                and not each["iscrowd"]
            ]
            kept = (instances["labels"] == label) & (instances["scores"] >= thresholds[label])
            pairs.append((np.array(boxes).reshape(-1, 4), np.asarray(instances["bboxes"][kept])))
    assert found == {f"saco/{name}": value for name, value in cgf1(pairs).items()}
    assert 0 < found["saco/pmF1"] < 1


def test_what_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="score_thr"):
        CGF1Metric(score_thr=2)
    metric = CGF1Metric()
    with pytest.raises(DataError, match="dataset_meta"):
        metric.compute_metrics([])
