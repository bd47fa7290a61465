"""Wall time, CPU utilisation and peak memory of a model and its stages."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import nn

from glip.models import GLIP
from glip.models.heads.postprocess import PostProcessor

_PROC_STATUS = Path("/proc/self/status")
_PROC_CLEAR_REFS = Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Run:
    """The measurements of one run.

    Attributes:
        seconds: wall time.
        cores: CPU time of this process divided by wall time.
        stages: wall time of each stage in seconds.
    """

    seconds: float
    cores: float
    stages: dict[str, float] = field(default_factory=dict)


class Stopwatch:
    """Measure runs and their stages; every measurement synchronises with the GPU.

    Args:
        device: device of the model.
    """

    def __init__(self, device: str | torch.device):
        self.device = torch.device(device)
        self._stages: defaultdict[str, float] = defaultdict(float)
        self._begin = (0.0, 0.0)

    def start(self) -> None:
        """Start a run."""
        self._stages.clear()
        self._begin = (self._now(), time.process_time())

    def stop(self) -> Run:
        """End the run; time outside of all stages is the stage ``other``."""
        seconds = self._now() - self._begin[0]
        cores = (time.process_time() - self._begin[1]) / seconds
        other = seconds - sum(self._stages.values())
        return Run(seconds, cores, {**self._stages, "other": other})

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure a stage; repeated stages of a run are summed."""
        begin = self._now()
        try:
            yield
        finally:
            self._stages[name] += self._now() - begin

    @contextmanager
    def on_modules(self, model: GLIP) -> Iterator[None]:
        """Measure the submodules of a model in evaluation mode as stages."""
        head = model.bbox_head
        stages: dict[str, list[nn.Module]] = dict(
            language=[model.language_model],
            backbone=[model.backbone],
            neck=[model.neck],
            fusion=[
                m for block in head.tower.blocks for m in (block.fusion, block.text_layer) if m
            ],
            dyhead=[block.dyconv for block in head.tower.blocks],
        )
        with ExitStack() as stack:
            for name, modules in stages.items():
                for module in modules:
                    stack.callback(module.register_forward_pre_hook(self._start_hook(name)).remove)
                    stack.callback(module.register_forward_hook(self._stop_hook(name)).remove)
            stack.enter_context(
                patch.object(head, "postprocess", _MeasuredPostProcessor(head.postprocess, self))
            )
            yield

    def _start_hook(self, name: str) -> Any:
        def start(module: nn.Module, _: Any) -> None:
            if not module.training:  # in training, stages are forward, backward, optimizer
                self._stages[name] -= self._now()

        return start

    def _stop_hook(self, name: str) -> Any:
        def stop(module: nn.Module, *_: Any) -> None:
            if not module.training:
                self._stages[name] += self._now()

        return stop

    def reset_memory(self) -> None:
        """Reset the peak memory."""
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        elif _PROC_CLEAR_REFS.exists():
            _PROC_CLEAR_REFS.write_text("5")  # resets the peak of the resident set (Linux, proc(5))

    def peak_memory(self) -> float:
        """Return the peak memory of the GPU, or of the process, in GiB; NaN if unknown."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device) / 2**30
        if not _PROC_STATUS.exists():
            return float("nan")
        line = next(
            each for each in _PROC_STATUS.read_text().splitlines() if each.startswith("VmHWM")
        )
        return int(line.split()[1]) / 2**20

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()


class _MeasuredPostProcessor:
    """The post-processing of the head, with each call measured as a stage."""

    def __init__(self, postprocess: PostProcessor, watch: Stopwatch):
        self._postprocess = postprocess
        self._watch = watch

    def __call__(self, *args: Any) -> Any:
        with self._watch.stage("post-processing"):
            return self._postprocess(*args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._postprocess, name)
