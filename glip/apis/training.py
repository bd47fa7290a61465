"""What the command line of the training does before anything slow begins."""

from __future__ import annotations

import os
from importlib import import_module

from mmengine.config import Config

from glip.apis.build import config_name
from glip.apis.evaluation import check_annotation_files
from glip.engine import last_checkpoint
from glip.engine.optimizers.amp_optim_wrapper import check_dtype
from glip.utils.errors import CheckpointError, ConfigError

#: What a config must have to be trained, and to be validated along the way.
_TRAINING = ("train_dataloader", "train_cfg", "optim_wrapper")
_VALIDATION = ("val_dataloader", "val_cfg", "val_evaluator")


def check_training(cfg: Config) -> None:
    """See to it that a config can be trained, and that its data are there.

    Looks at no more than whether the annotation files exist.

    Raises:
        ConfigError: a part of the config is missing.
        AnnotationFileNotFoundError: an annotation file that is needed does not exist.
    """
    missing = [name for name in _TRAINING if not cfg.get(name)]
    if missing:
        raise ConfigError(
            f"{config_name(cfg)} has no {' and no '.join(missing)}: expected a config for training"
        )
    given = [name for name in _VALIDATION if cfg.get(name)]
    if given and len(given) < len(_VALIDATION):
        absent = [name for name in _VALIDATION if name not in given]
        raise ConfigError(
            f"{config_name(cfg)} has {' and '.join(given)} but no {' and no '.join(absent)}: "
            "validation along the way needs all three; set all three to None to leave it out"
        )
    _check_backends(cfg)
    for loader in ("train_dataloader", "val_dataloader"):
        check_annotation_files((cfg.get(loader) or {}).get("dataset", {}))


def _check_backends(cfg: Config) -> None:
    backends = (cfg.get("visualizer") or {}).get("vis_backends") or ()
    if not any("TensorboardVisBackend" in str(backend.get("type")) for backend in backends):
        return
    try:
        import_module("torch.utils.tensorboard")
    except ImportError as error:
        raise ConfigError(
            f"{config_name(cfg)} logs to TensorBoard, which cannot be imported ({error}): pip "
            "install tensorboard, or take TensorboardVisBackend out of visualizer.vis_backends"
        ) from error


def set_start(cfg: Config, load_from: str | None, resume: str | None) -> None:
    """Say from where the training starts.

    Args:
        cfg: changed in place; has ``work_dir``.
        load_from: a checkpoint whose weights to start from; ``None`` for what the config says.
        resume: a checkpoint of a training to go on with, or ``'auto'`` for the last one in the
            working folder; if there is none yet, the training starts as it does without.

    Raises:
        CheckpointError: the checkpoint is not there.
    """
    if load_from:
        cfg.load_from, cfg.resume = load_from, False
    if resume == "auto":
        resume = last_checkpoint(cfg.work_dir)
    if resume:
        cfg.load_from, cfg.resume = resume, True
    path = cfg.get("load_from")
    if path and "://" not in path and not os.path.isfile(path):
        raise CheckpointError(
            f"there is no checkpoint {path} to start from: expected a .pth or .safetensors file. "
            "The README's model table links the published ones"
        )


def set_amp(cfg: Config, dtype: str) -> None:
    """Train in mixed precision.

    Args:
        cfg: changed in place.
        dtype: ``'bf16'`` or ``'fp16'``.

    Raises:
        ConfigError: the config's optimizer wrapper is of another kind.
        TrainingError: this machine cannot compute in it.
    """
    kind = cfg.optim_wrapper.get("type", "OptimWrapper")
    if kind not in ("OptimWrapper", "AmpOptimWrapper"):
        raise ConfigError(
            f"--amp turns an OptimWrapper into an AmpOptimWrapper, but {config_name(cfg)} has "
            f"{kind!r}: set its precision in the config"
        )
    cfg.optim_wrapper.type = "AmpOptimWrapper"
    cfg.optim_wrapper.dtype = {"bf16": "bfloat16", "fp16": "float16"}[dtype]
    check_dtype(cfg.optim_wrapper.dtype)


def set_auto_scale_lr(cfg: Config) -> None:
    """Scale the learning rate with the number of images a step.

    Args:
        cfg: changed in place.

    Raises:
        ConfigError: the config does not say for how many images its learning rate is.
    """
    if not (cfg.get("auto_scale_lr") or {}).get("base_batch_size"):
        raise ConfigError(
            f"--auto-scale-lr needs to know for how many images a step the learning rate of "
            f"{config_name(cfg)} is: add auto_scale_lr = dict(base_batch_size=...)"
        )
    cfg.auto_scale_lr.enable = True
