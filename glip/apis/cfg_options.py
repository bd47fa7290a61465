"""Options of ``--cfg-options`` from which a config file has computed other values.

A config file is executed before the options are applied, so that paths already contain the old
``data_root``. These functions update all values that depend on such an option.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mmengine.config import Config

from glip.utils.config_entries import READ, config_name
from glip.utils.errors import ConfigError
from glip.utils.messages import shorten

_logger = logging.getLogger("glip")

#: Entries that a run reads only through their copies, in data loaders and in the visualizer.
_COPIED = ("train_pipeline", "test_pipeline", "tta_pipeline", "vis_backends")
#: Entries of which something is read besides their copies.
_READ_BESIDES = ("test_pipeline", "tta_pipeline")


def check_place(cfg: Config, name: str, value: Any) -> None:
    """Check that the place of an option exists, or can be added.

    Args:
        cfg: the config.
        name: the option, by dotted name; a number is an index of a list.
        value: its value.

    Raises:
        ConfigError: it is below a value that has no entries, or beyond the end of a list; or a
            dictionary that would change a list does not have its indices as keys.
    """
    problem = f"the option {shorten(name)} does not fit {config_name(cfg)}"
    parts = name.split(".")
    node: Any = cfg._cfg_dict
    for depth, part in enumerate(parts):
        place = ".".join(parts[:depth])
        if isinstance(node, Mapping):
            if part not in node:
                return
            node = node[part]
        elif isinstance(node, (list, tuple)):
            if not part.isdecimal() or int(part) >= len(node):
                raise ConfigError(
                    f"{problem}: {place} is a list of {len(node)} entries, counted from 0; "
                    f"expected the index of one, got {shorten(part)}"
                )
            node = node[int(part)]
        else:
            raise ConfigError(
                f"{problem}: {place} is {shorten(node)}, which has no entries; set {place} itself"
            )
    keys = value if isinstance(value, Mapping) and isinstance(node, (list, tuple)) else {"0": 0}
    if not keys or not all(str(key).isdecimal() for key in keys):
        raise ConfigError(
            f"{problem}: it is a list there, got {shorten(value)}; set a list, or {name}.0 for its "
            "first entry"
        )


def set_option(cfg: Config, name: str, value: Any) -> None:
    """Set an option, in place; a dictionary is merged with the dictionary or list at its place.

    Args:
        cfg: the config.
        name: the option, see :func:`check_place`.
        value: its value.
    """
    place, _, index = name.rpartition(".")
    parent: Any = cfg._cfg_dict
    for part in place.split(".") if place else ():
        parent = parent[int(part)] if isinstance(parent, (list, tuple)) else parent.get(part, {})
    replaced = parent.get(index, {}) if isinstance(parent, Mapping) else {}
    if isinstance(value, Mapping) and not isinstance(replaced, (Mapping, list, tuple)):
        value = {**value, "_delete_": True}  # instead of a number, a text or None
    if isinstance(parent, (list, tuple)) and not isinstance(value, Mapping):
        # mmengine merges only dictionaries into a list. Another entry may refer to the same list.
        items = list(parent)
        items[int(index)] = value
        set_option(cfg, place, type(parent)(items))
    else:
        cfg.merge_from_dict({name: value})


@contextmanager
def replace_copies(cfg: Config, name: str) -> Iterator[None]:
    """Let an option of a config's variable, such as ``train_pipeline``, change its copies as well.

    A config file is executed before the options are applied, so the data sets already contain the
    old pipeline. An option of a variable without copies is warned of.

    Args:
        cfg: changed in place.
        name: the option that the block sets.
    """
    variable = name.partition(".")[0]
    if variable in READ and variable not in _COPIED:
        yield
        return
    old = copy.deepcopy(cfg.get(variable))
    yield
    new = cfg.get(variable)
    if new == old:
        return
    read = {key: cfg[key] for key in cfg if key in READ and key not in _COPIED}
    count = 0
    if isinstance(old, (dict, list, tuple)) and old:
        for part in _walk(read, set()):
            for at in list(part) if isinstance(part, dict) else range(len(part)):
                if type(part[at]) is type(old) and part[at] == old:
                    part[at] = copy.deepcopy(new)
                    count += 1
        cfg.update(read)
    if not count and variable not in _READ_BESIDES:
        _logger.warning(
            "the option %s changes a variable of %s that nothing reads%s",
            shorten(name),
            config_name(cfg),
            _hint(cfg, variable, old),
        )


def _hint(cfg: Config, variable: str, old: Any) -> str:
    """Return which options were probably meant: those of the same name or value."""
    places = []
    todo = [(key, cfg[key]) for key in cfg if key in READ and key not in _COPIED]
    while todo:
        place, node = todo.pop(0)
        if place.rpartition(".")[2] == variable or (isinstance(old, str) and old and node == old):
            places.append(place)
        if isinstance(node, dict):
            todo += [(f"{place}.{key}", value) for key, value in node.items()]
        elif isinstance(node, (list, tuple)):
            todo += [(f"{place}.{key}", value) for key, value in enumerate(node)]
    return f": did you mean {' or '.join(places[:3])}?" if places else ""


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
