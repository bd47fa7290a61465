"""Train in this process with a model small enough for a test, and clean up global state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mmengine.config import Config
from mmengine.utils import ManagerMixin

from glip.apis import load_config
from glip.engine import GLIPRunner
from glip.testing import tiny_config
from tests.test_tools.commands import PARTS


def small_training(
    config: str | Path, data_root: str, vocabulary: str, *, leave: Sequence[str] = ()
) -> Config:
    """Load a config for training, with a small model on small images, from random weights.

    Args:
        config: its file or name.
        data_root: the folder of the data.
        vocabulary: the folder of the tokenizer.
        leave: arguments of the model's parts to leave as they are.
    """
    cfg = load_config(config, {"data_root": data_root, "lang_model_name": vocabulary})
    tiny = tiny_config(lang_model_name=vocabulary).model
    for part, names in PARTS.items():
        kept = {*leave, "early_fuse"}
        cfg.model[part].update({key: tiny[part][key] for key in names if key not in kept})
    for node in walk(cfg._cfg_dict):
        if node.get("type") == "FixScaleResize":
            node["scale"] = (128, 213)
        elif node.get("type") == "RandomChoiceResize":
            node["scales"] = [(213, 96), (213, 128)]
        elif "num_workers" in node:
            node.update(num_workers=0, persistent_workers=False)
    cfg.load_from = None
    cfg.default_hooks.logger.interval = 1
    cfg.randomness = dict(seed=0)
    return cfg


def walk(node: object) -> Iterator[dict]:
    """Every dictionary in a config."""
    if isinstance(node, dict):
        yield node
    if isinstance(node, (dict, list, tuple)):
        for value in node.values() if isinstance(node, dict) else node:
            yield from walk(value)


@contextmanager
def training(cfg: Config, work_dir: Path) -> Iterator[GLIPRunner]:
    """Build the runner of a config; restore mmengine's global state at the end."""
    cfg.work_dir = str(work_dir)
    with nothing_left():
        yield GLIPRunner.from_cfg(cfg)


@contextmanager
def nothing_left() -> Iterator[None]:
    """Restore mmengine's global state (scope, loggers, visualizers) at the end."""
    before = {kind: dict(kind._instance_dict) for kind in subclasses(ManagerMixin)}
    try:
        yield
    finally:
        for kind in subclasses(ManagerMixin):
            kind._instance_dict.clear()
            kind._instance_dict.update(before.get(kind, {}))


def subclasses(kind: type) -> list[type]:
    """All below a class."""
    return [each for one in kind.__subclasses__() for each in (one, *subclasses(one))]
