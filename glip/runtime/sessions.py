"""Run the graphs of an exported model with ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np

from glip.utils.errors import CheckpointError, DependencyError, shorten

#: The first onnxruntime that runs DeformConv.
_MIN_ONNXRUNTIME = (1, 24)


class Session(Protocol):
    """A graph that is ready to run."""

    def __call__(self, **inputs: np.ndarray) -> list[np.ndarray]:
        """Return the outputs in the order of the graph."""
        ...


class OnnxSession:
    """A graph in ONNX Runtime, on the CPU.

    Args:
        path: of the ``.onnx`` file.
        threads: number of threads, ``None`` for ONNX Runtime's choice.

    Raises:
        DependencyError: onnxruntime is missing or too old.
        CheckpointError: the file cannot be loaded.
    """

    def __init__(self, path: Path, threads: int | None = None):
        runtime = import_onnxruntime()
        options = runtime.SessionOptions()
        options.log_severity_level = 3
        if threads is not None:
            options.intra_op_num_threads = threads
        self._path = path
        try:
            self._session = runtime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its own types, which are no public API
            raise CheckpointError(f"'{path}' cannot be loaded: {_reason(error)}") from None

    def __call__(self, **inputs: np.ndarray) -> list[np.ndarray]:
        """Run the graph.

        Raises:
            CheckpointError: it fails.
        """
        names = {each.name for each in self._session.get_inputs()}
        # Without fusion the graph does not read everything.
        try:
            return self._session.run(
                None, {key: own for key, own in inputs.items() if key in names}
            )
        except Exception as error:
            raise CheckpointError(
                f"'{self._path}' cannot be run ({_reason(error)}): it does not belong to its "
                "manifest, or the memory does not suffice for images of this size"
            ) from None


def _reason(error: Exception) -> str:
    """Return the start of ONNX Runtime's message, which may have several lines."""
    return shorten(str(error).strip().split("\n")[0], 200)


def import_onnxruntime() -> Any:
    """Return the module onnxruntime.

    Raises:
        DependencyError: it is missing, or too old for DeformConv.
    """
    advice = (
        "DeformConv needs onnxruntime 1.24 or newer, which needs Python 3.11: with an older Python "
        "detect in torch"
    )
    try:
        import onnxruntime
    except ImportError:
        raise DependencyError(
            f"ONNX graphs need onnxruntime: run `pip install 'onnxruntime>=1.24'`. {advice}"
        ) from None
    version = tuple(int(part) for part in onnxruntime.__version__.split(".")[:2])
    if version < _MIN_ONNXRUNTIME:
        raise DependencyError(f"got onnxruntime {onnxruntime.__version__}. {advice}")
    return onnxruntime


def open_session(folder: Path, name: str, threads: int | None = None) -> Session:
    """Load a graph of an exported model.

    Args:
        folder: of the model.
        name: ``'text'``, ``'image'`` or ``'answer'``.
        threads: number of threads, ``None`` for the runtime's choice.
    """
    return OnnxSession(folder / f"{name}.onnx", threads)
