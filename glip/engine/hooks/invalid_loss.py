"""Stop a training whose loss is not finite."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from glip.registry import HOOKS
from glip.utils.errors import TrainingError


@HOOKS.register_module()
class InvalidLossHook(Hook):
    """Stop at a non-finite (NaN or Inf) loss, and name the images of its batch.

    The weights in memory are not usable then. The hook runs before the one that saves checkpoints,
    so the last checkpoint is unaffected.
    """

    priority = "HIGH"

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,  # noqa: ARG002
        data_batch: dict | None = None,
        outputs: dict[str, torch.Tensor] | None = None,
    ) -> None:
        """Check the losses.

        Args:
            runner: the runner.
            batch_idx: number of the batch in its epoch.
            data_batch: with ``data_samples``.
            outputs: losses by name.

        Raises:
            TrainingError: a loss is NaN or Inf.
        """
        invalid = {
            name: torch.as_tensor(value).tolist()
            for name, value in (outputs or {}).items()
            if not torch.isfinite(torch.as_tensor(value)).all()
        }
        if not invalid:
            return
        losses = ", ".join(f"{name}={value}" for name, value in invalid.items())
        raise TrainingError(
            f"the loss is not finite in iteration {runner.iter + 1} ({losses}). Images of the "
            f"batch: {_image_names(data_batch)}. Check their annotations, lower the learning rate "
            "or clip the gradients (optim_wrapper.clip_grad), and resume from the last checkpoint "
            "with --resume"
        )


def _image_names(data_batch: dict | None) -> str:
    samples: list[Any] = (data_batch or {}).get("data_samples") or []
    names = [str(sample.get("img_path", sample.get("img_id"))) for sample in samples]
    return ", ".join(names) or "unknown"
