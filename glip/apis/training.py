"""What the command line of the training does before anything slow begins."""

from __future__ import annotations

from mmengine.config import Config

from glip.apis.evaluation import check_annotation_files
from glip.apis.setup import SetupError, config_name

#: What a config must have to be trained, and to be validated along the way.
_TRAINING = ("train_dataloader", "train_cfg", "optim_wrapper")
_VALIDATION = ("val_dataloader", "val_cfg", "val_evaluator")


def check_training(cfg: Config) -> None:
    """See to it that a config can be trained, and that its data are there.

    Looks at no more than whether the annotation files exist.

    Raises:
        SetupError: a part of the config is missing.
        AnnotationFileNotFoundError: an annotation file that is needed does not exist.
    """
    missing = [name for name in _TRAINING if not cfg.get(name)]
    if missing:
        raise SetupError(
            f"{config_name(cfg)} has no {' and no '.join(missing)}: expected a config for training"
        )
    given = [name for name in _VALIDATION if cfg.get(name)]
    if given and len(given) < len(_VALIDATION):
        absent = [name for name in _VALIDATION if name not in given]
        raise SetupError(
            f"{config_name(cfg)} has {' and '.join(given)} but no {' and no '.join(absent)}: "
            "validation along the way needs all three; set all three to None to leave it out"
        )
    for loader in ("train_dataloader", "val_dataloader"):
        check_annotation_files((cfg.get(loader) or {}).get("dataset", {}))


def set_amp(cfg: Config, dtype: str) -> None:
    """Train in mixed precision.

    Args:
        cfg: changed in place.
        dtype: ``'bf16'`` or ``'fp16'``.

    Raises:
        SetupError: the config's optimizer wrapper is of another kind.
    """
    kind = cfg.optim_wrapper.get("type", "OptimWrapper")
    if kind not in ("OptimWrapper", "AmpOptimWrapper"):
        raise SetupError(
            f"--amp turns an OptimWrapper into an AmpOptimWrapper, but {config_name(cfg)} has "
            f"{kind!r}: set its precision in the config"
        )
    cfg.optim_wrapper.type = "AmpOptimWrapper"
    cfg.optim_wrapper.dtype = {"bf16": "bfloat16", "fp16": "float16"}[dtype]


def set_auto_scale_lr(cfg: Config) -> None:
    """Scale the learning rate with the number of images a step.

    Args:
        cfg: changed in place.

    Raises:
        SetupError: the config does not say for how many images its learning rate is.
    """
    if not (cfg.get("auto_scale_lr") or {}).get("base_batch_size"):
        raise SetupError(
            f"--auto-scale-lr needs to know for how many images a step the learning rate of "
            f"{config_name(cfg)} is: add auto_scale_lr = dict(base_batch_size=...)"
        )
    cfg.auto_scale_lr.enable = True
