"""IoU against torchvision."""

import numpy as np
import torch
from torchvision.ops import box_iou as reference

from glip.evaluation.overlaps import box_iou
from tests.test_evaluation.generated import random_boxes


def test_equals_torchvision():
    rng = np.random.default_rng(0)
    first, second = random_boxes(rng, 40), random_boxes(rng, 30)
    for boxes in (first, second):
        boxes[:, 2:] += boxes[:, :2]
    expected = reference(torch.from_numpy(first), torch.from_numpy(second)).numpy()
    np.testing.assert_allclose(box_iou(first, second), expected, rtol=1e-12)


def test_empty_and_without_area():
    assert box_iou(np.zeros((0, 4)), np.zeros((3, 4))).shape == (0, 3)
    assert box_iou(np.array([[1, 1, 1, 1]]), np.array([[1, 1, 1, 1]])).tolist() == [[0]]
