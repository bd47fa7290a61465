"""Format log lines."""

from __future__ import annotations

import sys

import torch
from mmengine.runner import LogProcessor as MMEngineLogProcessor
from mmengine.runner import Runner

from glip.registry import LOG_PROCESSORS


@LOG_PROCESSORS.register_module()
class LogProcessor(MMEngineLogProcessor):
    """mmengine's log processor, which also logs the peak memory of a process without a GPU."""

    def get_log_after_iter(self, runner: Runner, batch_idx: int, mode: str) -> tuple[dict, str]:
        """Return the logged values by name, and the log line.

        Args:
            runner: the runner.
            batch_idx: number of the batch in its epoch.
            mode: ``'train'``, ``'val'`` or ``'test'``.
        """
        values, line = super().get_log_after_iter(runner, batch_idx, mode)
        memory = peak_memory()
        if not torch.cuda.is_available() and memory is not None:
            values["memory"] = memory
            line = f"{line.rstrip()}  memory: {memory}"
        return values, line


def peak_memory() -> int | None:
    """Return the peak memory of this process in MB; ``None`` on systems that do not report it."""
    try:
        import resource  # not on Windows
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak / (2**20 if sys.platform == "darwin" else 2**10))  # bytes there, else kB
