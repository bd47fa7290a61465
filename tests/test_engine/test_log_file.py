"""A log file that cannot be written."""

from __future__ import annotations

import logging

import pytest

from glip.engine.log_file import report_log_errors_once


def test_a_full_disk_is_one_warning(tmp_path, capsys):
    resource = pytest.importorskip("resource")
    logger = logging.Logger("test")
    logger.addHandler(logging.FileHandler(tmp_path / "run.log"))
    report_log_errors_once(logger)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        for _ in range(100):
            logger.info("x" * 99)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert "run.log' cannot be written" in printed
    logger.info("%d", "no number")  # an error of the program is reported as usual
    assert "Traceback" in capsys.readouterr().err
