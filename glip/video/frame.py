"""A frame of a video."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame.

    Attributes:
        index: 0-based, of the frames that could be decoded.
        seconds: its time from the start of the source.
        image: BGR pixels (H, W, 3), uint8, upright.
    """

    index: int
    seconds: float
    image: np.ndarray
