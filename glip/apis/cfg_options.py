"""Options of the command line that a config has used for more than one value.

A config is a program that has run by the time ``--cfg-options`` are applied: what it computed from
``data_root`` is computed. The functions here do what the file would have done, had the option
stood in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from mmengine.config import Config


def move_data_root(cfg: Config, new: str) -> None:
    """Change the folder of the data, in place.

    Every string that is the config's ``data_root``, or a path below it, follows: the folders of
    data sets however deep in others, the annotation files of metrics.

    Args:
        cfg: a config with a ``data_root``.
        new: the folder, with or without ``/`` at its end.

    Raises:
        KeyError: the config has no ``data_root``, so that nothing would change.
    """
    old = cfg.get("data_root")
    stem = old.rstrip("/") if isinstance(old, str) else ""
    if stem in ("", "."):
        raise KeyError(
            f"its data_root is {old!r}, so no path is known to lie there; set the paths themselves, "
            "for example test_dataloader.dataset.data_root"
        )
    base = new if not new or new.endswith("/") else new + "/"

    def follow(value: Any) -> Any:
        if isinstance(value, str) and value.startswith(stem + "/"):
            return base + value[len(stem) + 1 :]
        return base if value == stem else value

    _edit(cfg, cfg.keys(), follow, lambda entry: None, set())


def switch_caption_prompts(cfg: Config) -> None:
    """Make the data sets follow the config's ``use_caption_prompt``, in place.

    A data set that can be asked for in other words than its class names holds these words as
    ``metainfo['caption_prompt']``; switched on, they become its ``caption_prompt``, switched off,
    it has none. A config without ``use_caption_prompt`` stays as it is.
    """
    wanted = cfg.get("use_caption_prompt")
    if wanted is None:
        return

    def switch(entry: dict) -> None:
        known = entry.get("metainfo")
        if isinstance(known, dict) and "caption_prompt" in known:
            entry["caption_prompt"] = known["caption_prompt"] if wanted else None

    _edit(cfg, cfg.keys(), lambda value: value, switch, set())


def _edit(
    node: Any,
    keys: Iterable[Any],
    change: Callable[[Any], Any],
    visit: Callable[[dict], None],
    seen: set[int],
) -> None:
    """Go through everything below a dictionary or list, and change it in place.

    Configs use one object in several places; each is changed once.

    Args:
        node: where to begin.
        keys: its keys or indices.
        change: gives a value's successor.
        visit: called with every dictionary.
        seen: the ids of what was visited.
    """

    def edited(value: Any) -> Any:
        if isinstance(value, tuple):
            return type(value)(edited(item) for item in value)
        if not isinstance(value, (dict, list)):
            return change(value)
        if id(value) not in seen:
            seen.add(id(value))
            if isinstance(value, dict):
                visit(value)
            below = value.keys() if isinstance(value, dict) else range(len(value))
            _edit(value, below, change, visit, seen)
        return value

    for key in list(keys):
        value = node[key]
        after = edited(value)
        if after is not value:
            node[key] = after
