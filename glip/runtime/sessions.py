"""Run the graphs of an exported model with ONNX Runtime or OpenVINO."""

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
            raise _cannot_run(self._path, error) from None


def _reason(error: Exception) -> str:
    """Return the last line of a runtime's message, OpenVINO's first ones are places in its code."""
    return shorten(str(error).strip().split("\n")[-1], 200)


def _cannot_run(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"'{path}' cannot be run ({_reason(error)}): it does not belong to its manifest, or the "
        "memory does not suffice for images of this size"
    )


def import_onnxruntime() -> Any:
    """Return the module onnxruntime.

    Raises:
        DependencyError: it is missing, or too old for DeformConv.
    """
    advice = (
        "DeformConv needs onnxruntime 1.24 or newer, which needs Python 3.11: with an older Python "
        "use OpenVINO (`glip export --format openvino`), or detect in torch"
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


class OpenVinoSession:
    """A graph in OpenVINO, on the CPU in float32.

    Args:
        path: of the ``.xml`` file.
        threads: number of threads, ``None`` for OpenVINO's choice.

    Raises:
        DependencyError: openvino is missing.
        CheckpointError: the file cannot be loaded.
    """

    def __init__(self, path: Path, threads: int | None = None):
        openvino = import_openvino()
        # Without the hint, CPUs with instructions for bfloat16 compute in it.
        options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32"}
        if threads is not None:
            options["INFERENCE_NUM_THREADS"] = threads
        self._path = path
        try:
            core = openvino.Core()
            self._model = core.compile_model(core.read_model(path), "CPU", options)
        except RuntimeError as error:
            raise CheckpointError(f"'{path}' cannot be loaded: {_reason(error)}") from None
        self._names = {name for each in self._model.inputs for name in each.get_names()}

    def __call__(self, **inputs: np.ndarray) -> list[np.ndarray]:
        """Run the graph.

        Raises:
            CheckpointError: it fails.
        """
        try:
            found = self._model({key: own for key, own in inputs.items() if key in self._names})
        except RuntimeError as error:
            raise _cannot_run(self._path, error) from None
        return list(found.values())


def import_openvino() -> Any:
    """Return the module openvino.

    Raises:
        DependencyError: it is missing.
    """
    try:
        import openvino
    except ImportError:
        raise DependencyError(
            "a model in OpenVINO's format needs openvino: run `pip install 'openvino>=2026.4'`"
        ) from None
    return openvino


def open_session(folder: Path, name: str, format: str, threads: int | None = None) -> Session:
    """Load a graph of an exported model.

    Args:
        folder: of the model.
        name: ``'text'``, ``'image'`` or ``'answer'``.
        format: ``'onnx'`` or ``'openvino'``.
        threads: number of threads, ``None`` for the runtime's choice.
    """
    if format == "openvino":
        return OpenVinoSession(folder / f"{name}.xml", threads)
    return OnnxSession(folder / f"{name}.onnx", threads)
