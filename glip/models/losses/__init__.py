"""Alignment (focal), box (GIoU) and centerness (cross-entropy) losses."""

from glip.models.losses.giou_loss import GIoULoss
from glip.models.losses.sigmoid_losses import CrossEntropyLoss, FocalLoss

__all__ = ["CrossEntropyLoss", "FocalLoss", "GIoULoss"]
