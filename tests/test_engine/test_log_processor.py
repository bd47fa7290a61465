"""The log lines of a training."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

from glip.engine import GLIPRunner
from glip.engine.log_processor import peak_memory
from tests.training import NO_VALIDATION, training_config


@pytest.mark.skipif(torch.cuda.is_available(), reason="with a GPU mmengine logs its memory")
def test_a_line(examples, tmp_path):
    cfg = training_config(
        examples,
        tmp_path,
        early_fuse=False,
        train_cfg__max_epochs=1,
        log_level="INFO",
        **NO_VALIDATION,
    )
    runner = GLIPRunner.from_cfg(cfg)
    runner.train()
    log = next(Path(runner.log_dir).glob("*.log")).read_text()
    (line,) = re.findall(r"Epoch\(train\) \[1\]\[2/5\].*", log)
    for name in ("lr", "eta", "time", "grad_norm", "loss", "loss_cls", "loss_bbox"):
        assert f"  {name}: " in line
    lines = re.findall(r"Epoch\(train\) \[1\]\[(\d)/5\].*  loss: ", log)
    assert lines == ["1", "2", "4"]  # the first one, and those of the interval
    memory = int(re.search(r"  memory: (\d+)$", line)[1])
    assert 100 < memory <= peak_memory()
    stored = [json.loads(each) for each in next(tmp_path.glob("*/*/scalars.json")).open()]
    assert stored[0]["memory"] == memory
