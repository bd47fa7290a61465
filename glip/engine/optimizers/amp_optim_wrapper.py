"""Mixed precision, also on a CPU."""

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
    """mmengine's wrapper, which also runs in bfloat16 without a GPU.

    The losses and the decoding of boxes stay in float32. bfloat16 has the range of float32, so its
    gradients are not scaled.

    Args:
        optimizer: of any kind.
        loss_scale: of float16, as mmengine takes it.
        dtype: ``'float16'``, or ``'bfloat16'``, or the types themselves; by default float16 on a
            GPU, as in mmengine, else bfloat16.
        use_fsdp: scale the gradients of sharded parameters.
        accumulative_counts: batches whose gradients make one step.
        clip_grad: as :class:`mmengine.optim.OptimWrapper` takes it.

    Raises:
        TrainingError: another type, or float16 on a CPU, or bfloat16 on a GPU that has none.
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
        own: dict[str, Any] = dict(
            optimizer=optimizer, accumulative_counts=accumulative_counts, clip_grad=clip_grad
        )
        if dtype == torch.bfloat16:
            loss_scale = dict(enabled=False)
        if get_device() != "cpu":
            super().__init__(loss_scale=loss_scale, dtype=dtype, use_fsdp=use_fsdp, **own)
            return
        # mmengine's own constructor insists on a GPU; the rest of it does not.
        OptimWrapper.__init__(self, **own)
        self._scale_update_param = None
        scaler = getattr(torch.amp, "GradScaler", torch.cuda.amp.GradScaler)  # its name since 2.3
        self.loss_scaler = scaler(enabled=False)
        self.cast_dtype = dtype


def check_dtype(dtype: str | torch.dtype | None) -> torch.dtype:
    """Return the type to compute in.

    Args:
        dtype: a type or its name; ``None`` for the usual one of this machine.

    Raises:
        TrainingError: it cannot be computed in here.
    """
    on_cpu = get_device() == "cpu"
    if dtype is None:
        dtype = torch.bfloat16 if on_cpu else torch.float16
    chosen = _DTYPES.get(dtype) if isinstance(dtype, str) else dtype
    if chosen is None or chosen not in _DTYPES.values():
        raise TrainingError(
            f"mixed precision computes in 'bfloat16' or 'float16', got dtype={dtype!r}"
        )
    if on_cpu and chosen == torch.float16:
        raise TrainingError(
            "float16 needs a GPU, and none is here: use bfloat16 (--amp bf16), or leave out --amp"
        )
    if get_device() == "cuda" and chosen == torch.bfloat16 and not torch.cuda.is_bf16_supported():
        raise TrainingError("this GPU has no bfloat16: use float16 (--amp fp16)")
    return chosen
