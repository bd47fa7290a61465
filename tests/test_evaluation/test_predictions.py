"""Detections as arrays, and their IoU with boxes."""

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from pycocotools import mask

from glip.evaluation import Predictions
from glip.evaluation.predictions import read_predictions
from tests.test_evaluation.generated import random_boxes


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
    assert found.sort_by_score().labels.tolist() == [1, 0, 2]
    assert len(found[found.scores > 0.5]) == 1


def boxes_only(bboxes):
    return Predictions(bboxes, np.ones(len(bboxes)), np.zeros(len(bboxes), dtype=int))


def test_iou_equals_pycocotools():
    rng = np.random.default_rng(0)
    first, second = random_boxes(rng, 40), random_boxes(rng, 30)
    expected = mask.iou(first, second, np.zeros(len(second), dtype=np.uint8))
    for boxes in (first, second):
        boxes[:, 2:] += boxes[:, :2]
    np.testing.assert_allclose(boxes_only(first).iou(second), expected, rtol=1e-12)


def test_iou_of_empty_and_zero_area():
    assert boxes_only(np.zeros((0, 4))).iou(np.zeros((3, 4))).shape == (0, 3)
    assert boxes_only(np.ones((1, 4))).iou(np.ones((1, 4))).tolist() == [[0]]
