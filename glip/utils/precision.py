"""Detecting in mixed precision."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from glip.utils.errors import ConfigError

#: What ``test_cfg.amp`` and the command lines' ``--amp`` may be.
AMP_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def check_amp(amp: str | None) -> None:
    """See to it that a precision is known; ``None`` is float32 throughout.

    Raises:
        ConfigError: it is not.
    """
    if amp is not None and amp not in AMP_DTYPES:
        raise ConfigError(
            f"mixed precision is 'bf16' or 'fp16', got test_cfg.amp={amp!r}; leave it out for "
            "float32"
        )


def autocast(amp: str | None, device: torch.device) -> AbstractContextManager:
    """Compute in a precision.

    Positions (offsets, boxes) and scores stay in float32, see the parts that say so.

    Args:
        amp: of :data:`AMP_DTYPES`; ``None`` leaves the precision as it is around here.
        device: what is computed on.

    Raises:
        ConfigError: the device cannot.
    """
    if amp is None:
        return nullcontext()
    if device.type == "cpu" and amp == "fp16":
        raise ConfigError("float16 needs a GPU, and none is used: take bf16, or leave out amp")
    if device.type == "cuda" and amp == "bf16" and not torch.cuda.is_bf16_supported():
        raise ConfigError("this GPU has no bfloat16: take fp16, or leave out amp")
    return torch.autocast(device.type, AMP_DTYPES[amp])


def autocasts(device_type: str) -> bool:
    """Whether products are computed in a lower precision around here."""
    try:
        return torch.is_autocast_enabled(device_type)
    except TypeError:  # before torch 2.4
        cpu = device_type == "cpu"
        return torch.is_autocast_cpu_enabled() if cpu else torch.is_autocast_enabled()
