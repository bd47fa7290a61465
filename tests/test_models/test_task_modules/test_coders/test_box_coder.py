"""Boxes there and back, and the + 1."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glip.models import AnchorGenerator, InclusiveBoxCoder
from glip.models.task_modules.coders.box_coder import clip_inclusive, inclusive_to_xyxy

ANCHOR = torch.tensor([[-28.0, -28.0, 35.0, 35.0]])

corners = st.floats(-500, 2000, width=32)
sides = st.floats(0.015625, 2500, width=32)
boxes = st.builds(lambda x, y, w, h: [x, y, x + w - 1, y + h - 1], corners, corners, sides, sides)
places = st.tuples(st.integers(0, 4), st.integers(0, 12), st.integers(0, 12))


@given(place=places, box=boxes)
def test_there_and_back(place, box):
    level, row, col = place
    anchor = AnchorGenerator().single_level_grid_priors((row + 1, col + 1), level)[-1:].double()
    box = torch.tensor([box], dtype=torch.double)
    coder = InclusiveBoxCoder()
    deltas = coder.encode(anchor, box)
    assert deltas.isfinite().all()
    # Decoding works in float32.
    torch.testing.assert_close(coder.decode(anchor, deltas), box, rtol=1e-5, atol=2e-3)


@given(
    place=places,
    deltas=st.lists(st.floats(-10, 10, width=32), min_size=4, max_size=4).map(
        lambda values: torch.tensor([values])
    ),
)
def test_back_and_there(place, deltas):
    level, row, col = place
    anchor = AnchorGenerator().single_level_grid_priors((row + 1, col + 1), level)[-1:].double()
    coder = InclusiveBoxCoder()
    found = coder.encode(anchor, coder.decode(anchor, deltas))
    torch.testing.assert_close(found.float(), deltas, rtol=1e-3, atol=1e-3)


def test_the_anchor_itself_is_zero():
    coder = InclusiveBoxCoder()
    assert coder.encode(ANCHOR, ANCHOR).tolist() == [[0, 0, 0, 0]]
    assert coder.decode(ANCHOR, torch.zeros(1, 4)).tolist() == ANCHOR.tolist()


def test_official_numbers():
    """Worked out by hand: w = 64 + 1 - 1, weights 10, 10, 5, 5."""
    box = torch.tensor([[10.0, 4.0, 41.0, 131.0]])  # 32 x 128 pixels around (25.5, 67.5)
    expected = [
        [10 * (25.5 - 3.5) / 64, 10 * (67.5 - 3.5) / 64, 5 * math.log(0.5), 5 * math.log(2)]
    ]
    deltas = InclusiveBoxCoder().encode(ANCHOR, box)
    torch.testing.assert_close(deltas, torch.tensor(expected))
    torch.testing.assert_close(InclusiveBoxCoder().decode(ANCHOR, deltas), box)


def test_decoded_sides_are_limited():
    """No side is more than 1000 / 16 times its anchor's."""
    x1, y1, x2, y2 = InclusiveBoxCoder().decode(ANCHOR, torch.tensor([[0, 0, 500.0, 20.0]]))[0]
    assert (x2 - x1 + 1).item() == pytest.approx(64 * 1000 / 16, rel=1e-5)
    assert (y2 - y1 + 1).item() == pytest.approx(64 * math.exp(4), rel=1e-5)


def test_units_of_the_deltas():
    coder = InclusiveBoxCoder(target_means=[0.0] * 4, target_stds=[1.0, 1.0, 1.0, 1.0])
    deltas = coder.encode(ANCHOR, ANCHOR + torch.tensor([64.0, 0, 64, 0]))
    assert deltas.tolist() == [[1, 0, 0, 0]]
    with pytest.raises(ValueError, match="target_means of zeros"):
        InclusiveBoxCoder(target_means=[0.1, 0, 0, 0])


def test_clipping_to_the_last_pixel():
    boxes = torch.tensor([[-5.0, -1, 700, 500], [3, 4, 5, 6], [650, 430, 660, 440]])
    expected = [[0.0, 0, 639, 426], [3, 4, 5, 6], [639, 426, 639, 426]]
    assert clip_inclusive(boxes, height=427, width=640).tolist() == expected


def test_public_boxes():
    """One pixel is a box of one by one."""
    boxes = torch.tensor([[3.0, 4.0, 3.0, 4.0]])
    assert inclusive_to_xyxy(boxes).tolist() == [[3, 4, 4, 5]]
    assert boxes.tolist() == [[3, 4, 3, 4]]
