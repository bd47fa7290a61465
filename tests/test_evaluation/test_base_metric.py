"""Every image counts once, whatever results the processes gather."""

import numpy as np
import pytest

from glip.evaluation import BaseDetMetric
from tests.test_evaluation.generated import sample


class Count(BaseDetMetric):
    """Counts images and detections."""

    def compute_metrics(self, results):
        images = self.unique_images(results)
        return {"images": len(images), "detections": sum(map(len, images.values()))}


def test_an_image_counts_once():
    metric = Count(prefix="count")
    metric.process(None, [sample(1, [[0, 0, 1, 1]], [0.5], [0]), sample(2, [], [], [])])
    metric.process(
        None, [sample(1, [[0, 0, 1, 1]] * 3, [0.5] * 3, [0] * 3), sample("1", [], [], [])]
    )
    # There are more results than images: nothing is truncated.
    assert metric.evaluate(2) == {"count/images": 3, "count/detections": 1}
    assert metric.results == []


def test_unreadable_and_not_finite(monkeypatch):
    messages = []
    monkeypatch.setattr(
        "glip.evaluation.base_metric.print_log", lambda message, **_: messages.append(message)
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
    assert "1 of 2 images could not be read" in messages[0]
    assert "a.jpg" in messages[0]
    assert "1 detections were dropped" in messages[1]


def test_missing_keys():
    with pytest.raises(ValueError, match="meta_keys of PackDetInputs"):
        Count(prefix="count").process(None, [dict(pred_instances={})])
    with pytest.raises(ValueError, match="predict mode"):
        Count(prefix="count").process(None, [dict(img_id=1)])
