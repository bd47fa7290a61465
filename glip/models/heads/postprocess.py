"""From logits to boxes, the official way (microsoft/GLIP, ``rpn/inference.py``).

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
    """Threshold, rank, decode, suppress and cap.

    Attributes:
        score_thr: candidates have a phrase probability above this (official: 0.05).
        nms_pre: candidates kept a level (official: 1000).
        iou_threshold: a box is suppressed by a better one of its phrase above this (official: 0.6).
        max_per_img: detections kept of all phrases (official: 100; 300 for LVIS).
        min_bbox_size: boxes with a side below this many pixels are dropped (official: 0).
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
    ) -> InstanceData:
        """Detect in one image of a batch.

        Args:
            outputs: of the head, for the whole batch.
            index: of the image in the batch.
            token_map: (P, T) bool, the tokens of each phrase.
            anchors: of each level, (N, 4).
            coder: what decodes the deltas.
            img_shape: (height, width) of the image before padding, in pixels.

        Returns:
            ``bboxes`` (K, 4), inclusive pixels of the network's input, ``scores`` (K,) and
            ``labels`` (K,), rows of ``token_map``; best score first.
        """
        weights = phrase_weights(token_map)
        found = []
        for level, level_anchors in enumerate(anchors):
            probability = outputs.token_logits[level][index].float().sigmoid() @ weights.T  # (N, P)
            centerness = outputs.centerness[level][index].float().sigmoid()
            product, position, label = self._candidates(probability, centerness)
            boxes = coder.decode(level_anchors[position], outputs.deltas[level][index][position])
            found.append((clip_inclusive(boxes, *img_shape), product.sqrt(), label))
        boxes, scores, labels = (torch.cat(parts) for parts in zip(*found, strict=True))
        real = scores >= 0  # the root of -1 is no number
        return self._suppress(boxes[real], scores[real], labels[real])

    def _candidates(self, probability: Tensor, centerness: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N, P) and (N,) -> score (K,), position (K,) and phrase (K,) of the candidates."""
        if probability.device.type != "cpu":
            return self._ranked(probability, centerness)
        positions, labels = (probability > self.score_thr).nonzero(as_tuple=True)
        product = probability[positions, labels] * centerness[positions]
        product, best = product.topk(min(self.nms_pre, len(product)))
        return product, positions[best], labels[best]

    def _ranked(self, probability: Tensor, centerness: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The same without asking how many there are, which a GPU would have to be waited for.

        K is always the same; what is no candidate has a score of -1.
        """
        product = torch.where(probability > self.score_thr, probability * centerness[:, None], -1.0)
        product, best = product.flatten().topk(min(self.nms_pre, product.numel()))
        phrases = probability.shape[1]
        return product, best // phrases, best % phrases

    def _suppress(self, boxes: Tensor, scores: Tensor, labels: Tensor) -> InstanceData:
        # On public boxes the usual IoU is the official one, with its + 1 in every width and height.
        continuous = inclusive_to_xyxy(boxes)
        if self.min_bbox_size > 0:
            sides = continuous[:, 2:] - continuous[:, :2]
            large = (sides >= self.min_bbox_size).all(dim=1)
            boxes, scores, labels = boxes[large], scores[large], labels[large]
            continuous = continuous[large]
        # batched_nms moves each class away by an offset, which costs float32 its precision.
        keep = batched_nms(continuous.double(), scores.double(), labels, self.iou_threshold)
        keep = keep[: self.max_per_img]
        return InstanceData(bboxes=boxes[keep], scores=scores[keep], labels=labels[keep])


def phrase_weights(token_map: Tensor) -> Tensor:
    """(P, T) token map -> (P, T) weights: a phrase's probability is the mean over its tokens."""
    token_map = token_map.float()
    return token_map / token_map.sum(dim=1, keepdim=True).clamp(min=1)
