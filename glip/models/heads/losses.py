"""The training losses of the head.

Shapes: B images, N anchors over all levels, T text tokens, P positive anchors of the batch.
"""

from __future__ import annotations

import torch
from mmengine.dist import all_reduce
from torch import Tensor, nn

from glip.models.heads.outputs import HeadOutputs
from glip.models.heads.targets import Targets
from glip.models.task_modules.coders.box_coder import InclusiveBoxCoder
from glip.registry import MODELS

#: The official losses and loss weights.
LOSS_CLS = dict(type="FocalLoss", use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=1.0)
LOSS_BBOX = dict(type="GIoULoss", loss_weight=2.0)
LOSS_CENTERNESS = dict(type="CrossEntropyLoss", use_sigmoid=True, loss_weight=1.0)


class HeadLosses(nn.Module):
    """The alignment, box and centerness losses, under MMDetection's names.

    - ``loss_cls``: of the token logits of all anchors on the real tokens, divided by the number of
      positive anchors;
    - ``loss_bbox``: of the boxes of the positive anchors, each weighted by its centerness target,
      divided by the sum of these weights;
    - ``loss_centerness``: of the positive anchors, divided by their number.

    Both divisors are averaged over the processes. As gradients are averaged over them too, every
    positive anchor has the same weight, whichever process its image is in. The number of positive
    anchors is at least 1.

    Args:
        loss_cls, loss_bbox, loss_centerness: configs of the losses; by default the official ones.
    """

    def __init__(
        self,
        loss_cls: dict | None = None,
        loss_bbox: dict | None = None,
        loss_centerness: dict | None = None,
    ):
        super().__init__()
        self.cls = MODELS.build(loss_cls or LOSS_CLS)
        self.bbox = MODELS.build(loss_bbox or LOSS_BBOX)
        self.centerness = MODELS.build(loss_centerness or LOSS_CENTERNESS)

    def forward(
        self, outputs: HeadOutputs, targets: Targets, text_mask: Tensor, coder: InclusiveBoxCoder
    ) -> dict[str, Tensor]:
        """Compute the losses in float32, also for outputs of a lower precision.

        Without a positive anchor the box and centerness losses are zeros that keep the autograd
        graph, so that every parameter has a gradient in every process.

        Args:
            outputs: outputs of the head for the batch.
            targets: targets of the same batch.
            text_mask: (B, T) bool, true on real tokens.
            coder: decodes the deltas.

        Returns:
            three scalars.
        """
        logits = torch.cat(outputs.token_logits, dim=1).float()  # (B, N, T)
        positive = targets.positive
        deltas = torch.cat(outputs.deltas, dim=1).float()[positive]  # (P, 4)
        centerness = torch.cat(outputs.centerness, dim=1).float()[positive]  # (P,)
        count, total_weight = _divisors(targets.centerness)
        return {
            "loss_cls": self.cls(logits, targets.tokens, text_mask[:, None].float(), count),
            "loss_bbox": self.bbox(
                coder.decode(targets.anchors, deltas),
                targets.boxes,
                targets.centerness,
                total_weight,
            ),
            "loss_centerness": self.centerness(centerness, targets.centerness, avg_factor=count),
        }


def _divisors(centerness: Tensor) -> tuple[Tensor, Tensor]:
    """Return number and sum of the (P,) centerness targets, averaged over the processes.

    As in the official code only the number is clamped to 1. The sum is clamped to a positive
    epsilon, because it is 0 if no process has a positive anchor.
    """
    means = torch.stack([centerness.new_tensor(len(centerness)), centerness.sum()])
    all_reduce(means, op="mean")
    return means[0].clamp(min=1), means[1].clamp(min=torch.finfo(means.dtype).eps)
