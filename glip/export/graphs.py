"""The three graphs of a model, and writing them as ONNX files.

Shapes: B images of H x W pixels, T tokens.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.onnx import symbolic_helper

from glip.export.answer_graph import AnswerGraph, TextGraph
from glip.export.image_graph import ImageGraph
from glip.models import GLIP

#: DeformConv exists from opset 19 on; 20 is the last that tracing knows.
OPSET = 20
#: Size of the images that the graphs are traced with; no two sides are equal.
_TRACED = (160, 224)


class Graph(NamedTuple):
    """A graph to export.

    Attributes:
        module: computes it.
        inputs: example values by name.
        outputs: names.
        dimensions: of inputs and outputs, by name: names of the dimensions that are free.
    """

    module: nn.Module
    inputs: dict[str, Tensor]
    outputs: list[str]
    dimensions: dict[str, dict[int, str]]


def make_graphs(model: GLIP, static: tuple[int, int] | None) -> dict[str, Graph]:
    """Return the graphs of a model by name.

    Args:
        model: the detector, in evaluation mode, on the CPU in float32.
        static: (H, W) of the input, multiples of 32; ``None`` for any.
    """
    levels = [f"level_{index}" for index in range(5)]
    height, width = static or _TRACED
    image = torch.zeros(2, 3, height, width)
    image_graph = ImageGraph(model).eval()
    with torch.no_grad():
        maps = image_graph(image)
    answers = ["token_logits", "deltas", "centerness"]
    free = {name: {0: "batch"} for name in ("image", *levels, *answers)}
    if static is None:
        free["image"] |= {2: "height", 3: "width"}
        for index, name in enumerate(levels):
            free[name] |= {2: f"height_{index}", 3: f"width_{index}"}
        for name in answers:
            free[name] |= {1: "positions"}
    for name in ("input_ids", "mask", "hidden"):
        free[name] = {0: "batch", 1: "tokens"}
    free["token_logits"] |= {2: "tokens"}

    def graph(module: nn.Module, inputs: dict[str, Tensor], outputs: list[str]) -> Graph:
        return Graph(
            module.eval(), inputs, outputs, {key: free[key] for key in (*inputs, *outputs)}
        )

    ids = torch.zeros(2, 9, dtype=torch.long)
    mask = torch.ones(2, 9, dtype=torch.bool)
    hidden = torch.zeros(2, 9, model.language_model.bert.config.hidden_size)
    visual = dict(zip(levels, maps, strict=True))
    return {
        "text": graph(TextGraph(model), {"input_ids": ids, "mask": mask}, ["hidden"]),
        "image": graph(image_graph, {"image": image}, levels),
        "answer": graph(AnswerGraph(model), {**visual, "hidden": hidden, "mask": mask}, answers),
    }


def write_onnx(graph: Graph, path: Path) -> None:
    """Write a graph as an ONNX file, its weights inside.

    It is traced (``dynamo=False``): the trace records the arithmetic of sizes as it is, while
    ``torch.export`` proves relations of all sizes, which did not end in ten minutes for GLIP-T.
    A size that the trace burns in is an error.
    """
    with quiet(), _deform_conv(), torch.no_grad():
        torch.onnx.export(
            graph.module,
            tuple(graph.inputs.values()),
            str(path),
            dynamo=False,
            dynamic_axes=graph.dimensions,
            input_names=list(graph.inputs),
            output_names=graph.outputs,
            opset_version=OPSET,
        )


@contextlib.contextmanager
def _deform_conv() -> Iterator[None]:
    """Let the exporter translate torchvision's deformable convolution, which it does not know."""
    name = "torchvision::deform_conv2d"
    torch.onnx.register_custom_op_symbolic(name, _translate_deform_conv, OPSET)
    try:
        yield
    finally:
        torch.onnx.unregister_custom_op_symbolic(name, OPSET)


@symbolic_helper.parse_args("v", "v", "v", "v", "v", *"iiiiiiii", "b")
def _translate_deform_conv(
    g: Any,
    x: Any,
    weight: Any,
    offset: Any,
    mask: Any,
    bias: Any,
    stride_y: int,
    stride_x: int,
    padding_y: int,
    padding_x: int,
    dilation_y: int,
    dilation_x: int,
    groups: int,
    offset_groups: int,
    _use_mask: bool,
) -> Any:
    """Write ONNX's DeformConv; the arguments are those of torchvision's operator."""
    return g.op(
        "DeformConv",
        x,
        weight,
        offset,
        bias,
        mask,
        strides_i=[stride_y, stride_x],
        pads_i=[padding_y, padding_x, padding_y, padding_x],
        dilations_i=[dilation_y, dilation_x],
        group_i=groups,
        offset_group_i=offset_groups,
    )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hide the warnings of a trace, such as that tracing is deprecated.

    Raises:
        RuntimeError: the trace has burnt in a size, so the graph would be wrong for others.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for each in caught:
        if issubclass(each.category, torch.jit.TracerWarning):
            raise RuntimeError(f"{each.filename}:{each.lineno}: {each.message}")
