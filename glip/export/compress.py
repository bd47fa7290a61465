"""Smaller ONNX files: weights stored in half precision, or linear layers quantized to int8."""

from __future__ import annotations

from pathlib import Path

import numpy as np

#: Smaller tensors stay as they are.
_MIN_NUMEL = 1024


def store_in_half(path: Path) -> None:
    """Store the large weights of an ONNX file in float16, in place; loading casts them.

    All is computed in float32 as before, since the kernels of CPUs and of browsers are of float32,
    and offsets in half precision would lose their position.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(str(path))
    casts = []
    for weight in model.graph.initializer:
        if weight.data_type != TensorProto.FLOAT or np.prod(weight.dims) < _MIN_NUMEL:
            continue
        values, name = numpy_helper.to_array(weight), weight.name
        half = np.clip(values, -65504, 65504).astype(np.float16)
        weight.CopyFrom(numpy_helper.from_array(half, f"{name}_half"))
        casts.append(helper.make_node("Cast", [f"{name}_half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, str(path))


def quantize(path: Path) -> None:
    """Quantize the matrix products with weights to int8, in place; activations per call."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    target = path.with_suffix(".int8.onnx")
    quantize_dynamic(
        str(path),
        str(target),
        op_types_to_quantize=["MatMul", "Gemm"],
        weight_type=QuantType.QInt8,
        per_channel=True,
        extra_options={"MatMulConstBOnly": True},
    )
    target.replace(path)
