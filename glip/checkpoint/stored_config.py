"""Read settings from the config that a training stored in its checkpoint as text.

The text is a program and may be anybody's, so it is parsed and never executed. Only settings that
the shapes of the parameters do not show are used: anchors, the normalization and size of images,
the numbers of attention heads, and the default threshold.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

#: Settings by their place in the config, and the kind of their value.
_SETTINGS: dict[str, type | tuple[type, ...]] = {
    "model.backbone.num_heads": list,
    "model.bbox_head.num_fusion_heads": int,
    "model.data_preprocessor.mean": list,
    "model.data_preprocessor.std": list,
    "model.data_preprocessor.bgr_to_rgb": bool,
    "model.test_cfg.chunked_size": int,
    "default_score_thr": (int, float),
}
_ANCHORS = "model.bbox_head.anchor_generator"
_ANCHOR_SETTINGS = ("strides", "octave_base_scale", "center_offset")
#: Steps of a pipeline that resize an image to a ``scale``.
_RESIZING = ("FixScaleResize", "Resize")


def stored_options(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a stored config as options of another config, by dotted name.

    Args:
        meta: the ``meta`` of a checkpoint; mmengine's runner stores the config as ``cfg``.
    """
    cfg = _parse(meta.get("cfg"))
    options = {}
    for name, kind in _SETTINGS.items():
        value = _get(cfg, name)
        if isinstance(value, kind) and _is_plain(value):
            options[name] = value
    anchors = _get(cfg, _ANCHORS)
    if isinstance(anchors, dict):
        given = {key: anchors[key] for key in _ANCHOR_SETTINGS if _is_plain(anchors.get(key))}
        options[_ANCHORS] = dict(type="AnchorGenerator", **given)
    scale = _scale(cfg.get("test_pipeline"))
    if scale:
        options["test_pipeline.1.scale"] = scale
    return options


def _parse(text: object) -> dict[str, Any]:
    """Return the values that a config's text assigns; those that are no literals are left out."""
    if not isinstance(text, str):
        return {}
    try:
        statements = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    values = {}
    for statement in statements:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            try:
                values[statement.targets[0].id] = _evaluate(statement.value)
            except (ValueError, RecursionError):
                continue
    return values


def _evaluate(node: ast.expr) -> Any:
    """Evaluate literals and ``dict(...)``; raise ValueError for anything else."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
        return {each.arg: _evaluate(each.value) for each in node.keywords if each.arg}
    if isinstance(node, ast.List):
        return [_evaluate(each) for each in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(_evaluate(each) for each in node.elts)
    return ast.literal_eval(node)


def _get(cfg: dict[str, Any], name: str) -> Any:
    value: Any = cfg
    for key in name.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _scale(pipeline: Any) -> tuple[int, int] | None:
    """Return the scale of the resizing step, which all shipped pipelines have second."""
    for step in pipeline if isinstance(pipeline, (list, tuple)) else ():
        if isinstance(step, dict) and step.get("type") in _RESIZING:
            scale = step.get("scale")
            if isinstance(scale, (list, tuple)) and len(scale) == 2 and _is_plain(scale):
                return int(scale[0]), int(scale[1])
    return None


def _is_plain(value: Any) -> bool:
    """Return whether a value is a number, or a list of a few."""
    if isinstance(value, (list, tuple)):
        return 0 < len(value) <= 8 and all(isinstance(each, (int, float)) for each in value)
    return isinstance(value, (int, float))
