"""Training targets of the anchors: box, tokens of the box's phrase, and centerness.

Shapes: B images, N anchors over all levels, T text tokens, G annotated boxes, P positive anchors of
the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from glip.models.task_modules.assigners.atss_assigner import centers

#: The official code's token for "no object", the last of its 256. It is padding, which the loss
#: masks, unless a caption fills all 256: then its [SEP] is the target of anchors without a box.
NO_OBJECT_TOKEN = 255


@dataclass(frozen=True)
class Targets:
    """The targets of a batch.

    Attributes:
        matched: (B, N), the index of each anchor's box in its image, -1 for none.
        tokens: (B, N, T), 1 on the tokens of the anchor's phrase, else 0.
        anchors: (P, 4), the positive anchors, image by image.
        boxes: (P, 4), their boxes.
        centerness: (P,), 1 in the centre of the box, towards 0 at its border.

    Boxes and anchors are in inclusive xyxy pixels of the network's input.
    """

    matched: Tensor
    tokens: Tensor
    anchors: Tensor
    boxes: Tensor
    centerness: Tensor

    @property
    def positive(self) -> Tensor:
        """Mask (B, N) of the positive anchors, in the order of the P rows."""
        return self.matched >= 0


def make_targets(
    anchors: Sequence[Tensor],
    boxes: Sequence[Tensor],
    box_tokens: Sequence[Tensor],
    text_mask: Tensor,
    assigner: Callable[[Sequence[Tensor], Tensor], Tensor],
) -> Targets:
    """Compute the targets of a batch.

    Args:
        anchors: (N_i, 4) of each level, the same for all images.
        boxes: (G, 4) of each image, inclusive xyxy pixels of the network's input; G may be 0.
        box_tokens: (G, T) bool of each image, the tokens of each box's phrase.
        text_mask: (B, T) bool, true on real tokens.
        assigner: assigns boxes to anchors, see
            :class:`~glip.models.task_modules.ATSSAssigner`.
    """
    all_anchors = torch.cat(list(anchors))
    matched, tokens, positive_anchors, positive_boxes = [], [], [], []
    for image_boxes, image_tokens, image_mask in zip(boxes, box_tokens, text_mask, strict=True):
        image_boxes = image_boxes.to(all_anchors)
        assigned = assigner(anchors, image_boxes)
        positive = assigned >= 0
        matched.append(assigned)
        tokens.append(token_targets(assigned, image_tokens, image_mask))
        positive_anchors.append(all_anchors[positive])
        positive_boxes.append(image_boxes[assigned[positive]])
    anchors_of_boxes, boxes_of_anchors = torch.cat(positive_anchors), torch.cat(positive_boxes)
    return Targets(
        matched=torch.stack(matched),
        tokens=torch.stack(tokens),
        anchors=anchors_of_boxes,
        boxes=boxes_of_anchors,
        centerness=centerness_targets(anchors_of_boxes, boxes_of_anchors),
    )


def token_targets(matched: Tensor, box_tokens: Tensor, text_mask: Tensor) -> Tensor:
    """Compute the token targets of the anchors of one image.

    Args:
        matched: (N,) the index of each anchor's box, -1 for none.
        box_tokens: (G, T) bool, the tokens of each box's phrase.
        text_mask: (T,) bool, true on real tokens.

    Returns:
        (N, T), 0 or 1.
    """
    no_object = torch.zeros_like(text_mask)
    if len(text_mask) == NO_OBJECT_TOKEN + 1:
        no_object[NO_OBJECT_TOKEN] = text_mask[NO_OBJECT_TOKEN]
    # Anchors without a box have the index -1, which selects the last row.
    return torch.cat([box_tokens.to(no_object), no_object[None]])[matched].float()


def centerness_targets(anchors: Tensor, boxes: Tensor) -> Tensor:
    """Compute centerness (FCOS, Tian et al., ICCV 2019, equation 3) of the anchors' centres.

    Args:
        anchors: (P, 4), with centres inside their boxes.
        boxes: (P, 4).

    Returns:
        (P,) sqrt(min(left, right) / max(left, right) * min(top, bottom) / max(top, bottom)).
    """
    before = centers(anchors) - boxes[:, :2]
    after = boxes[:, 2:] - centers(anchors)
    ratios = torch.minimum(before, after) / torch.maximum(before, after)  # (P, 2)
    return ratios.prod(dim=1).sqrt()
