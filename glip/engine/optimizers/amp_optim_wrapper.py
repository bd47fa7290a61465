"""Mixed precision training, also on a CPU."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.device import get_device
from mmengine.optim import AmpOptimWrapper as MMEngineAmpOptimWrapper
from mmengine.optim import OptimWrapper
from torch.optim import Optimizer

from glip.registry import OPTIM_WRAPPERS
from glip.utils.errors import TrainingError

_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


@OPTIM_WRAPPERS.register_module()
class AmpOptimWrapper(MMEngineAmpOptimWrapper):
    """mmengine's wrapper, which also works in bfloat16 on a CPU.

    Losses and box decoding stay in float32. Gradients are not scaled in bfloat16, because it has
    the range of float32.

    Args:
        optimizer: any torch optimizer.
        loss_scale: for float16, as in mmengine.
        dtype: ``'float16'``, ``'bfloat16'`` or a torch dtype; by default float16 on a GPU, as in
            mmengine, and bfloat16 on a CPU.
        use_fsdp: scale the gradients of sharded parameters.
        accumulative_counts: number of batches whose gradients are accumulated for one step.
        clip_grad: see :class:`mmengine.optim.OptimWrapper`.

    Raises:
        TrainingError: the dtype is another one, or this device does not support it.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        loss_scale: str | float | dict = "dynamic",
        dtype: str | torch.dtype | None = None,
        use_fsdp: bool = False,
        accumulative_counts: int = 1,
        clip_grad: dict | None = None,
    ):
        dtype = check_dtype(dtype)
        options: dict[str, Any] = dict(
            optimizer=optimizer, accumulative_counts=accumulative_counts, clip_grad=clip_grad
        )
        if dtype == torch.bfloat16:
            loss_scale = dict(enabled=False)
        if get_device() != "cpu":
            super().__init__(loss_scale=loss_scale, dtype=dtype, use_fsdp=use_fsdp, **options)
            return
        # Only the constructor of mmengine's wrapper requires a GPU.
        OptimWrapper.__init__(self, **options)
        self._scale_update_param = None
        scaler = getattr(torch.amp, "GradScaler", torch.cuda.amp.GradScaler)  # its name since 2.3
        self.loss_scaler = scaler(enabled=False)
        self.cast_dtype = dtype


def check_dtype(dtype: str | torch.dtype | None) -> torch.dtype:
    """Return the dtype of mixed precision.

    Args:
        dtype: a dtype or its name; ``None`` for float16 on a GPU and bfloat16 on a CPU.

    Raises:
        TrainingError: the dtype is another one, or this device does not support it.
    """
    on_cpu = get_device() == "cpu"
    if dtype is None:
        dtype = torch.bfloat16 if on_cpu else torch.float16
    chosen = _DTYPES.get(dtype) if isinstance(dtype, str) else dtype
    if chosen is None or chosen not in _DTYPES.values():
        raise TrainingError(
            f"mixed precision supports 'bfloat16' or 'float16', got dtype={dtype!r}"
        )
    if on_cpu and chosen == torch.float16:
        raise TrainingError(
            "float16 needs a GPU, and there is none: use bfloat16 (--amp bf16) or no --amp"
        )
    if get_device() == "cuda" and chosen == torch.bfloat16 and not torch.cuda.is_bf16_supported():
        raise TrainingError("this GPU does not support bfloat16: use float16 (--amp fp16)")
    return chosen
