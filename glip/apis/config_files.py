"""Read the files of configs, and the modules that they import."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.utils import import_modules_from_strings

from glip.config import find_config
from glip.utils.config_entries import config_name
from glip.utils.errors import ConfigError, foreign_cause, summarize
from glip.utils.messages import shorten
from glip.utils.options import check_bool, check_keys, check_mapping
from glip.utils.regular_files import file_problem

#: File extensions of checkpoints.
_CHECKPOINT_EXTENSIONS = (".pth", ".pt", ".safetensors", ".ckpt", ".bin")
#: mmengine also reads these as configs, with a YAML loader that calls any function.
_DATA_EXTENSIONS = (".yml", ".yaml", ".json")
_EXPECTED = "expected a Python file as in configs/glip"


def read_config(path: Path) -> Config:
    """Read the config in a file, or the shipped config of this name.

    Raises:
        FileNotFoundError: there is no such file and no shipped config of this name.
        ConfigError: it is no Python file, or cannot be read as a config.
    """
    if path.suffix.lower() in _CHECKPOINT_EXTENSIONS:
        raise ConfigError(
            f"{shorten(str(path))} is a checkpoint, and a config is expected first: pass the "
            "config, then the checkpoint; DetInferencer(weights=...) finds the config of a "
            "checkpoint that names it"
        )
    problem = file_problem(path)
    if problem == "does not exist":
        path = find_config(str(path))
    elif problem:
        raise ConfigError(f"the config {path} {problem}: expected a Python file")
    elif path.suffix.lower() in _DATA_EXTENSIONS:
        raise _unreadable(
            path,
            f"{path.suffix[1:].upper()} files could run code too, unseen",
            ". A config is a program: load only those that you trust",
        )
    try:
        _check_bases(path, [])
        return Config.fromfile(path)
    except ConfigError:
        raise
    except SyntaxError as error:  # of the file itself or of one of its bases
        place = f" in line {error.lineno}" if error.lineno else ""
        raise _unreadable(path, f"SyntaxError{place}: {error.msg}") from None
    except UnicodeError:
        raise _unreadable(path, "it is not a text in UTF-8") from None
    except (Exception, SystemExit) as error:  # a config is a program, which can fail in any way
        names = str(error).partition("Duplicate keys: ")[2].strip("\"'{}")
        if names:
            raise _unreadable(
                path, f"several of its bases have the entry {names!r}: keep one"
            ) from None
        raise _unreadable(path, f"{summarize(error)}{_line_of(error, path)}") from None


def import_own_modules(cfg: Config) -> None:
    """Import the modules of ``custom_imports``, which may register classes of their own.

    A config file has imported its own when it was read; this is for those of an option.

    Raises:
        ConfigError: a module cannot be imported.
    """
    imports = check_mapping("custom_imports", cfg.get("custom_imports"), none=True) or {}
    check_keys("custom_imports", imports, ("imports", "allow_failed_imports"))
    check_bool("custom_imports.allow_failed_imports", imports.get("allow_failed_imports", False))
    try:
        import_modules_from_strings(**imports)
    except Exception as error:  # a module is a program, which can fail in any way
        raise ConfigError(
            f"the custom_imports of {config_name(cfg)} fail ({summarize(error)}): expected the "
            "names of modules that Python finds, for example through PYTHONPATH"
        ) from foreign_cause(error)


def _unreadable(path: Path, reason: str, advice: str = "") -> ConfigError:
    return ConfigError(f"{path} cannot be read as a config ({reason}): {_EXPECTED}{advice}")


def _check_bases(path: Path, chain: list[Path]) -> None:
    """Check that a config inherits from Python files only; mmengine would run a YAML file's code.

    Args:
        path: the config.
        chain: the configs that inherit from it.

    Raises:
        ConfigError: a base, or a base of a base, is another file, or the config itself.
    """
    chain = [*chain, path.resolve()]
    try:
        names = Config._get_base_files(str(path))
    except Exception:  # of a config that cannot be loaded; loading it says what is wrong
        return
    for name in names:
        file = _base_file(name, path)
        if file is None:
            continue
        if file.suffix.lower() in _DATA_EXTENSIONS:
            kind = file.suffix[1:].upper()
            raise _unreadable(
                path, f"its _base_ {shorten(name)} is a {kind} file, which could run code unseen"
            )
        if file.resolve() in chain:
            raise _unreadable(path, f"its _base_ {shorten(name)} inherits from it as well")
        if file.is_file():  # if not, loading it says so
            _check_bases(file, chain)


def _base_file(name: Any, path: Path) -> Path | None:
    """Return the file of an entry of ``_base_``; None if loading the config says what is wrong."""
    if not isinstance(name, str):
        raise _unreadable(path, f"its _base_ has {shorten(name)}, which is no path")
    try:
        return Path(Config._get_cfg_path(name, str(path))[0])
    except Exception:
        return None


def _line_of(error: BaseException, path: Path) -> str:
    """Return the line of a config at which it failed, `` in line 3``, if it is known."""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename) == path or frame.filename == "<string>"
    ]
    return f" in line {lines[-1]}" if lines else ""
