"""What stands in a line of the log."""

from __future__ import annotations

import sys

import torch
from mmengine.runner import LogProcessor as MMEngineLogProcessor
from mmengine.runner import Runner

from glip.registry import LOG_PROCESSORS


@LOG_PROCESSORS.register_module()
class LogProcessor(MMEngineLogProcessor):
    """mmengine's, which without a GPU also says how much memory the process took at most."""

    def get_log_after_iter(self, runner: Runner, batch_idx: int, mode: str) -> tuple[dict, str]:
        """Make the line of an iteration.

        Args:
            runner: mmengine's runner.
            batch_idx: number of the batch in its epoch.
            mode: ``'train'``, ``'val'`` or ``'test'``.

        Returns:
            the numbers by name, and the line.
        """
        numbers, line = super().get_log_after_iter(runner, batch_idx, mode)
        memory = peak_memory()
        if not torch.cuda.is_available() and memory is not None:
            numbers["memory"] = memory
            line = f"{line.rstrip()}  memory: {memory}"
        return numbers, line


def peak_memory() -> int | None:
    """The most memory this process has taken, in MB; ``None`` where the system does not say."""
    try:
        import resource  # not on Windows
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak / (2**20 if sys.platform == "darwin" else 2**10))  # bytes there, else kB
