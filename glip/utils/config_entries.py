"""The top-level entries of a config: those that are read, and those that were probably meant.

A config is a program, whose other entries are variables of its own, so an unknown one is no error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from glip.utils.messages import shorten

if TYPE_CHECKING:
    from mmengine.config import Config

#: Entries that are read, also where a config does not have them.
READ = (
    *("model", "work_dir", "load_from", "resume", "launcher", "env_cfg", "log_level"),
    *("train_dataloader", "train_cfg", "val_dataloader", "val_cfg", "val_evaluator"),
    *("test_dataloader", "test_cfg", "test_evaluator", "test_pipeline", "train_pipeline"),
    *("optim_wrapper", "param_scheduler", "auto_scale_lr", "default_hooks", "custom_hooks"),
    *("log_processor", "visualizer", "vis_backends", "default_scope", "randomness"),
    *("experiment_name", "data_preprocessor", "model_wrapper_cfg", "find_unused_parameters"),
    *("custom_imports", "compile", "runner_type", "data_root", "lang_model_name"),
    *("use_caption_prompt", "default_score_thr", "tta_model", "tta_pipeline"),
)
#: Entries that nothing reads, and the place of their value: those of MMDetection 2, and options of
#: transforms.
_OTHER_PLACES = {
    "max_pixels": "LoadImageFromFile in the pipelines",
    "max_bytes": "LoadImageFromFile in the pipelines",
    "optimizer": "optim_wrapper.optimizer",
    "optimizer_config": "optim_wrapper",
    "lr_config": "param_scheduler",
    "runner": "train_cfg",
    "total_epochs": "train_cfg.max_epochs",
    "evaluation": "val_cfg",
    "checkpoint_config": "default_hooks.checkpoint",
    "log_config": "default_hooks.logger",
    "resume_from": "load_from",
    "dist_params": "env_cfg.dist_cfg",
    "fp16": "optim_wrapper.type",
    "seed": "randomness.seed",
    "deterministic": "randomness.deterministic",
    "cudnn_benchmark": "env_cfg.cudnn_benchmark",
}
#: Names at least this similar are taken for a misspelled one.
_SIMILARITY = 0.85


def config_name(cfg: Config) -> str:
    """Return the name of a config for messages."""
    return f"the config {cfg.filename}" if cfg.filename else "the config"


def unread_entries(cfg: Config) -> Iterator[str]:
    """Yield a warning for each entry that nothing reads, though its name says that it is meant.

    Those are misspelled names and names of MMDetection 2. A variable of the config, whose value
    other entries contain, is none.

    Args:
        cfg: the config.
    """
    entries = cfg._cfg_dict.to_dict()
    read = {key: entries[key] for key in entries if key in READ}
    for key, value in entries.items():
        close = get_close_matches(key[:100], READ, n=1, cutoff=_SIMILARITY)
        if key in READ or not (close or key in _OTHER_PLACES) or value is None:
            continue
        place = _OTHER_PLACES.get(key) or close[0]
        if _contains(read, key, value, place):
            continue
        hint = f"its place is {place}" if key in _OTHER_PLACES else f"did you mean {place!r}?"
        yield f"{config_name(cfg)} has an entry {shorten(key)} that nothing reads: {hint}"


def _contains(read: Mapping[str, Any], key: str, value: Any, place: str) -> bool:
    """Return whether a value is in the entries; a plain one only at its place or by its name."""
    node: Any = read
    for part in place.split("."):
        node = node.get(part) if isinstance(node, dict) else None
    is_plain = not isinstance(value, (dict, list, tuple))
    if is_plain and _equal(node, value):
        return True
    todo: list[Any] = [read]
    while todo:
        node = todo.pop()
        if isinstance(node, (dict, list, tuple)):
            found = node.get(key) if is_plain and isinstance(node, dict) else node
            if _equal(found, value):
                return True
            todo.extend(node.values() if isinstance(node, dict) else node)
    return False


def _equal(first: Any, second: Any) -> bool:
    return type(first) is type(second) and first == second
