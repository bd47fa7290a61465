"""The assigner against the algorithm written out box by box."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from glip.models import AnchorGenerator, ATSSAssigner, InclusiveOverlaps
from glip.registry import TASK_UTILS


def iou(a: np.ndarray, b: np.ndarray) -> float:
    """Of two inclusive boxes."""
    width = min(a[2], b[2]) - max(a[0], b[0]) + 1
    height = min(a[3], b[3]) - max(a[1], b[1]) + 1
    inter = max(width, 0) * max(height, 0)
    area_a = (a[2] - a[0] + 1) * (a[3] - a[1] + 1)
    area_b = (b[2] - b[0] + 1) * (b[3] - b[1] + 1)
    return inter / (area_a + area_b - inter)


def assign_slowly(levels: list[np.ndarray], boxes: np.ndarray, topk: int) -> np.ndarray:
    """The algorithm of the paper, with loops and in float64."""
    anchors = np.concatenate(levels)
    best = np.full(len(anchors), -np.inf)
    assigned = np.full(len(anchors), -1)
    for index, box in enumerate(boxes):
        center = (box[:2] + box[2:]) / 2
        candidates, start = [], 0
        for level in levels:
            distances = np.linalg.norm((level[:, :2] + level[:, 2:]) / 2 - center, axis=1)
            candidates += list(start + np.argsort(distances, kind="stable")[:topk])
            start += len(level)
        overlaps = np.array([iou(anchors[candidate], box) for candidate in candidates])
        threshold = overlaps.mean() + overlaps.std(ddof=1)
        for candidate, overlap in zip(candidates, overlaps, strict=True):
            x, y = (anchors[candidate, :2] + anchors[candidate, 2:]) / 2
            margin = min(x - box[0], y - box[1], box[2] - x, box[3] - y)
            if overlap >= threshold and margin > 0.01 and overlap > best[candidate]:
                best[candidate], assigned[candidate] = overlap, index
    return assigned


def anchors_of(height: int, width: int) -> list[Tensor]:
    sizes = [(-(-height // stride), -(-width // stride)) for stride in (8, 16, 32, 64, 128)]
    return AnchorGenerator().grid_priors(sizes)


def random_boxes(generator: np.random.Generator, count: int, height: int, width: int) -> np.ndarray:
    """Inclusive boxes of all sizes; no two centres of anchors are equally near to one of them."""
    start = generator.uniform(0, [width - 2, height - 2], (count, 2))
    size = 1 + generator.uniform(0, 1, (count, 2)) ** 2 * ([width, height] - start - 2)
    return np.concatenate([start, start + size], axis=1).astype(np.float32)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("count", [1, 12])
def test_against_the_algorithm(seed: int, count: int) -> None:
    generator = np.random.default_rng(seed)
    height, width = generator.integers(4, 11, 2) * 32
    topk = int(generator.choice([3, 9]))
    levels = anchors_of(height, width)
    boxes = random_boxes(generator, count, height, width)

    assigned = ATSSAssigner(topk=topk)(levels, torch.from_numpy(boxes))

    expected = assign_slowly([level.double().numpy() for level in levels], boxes, topk)
    assert count == 1 or (expected >= 0).any()  # a single small box may have none
    np.testing.assert_array_equal(assigned, expected)


def test_no_boxes() -> None:
    levels = anchors_of(64, 96)
    assigned = ATSSAssigner()(levels, torch.zeros(0, 4))
    assert assigned.dtype == torch.long
    assert assigned.shape == (sum(len(level) for level in levels),)
    assert (assigned == -1).all()


def test_box_smaller_than_every_anchor() -> None:
    # Around the centre of the finest level's anchor at row 4, column 5: (43.5, 35.5).
    levels = anchors_of(128, 128)
    box = torch.tensor([[41.0, 33.0, 46.0, 38.0]])
    assigned = ATSSAssigner()(levels, box)
    assert (assigned >= 0).nonzero().tolist() == [[4 * 16 + 5]]


def test_box_between_all_centers_has_no_anchor() -> None:
    # The finest centres are 8 pixels apart, at 3.5 + 8 k: none lies in this box.
    assigned = ATSSAssigner()(anchors_of(128, 128), torch.tensor([[36.0, 36.0, 42.0, 42.0]]))
    assert (assigned == -1).all()


@pytest.mark.parametrize(
    ("margin", "positive"),
    [
        (0.02, True),  # by more than 0.01 pixels
        (0.005, False),  # by less
        (0.0, False),  # on the border
    ],
)
def test_center_must_be_inside(margin: float, positive: bool) -> None:
    box = torch.tensor([[0.0, 0.0, 63.0, 63.0]])
    half_over = torch.tensor([margin - 31.5, 0.0, margin + 31.5, 63.0])  # IoU a third
    far_off = torch.tensor([500.0, 500.0, 563.0, 563.0])
    levels = [torch.stack([half_over, *[far_off] * 4])]
    assigned = ATSSAssigner()(levels, box)
    assert assigned.tolist() == [0 if positive else -1, -1, -1, -1, -1]


def test_anchor_of_several_boxes_takes_the_highest_iou() -> None:
    levels = anchors_of(256, 256)
    anchor = levels[0][32 * 16 + 16]
    near, far = anchor + 1, anchor + torch.tensor([-9.0, -9.0, 9.0, 9.0])
    for boxes, index in ((torch.stack([near, far]), 0), (torch.stack([far, near]), 1)):
        assert ATSSAssigner()(levels, boxes)[32 * 16 + 16] == index


def test_equal_boxes_go_to_the_first() -> None:
    levels = anchors_of(128, 160)
    box = torch.tensor([[20.3, 31.1, 99.2, 88.7]])
    assigned = ATSSAssigner()(levels, box.repeat(3, 1))
    torch.testing.assert_close(assigned, ATSSAssigner()(levels, box))


@pytest.mark.parametrize("size", [39.0, 47.0, 55.0])
def test_equally_near_centers(size: int) -> None:
    """A box in the middle of four anchors: four nearest, then eight equally near for five places.

    Whichever are taken, nothing farther off is.
    """
    levels = anchors_of(256, 256)[:1]
    middle = 127.5
    box = torch.tensor([[middle - size / 2] * 2 + [middle + size / 2] * 2])
    assigned = ATSSAssigner()(levels, box)
    centers = torch.cat([(level[:, :2] + level[:, 2:]) / 2 for level in levels])
    distances = (centers - middle).norm(dim=1)
    positive = assigned >= 0
    assert 1 <= positive.sum() <= 9
    assert distances[positive].max() < 4 * 10**0.5 + 1e-3


def test_fewer_anchors_than_topk() -> None:
    # Every anchor is a candidate; the threshold is 0.25 + 0.5 of the IoUs 1, 0 and 0, 0.
    levels = [
        torch.tensor([[0.0, 0.0, 9.0, 9.0], [10.0, 0.0, 19.0, 9.0]]),
        torch.tensor([[0.0, 10.0, 9.0, 19.0], [20.0, 0.0, 29.0, 9.0]]),
    ]
    assigned = ATSSAssigner(topk=9)(levels, torch.tensor([[0.0, 0.0, 9.0, 9.0]]))
    assert assigned.tolist() == [0, -1, -1, -1]


def test_deviation_is_unbiased() -> None:
    # Two candidates of IoU 1 and 0: the threshold is 0.5 + 0.71, where a biased one would be 1.
    levels = [torch.tensor([[0.0, 0.0, 9.0, 9.0], [10.0, 0.0, 19.0, 9.0]])]
    assigned = ATSSAssigner()(levels, torch.tensor([[0.0, 0.0, 9.0, 9.0]]))
    assert assigned.tolist() == [-1, -1]


@pytest.mark.parametrize("name", ["InclusiveOverlaps", "BboxOverlaps2D_GLIP"])
def test_overlaps(name: str) -> None:
    generator = np.random.default_rng(0)
    boxes, others = random_boxes(generator, 6, 99, 99), random_boxes(generator, 4, 99, 99)
    overlaps = TASK_UTILS.build(dict(type=name))(torch.from_numpy(boxes), torch.from_numpy(others))
    expected = [[iou(box, other) for other in others] for box in boxes]
    np.testing.assert_allclose(overlaps, expected, atol=1e-6)


def test_default_overlaps_are_the_official() -> None:
    assert isinstance(ATSSAssigner(topk=9).overlaps, InclusiveOverlaps)


def test_config() -> None:
    assigner = TASK_UTILS.build(
        dict(type="ATSSAssigner", topk=5, iou_calculator=dict(type="BboxOverlaps2D_GLIP"))
    )
    assert assigner.topk == 5


@pytest.mark.parametrize("option", [dict(alpha=0.8), dict(ignore_iof_thr=0.5), dict(topk=0)])
def test_refused_options(option: dict) -> None:
    (name,) = option
    with pytest.raises(ValueError, match=f"{name}"):
        ATSSAssigner(**option)
