"""Every image counts once, whatever the processes hand in."""

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData

from glip.evaluation import ImageMetric, Predictions
from glip.evaluation.image_metric import read_predictions
from tests.test_evaluation.generated import sample


class Count(ImageMetric):
    """Counts images and detections."""

    def score(self, images):
        return {"images": len(images), "detections": sum(map(len, images.values()))}


def test_an_image_counts_once():
    metric = Count(prefix="count")
    metric.process(None, [sample(1, [[0, 0, 1, 1]], [0.5], [0]), sample(2, [], [], [])])
    metric.process(
        None, [sample(1, [[0, 0, 1, 1]] * 3, [0.5] * 3, [0] * 3), sample("1", [], [], [])]
    )
    # More results than the size that mmengine tells: nothing is cut off.
    assert metric.evaluate(2) == {"count/images": 3, "count/detections": 1}
    assert metric.results == []


def test_unreadable_and_not_finite(monkeypatch):
    said = []
    monkeypatch.setattr(
        "glip.evaluation.image_metric.print_log", lambda message, **_: said.append(message)
    )
    metric = Count(prefix="count")
    metric.process(
        None,
        [
            sample(1, [[0, 0, 1, 1]], [0.5], [0], unreadable=True, img_path="a.jpg"),
            sample(2, [[0, 0, 1, 1], [0, 0, np.nan, 1]], [0.5, 0.5], [0, 0]),
        ],
    )
    assert metric.evaluate(2) == {"count/images": 2, "count/detections": 1}
    assert "1 of 2 images could not be read" in said[0]
    assert "a.jpg" in said[0]
    assert "1 detections were dropped" in said[1]


def test_missing_keys():
    with pytest.raises(ValueError, match="meta_keys of PackDetInputs"):
        Count(prefix="count").process(None, [dict(pred_instances={})])
    with pytest.raises(ValueError, match="predict mode"):
        Count(prefix="count").process(None, [dict(img_id=1)])


@pytest.mark.parametrize("kind", [torch.tensor, np.array, list, "half", "instances"])
def test_reads_any_container(kind):
    boxes, scores, labels = [[0.5, 1, 2, 4]], [0.25], [3]
    if kind == "half":
        given = dict(bboxes=torch.tensor(boxes).half(), scores=torch.tensor(scores).bfloat16())
        given["labels"] = torch.tensor(labels, dtype=torch.int32)
    elif kind == "instances":
        given = InstanceData(
            bboxes=torch.tensor(boxes), scores=torch.tensor(scores), labels=torch.tensor(labels)
        )
    else:
        given = dict(bboxes=kind(boxes), scores=kind(scores), labels=kind(labels))
    found, dropped = read_predictions(dict(pred_instances=given))
    assert dropped == 0
    assert found.bboxes.tolist() == boxes
    assert found.scores.tolist() == scores
    assert found.labels.tolist() == labels
    assert found.bboxes.dtype == np.float64


def test_predictions():
    found = Predictions(
        np.array([[1.0, 2, 4, 6], [0, 0, 1, 1], [5, 5, 6, 7]]),
        np.array([0.2, 0.7, 0.2]),
        np.array([0, 1, 2]),
    )
    assert found.xywh[0].tolist() == [1, 2, 3, 4]
    assert found.best_first().labels.tolist() == [1, 0, 2]
    assert len(found[found.scores > 0.5]) == 1
