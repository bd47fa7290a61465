"""The text of a config: equal to that of mmengine, formatted once."""

import copy
import pickle

import mmengine.config.config
import pytest
from mmengine.config import Config

from glip.engine import GLIPRunner
from glip.engine.cached_text_config import CachedTextConfig
from tests.training import NO_VALIDATION, training_config


@pytest.fixture
def formatted(monkeypatch) -> list[str]:
    """Return the list of the texts that are formatted."""
    texts, format_code = [], mmengine.config.config.FormatCode

    def counted(text, **settings):
        texts.append(text)
        return format_code(text, **settings)

    monkeypatch.setattr(mmengine.config.config, "FormatCode", counted)
    return texts


@pytest.fixture
def cfg() -> Config:
    return Config(dict(model=dict(type="GLIP", sizes=[1, 2]), name="x"))


def test_text_equals_that_of_mmengine(cfg):
    cached = CachedTextConfig.from_config(cfg)
    assert cached.pretty_text == cfg.pretty_text
    assert cached.pretty_text == cfg.pretty_text
    assert isinstance(cached, Config)
    assert dict(cached) == dict(cfg)


def test_it_is_formatted_once(cfg, formatted, tmp_path):
    cached = CachedTextConfig.from_config(cfg)
    cached.dump(tmp_path / "a.py")
    text = copy.deepcopy(cached).pretty_text
    assert (tmp_path / "a.py").read_text() == text
    assert len(formatted) == 1


def test_a_change_updates_the_text(cfg):
    cached = CachedTextConfig.from_config(cfg)
    before = cached.pretty_text
    cached.model.sizes.append(3)
    assert cached.pretty_text == Config(cached.to_dict()).pretty_text != before
    cached.name = "y"
    assert "'y'" in cached.pretty_text


def test_it_can_be_pickled(cfg):
    other = pickle.loads(pickle.dumps(CachedTextConfig.from_config(cfg)))
    assert type(other) is CachedTextConfig
    assert other.pretty_text == cfg.pretty_text


def test_a_run_formats_its_config_once(examples, formatted, tmp_path):
    cfg = training_config(examples, tmp_path, train_cfg__max_epochs=1, **NO_VALIDATION)
    GLIPRunner.from_cfg(cfg).train()
    assert len(formatted) == 1
    [dumped] = tmp_path.glob("*.py")
    assert "optim_wrapper = dict(" in dumped.read_text()


@pytest.mark.parametrize("kind", [list, tuple])
def test_long_lists_are_not_formatted(cfg, formatted, tmp_path, kind):
    """yapf takes minutes for 100,000 class names; the config that is written has all of them."""
    names = kind(f"class '{index}'" for index in range(5000))
    cfg.classes = names
    cfg.model.words = {name: dict(name="x") for name in names[:500]}
    cfg.model.numbers = [1.5, None, True] * 100
    cfg.model.parts = [dict(names=names), dict(names=names[:3])]
    cached = CachedTextConfig.from_config(cfg)
    cached.dump(tmp_path / "a.py")
    assert sum(map(len, formatted)) < 1000
    assert Config.fromfile(tmp_path / "a.py").to_dict() == cfg.to_dict()
