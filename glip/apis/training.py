"""Check and adjust a training config before anything slow starts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module

from mmengine.config import Config

from glip.apis.evaluation import check_annotation_files, check_test_mode
from glip.engine import last_checkpoint
from glip.engine.hooks.checkpoint import log_no_checkpoint
from glip.engine.optimizers.amp_optim_wrapper import check_dtype
from glip.engine.options import check_options
from glip.utils.config_entries import config_name
from glip.utils.errors import CheckpointError, ConfigError
from glip.weights import download_url, is_weights_name

#: Module and package of each backend of the visualizer that needs one.
_PACKAGES = {
    "TensorboardVisBackend": ("torch.utils.tensorboard", "tensorboard"),
    "WandbVisBackend": ("wandb", "wandb"),
    "MLflowVisBackend": ("mlflow", "mlflow"),
    "ClearMLVisBackend": ("clearml", "clearml"),
    "NeptuneVisBackend": ("neptune", "neptune"),
    "DVCLiveVisBackend": ("dvclive", "dvclive"),
    "AimVisBackend": ("aim", "aim"),
}
#: Entries that a config needs for training.
_TRAINING = ("train_dataloader", "train_cfg", "optim_wrapper")


def check_training(cfg: Config) -> None:
    """Check that a config is complete for training and that its annotation files exist.

    Args:
        cfg: the config.

    Raises:
        ConfigError: an entry of the config is missing, unknown or invalid.
        AnnotationFileNotFoundError: a required annotation file does not exist.
    """
    missing = [name for name in ("model", *_TRAINING) if not cfg.get(name)]
    if missing:
        raise ConfigError(
            f"{config_name(cfg)} has no {' and no '.join(missing)}: expected a config for training"
        )
    for loader in ("train_dataloader", "val_dataloader"):
        check_annotation_files(cfg.get(loader))
    check_options(cfg)
    for loader in ("train_dataloader", "val_dataloader"):
        check_test_mode(loader, cfg.get(loader))
    _check_backends(cfg)


def _check_backends(cfg: Config) -> None:
    backends = (cfg.get("visualizer") or {}).get("vis_backends") or ()
    for backend in [backends] if isinstance(backends, Mapping) else backends:
        kind = str(backend.get("type")) if isinstance(backend, Mapping) else ""
        module, package = _PACKAGES.get(kind.rpartition(".")[2], ("", ""))
        try:
            import_module(module or "glip")
        except ImportError as error:
            raise ConfigError(
                f"{config_name(cfg)} logs with {kind}, which cannot be imported ({error}): pip "
                f"install {package}, or remove it from visualizer.vis_backends"
            ) from error


def set_start(cfg: Config, load_from: str | None, resume: str | None) -> None:
    """Set the checkpoint that the training starts or resumes from.

    Args:
        cfg: changed in place; has ``work_dir``.
        load_from: a checkpoint whose weights to start from; ``None`` keeps that of the config.
        resume: a checkpoint of a training to resume, or ``'auto'`` for the last one in the work
            directory; without one there, the training starts from the beginning.

    Raises:
        CheckpointError: the checkpoint does not exist.
    """
    if load_from:
        cfg.load_from, cfg.resume = load_from, False
    if resume == "auto":
        resume = last_checkpoint(cfg.work_dir)
        if resume is None:
            log_no_checkpoint(cfg.work_dir)
    if resume:
        cfg.load_from, cfg.resume = resume, True
    path = cfg.get("load_from")
    if path and download_url(path) is None and not (os.path.isfile(path) or is_weights_name(path)):
        raise CheckpointError(
            f"there is no checkpoint {path} to start from: expected a .pth or .safetensors file, a "
            "URL, or a name of `glip download`"
        )


def set_amp(cfg: Config, dtype: str) -> None:
    """Enable mixed precision.

    Args:
        cfg: changed in place.
        dtype: ``'bf16'`` or ``'fp16'``.

    Raises:
        ConfigError: the config has another optimizer wrapper.
        TrainingError: this device does not support the dtype.
    """
    wrapper = cfg.optim_wrapper.get("type", "OptimWrapper")
    if wrapper not in ("OptimWrapper", "AmpOptimWrapper"):
        raise ConfigError(
            f"--amp replaces OptimWrapper by AmpOptimWrapper, but {config_name(cfg)} has "
            f"{wrapper!r}: set its precision in the config"
        )
    cfg.optim_wrapper.type = "AmpOptimWrapper"
    cfg.optim_wrapper.dtype = {"bf16": "bfloat16", "fp16": "float16"}[dtype]
    check_dtype(cfg.optim_wrapper.dtype)


def set_auto_scale_lr(cfg: Config) -> None:
    """Scale the learning rate linearly with the total batch size.

    Args:
        cfg: changed in place.

    Raises:
        ConfigError: the config does not give the batch size that its learning rate is for.
    """
    if not (cfg.get("auto_scale_lr") or {}).get("base_batch_size"):
        raise ConfigError(
            f"--auto-scale-lr needs the batch size that the learning rate of {config_name(cfg)} is "
            "for: add auto_scale_lr = dict(base_batch_size=...)"
        )
    cfg.auto_scale_lr.enable = True
