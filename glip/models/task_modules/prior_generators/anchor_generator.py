"""One square anchor per position of the feature pyramid (ATSS, Zhang et al., CVPR 2020).

Shapes: level i of size H_i x W_i.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from glip.registry import TASK_UTILS


@TASK_UTILS.register_module()
class AnchorGenerator:
    """Anchors of side ``octave_base_scale`` times the stride, in inclusive pixel coordinates.

    With the scale 8, the anchor at stride s, row i and column j is
    (j s - 3.5 s, i s - 3.5 s, j s + 4.5 s - 1, i s + 4.5 s - 1): 8 s pixels wide in the official
    convention, where x2 and y2 are the last pixel of a box.

    Args:
        strides: of the levels, in pixels.
        ratios: only ``[1.0]``, square anchors, as in every GLIP.
        octave_base_scale: side of an anchor divided by the stride.
        scales_per_octave: only 1, as in every GLIP.
        center_offset: centre of an anchor in its cell, divided by the stride.

    Raises:
        ValueError: the options describe several anchors per position, or one that is not square.
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
                "expected one square anchor per position (ratios=[1.0], scales_per_octave=1), got "
                f"ratios={list(ratios)} and scales_per_octave={scales_per_octave}"
            )
        self.strides = tuple(strides)
        self.octave_base_scale = octave_base_scale
        self.center_offset = center_offset

    def grid_priors(
        self, featmap_sizes: Sequence[tuple[int, int]], device: torch.device | str = "cpu"
    ) -> list[Tensor]:
        """Generate the anchors of all levels; see :meth:`single_level_grid_priors`.

        Args:
            featmap_sizes: (H_i, W_i) of each level, finest first.
            device: of the anchors.

        Raises:
            ValueError: the number of sizes is not that of the strides.
        """
        if len(featmap_sizes) != len(self.strides):
            raise ValueError(
                f"expected the size of a feature map for each of the strides {self.strides}, got "
                f"{len(featmap_sizes)} sizes"
            )
        return [
            self.single_level_grid_priors(size, index, device)
            for index, size in enumerate(featmap_sizes)
        ]

    def single_level_grid_priors(
        self, featmap_size: tuple[int, int], level_idx: int, device: torch.device | str = "cpu"
    ) -> Tensor:
        """Generate the anchors of one level.

        Args:
            featmap_size: (H_i, W_i).
            level_idx: index of the level, finest first.
            device: of the anchors.

        Returns:
            (H_i * W_i, 4) inclusive xyxy pixels of the padded image, row by row.
        """
        stride = self.strides[level_idx]
        rows = torch.arange(featmap_size[0], device=device, dtype=torch.float32) * stride
        cols = torch.arange(featmap_size[1], device=device, dtype=torch.float32) * stride
        y, x = torch.meshgrid(rows, cols, indexing="ij")
        half = self.octave_base_scale * stride / 2
        low, high = self.center_offset * stride - half, self.center_offset * stride + half - 1
        return torch.stack([x + low, y + low, x + high, y + high], dim=-1).flatten(0, 1)
