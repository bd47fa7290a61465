"""Mixed precision in inference."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from glip.utils.errors import ConfigError

#: The dtypes of ``test_cfg.amp`` and of the option ``--amp``.
AMP_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def check_amp(amp: str | None) -> None:
    """Check the value of ``test_cfg.amp``; ``None`` means float32.

    Raises:
        ConfigError: it is not ``None`` or a key of :data:`AMP_DTYPES`.
    """
    if amp is not None and amp not in AMP_DTYPES:
        raise ConfigError(
            f"expected 'bf16' or 'fp16', got test_cfg.amp={amp!r}; omit it for float32"
        )


def autocast(amp: str | None, device: torch.device) -> AbstractContextManager:
    """Return the autocast context of a value of ``test_cfg.amp``.

    Sampling offsets, boxes and scores stay in float32: the modules that compute them disable
    autocast.

    Args:
        amp: a key of :data:`AMP_DTYPES`; ``None`` keeps the surrounding autocast state.
        device: device of the model.

    Raises:
        ConfigError: the device does not support the dtype.
    """
    if amp is None:
        return nullcontext()
    if device.type == "cpu" and amp == "fp16":
        raise ConfigError("float16 needs a GPU, got the CPU: use amp 'bf16', or omit it")
    if device.type == "cuda" and amp == "bf16" and not torch.cuda.is_bf16_supported():
        raise ConfigError("bfloat16 needs a newer GPU than this one: use amp 'fp16', or omit it")
    return torch.autocast(device.type, AMP_DTYPES[amp])


def is_autocast_enabled(device_type: str) -> bool:
    """Return whether autocast is enabled for a device type, in any version of torch."""
    try:
        return torch.is_autocast_enabled(device_type)
    except TypeError:  # before torch 2.4
        cpu = device_type == "cpu"
        return torch.is_autocast_cpu_enabled() if cpu else torch.is_autocast_enabled()
