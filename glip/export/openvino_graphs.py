"""Write a graph as the files of OpenVINO.

OpenVINO has no rule for ONNX's DeformConv, but converts the modules themselves.
"""

from __future__ import annotations

from pathlib import Path

import torch

from glip.export.graphs import Graph, quiet
from glip.runtime.sessions import import_openvino


def write_openvino(graph: Graph, path: Path, half: bool) -> None:
    """Write ``path``, an ``.xml`` file, and the weights in the ``.bin`` file beside it.

    Args:
        graph: what to write.
        path: of the ``.xml`` file.
        half: store the weights in float16; all is computed in float32.
    """
    openvino = import_openvino()
    with quiet(), torch.no_grad():
        model = openvino.convert_model(graph.module, example_input=tuple(graph.inputs.values()))
    shapes = {}
    for own, (name, example) in zip(model.inputs, graph.inputs.items(), strict=True):
        own.get_tensor().set_names({name})
        shapes[name] = openvino.PartialShape(
            [
                -1 if axis in graph.dimensions[name] else size
                for axis, size in enumerate(example.shape)
            ]
        )
    for own, name in zip(model.outputs, graph.outputs, strict=True):
        own.get_tensor().set_names({name})
    model.reshape(shapes)
    openvino.save_model(model, path, compress_to_fp16=half)
