"""Options of ``--cfg-options`` from which a config file has computed other values.

A config file is executed before the options are applied, so that paths already contain the old
``data_root``. These functions update all values that depend on such an option.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmengine.config import Config


def replace_data_root(cfg: Config, new: str) -> None:
    """Replace the data folder in all paths of a config, in place.

    Every string that equals the config's ``data_root`` or is a path below it is changed, at any
    depth: folders of data sets, annotation files of metrics.

    Args:
        cfg: a config with ``data_root``.
        new: the folder, with or without a trailing ``/``.

    Raises:
        KeyError: the config has no ``data_root``, so there is no path to change.
    """
    old = cfg.get("data_root")
    old_root = old.rstrip("/") if isinstance(old, str) else ""
    if old_root in ("", "."):
        raise KeyError(
            f"its data_root is {old!r}, so no path can be changed; set the paths themselves, for "
            "example test_dataloader.dataset.data_root"
        )
    base = new if not new or new.endswith("/") else new + "/"

    def replace(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(replace(item) for item in value)
        if isinstance(value, str) and value.startswith(old_root + "/"):
            return base + value[len(old_root) + 1 :]
        return base if value == old_root else value

    for part in _walk(cfg, set()):
        for key in list(part) if isinstance(part, dict) else range(len(part)):
            if isinstance(part[key], (str, tuple)):
                part[key] = replace(part[key])


def replace_tokenizer(cfg: Config, new: str) -> None:
    """Replace the tokenizer in all transforms of a config, in place.

    A transform's ``tokenizer_name`` is changed if it equals the config's ``lang_model_name``.

    Args:
        cfg: a config.
        new: the folder or hub name.
    """
    old = cfg.get("lang_model_name")
    for part in _walk(cfg, set()):
        if isinstance(part, dict) and "tokenizer_name" in part and part["tokenizer_name"] == old:
            part["tokenizer_name"] = new


def set_caption_prompts(cfg: Config) -> None:
    """Apply the config's ``use_caption_prompt`` to its data sets, in place.

    A data set may define caption prompts, words to use instead of its class names, as
    ``metainfo['caption_prompt']``. If enabled, they become its ``caption_prompt``; if disabled, it
    has none. A config without ``use_caption_prompt`` is not changed.

    Args:
        cfg: a config.
    """
    enabled = cfg.get("use_caption_prompt")
    if enabled is None:
        return
    for part in _walk(cfg, set()):
        metainfo = part.get("metainfo") if isinstance(part, dict) else None
        if isinstance(metainfo, dict) and "caption_prompt" in metainfo:
            part["caption_prompt"] = metainfo["caption_prompt"] if enabled else None


def _walk(node: Any, seen: set[int]) -> Iterator[Any]:
    """Yield the dictionaries and lists of a config, itself included, each once.

    A config may refer to one object in several places.

    Args:
        node: the config, or a part of it.
        seen: ids of the objects that were yielded.
    """
    if isinstance(node, Config):
        node = node._cfg_dict
    if not isinstance(node, (dict, list, tuple)) or id(node) in seen:
        return
    seen.add(id(node))
    below = [node[key] for key in node] if isinstance(node, dict) else list(node)
    if not isinstance(node, tuple):
        yield node
    for each in below:
        yield from _walk(each, seen)
