"""Wall time, cores and memory of a model's stages."""

from __future__ import annotations

import time
from collections import Counter
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

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
        seconds: wall time.
        cores: processor time of this process over wall time.
        stages: wall time of each stage.
    """

    seconds: float
    cores: float
    stages: dict[str, float] = field(default_factory=dict)


class Stopwatch:
    """Times runs and the stages in them; waits for the GPU at every click.

    Args:
        device: what is computed on.
    """

    def __init__(self, device: str | torch.device):
        self.device = torch.device(device)
        self._stages: Counter[str] = Counter()
        self._begin = (0.0, 0.0)

    def start(self) -> None:
        """Begin a run."""
        self._stages.clear()
        self._begin = (self._now(), time.process_time())

    def stop(self) -> Run:
        """End the run; what no stage took is the stage ``other``."""
        seconds = self._now() - self._begin[0]
        cores = (time.process_time() - self._begin[1]) / seconds
        other = seconds - sum(self._stages.values())
        return Run(seconds, cores, {**self._stages, "other": other})

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage; several times in a run add up."""
        begin = self._now()
        try:
            yield
        finally:
            self._stages[name] += self._now() - begin

    @contextmanager
    def on_modules(self, model: GLIP) -> Iterator[None]:
        """Time the parts of a model in evaluation mode as stages."""
        head = model.bbox_head
        parts: dict[str, list[nn.Module]] = dict(
            language=[model.language_model],
            backbone=[model.backbone],
            neck=[model.neck],
            fusion=[
                m for block in head.tower.blocks for m in (block.fusion, block.text_layer) if m
            ],
            dyhead=[block.dyconv for block in head.tower.blocks],
        )
        with ExitStack() as stack:
            for name, modules in parts.items():
                for module in modules:
                    stack.callback(module.register_forward_pre_hook(self._entering(name)).remove)
                    stack.callback(module.register_forward_hook(self._leaving(name)).remove)
            stack.enter_context(patch.object(head, "postprocess", _Timed(head.postprocess, self)))
            yield

    def _entering(self, name: str) -> Any:
        def enter(module: nn.Module, _: Any) -> None:
            if not module.training:  # in training, stages are forward, backward, optimizer
                self._stages[name] -= self._now()

        return enter

    def _leaving(self, name: str) -> Any:
        def leave(module: nn.Module, *_: Any) -> None:
            if not module.training:
                self._stages[name] += self._now()

        return leave

    def reset_memory(self) -> None:
        """Forget the peak so far."""
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        elif _CLEAR.exists():
            _CLEAR.write_text("5")  # resets the peak of the resident set (Linux, proc(5))

    def peak_memory(self) -> float:
        """GiB at most since the last reset: the GPU's, or the process's; NaN if unknown."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device) / 2**30
        if not _STATUS.exists():
            return float("nan")
        line = next(each for each in _STATUS.read_text().splitlines() if each.startswith("VmHWM"))
        return int(line.split()[1]) / 2**20

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()


class _Timed:
    """The head's post-processing, each call of it a stage."""

    def __init__(self, detect: PostProcessor, watch: Stopwatch):
        self._detect = detect
        self._watch = watch

    def __call__(self, *args: Any) -> Any:
        with self._watch.stage("post-processing"):
            return self._detect(*args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._detect, name)
