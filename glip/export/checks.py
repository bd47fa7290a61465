"""Check the options of an export before anything slow."""

from __future__ import annotations

import importlib.util
from importlib.metadata import version
from pathlib import Path

from glip.runtime.sessions import import_onnxruntime
from glip.utils.atomic_write import make_folder
from glip.utils.errors import ConfigError, DependencyError, StorageError

#: What the export needs.
_PACKAGES = ("onnx", "onnxscript")
#: The first torch whose exporter is known to take the graphs.
_MIN_TORCH = [2, 9]


def check_export(out: str | Path, static: tuple[int, int] | None) -> None:
    """Check what can be checked before the model is built.

    Raises:
        StorageError: ``out`` exists, or cannot be written.
        DependencyError: a package is missing or too old.
        ConfigError: the static size is no multiple of 32.
    """
    if static is not None and any(side < 32 or side % 32 for side in static):
        raise ConfigError(
            f"expected --static HxW as multiples of 32, such as 800x1344, got "
            f"{static[0]}x{static[1]}"
        )
    out = Path(out)
    if out.exists():
        raise StorageError(f"'{out}' exists: remove it, or choose another folder")
    for package in _PACKAGES:
        if importlib.util.find_spec(package) is None:
            raise DependencyError(
                f"the export to ONNX needs {package}: run `pip install 'glip[export]'`"
            )
    import_onnxruntime()
    if [int(part) for part in version("torch").split(".")[:2]] < _MIN_TORCH:
        raise DependencyError(
            f"the export to ONNX needs torch 2.9 or newer, got {version('torch')}"
        )
    make_folder(out.absolute().parent)
