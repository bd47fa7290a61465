"""The console is short; the log file has the environment, the config and the hooks."""

from __future__ import annotations

import io
import logging
from pathlib import Path

import pytest

from glip.engine import GLIPRunner
from glip.engine.console import shorten_lines
from tests.training import training_config

PREAMBLE = ("System environment", "Config:", "Hooks will be executed")


@pytest.mark.parametrize("verbose", [False, True])
def test_preamble(examples, tmp_path, capsys, verbose):
    cfg = training_config(examples, tmp_path, log_level="INFO")
    runner = GLIPRunner.from_cfg(cfg, verbose=verbose)
    runner.logger.warning('"FileClient" will be deprecated in future.')
    runner.logger.info("the work begins")
    printed = capsys.readouterr().out
    (log,) = Path(runner.log_dir).glob("*.log")
    for part in PREAMBLE:
        assert part in log.read_text()
        assert (part in printed) == verbose
    assert "FileClient" in log.read_text()
    assert "FileClient" not in printed
    lines = printed.splitlines()
    assert lines[-2].endswith(f"Environment, config and log: {runner.log_dir}")
    assert lines[-1].endswith("the work begins")
    assert (len(lines) == 2) == (not verbose)


def test_long_lines():
    """Of a vocabulary of 100,000 class names the console has the first and the last."""
    written = io.StringIO()
    logger = logging.Logger("console")
    logger.addHandler(logging.StreamHandler(written))
    logger.handlers[0].setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    shorten_lines(logger)
    names = ", ".join(f"class {index}" for index in range(100_000))
    logger.info("short\n%s", names)
    first, second = written.getvalue().splitlines()
    assert first == "INFO short"
    assert second.startswith("class 0, class 1, ")
    assert second.endswith(", class 99999")
    assert len(second) < 4100
