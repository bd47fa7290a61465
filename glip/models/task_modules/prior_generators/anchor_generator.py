"""One square anchor per position of the pyramid (ATSS, Zhang et al., CVPR 2020).

Shapes: level i of size H_i x W_i, N positions over all levels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from glip.registry import TASK_UTILS


@TASK_UTILS.register_module()
class AnchorGenerator:
    """Anchors of side ``octave_base_scale`` times the stride, inclusive pixel coordinates.

    At stride s and position (row i, column j) the anchor is
    (j s - 3.5 s, i s - 3.5 s, j s + 4.5 s - 1, i s + 4.5 s - 1) for the scale 8: 8 s pixels wide
    in the official convention, where a box ends *on* its last pixel.

    Args:
        strides: of the levels, in pixels.
        ratios: only ``[1.0]``, square anchors, what every GLIP uses.
        octave_base_scale: side of an anchor over the stride.
        scales_per_octave: only 1, what every GLIP uses.
        center_offset: centre of an anchor in its cell, over the stride.

    Raises:
        ValueError: more than one anchor a position, or one that is not square.
    """

    def __init__(
        self,
        strides: Sequence[int] = (8, 16, 32, 64, 128),
        ratios: Sequence[float] = (1.0,),
        octave_base_scale: float = 8,
        scales_per_octave: int = 1,
        center_offset: float = 0.5,
    ):
        if list(ratios) != [1.0] or scales_per_octave != 1:
            raise ValueError(
                "expected one square anchor a position (ratios=[1.0], scales_per_octave=1), got "
                f"ratios={list(ratios)} and scales_per_octave={scales_per_octave}"
            )
        self.strides = tuple(strides)
        self.octave_base_scale = octave_base_scale
        self.center_offset = center_offset

    def level(
        self, index: int, size: tuple[int, int], device: torch.device | str = "cpu"
    ) -> Tensor:
        """Anchors of one level.

        Args:
            index: of the level, finest first.
            size: (H_i, W_i) of its map.
            device: where to make them.

        Returns:
            (H_i * W_i, 4) inclusive xyxy pixels of the padded image, row by row.
        """
        stride = self.strides[index]
        rows = torch.arange(size[0], device=device, dtype=torch.float32) * stride
        cols = torch.arange(size[1], device=device, dtype=torch.float32) * stride
        y, x = torch.meshgrid(rows, cols, indexing="ij")
        half = self.octave_base_scale * stride / 2
        low, high = self.center_offset * stride - half, self.center_offset * stride + half - 1
        return torch.stack([x + low, y + low, x + high, y + high], dim=-1).flatten(0, 1)

    def all_levels(
        self, sizes: Sequence[tuple[int, int]], device: torch.device | str = "cpu"
    ) -> list[Tensor]:
        """Anchors of every level; see :meth:`level`.

        Raises:
            ValueError: there are more or fewer maps than strides.
        """
        if len(sizes) != len(self.strides):
            raise ValueError(
                f"expected a map for each of the strides {self.strides}, got {len(sizes)} maps"
            )
        return [self.level(index, size, device) for index, size in enumerate(sizes)]
