"""Reference outputs of the official code, and how to compare with them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "golden"
COPIES = Path(__file__).parent / "data"

CONFIGS = {
    "A": "glip_atss_swin-t_a_fpn_dyhead_pretrain_obj365",
    "B": "glip_atss_swin-t_b_fpn_dyhead_pretrain_obj365",
    "L": "glip_atss_swin-l_fpn_dyhead_pretrain_mixeddata",
}


class Golden:
    """One stored case: a model, a image and a prompt, with what the official code computed.

    An array is stored completely, or as values at flat positions.
    """

    def __init__(self, path: Path):
        self.name = path.stem
        self.arrays = dict(np.load(path, allow_pickle=False))
        self.meta = json.loads(str(self.arrays["meta"]))

    def __contains__(self, name: str) -> bool:
        return name in self.arrays or f"{name}__val" in self.arrays

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[name]

    def error(self, name: str, ours: np.ndarray) -> float:
        """Largest difference, relative to the largest stored value."""
        if name in self.arrays:
            stored = self.arrays[name]
        else:
            assert tuple(self.arrays[f"{name}__shape"]) == ours.shape, name
            stored = self.arrays[f"{name}__val"]
            ours = ours.reshape(-1)[self.arrays[f"{name}__idx"]]
        assert stored.shape == ours.shape, (name, stored.shape, ours.shape)
        return relative_error(ours, stored)


def relative_error(ours: np.ndarray, stored: np.ndarray) -> float:
    """Largest difference, relative to the largest stored value."""
    return float(np.abs(ours - stored).max() / np.abs(stored).max())


def match_detections(ours: tuple, stored: tuple, box_atol: float, score_atol: float) -> int:
    """Count the detections of either side without a partner on the other.

    Args:
        ours: boxes (K, 4), scores (K,) and labels (K,).
        stored: the same of the official code, in any order.
        box_atol: pixels.
        score_atol: of the score.
    """
    boxes, scores, labels = ours
    free = np.ones(len(stored[1]), dtype=bool)
    alone = 0
    for box, score, label in zip(boxes, scores, labels, strict=True):
        partner = (
            free
            & (stored[2] == label)
            & (np.abs(stored[1] - score) <= score_atol)
            & (np.abs(stored[0] - box).max(axis=1, initial=0) <= box_atol)
        )
        if partner.any():
            free[np.flatnonzero(partner)[0]] = False
        else:
            alone += 1
    return alone + int(free.sum())


def undecided(golden: Golden, tolerance: float = 1e-5) -> bool:
    """Whether a decision of this case is closer to flipping than rounding can tell."""
    margins = golden.meta["margins"]
    gaps = [gap for _, gap in margins["per_level_candidates_and_topk_gap"] if gap is not None]
    gaps += [value for key, value in margins.items() if key.startswith("min_abs") and value]
    return min([*gaps, margins.get("cap_gap") or 1.0]) < tolerance
