"""Ranges of the values of a component's options, also of components of mmengine and torch."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from typing import Any

from glip.utils.errors import ConfigError
from glip.utils.messages import shorten
from glip.utils.options import (
    check_bool,
    check_choice,
    check_int,
    check_keys,
    check_mapping,
    check_number,
    check_text,
)

#: Integers above this are typing errors: no data set, training or model is that large.
_MAX_INT = 10**12


def check_filter(name: str, value: Any) -> None:
    """Check the ``filter_cfg`` of a data set.

    Raises:
        ConfigError: a key is unknown, or its value is invalid.
    """
    options = check_mapping(name, value, none=True) or {}
    check_keys(name, options, ("filter_empty_gt", "min_size"))
    check_bool(f"{name}.filter_empty_gt", options.get("filter_empty_gt"), none=True)
    check_number(f"{name}.min_size", options.get("min_size", 0), low=0)


def _check_prefix(name: str, value: Any) -> None:
    for key, folder in (check_mapping(name, value, none=True) or {}).items():
        if not isinstance(folder, str):
            raise ConfigError(f"expected {name}.{key} as a folder, got {shorten(folder)}")


def _int(low: int | None = None, high: int | None = None, *, none: bool = False) -> Callable:
    def run(name: str, value: Any) -> None:
        check_int(name, value, low=low, high=high, none=none)
        check_int(name, value, high=_MAX_INT, none=none)

    return run


def _number(low: float | None = None, high: float | None = None, *, none: bool = False) -> Callable:
    return lambda name, value: check_number(name, value, low=low, high=high, none=none)


def _positive(name: str, value: Any) -> None:
    check_number(name, value, positive=True)


def _each(check: Callable[[str, Any], Any], length: int | None = None) -> Callable:
    """Return a check of the values of a list."""

    def run(name: str, values: Any) -> None:
        wrong_length = length is not None and len(values) != length
        if not isinstance(values, (list, tuple)) or not len(values) or wrong_length:
            number = length or "one or more"
            raise ConfigError(
                f"expected {name} as a list of {number} values, got {shorten(values)}"
            )
        for value in values:
            check(name, value)

    return run


def _steps(name: str, value: Any) -> None:
    if not isinstance(value, (list, tuple)):
        raise ConfigError(f"expected {name} as a list of integers, got {shorten(value)}")
    for each in value:
        check_int(name, each, low=0)
    if list(value) != sorted(value):
        raise ConfigError(f"expected {name} in ascending order, got {shorten(value)}")


def _interval(name: str, value: Any) -> None:
    """Check an interval or a number of checkpoints; -1 means none or all."""
    if isinstance(value, bool) or value != -1:
        _int(1)(name, value)


def _groups(name: str, value: Any) -> None:
    """Check groups of names, of which none is empty."""
    for key, names in check_mapping(name, value).items():
        if not isinstance(names, (list, tuple)) or not names:
            raise ConfigError(f"expected {name}[{key!r}] as a list of names, got {shorten(names)}")


def _template(name: str, value: Any) -> None:
    """Check the name of files that are numbered; without a place for it they have one name."""
    good = isinstance(value, str) and "/" not in value and "\\" not in value
    try:
        fields = [field for _, field, _, _ in string.Formatter().parse(value) if field is not None]
        good = good and fields in ([""], ["0"]) and value.format(7) != value.format(8)
    except (ValueError, TypeError, LookupError):
        good = False
    if not good:
        raise ConfigError(
            f"expected {name} as a text with {{}} for the number, no folder, got {shorten(value)}"
        )


def _loss_scale(name: str, value: Any) -> None:
    """Check the factor of the loss in float16: fixed, adapted, or the options of its adaption."""
    if isinstance(value, str):
        check_choice(name, value, ("dynamic",))
    elif isinstance(value, Mapping):
        for key in ("init_scale", "growth_factor", "backoff_factor", "growth_interval"):
            if key in value:
                _positive(f"{name}.{key}", value[key])
    else:
        _positive(name, value)


def _published(name: str, value: Any) -> None:
    """Check the parts of a checkpoint to publish; others do not exist."""
    keys = [value] if isinstance(value, str) else value
    if not isinstance(keys, (list, tuple)) or "state_dict" not in keys:
        raise ConfigError(
            f"expected {name} as a list with 'state_dict', the weights, got {shorten(value)}"
        )
    check_keys(name, dict.fromkeys(keys), PARTS)


def _optional(check: Callable[[str, Any], Any]) -> Callable:
    return lambda name, value: None if value is None else check(name, value)


#: The parts of a checkpoint of a training.
PARTS = (
    *("meta", "state_dict", "message_hub", "optimizer", "param_schedulers", "ema_state_dict"),
    *("gradients",),
)
#: Of this library, and of :func:`mmcv.imfrombytes`; None is mmcv's own choice.
_DECODERS = ("pillow", "cv2", "turbojpeg", "tifffile", None)
_RATE = _number(0, 1)
_SIZE = _int(1, 10**6)
#: Channels and layers: ten times those of the largest model. A layer has their square in memory.
_CHANNELS = _int(1, 32768)
_LAYERS = _int(1, 1000)
#: By ``Type.option``, or by the option of any type.
CHECKS: dict[str, Callable[[str, Any], Any]] = {
    # data
    "times": _int(1),
    "oversample_thr": _number(0),
    "test_mode": check_bool,
    "serialize_data": check_bool,
    "return_classes": check_bool,
    "max_refetch": _int(0),
    "max_unreadable": _number(0),
    "max_invalid_records": _number(0),
    "metainfo": lambda name, value: check_mapping(name, value, none=True),
    "data_prefix": _check_prefix,
    "BaseDetDataset.filter_cfg": check_filter,
    "filter_cfg": lambda name, value: check_mapping(name, value, none=True),
    "shuffle": check_bool,
    "round_up": check_bool,
    "epoch_length": _int(1, none=True),
    "seed": _int(0, none=True),
    "WeightedConcatSampler.weights": _optional(_each(_number(0))),
    # transforms
    "max_pixels": _int(1, none=True),
    "max_bytes": _int(1, none=True),
    "imdecode_backend": lambda name, value: check_choice(name, value, _DECODERS),
    "min_gt_bbox_wh": _each(_number(0), 2),
    "max_tokens": _int(3, 512),
    "num_captions": _int(1),
    "none_prob": _RATE,
    "full_prob": _RATE,
    "full_sampling_prob": _RATE,
    "num_sample_negative": _int(0),
    # the model
    "SwinTransformer.in_channels": _SIZE,
    "VLFusionHead.in_channels": _SIZE,
    "FPN.in_channels": _each(_SIZE),
    "embed_dims": _CHANNELS,
    "patch_size": _SIZE,
    "window_size": _SIZE,
    "mlp_ratio": _positive,
    "depths": _each(_LAYERS),
    "num_heads": _each(_SIZE),
    "SwinTransformer.out_indices": _each(_int(0)),
    "drop_rate": _RATE,
    "attn_drop_rate": _RATE,
    "drop_path_rate": _RATE,
    "dropout": _RATE,
    "frozen_stages": _int(-1, 4),
    "out_channels": _CHANNELS,
    "start_level": _int(0),
    "text_channels": _CHANNELS,
    "num_dyhead_blocks": _LAYERS,
    "num_text_heads": _SIZE,
    "num_fusion_heads": _SIZE,
    "text_intermediate_dim": _CHANNELS,
    "fusion_dim": _CHANNELS,
    "learned_prompt": _int(0, 10**6),
    "AnchorGenerator.strides": _each(_SIZE),
    "AnchorGenerator.octave_base_scale": _positive,
    "AnchorGenerator.center_offset": _RATE,
    "target_stds": _each(_positive, 4),
    "FocalLoss.gamma": _number(0),
    "FocalLoss.alpha": _RATE,
    "loss_weight": _number(0),
    "GIoULoss.eps": _positive,
    "ignore_iof_thr": _number(-1, 1),
    "pad_size_divisor": _int(1, 4096),
    # metrics
    "proposal_nums": _each(_int(1)),
    "CocoMetric.iou_thrs": lambda name, value: (
        value is None or (_each(_RATE) if isinstance(value, (list, tuple)) else _RATE)(name, value)
    ),
    "class_groups": _optional(_groups),
    "collect_device": lambda name, value: check_choice(name, value, ("cpu", "gpu", "npu")),
    "max_dets": _int(1),
    "LVISFixedAPMetric.topk": _int(1),
    "RefExpMetric.topk": _each(_int(1)),
    "Flickr30kMetric.topk": _each(_interval),
    "RefExpMetric.iou_thrs": _RATE,
    "Flickr30kMetric.iou_thrs": _RATE,
    # optimizers
    "lr": _number(0),
    "weight_decay": _number(0),
    "momentum": _number(0),
    "betas": _each(_RATE, 2),
    "loss_scale": _loss_scale,
    # schedulers
    "begin": _int(0),
    "end": _int(1, none=True),
    "by_epoch": check_bool,
    "milestones": _steps,
    "step_size": _int(1),
    "T_max": _positive,
    "eta_min": _number(none=True),
    "eta_min_ratio": _number(none=True),
    "eta_max": _number(none=True),
    "gamma": _number(0),
    # hooks
    "LoggerHook.interval": _int(1),
    "DetVisualizationHook.interval": _int(1),
    "DetVisualizationHook.score_thr": _RATE,
    "DetVisualizationHook.wait_time": _number(0),
    "CheckpointHook.interval": _interval,
    "CheckpointHook.max_keep_ckpts": _interval,
    "CheckpointHook.save_optimizer": check_bool,
    "CheckpointHook.save_param_scheduler": check_bool,
    "CheckpointHook.save_last": check_bool,
    "CheckpointHook.save_begin": _int(0),
    "CheckpointHook.out_dir": lambda name, value: check_text(name, value, none=True),
    "CheckpointHook.filename_tmpl": _optional(_template),
    "CheckpointHook.published_keys": _optional(_published),
    "monitor": check_text,
    "EarlyStoppingHook.patience": _int(1),
    "EarlyStoppingHook.min_delta": _number(0),
    "EarlyStoppingHook.stopping_threshold": _number(none=True),
    "EMAHook.momentum": _RATE,
    "EMAHook.interval": _int(1),
    "EMAHook.begin_iter": _int(0),
    "EMAHook.begin_epoch": _int(0),
    "rule": lambda name, value: (
        isinstance(value, list) or check_choice(name, value, ("greater", "less", None))
    ),
    # loops
    "max_epochs": _int(1),
    "max_iters": _int(1),
    "val_interval": _int(1),
    "val_begin": _int(0),
    "fp16": check_bool,
    # log lines
    "LogProcessor.window_size": _int(1),
}
