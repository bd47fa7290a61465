"""Finding the configs that ship with the library."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from mmengine.config import Config
from mmengine.fileio import load

_PACKAGE = Path(__file__).parent


def config_root() -> Path:
    """Return the folder of the shipped configs.

    An installed package carries them in ``glip/.mim/configs`` (where OpenMMLab's ``mim`` looks
    too); in a clone they are beside the package.
    """
    installed = _PACKAGE / ".mim" / "configs"
    return installed if installed.is_dir() else _PACKAGE.parent / "configs"


def config_files() -> list[Path]:
    """Return the shipped configs; folders with a leading underscore hold parts and templates."""
    root = config_root()
    return [
        file
        for file in sorted(root.rglob("*.py"))
        if not any(part.startswith("_") for part in file.relative_to(root).parts)
    ]


def list_configs() -> list[str]:
    """Return the names :func:`get_config` knows, for example ``glip_atss_swin-t_a_…_obj365``."""
    return sorted(file.stem for file in config_files())


def find_config(name: str) -> Path:
    """Return the file of a shipped config.

    Args:
        name: a config's name, with or without ``.py`` or its folder.

    Raises:
        FileNotFoundError: no shipped config has this name; the message lists close ones.
    """
    stem = Path(name).name.removesuffix(".py")
    for file in config_files():
        if file.stem == stem:
            return file
    known = list_configs()
    near = get_close_matches(stem, known, n=5, cutoff=0.4) or known
    raise FileNotFoundError(
        f"no shipped config is called {name!r}. Close names: {', '.join(near)}. "
        "glip.list_configs() lists them all."
    )


def shipped_name(name: object) -> str | None:
    """Return ``name`` if it is that of a shipped config, else ``None``.

    What a checkpoint says of its config may be anything: other libraries store its whole text, and
    a path is not to be followed, for a config is a program.
    """
    return name if isinstance(name, str) and name in list_configs() else None


def get_config(name: str) -> Config:
    """Load a config that ships with the library.

    Args:
        name: its name, for example ``'glip_atss_swin-t_a_fpn_dyhead_pretrain_obj365'``.

    Raises:
        FileNotFoundError: no shipped config has this name; the message lists close ones.
    """
    return Config.fromfile(find_config(name))


def list_models() -> dict[str, dict]:
    """Return the published models: for each config name its entry of ``metafile.yml``."""
    models: dict[str, dict] = {}
    for file in sorted(config_root().rglob("metafile.yml")):
        for entry in load(file, file_format="yaml")["Models"]:
            models[entry["Name"]] = entry
    return models


def find_weights(name: str) -> str | None:
    """Return the address of a model's published weights, or ``None`` if none are published.

    Args:
        name: of its config, with or without ``.py`` and folder.
    """
    return list_models().get(Path(name).name.removesuffix(".py"), {}).get("Weights")
