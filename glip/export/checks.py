"""Check the options of an export before anything slow."""

from __future__ import annotations

import importlib.util
from importlib.metadata import version
from pathlib import Path

from glip.runtime.sessions import import_onnxruntime, import_openvino
from glip.utils.atomic_write import make_folder
from glip.utils.errors import ConfigError, DependencyError, StorageError

#: The precisions of the stored weights in each format.
FORMATS = {"onnx": ("fp32", "fp16", "int8"), "openvino": ("fp32", "fp16")}
#: What the export to ONNX needs.
_PACKAGES = ("onnx",)
#: The first torch whose exporter is known to take the graphs.
_MIN_TORCH = [2, 9]


def check_export(
    out: str | Path, format: str, precision: str, static: tuple[int, int] | None
) -> None:
    """Check what can be checked before the model is built.

    Raises:
        StorageError: ``out`` exists, or cannot be written.
        DependencyError: a package is missing or too old.
        ConfigError: the format, or the precision in it, is unknown; or the static size is no
            multiple of 32.
    """
    if format not in FORMATS:
        raise ConfigError(f"expected the format {' or '.join(FORMATS)}, got {format!r}")
    if precision not in FORMATS[format]:
        raise ConfigError(
            f"expected a precision of {', '.join(FORMATS[format])} in the format {format}, got "
            f"{precision}"
        )
    if static is not None and any(side < 32 or side % 32 for side in static):
        raise ConfigError(
            f"expected --static HxW as multiples of 32, such as 800x1344, got "
            f"{static[0]}x{static[1]}"
        )
    out = Path(out)
    if out.exists():
        raise StorageError(f"'{out}' exists: remove it, or choose another folder")
    if format == "openvino":
        import_openvino()
    else:
        _check_onnx()
    make_folder(out.absolute().parent)


def _check_onnx() -> None:
    """Check the packages of the export to ONNX.

    Raises:
        DependencyError: one is missing or too old.
    """
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
