"""Join the processes that torchrun started."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import torch.distributed as dist


def torchrun_group(timeout: timedelta) -> dict[str, Any]:
    """Find the processes of this run and the store through which they meet.

    torchrun keeps one store for all restarts. Without a prefix for each restart a process could
    read from it the address of a process that was killed, and wait for it.

    Args:
        timeout: how long a process waits for the others.

    Returns:
        ``store``, ``rank`` and ``world_size`` for ``torch.distributed.init_process_group``.
    """
    store, rank, world_size = next(dist.rendezvous("env://", timeout=timeout))
    store.set_timeout(timeout)
    restart = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return dict(
        store=dist.PrefixStore(f"restart_{restart}", store), rank=rank, world_size=world_size
    )
