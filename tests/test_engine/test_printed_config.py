"""A config's text: as mmengine makes it, once."""

import copy
import pickle

import mmengine.config.config
import pytest
from mmengine.config import Config

from glip.engine import GLIPRunner
from glip.engine.printed_config import PrintedConfig
from tests.training import NO_VALIDATION, training_config


@pytest.fixture
def formatted(monkeypatch) -> list[str]:
    """The texts that were formatted."""
    texts, format_code = [], mmengine.config.config.FormatCode

    def counted(text, **settings):
        texts.append(text)
        return format_code(text, **settings)

    monkeypatch.setattr(mmengine.config.config, "FormatCode", counted)
    return texts


@pytest.fixture
def cfg() -> Config:
    return Config(dict(model=dict(type="GLIP", sizes=[1, 2]), name="x"))


def test_text_is_mmengines(cfg):
    printed = PrintedConfig.of(cfg)
    assert printed.pretty_text == cfg.pretty_text
    assert printed.pretty_text == cfg.pretty_text
    assert isinstance(printed, Config)
    assert dict(printed) == dict(cfg)


def test_it_is_formatted_once(cfg, formatted, tmp_path):
    printed = PrintedConfig.of(cfg)
    printed.dump(tmp_path / "a.py")
    text = copy.deepcopy(printed).pretty_text
    assert (tmp_path / "a.py").read_text() == text
    assert len(formatted) == 1


def test_a_change_is_seen(cfg):
    printed = PrintedConfig.of(cfg)
    before = printed.pretty_text
    printed.model.sizes.append(3)
    assert printed.pretty_text == Config(printed.to_dict()).pretty_text != before
    printed.name = "y"
    assert "'y'" in printed.pretty_text


def test_it_goes_to_other_processes(cfg):
    other = pickle.loads(pickle.dumps(PrintedConfig.of(cfg)))
    assert type(other) is PrintedConfig
    assert other.pretty_text == cfg.pretty_text


def test_a_run_formats_its_config_once(pictures, formatted, tmp_path):
    cfg = training_config(pictures, tmp_path, train_cfg__max_epochs=1, **NO_VALIDATION)
    GLIPRunner.from_cfg(cfg).train()
    assert len(formatted) == 1
    [dumped] = tmp_path.glob("*.py")
    assert "optim_wrapper = dict(" in dumped.read_text()
