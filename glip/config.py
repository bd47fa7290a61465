"""Find the files that ship with the library: configs, and the files of ``demo/``."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glip.utils.messages import shorten

if TYPE_CHECKING:  # mmengine is imported on use: file names need only the standard library
    from mmengine.config import Config

_PACKAGE = Path(__file__).parent


def config_root() -> Path:
    """Return the folder of the shipped configs.

    An installed package has them in ``glip/.mim/configs``, where OpenMMLab's ``mim`` finds them
    too; in a clone they are beside the package.
    """
    return _shipped_folder("configs")


def demo_file(name: str) -> Path:
    """Return a shipped file of ``demo/``, which an installed package has in ``glip/.mim/demo``.

    Args:
        name: for example ``'shapes.jpg'``, ``'glip_nano_shapes.safetensors'`` or
            ``'bert-base-uncased'``, the folder of the vocabulary.
    """
    return _shipped_folder("demo") / name


def _shipped_folder(name: str) -> Path:
    installed = _PACKAGE / ".mim" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


def config_files() -> list[Path]:
    """Return the shipped configs, without base files and templates (folders named ``_...``)."""
    root = config_root()
    return [
        file
        for file in sorted(root.rglob("*.py"))
        if not any(part.startswith("_") for part in file.relative_to(root).parts)
    ]


def list_configs() -> list[str]:
    """Return the names of the shipped configs, for example ``glip_atss_swin-t_a_…_obj365``."""
    return sorted(file.stem for file in config_files())


def find_config(name: str) -> Path:
    """Return the file of a shipped config.

    Args:
        name: the config's name, with or without ``.py`` and a folder.

    Raises:
        FileNotFoundError: no shipped config has this name; the message lists similar names.
    """
    stem = Path(name).name.removesuffix(".py")
    for file in config_files():
        if file.stem == stem:
            return file
    known = list_configs()
    similar = get_close_matches(stem[:200], known, n=5, cutoff=0.4) or known[:5]
    raise FileNotFoundError(
        f"no shipped config is called {shorten(name)}. Close names: {', '.join(similar)}. "
        "glip.list_configs() lists them all."
    )


def shipped_name(name: object) -> str | None:
    """Return ``name`` if a shipped config has this name, otherwise ``None``.

    The config in a checkpoint's meta information can be anything: other libraries store its text.
    A path in it must not be opened, because a config is a program.
    """
    return name if isinstance(name, str) and name in list_configs() else None


def get_config(name: str) -> Config:
    """Load a shipped config.

    Args:
        name: its name, for example ``'glip_atss_swin-t_a_fpn_dyhead_pretrain_obj365'``.

    Raises:
        FileNotFoundError: no shipped config has this name; the message lists similar names.
    """
    from mmengine.config import Config

    return Config.fromfile(find_config(name))


def list_models() -> dict[str, dict[str, Any]]:
    """Return the entry in ``metafile.yml`` of each published model, by the name of its config."""
    import yaml

    models: dict[str, dict[str, Any]] = {}
    for file in sorted(config_root().rglob("metafile.yml")):
        for entry in yaml.safe_load(file.read_text(encoding="utf-8"))["Models"]:
            models[entry["Name"]] = entry
    return models


def find_weights(name: str) -> str | None:
    """Return the URL of a model's published weights, or ``None`` if none are published.

    Args:
        name: the name of its config, with or without ``.py`` and a folder.
    """
    return list_models().get(Path(name).name.removesuffix(".py"), {}).get("Weights")
