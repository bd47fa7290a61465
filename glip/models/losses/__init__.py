"""The three losses of the head."""

from .giou_loss import GIoULoss
from .sigmoid_losses import CrossEntropyLoss, FocalLoss

__all__ = ["CrossEntropyLoss", "FocalLoss", "GIoULoss"]
