"""Options of the command line that a config has used for more than one value.

A config is a program that has run by the time ``--cfg-options`` are applied: what it computed from
``data_root`` is computed. The functions here do what the file would have done, had the option
stood in it.
"""

from __future__ import annotations

from collections.abc import Iterator
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
            f"its data_root is {old!r}, so no path is known to lie there; set the paths "
            "themselves, for example test_dataloader.dataset.data_root"
        )
    base = new if not new or new.endswith("/") else new + "/"

    def follow(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(follow(item) for item in value)
        if isinstance(value, str) and value.startswith(stem + "/"):
            return base + value[len(stem) + 1 :]
        return base if value == stem else value

    for part in _parts(cfg, set()):
        for key in list(part) if isinstance(part, dict) else range(len(part)):
            if isinstance(part[key], (str, tuple)):
                part[key] = follow(part[key])


def move_tokenizer(cfg: Config, new: str) -> None:
    """Change the language model's folder or name, in place.

    Transforms that read its tokenizer, ``tokenizer_name``, follow if theirs was the config's
    ``lang_model_name``.

    Args:
        cfg: a config.
        new: the folder or hub name.
    """
    old = cfg.get("lang_model_name")
    for part in _parts(cfg, set()):
        if isinstance(part, dict) and "tokenizer_name" in part and part["tokenizer_name"] == old:
            part["tokenizer_name"] = new


def switch_caption_prompts(cfg: Config) -> None:
    """Make the data sets follow the config's ``use_caption_prompt``, in place.

    A data set that can be asked for in other words than its class names holds these words as
    ``metainfo['caption_prompt']``; switched on, they become its ``caption_prompt``, switched off,
    it has none. A config without ``use_caption_prompt`` stays as it is.
    """
    wanted = cfg.get("use_caption_prompt")
    if wanted is None:
        return
    for part in _parts(cfg, set()):
        known = part.get("metainfo") if isinstance(part, dict) else None
        if isinstance(known, dict) and "caption_prompt" in known:
            part["caption_prompt"] = known["caption_prompt"] if wanted else None


def _parts(node: Any, seen: set[int]) -> Iterator[Any]:
    """Go through the dictionaries and lists of a config, itself included, each once.

    Configs use one object in several places.

    Args:
        node: where to begin.
        seen: the ids of what was given.
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
        yield from _parts(each, seen)
