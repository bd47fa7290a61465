"""The hook that stops a training whose loss is no number."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from glip.registry import HOOKS
from glip.utils.errors import TrainingError


@HOOKS.register_module()
class InvalidLossHook(Hook):
    """Stops when a loss is not finite, and says on which images.

    The weights in memory are spoiled then; it comes before the hook that saves them, so the last
    checkpoint is a good one.
    """

    priority = "HIGH"

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,  # noqa: ARG002
        data_batch: dict | None = None,
        outputs: dict[str, torch.Tensor] | None = None,
    ) -> None:
        """Look at the losses.

        Args:
            runner: mmengine's runner.
            batch_idx: number of the batch in its epoch.
            data_batch: with ``data_samples``.
            outputs: the losses by name.

        Raises:
            TrainingError: one of them is not finite.
        """
        bad = {
            name: torch.as_tensor(value).tolist()
            for name, value in (outputs or {}).items()
            if not torch.isfinite(torch.as_tensor(value)).all()
        }
        if not bad:
            return
        losses = ", ".join(f"{name}={value}" for name, value in bad.items())
        raise TrainingError(
            f"the loss is not finite in iteration {runner.iter + 1} ({losses}). The batch: "
            f"{_images(data_batch)}. Look at the annotations of these images, lower the learning "
            "rate or clip the gradients (optim_wrapper.clip_grad), and go on from the last "
            "checkpoint with --resume"
        )


def _images(data_batch: dict | None) -> str:
    samples: list[Any] = (data_batch or {}).get("data_samples") or []
    names = [str(sample.get("img_path", sample.get("img_id"))) for sample in samples]
    return ", ".join(names) or "unknown"
