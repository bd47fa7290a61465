"""Check the options ``test_cfg`` of a detector."""

from __future__ import annotations

from typing import Any

from glip.utils.errors import ConfigError
from glip.utils.options import check_int, check_keys, check_mapping, check_number
from glip.utils.precision import check_amp

#: What the post-processing reads, and what the detector reads.
_POSTPROCESSING = ("score_thr", "nms_pre", "nms", "max_per_img", "min_bbox_size")
_DETECTOR = ("chunked_size", "chunks_at_a_time", "amp")
#: Options of mmcv's NMS; those after the first two have no effect on the result at these values.
_NMS = (
    "type",
    "iou_threshold",
    "split_thr",
    "class_agnostic",
    "offset",
    "max_num",
    "score_threshold",
)
_NMS_VALUES = dict(class_agnostic=False, offset=0, max_num=-1, score_threshold=0)


def check_test_cfg(test_cfg: Any) -> None:
    """Check the ``test_cfg`` of a detector or its head.

    Args:
        test_cfg: a dictionary, or ``None``.

    Raises:
        ConfigError: an option is unknown or invalid.
    """
    options = check_mapping("model.test_cfg", test_cfg, none=True) or {}
    check_keys("model.test_cfg", options, (*_POSTPROCESSING, *_DETECTOR))
    check_number("model.test_cfg.score_thr", options.get("score_thr", 0), low=0, high=1)
    check_int("model.test_cfg.nms_pre", options.get("nms_pre", 1), low=1)
    check_int("model.test_cfg.max_per_img", options.get("max_per_img", 1), low=1)
    check_number("model.test_cfg.min_bbox_size", options.get("min_bbox_size", 0), low=0)
    check_int("model.test_cfg.chunks_at_a_time", options.get("chunks_at_a_time", 1), low=1)
    if options.get("chunked_size", -1) != -1:
        check_int("model.test_cfg.chunked_size", options["chunked_size"], low=1)
    check_amp(options.get("amp"))
    check_nms("model.test_cfg.nms", options.get("nms"))


def check_nms(name: str, nms: Any) -> None:
    """Check the options of an NMS.

    Args:
        name: their place in the config.
        nms: a dictionary, or ``None``.

    Raises:
        ConfigError: an option is unknown or invalid.
    """
    nms = check_mapping(name, nms, none=True) or {}
    check_keys(name, nms, _NMS)
    if nms.get("type", "nms") != "nms":
        raise ConfigError(f"expected {name} of type 'nms', got {nms['type']!r}")
    check_number(f"{name}.iou_threshold", nms.get("iou_threshold", 0.5), low=0, high=1)
    for key, value in _NMS_VALUES.items():
        if nms.get(key, value) != value:
            raise ConfigError(f"expected {name}.{key}={value}, as in every GLIP, got {nms[key]!r}")
