"""The targets of a small batch, computed by hand."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from glip.models import ATSSAssigner
from glip.models.heads.targets import (
    NO_OBJECT_TOKEN,
    Targets,
    centerness_targets,
    make_targets,
    token_targets,
)

#: Two levels of three and two anchors; of three boxes each fits one anchor.
LEVELS = [
    torch.tensor([[0.0, 0.0, 9.0, 9.0], [20.0, 0.0, 29.0, 9.0], [40.0, 0.0, 49.0, 9.0]]),
    torch.tensor([[0.0, 20.0, 19.0, 39.0], [30.0, 20.0, 49.0, 39.0]]),
]
FIRST, SECOND, LARGE = LEVELS[0][0] + 1, LEVELS[0][2], LEVELS[1][1] - 2


def targets_of(boxes: list, tokens: list, length: int = 5) -> Targets:
    mask = torch.ones(len(boxes), length, dtype=torch.bool)
    return make_targets(LEVELS, boxes, tokens, mask, ATSSAssigner())


def test_batch() -> None:
    boxes = [torch.stack([SECOND, FIRST]), torch.zeros(0, 4), LARGE[None]]
    tokens = [
        torch.tensor([[0, 1, 1, 0, 0], [0, 0, 0, 1, 0]]).bool(),
        torch.zeros(0, 5, dtype=torch.bool),
        torch.tensor([[0, 1, 0, 1, 0]]).bool(),
    ]
    targets = targets_of(boxes, tokens)

    assert targets.matched.tolist() == [[1, -1, 0, -1, -1], [-1] * 5, [-1, -1, -1, -1, 0]]
    assert targets.positive.nonzero().tolist() == [[0, 0], [0, 2], [2, 4]]
    assert targets.tokens.shape == (3, 5, 5)
    assert targets.tokens.dtype == torch.float32
    expected = torch.zeros(3, 5, 5)
    expected[0, 0, 3] = expected[0, 2, 1] = expected[0, 2, 2] = 1
    expected[2, 4, 1] = expected[2, 4, 3] = 1
    torch.testing.assert_close(targets.tokens, expected)
    # The rows of anchors, boxes and centerness are those of the positive ones, image by image.
    torch.testing.assert_close(targets.boxes, torch.stack([FIRST, SECOND, LARGE]))
    anchors = torch.stack([LEVELS[0][0], LEVELS[0][2], LEVELS[1][1]])
    torch.testing.assert_close(targets.anchors, anchors)
    # Centre (4.5, 4.5) in the box (1, 1, 10, 10), the middle, and (39.5, 29.5) in (28, 18, 47, 37).
    expected = [3.5 / 5.5, 1.0, 7.5 / 11.5]
    torch.testing.assert_close(targets.centerness, torch.tensor(expected))


def test_no_boxes_at_all() -> None:
    nothing = [torch.zeros(0, 4)] * 2
    targets = targets_of(nothing, [torch.zeros(0, 5, dtype=torch.bool)] * 2)
    assert not targets.positive.any()
    assert not targets.tokens.any()
    assert targets.boxes.shape == targets.anchors.shape == (0, 4)
    assert targets.centerness.shape == (0,)


def test_targets_are_frozen() -> None:
    targets = targets_of([FIRST[None]], [torch.ones(1, 5, dtype=torch.bool)])
    with pytest.raises(dataclasses.FrozenInstanceError):
        targets.boxes = torch.zeros(0, 4)


@pytest.mark.parametrize(
    ("length", "real", "is_target"),
    [
        (256, 256, True),  # the caption fills everything: its [SEP] stands for "no object"
        (256, 255, False),  # one token of padding, which the loss masks
        (255, 255, False),  # a batch padded to less has no such token
        (300, 300, False),  # nor does an encoder that reads more
    ],
)
def test_no_object_token(length: int, real: int, is_target: bool) -> None:
    mask = torch.arange(length) < real
    box_tokens = torch.zeros(1, length, dtype=torch.bool)
    box_tokens[0, 1:3] = True
    tokens = token_targets(torch.tensor([-1, 0, -1]), box_tokens, mask)
    assert tokens[1].nonzero().flatten().tolist() == [1, 2]
    expected = [NO_OBJECT_TOKEN] if is_target else []
    assert tokens[0].nonzero().flatten().tolist() == expected
    torch.testing.assert_close(tokens[0], tokens[2])


def test_centerness() -> None:
    anchors = torch.tensor([[0.0, 0.0, 63.0, 63.0]]).repeat(3, 1)  # centres at (31.5, 31.5)
    boxes = torch.tensor(
        [
            [21.5, 11.5, 41.5, 51.5],  # in the middle
            [30.5, 11.5, 34.5, 51.5],  # 1 from the left side, 3 from the right
            [30.5, 29.5, 34.5, 41.5],  # and 2 from above, 10 from below
        ]
    )
    expected = torch.tensor([1.0, math.sqrt(1 / 3), math.sqrt(1 / 3 * 2 / 10)])
    torch.testing.assert_close(centerness_targets(anchors, boxes), expected)
