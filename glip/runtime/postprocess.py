"""Post-processing of the raw outputs in numpy; see :mod:`glip.models.heads.postprocess`.

Boxes inside are inclusive: x2 and y2 are the last pixel, the width is x2 - x1 + 1.
Shapes: N positions of all levels, T tokens, P phrases, K detections.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from glip.runtime.manifest import Manifest


@dataclass(frozen=True)
class Found:
    """Detections of a caption in an image, best first.

    Attributes:
        boxes: (K, 4), inclusive xyxy pixels of the network's input.
        scores: (K,).
        labels: (K,), rows of the token map.
        presence: (P,), the best score of each phrase at any position.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    presence: np.ndarray


def level_sizes(height: int, width: int, manifest: Manifest) -> list[tuple[int, int]]:
    """Return (H_i, W_i) of the levels for an input of height x width pixels."""
    return [(-(-height // stride), -(-width // stride)) for stride in manifest.strides]


def make_anchors(sizes: list[tuple[int, int]], manifest: Manifest) -> list[np.ndarray]:
    """Return the anchors (H_i W_i, 4) of each level, inclusive xyxy."""
    anchors = []
    for (height, width), stride in zip(sizes, manifest.strides, strict=True):
        y, x = np.meshgrid(
            np.arange(height, dtype=np.float32) * stride,
            np.arange(width, dtype=np.float32) * stride,
            indexing="ij",
        )
        half = manifest.anchor_scale * stride / 2
        low = manifest.anchor_center * stride - half
        high = manifest.anchor_center * stride + half - 1
        anchors.append(np.stack([x + low, y + low, x + high, y + high], axis=-1).reshape(-1, 4))
    return [each.astype(np.float32) for each in anchors]


def decode(anchors: np.ndarray, deltas: np.ndarray, manifest: Manifest) -> np.ndarray:
    """Decode box deltas (K, 4) relative to anchors (K, 4) to inclusive boxes (K, 4)."""
    size = anchors[:, 2:] - anchors[:, :2] + 1
    center = (anchors[:, :2] + anchors[:, 2:]) / 2
    scaled = deltas / np.asarray(manifest.box_weights, np.float32)
    center = scaled[:, :2] * size + center
    ratio = np.exp(np.minimum(scaled[:, 2:], np.float32(manifest.max_log_ratio)))
    half = np.float32(0.5) * (ratio * size - 1)
    return np.concatenate([center - half, center + half], axis=1)


def postprocess(
    token_logits: np.ndarray,
    deltas: np.ndarray,
    centerness: np.ndarray,
    token_map: np.ndarray,
    size: tuple[int, int],
    img_shape: tuple[int, int],
    manifest: Manifest,
    score_thr: float | None = None,
) -> Found:
    """Compute the detections of a caption in an image.

    Args:
        token_logits: (N, T).
        deltas: (N, 4).
        centerness: (N,) logits.
        token_map: (P, T) bool, the tokens of each phrase.
        size: (height, width) of the network's input, padding included.
        img_shape: (height, width) of the image in it.
        manifest: the model's settings.
        score_thr: minimum phrase probability, exclusive, instead of the manifest's.
    """
    score_thr = manifest.score_thr if score_thr is None else score_thr
    weights = token_map.astype(np.float32)
    weights /= np.maximum(weights.sum(1, keepdims=True), 1)
    sizes = level_sizes(*size, manifest)
    boxes, scores, labels = [], [], []
    presence = np.zeros(len(token_map), np.float32)
    start = 0
    for own, (height, width) in zip(make_anchors(sizes, manifest), sizes, strict=True):
        at = slice(start, start + height * width)
        start = at.stop
        probability = _sigmoid(token_logits[at]) @ weights.T  # (n, P)
        center = _sigmoid(centerness[at])
        product = probability * center[:, None]
        presence = np.maximum(presence, np.nan_to_num(product, nan=0.0).max(axis=0))
        position, label = np.nonzero(probability > score_thr)
        score = product[position, label]
        best = np.argsort(-score, kind="stable")[: manifest.nms_pre]
        position, label, score = position[best], label[best], score[best]
        box = decode(own[position], deltas[at][position], manifest)
        limits = np.asarray([img_shape[1] - 1, img_shape[0] - 1] * 2, np.float32)
        boxes.append(np.minimum(np.maximum(box, 0), limits))
        scores.append(np.sqrt(score))
        labels.append(label)
    box, score, label = np.concatenate(boxes), np.concatenate(scores), np.concatenate(labels)
    valid = score >= 0  # false for NaN
    if manifest.min_bbox_size > 0:
        valid &= (box[:, 2:] - box[:, :2] + 1 >= manifest.min_bbox_size).all(axis=1)
    box, score, label = box[valid], score[valid], label[valid]
    keep = nms_per_label(box, score, label, manifest.iou_threshold)[: manifest.max_per_img]
    return Found(box[keep], score[keep], label[keep], np.sqrt(presence))


def nms_per_label(
    boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, iou_threshold: float
) -> np.ndarray:
    """Suppress boxes whose IoU with a better one of their label is above the threshold.

    The widths and heights of the inclusive boxes (K, 4) are x2 - x1 + 1, as in the official code.

    Returns:
        The indices of the boxes that are kept, by descending score.
    """
    kept = []
    corners = boxes.astype(np.float64) + np.array([0, 0, 1, 1])
    areas = (corners[:, 2:] - corners[:, :2]).prod(axis=1)
    for label in np.unique(labels):
        rest = np.flatnonzero(labels == label)
        rest = rest[np.argsort(-scores[rest], kind="stable")]
        while len(rest):
            best, rest = rest[0], rest[1:]
            kept.append(best)
            low = np.maximum(corners[best, :2], corners[rest, :2])
            high = np.minimum(corners[best, 2:], corners[rest, 2:])
            overlap = np.clip(high - low, 0, None).prod(axis=1)
            union = areas[best] + areas[rest] - overlap
            rest = rest[~(overlap > iou_threshold * union)]
    indices = np.asarray(kept, dtype=np.int64)
    return indices[np.argsort(-scores[indices], kind="stable")]


def _sigmoid(x: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # exp(large) is inf, whose inverse is the right 0
        return (1 / (1 + np.exp(-x.astype(np.float32)))).astype(np.float32)
