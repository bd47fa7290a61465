"""The three losses of the head."""

from glip.models.losses.giou_loss import GIoULoss
from glip.models.losses.sigmoid_losses import CrossEntropyLoss, FocalLoss

__all__ = ["CrossEntropyLoss", "FocalLoss", "GIoULoss"]
