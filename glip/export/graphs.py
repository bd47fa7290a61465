"""The three graphs of a model, and writing them as ONNX files.

Shapes: B images of H x W pixels, T tokens.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from glip.export.answer_graph import AnswerGraph, TextGraph
from glip.export.image_graph import ImageGraph
from glip.models import GLIP

#: DeformConv exists from opset 19 on; 20 is the first for which torch translates everything.
OPSET = 20
#: Size of the images that the graphs are traced with; no two sides are equal.
_TRACED = (160, 224)
#: Largest side in multiples of 32 and in positions; a bound that torch.export asks for.
_MAX_SIDE = 1024


class Graph(NamedTuple):
    """A graph to export.

    Attributes:
        module: computes it.
        inputs: example values by name.
        outputs: names.
        shapes: for each input the names of its dynamic dimensions, ``'32*h'`` for multiples of 32.
    """

    module: nn.Module
    inputs: dict[str, Tensor]
    outputs: list[str]
    shapes: list[dict[int, str]]


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
    image_shape = {0: "batch"}
    level_shapes = [{0: "batch"} for _ in levels]
    if static is None:
        image_shape |= {2: "32*h", 3: "32*w"}
        level_shapes = [{0: "batch", 2: f"h{index}", 3: f"w{index}"} for index in range(5)]
    text_shape = {0: "batch", 1: "tokens"}
    ids = torch.zeros(2, 9, dtype=torch.long)
    mask = torch.ones(2, 9, dtype=torch.bool)
    hidden = torch.zeros(2, 9, model.language_model.bert.config.hidden_size)
    return {
        "text": Graph(
            TextGraph(model).eval(),
            {"input_ids": ids, "mask": mask},
            ["hidden"],
            [text_shape, text_shape],
        ),
        "image": Graph(image_graph, {"image": image}, levels, [image_shape]),
        "answer": Graph(
            AnswerGraph(model).eval(),
            {**dict(zip(levels, maps, strict=True)), "hidden": hidden, "mask": mask},
            ["token_logits", "deltas", "centerness"],
            [*level_shapes, text_shape, text_shape],
        ),
    }


def write_onnx(graph: Graph, path: Path) -> None:
    """Write a graph as an ONNX file, its weights inside."""
    with quiet(), torch.no_grad():
        program = torch.onnx.export(
            graph.module,
            tuple(graph.inputs.values()),
            dynamo=True,
            dynamic_shapes=_dimensions(graph.shapes),
            input_names=list(graph.inputs),
            output_names=graph.outputs,
            opset_version=OPSET,
            verbose=False,
        )
        assert program is not None
        program.save(str(path), external_data=False)


def _dimensions(shapes: list[dict[int, str]]) -> tuple[dict[int, Any], ...]:
    """Return dynamic dimensions as ``torch.export`` takes them."""
    from torch.export import Dim

    limits = {"batch": (1, None), "tokens": (2, 256), "h": (1, _MAX_SIDE), "w": (1, _MAX_SIDE)}
    made: dict[str, Any] = {}
    for shape in shapes:
        for name in shape.values():
            plain = name.removeprefix("32*")
            low, high = limits.get(plain, (1, 8 * _MAX_SIDE))
            dim = made.get(plain) or Dim(plain, min=low, max=high)
            made[plain] = dim
            made[name] = 32 * dim if name != plain else dim
    return tuple({axis: made[name] for axis, name in shape.items()} for shape in shapes)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hide the notes of the exporters; their errors pass."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
