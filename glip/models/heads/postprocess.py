"""Post-processing of the dense predictions, as in microsoft/GLIP, ``rpn/inference.py``.

Shapes: N positions of a level, T text tokens, P phrases, K candidates or detections.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from mmengine.structures import InstanceData
from torch import Tensor
from torchvision.ops import batched_nms

from glip.models.heads.outputs import HeadOutputs
from glip.models.task_modules.coders.box_coder import (
    InclusiveBoxCoder,
    clip_inclusive,
    inclusive_to_xyxy,
)


@dataclass(frozen=True)
class PostProcessor:
    """Score threshold, top-k per level, box decoding, NMS per phrase and top-k per image.

    Attributes:
        score_thr: minimum phrase probability of a candidate, exclusive (official: 0.05).
        nms_pre: maximum number of candidates per level (official: 1000).
        iou_threshold: NMS suppresses a box whose IoU with a better one of the same phrase is above
            this (official: 0.6).
        max_per_img: maximum number of detections per image (official: 100; 300 for LVIS).
        min_bbox_size: minimum side of a box in pixels (official: 0).
    """

    score_thr: float = 0.05
    nms_pre: int = 1000
    iou_threshold: float = 0.6
    max_per_img: int = 100
    min_bbox_size: float = 0

    def __call__(
        self,
        outputs: HeadOutputs,
        index: int,
        token_map: Tensor,
        anchors: list[Tensor],
        coder: InclusiveBoxCoder,
        img_shape: tuple[int, int],
    ) -> tuple[InstanceData, Tensor]:
        """Compute the detections of one image of a batch, and the presence of its phrases.

        Args:
            outputs: outputs of the head for the batch.
            index: index of the image in the batch.
            token_map: (P, T) bool, the tokens of each phrase.
            anchors: (N, 4) of each level.
            coder: decodes the deltas.
            img_shape: (height, width) of the image before padding, in pixels.

        Returns:
            - the detections: ``bboxes`` (K, 4), inclusive xyxy pixels of the network's input,
              ``scores`` (K,) and ``labels`` (K,), rows of ``token_map``; by descending score;
            - the presence (P,) of each phrase: the best score that any position reaches, before the
              threshold and NMS. No detection of the phrase has a higher score, and its best one has
              this score unless a limit above drops it.
        """
        weights = phrase_weights(token_map)
        detections, presence = [], []
        for level, level_anchors in enumerate(anchors):
            probability = outputs.token_logits[level][index].float().sigmoid() @ weights.T  # (N, P)
            centerness = outputs.centerness[level][index].float().sigmoid()
            product, position, label = self._candidates(probability, centerness)
            presence.append(best_product(probability, centerness))
            boxes = coder.decode(level_anchors[position], outputs.deltas[level][index][position])
            detections.append((clip_inclusive(boxes, *img_shape), product.sqrt(), label))
        boxes, scores, labels = (torch.cat(parts) for parts in zip(*detections, strict=True))
        valid = scores >= 0  # false for NaN, the square root of _topk_candidates' fill value -1
        found = self._nms(boxes[valid], scores[valid], labels[valid])
        return found, torch.stack(presence).amax(dim=0).sqrt()

    def _candidates(self, probability: Tensor, centerness: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Select the best candidates of a level.

        Args:
            probability: (N, P) phrase probabilities.
            centerness: (N,) probabilities.

        Returns:
            product of probability and centerness (K,), position (K,) and phrase (K,).
        """
        if probability.device.type != "cpu":
            return self._topk_candidates(probability, centerness)
        positions, labels = (probability > self.score_thr).nonzero(as_tuple=True)
        product = probability[positions, labels] * centerness[positions]
        product, best = product.topk(min(self.nms_pre, len(product)))
        return product, positions[best], labels[best]

    def _topk_candidates(
        self, probability: Tensor, centerness: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Select candidates without their number, which would synchronise with the GPU.

        K is always ``nms_pre`` (or N P); the product is -1 for entries below the threshold.
        """
        product = torch.where(probability > self.score_thr, probability * centerness[:, None], -1.0)
        product, best = product.flatten().topk(min(self.nms_pre, product.numel()))
        phrases = probability.shape[1]
        return product, best // phrases, best % phrases

    def _nms(self, boxes: Tensor, scores: Tensor, labels: Tensor) -> InstanceData:
        # The usual IoU of continuous boxes is the official one, with + 1 in width and height.
        continuous = inclusive_to_xyxy(boxes)
        if self.min_bbox_size > 0:
            sides = continuous[:, 2:] - continuous[:, :2]
            valid = (sides >= self.min_bbox_size).all(dim=1)
            boxes, scores, labels = boxes[valid], scores[valid], labels[valid]
            continuous = continuous[valid]
        # batched_nms shifts the boxes of each class by an offset that float32 is too coarse for.
        keep = batched_nms(continuous.double(), scores.double(), labels, self.iou_threshold)
        keep = keep[: self.max_per_img]
        return InstanceData(bboxes=boxes[keep], scores=scores[keep], labels=labels[keep])


def best_product(probability: Tensor, centerness: Tensor) -> Tensor:
    """Return for each phrase the largest product of probability and centerness of a level.

    It is the multiplication that the candidates have, so equal scores are equal to the last bit.
    NaN counts as 0: it gives no detection either.

    Args:
        probability: (N, P) phrase probabilities.
        centerness: (N,) probabilities.

    Returns:
        (P,).
    """
    return (probability * centerness[:, None]).nan_to_num_(nan=0.0).amax(dim=0)


def phrase_weights(token_map: Tensor) -> Tensor:
    """Return weights (P, T) that average over the tokens of each phrase of a (P, T) token map."""
    token_map = token_map.float()
    return token_map / token_map.sum(dim=1, keepdim=True).clamp(min=1)
