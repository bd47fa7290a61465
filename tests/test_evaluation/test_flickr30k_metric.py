"""Recall@k equals a loop over every phrase and box."""

import numpy as np
import pytest
import torch

from glip.evaluation import Flickr30kMetric
from glip.registry import METRICS
from tests.test_evaluation.generated import random_boxes, run, sample

TYPES = ("people", "animals", "other")


def captions(seed, count=40):
    """Captions of one to four phrases, each with some boxes; some phrases have no detection."""
    rng = np.random.default_rng(seed)
    samples = []
    for img_id in range(count):
        truths, boxes, labels = [], [], []
        for label in range(rng.integers(1, 5)):
            truth = random_boxes(rng, rng.integers(1, 4))
            truth[:, 2:] += truth[:, :2]
            truths.append(truth.tolist())
            for _ in range(rng.integers(0, 14)):
                near = truth[rng.integers(len(truth))] + rng.integers(-30, 31, 4)
                boxes.append(near if rng.random() < 0.5 else rng.integers(0, 200, 4))
                labels.append(label)
        order = rng.permutation(len(boxes))
        boxes = np.array(boxes, float).reshape(-1, 4)[order]
        scores = rng.integers(1, 9, len(boxes)) / 9
        types = [rng.permutation(TYPES)[: rng.integers(0, 3)].tolist() for _ in truths]
        labels = np.array(labels, int)[order]
        others = dict(phrase_boxes=truths, phrase_types=types)
        samples.append(sample(img_id, boxes, scores, labels, **others))
    return samples


def iou(a, b):
    width = max(min(a[2], b[2]) - max(a[0], b[0]), 0)
    height = max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    area = lambda box: (box[2] - box[0]) * (box[3] - box[1])  # noqa: E731
    union = area(a) + area(b) - width * height
    return width * height / union if union > 0 else 0


def brute_force(samples, k, kind, merge):
    found = total = 0
    for each in samples:
        pred = each["pred_instances"]
        columns = (pred[key].tolist() for key in ("scores", "bboxes", "labels"))
        rows = list(zip(*columns, strict=True))
        for label, truths in enumerate(each["phrase_boxes"]):
            if kind != "all" and kind not in each["phrase_types"][label]:
                continue
            if merge:
                corners = list(zip(*truths, strict=True))
                truths = [[min(corners[0]), min(corners[1]), max(corners[2]), max(corners[3])]]
            own = sorted((row for row in rows if row[2] == label), key=lambda row: -row[0])
            own = own if k == -1 else own[:k]
            total += 1
            found += any(iou(box, truth) >= 0.5 for _, box, _ in own for truth in truths)
    return found / total


@pytest.mark.parametrize("merge", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_equals_brute_force(seed, merge):
    samples = captions(seed)
    numbers = run(Flickr30kMetric(merge_boxes=merge), samples, classes=None)
    assert len(numbers) == 4 * 4
    for k, name in ((1, "Recall@1"), (5, "Recall@5"), (10, "Recall@10"), (-1, "Upper_bound")):
        for kind in ("all", *TYPES):
            expected = brute_force(samples, k, kind, merge)
            assert numbers[f"flickr30k/{name}_{kind}"] == expected
    assert 0.02 < numbers["flickr30k/Recall@1_all"] < numbers["flickr30k/Upper_bound_all"] < 1


def test_protocols_differ():
    """A detection of one of two objects is correct for any box, not for the merged box."""
    truth = [[[0, 0, 10, 10], [90, 90, 100, 100]]]
    samples = [sample(1, [[0, 0, 10, 10]], [0.9], [0], phrase_boxes=truth)]
    assert run(Flickr30kMetric(), samples, classes=None)["flickr30k/Recall@1_all"] == 1
    merged = run(Flickr30kMetric(merge_boxes=True), samples, classes=None)
    assert merged["flickr30k/Recall@1_all"] == 0


def test_boxes_from_the_annotated_instances():
    samples = captions(0)
    expected = run(Flickr30kMetric(), samples, classes=None)
    for each in samples:
        boxes = each.pop("phrase_boxes")
        each["phrases"] = ["a phrase"] * len(boxes)
        each["phrase_ids"] = [label for label, some in enumerate(boxes) for _ in some]
        each["gt_instances"] = dict(bboxes=torch.tensor([box for some in boxes for box in some]))
    assert run(Flickr30kMetric(), samples, classes=None) == expected


def test_other_thresholds():
    samples = captions(1)
    metric = METRICS.build(dict(type="Flickr30kMetric", topk=(2,), iou_thrs=0.0))
    numbers = run(metric, samples, classes=None)
    assert set(numbers) == {f"flickr30k/Recall@2_{kind}" for kind in ("all", *TYPES)}
    with pytest.raises(ValueError, match="topk"):
        Flickr30kMetric(topk=(0, 1))


def test_nothing_to_measure():
    assert run(Flickr30kMetric(), [sample(1, [], [], [], phrase_boxes=[])], classes=None) == {}
    with pytest.raises(ValueError, match="Flickr30kDataset"):
        run(Flickr30kMetric(), [sample(1, [], [], [])], classes=None)


def test_unreadable_image_is_missed():
    samples = captions(2, 1)
    samples[0]["unreadable"] = True
    assert run(Flickr30kMetric(), samples, classes=None)["flickr30k/Upper_bound_all"] == 0
