"""Only the main process stores the metrics of a test."""

from __future__ import annotations

import pytest
from mmengine.hooks import LoggerHook as MMEngineLoggerHook
from mmengine.registry import DefaultScope

from glip.engine import LoggerHook
from glip.engine.hooks import logger as logger_hook
from glip.registry import HOOKS


def test_configs_get_ours():
    with DefaultScope.overwrite_default_scope("glip"):
        assert type(HOOKS.build(dict(type="LoggerHook", interval=5))) is LoggerHook


@pytest.mark.parametrize("main", [False, True])
def test_only_the_main_process_stores(monkeypatch, main):
    calls = []
    monkeypatch.setattr(logger_hook, "is_main_process", lambda: main)
    monkeypatch.setattr(MMEngineLoggerHook, "after_test_epoch", lambda *args: calls.append(args))
    LoggerHook().after_test_epoch("runner", {"AP": 0.5})
    assert [args[1:] for args in calls] == ([("runner", {"AP": 0.5})] if main else [])
