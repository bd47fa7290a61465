"""The losses against their formulas, written out number by number."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch
from torch import Tensor

from glip.models import CrossEntropyLoss, FocalLoss, GIoULoss
from glip.registry import MODELS


def focal(logit: float, target: int, alpha: float, gamma: float) -> float:
    right = 1 / (1 + math.exp(-logit if target else logit))
    return -(alpha if target else 1 - alpha) * (1 - right) ** gamma * math.log(right)


def cross_entropy(logit: float, target: float) -> float:
    probability = 1 / (1 + math.exp(-logit))
    return -target * math.log(probability) - (1 - target) * math.log(1 - probability)


def giou(a: list[float], b: list[float]) -> float:
    """Of continuous boxes, without any epsilon."""
    width = max(min(a[2], b[2]) - max(a[0], b[0]), 0)
    height = max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    inter = width * height
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter
    hull = (max(a[2], b[2]) - min(a[0], b[0])) * (max(a[3], b[3]) - min(a[1], b[1]))
    return inter / union - (hull - union) / hull


@pytest.mark.parametrize(("alpha", "gamma"), [(0.25, 2.0), (0.5, 1.5), (0.25, 0.0)])
def test_focal(alpha: float, gamma: float) -> None:
    logits = [-3.0, -0.5, 0.0, 0.7, 4.0]
    cases = list(product(logits, [0, 1]))
    pred = torch.tensor([logit for logit, _ in cases])
    target = torch.tensor([target for _, target in cases])
    expected = [focal(logit, target, alpha, gamma) for logit, target in cases]

    loss = FocalLoss(alpha=alpha, gamma=gamma)
    assert loss(pred, target, avg_factor=1).item() == pytest.approx(sum(expected), rel=1e-6)
    assert loss(pred, target).item() == pytest.approx(sum(expected) / len(cases), rel=1e-6)


def test_focal_at_the_clamp() -> None:
    """Token logits reach ±50000; the loss and its gradient stay finite."""
    pred = torch.tensor([50000.0, -50000.0, 50000.0, -50000.0], requires_grad=True)
    loss = FocalLoss()(pred, torch.tensor([1, 0, 0, 1]), avg_factor=1)
    loss.backward()
    assert loss.item() == pytest.approx(50000 * 0.75 + 50000 * 0.25)
    assert torch.isfinite(pred.grad).all()


@pytest.mark.parametrize("target", [0.0, 0.3, 0.5, 1.0])
def test_cross_entropy(target: float) -> None:
    logits = [-3.0, -0.5, 0.0, 0.7, 4.0]
    loss = CrossEntropyLoss(loss_weight=3.0)
    found = loss(torch.tensor(logits), torch.full((5,), target), avg_factor=2.0)
    expected = 3 / 2 * sum(cross_entropy(logit, target) for logit in logits)
    assert found.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    "pred",
    [
        [0.0, 0.0, 10.0, 10.0],  # the same box
        [5.0, 5.0, 15.0, 12.0],  # overlapping
        [2.0, 3.0, 4.0, 9.0],  # inside
        [20.0, 0.0, 30.0, 10.0],  # beside
        [-3.5, -2.5, 30.25, 40.5],  # around
    ],
)
def test_giou(pred: list[float]) -> None:
    target = [0.0, 0.0, 10.0, 10.0]
    found = GIoULoss(loss_weight=2.0)(torch.tensor([pred]), torch.tensor([target]))
    assert found.item() == pytest.approx(2 * (1 - giou(pred, target)), rel=1e-6, abs=1e-6)


def test_giou_of_a_box_that_ends_before_it_begins() -> None:
    """It ends where it begins: its area is 0, and its sides still get finite gradients."""
    pred = torch.tensor([[4.0, 2.0, 3.6, 8.0]], requires_grad=True)
    target = torch.tensor([[0.0, 0.0, 10.0, 10.0]])
    loss = GIoULoss(loss_weight=1.0)(pred, target)
    loss.backward()
    assert loss.item() == pytest.approx(1.0)
    assert torch.isfinite(pred.grad).all()


def test_giou_has_the_official_epsilon() -> None:
    """1e-7 square pixels in both denominators, which only boxes of no area notice."""
    point = torch.tensor([[3.0, 3.0, 3.0, 3.0]])
    assert GIoULoss(loss_weight=1.0)(point, point).item() == 1.0  # 0 / eps
    small = torch.tensor([[0.0, 0.0, 1e-3, 1e-3]])
    found = GIoULoss(loss_weight=1.0)(small, small).item()
    assert found == pytest.approx(1 - 1e-6 / (1e-6 + 1e-7), rel=1e-4)


LOSSES = [
    (FocalLoss, (6,), lambda size: torch.randint(0, 2, size)),
    (CrossEntropyLoss, (6,), torch.rand),
    (GIoULoss, (6, 4), lambda size: boxes(size[0])),
]


def boxes(count: int) -> Tensor:
    start = torch.rand(count, 2) * 20
    return torch.cat([start, start + 1 + torch.rand(count, 2) * 20], dim=1)


@pytest.mark.parametrize(("kind", "shape", "draw"), LOSSES)
def test_weight_and_avg_factor(kind: type, shape: tuple[int, ...], draw) -> None:
    torch.manual_seed(0)
    pred = boxes(shape[0]) if kind is GIoULoss else torch.randn(shape)
    target, weight = draw(shape), torch.rand(6)
    loss = kind(loss_weight=1.5)
    single = torch.stack([loss(pred[[i]], target[[i]]) for i in range(6)])

    torch.testing.assert_close(loss(pred, target), single.mean())
    torch.testing.assert_close(loss(pred, target, weight), (single * weight).mean())
    for factor in (2.5, torch.tensor(2.5)):
        found = loss(pred, target, weight, avg_factor=factor)
        torch.testing.assert_close(found, (single * weight).sum() / 2.5)
    torch.testing.assert_close(kind(loss_weight=3.0)(pred, target), 2 * single.mean())


@pytest.mark.parametrize(("kind", "shape", "draw"), LOSSES)
def test_nothing_to_learn(kind: type, shape: tuple[int, ...], draw) -> None:
    """A zero that keeps the graph."""
    everything = torch.randn(shape, requires_grad=True)
    nothing = everything[torch.zeros(6, dtype=torch.bool)]
    loss = kind()(nothing, draw((0, *shape[1:])))
    assert loss.item() == 0
    loss.backward()
    assert everything.grad is not None
    assert not everything.grad.any()


@pytest.mark.parametrize("kind", [FocalLoss, CrossEntropyLoss])
def test_only_sigmoid(kind: type) -> None:
    with pytest.raises(ValueError, match="expected use_sigmoid=True"):
        kind(use_sigmoid=False)


@pytest.mark.parametrize(
    ("config", "weight"),
    [
        # As MMDetection's fine-tuning configs write them.
        (dict(type="FocalLoss", use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=1.0), 1.0),
        (dict(type="GIoULoss", loss_weight=2.0), 2.0),
        (dict(type="CrossEntropyLoss", use_sigmoid=True, loss_weight=1.0), 1.0),
    ],
)
def test_configs(config: dict, weight: float) -> None:
    assert MODELS.build(config).loss_weight == weight
