"""Where the anchors are."""

from __future__ import annotations

import itertools

import pytest
import torch

from glip.models import AnchorGenerator

STRIDES = (8, 16, 32, 64, 128)


def test_first_anchor():
    """The official one: 64 pixels from -28 to 35, both counted."""
    assert AnchorGenerator().single_level_grid_priors((1, 1), 0).tolist() == [
        [-28.0, -28.0, 35.0, 35.0]
    ]


def test_every_anchor():
    sizes = [(13, 10), (7, 5), (4, 3), (2, 2), (1, 1)]
    levels = AnchorGenerator().grid_priors(sizes)
    for level, (height, width), s in zip(levels, sizes, STRIDES, strict=True):
        assert level.dtype == torch.float32
        expected = [
            [j * s - 3.5 * s, i * s - 3.5 * s, j * s + 4.5 * s - 1, i * s + 4.5 * s - 1]
            for i, j in itertools.product(range(height), range(width))
        ]
        assert level.tolist() == expected


def test_size_and_center():
    anchors = AnchorGenerator(
        strides=(16,), octave_base_scale=4, center_offset=0.0
    ).single_level_grid_priors((2, 3), 0)
    assert (anchors[:, 2:] - anchors[:, :2] + 1 == 64).all()
    # Halfway between the middle pixels: the centre of an inclusive box of an even number of them.
    assert ((anchors[:, :2] + anchors[:, 2:]) / 2 + 0.5)[-1].tolist() == [32.0, 16.0]


def test_number_of_levels():
    with pytest.raises(ValueError, match=r"strides \(8, 16\), got 3 sizes"):
        AnchorGenerator(strides=(8, 16)).grid_priors([(1, 1)] * 3)


@pytest.mark.parametrize(
    "options", [dict(ratios=[0.5, 1.0]), dict(ratios=[2.0]), dict(scales_per_octave=3)]
)
def test_options_that_glip_does_not_use(options):
    with pytest.raises(ValueError, match="one square anchor per position"):
        AnchorGenerator(**options)


def test_mmdet_arguments():
    theirs = AnchorGenerator(
        ratios=[1.0], octave_base_scale=8, scales_per_octave=1, strides=list(STRIDES),
        center_offset=0.5,
    )  # fmt: skip
    assert torch.equal(
        theirs.single_level_grid_priors((3, 4), 2),
        AnchorGenerator().single_level_grid_priors((3, 4), 2),
    )
