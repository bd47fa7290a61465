"""mmengine's runner with checkpoints of this library and bit-exact resuming."""

from __future__ import annotations

import copy
import inspect
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import is_distributed, is_main_process, master_only
from mmengine.fileio import LocalBackend, get_file_backend
from mmengine.hooks import EMAHook, Hook
from mmengine.logging import MMLogger
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from glip.checkpoint import load_into, open_checkpoint
from glip.config import config_files
from glip.engine.cached_text_config import CachedTextConfig
from glip.engine.data_loader_options import complete_data_loader
from glip.engine.digests import annotation_digests
from glip.engine.gradient_accumulation import restore_gradients
from glip.engine.hooks.checkpoint import last_checkpoint
from glip.engine.hooks.invalid_loss import InvalidLossHook
from glip.engine.hooks.monitor import check_monitored
from glip.engine.log_file import report_log_errors_once
from glip.engine.loops import EpochBasedTrainLoop, IterBasedTrainLoop
from glip.engine.options import check_options
from glip.engine.resuming import (
    check_averages,
    check_schedulers,
    does_not_fit,
    read_training_checkpoint,
    warn_of_differences,
)
from glip.registry import RUNNERS
from glip.utils.atomic_write import describe_full_disk, describe_write_errors, fsync_rename
from glip.utils.errors import ConfigError, GLIPError, TrainingError, summarize
from glip.version import __version__

#: Seconds that a process waits for the others; the first evaluates, which can take minutes.
_TIMEOUT = 1800


@RUNNERS.register_module()
class GLIPRunner(Runner):
    """A runner whose ``load_from`` and ``resume`` accept checkpoints of any of the three formats.

    mmengine's runner unpickles arbitrary objects on older torch, and on newer torch refuses its own
    training checkpoints; this one does neither. It saves checkpoints atomically, and they contain
    the tokenizer and the name of their config like all checkpoints of this library.

    A resumed training continues as if it had not been interrupted: on a CPU it ends with the same
    weights, see :mod:`glip.engine.seeding`.

    Distributed runs (``torchrun``) also work without a GPU; they then use gloo, whatever
    ``env_cfg.dist_cfg`` is.
    """

    _load_from: str | None
    _resume: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        given = inspect.signature(Runner.__init__).bind(self, *args, **kwargs).arguments
        check_options({name: given[name] for name in given if name != "self"})
        with describe_full_disk(given["work_dir"]):
            super().__init__(*args, **kwargs)

    @classmethod
    def from_cfg(cls, cfg: Config | dict) -> GLIPRunner:
        """Build a runner from a config, which is copied.

        Raises:
            ConfigError: the config is incomplete, or an option is unknown or invalid.
        """
        cfg = cfg if isinstance(cfg, Config) else Config(cfg)
        for name in ("model", "work_dir"):
            if not cfg.get(name):
                raise ConfigError(f"the config has no {name}: a runner needs model and work_dir")
        return super().from_cfg(CachedTextConfig.from_config(cfg))

    def build_logger(
        self, log_level: int | str = "INFO", log_file: str | None = None, **kwargs: Any
    ) -> MMLogger:
        """Build the logger; a full disk gives one warning.

        Args:
            log_level: lines of this level and above are logged.
            log_file: the file; by default in the work directory.
            kwargs: further arguments of ``MMLogger``.
        """
        logger = super().build_logger(log_level, log_file, **kwargs)
        report_log_errors_once(logger)
        return logger

    def setup_env(self, env_cfg: dict) -> None:
        """Set up multiprocessing and distributed communication.

        Args:
            env_cfg: mmengine's settings of the environment.
        """
        dist_cfg = {"timeout": _TIMEOUT, **(env_cfg.get("dist_cfg") or {})}
        env_cfg = {**env_cfg, "dist_cfg": dist_cfg}
        if self.launcher == "pytorch" and get_device() == "cpu" and not is_distributed():
            torch.distributed.init_process_group(  # mmengine requires a GPU
                backend="gloo", timeout=timedelta(seconds=env_cfg["dist_cfg"]["timeout"])
            )
        super().setup_env(env_cfg)

    def build_model(self, model: nn.Module | dict) -> nn.Module:
        """Build the model.

        Args:
            model: a model or its config.

        Raises:
            ConfigError: it cannot be built from its config.
        """
        try:
            return super().build_model(model)
        except GLIPError:
            raise
        except Exception as error:  # the model can be anyone's
            raise ConfigError(
                f"the model cannot be built from its config ({summarize(error)})"
            ) from error

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        """Wrap the model for distributed training.

        Args:
            model_wrapper_cfg: mmengine's settings of the wrapper.
            model: the model.

        Raises:
            TrainingError: the wrapper shards the parameters, which this runner cannot save.
        """
        if "FullySharded" in str((model_wrapper_cfg or {}).get("type")):
            raise TrainingError(
                "this runner cannot save or validate a model with sharded parameters: remove "
                "model_wrapper_cfg; to save memory use --amp, model.backbone.with_cp and "
                "model.bbox_head.use_checkpoint"
            )
        if self.distributed and get_device() == "cpu":
            defaults = dict(
                device_ids=None,
                broadcast_buffers=False,
                find_unused_parameters=self.cfg.get("find_unused_parameters", False),
            )
            model_wrapper_cfg = {**defaults, **(model_wrapper_cfg or {})}
        return super().wrap_model(model_wrapper_cfg, model)

    def register_default_hooks(self, hooks: dict[str, Hook | dict | None] | None = None) -> None:
        """Register mmengine's default hooks and :class:`InvalidLossHook`.

        Args:
            hooks: replacements and further hooks by name; ``None`` as a hook disables it.
        """
        hooks = {"invalid_loss": dict(type=InvalidLossHook), **(hooks or {})}
        super().register_default_hooks(
            {name: hook for name, hook in hooks.items() if hook or name != "invalid_loss"}
        )

    @staticmethod
    def build_dataloader(
        dataloader: DataLoader | dict, seed: int | None = None, diff_rank_seed: bool = False
    ) -> DataLoader:
        """Build a data loader, with pinned memory by default if there is a GPU.

        Args:
            dataloader: a data loader or its config, which may set ``pin_memory``.
            seed: of the sampler and of the workers.
            diff_rank_seed: use a different seed on each rank.
        """
        if isinstance(dataloader, dict):
            dataloader = complete_data_loader(dataloader)
            dataloader = {"pin_memory": torch.cuda.is_available(), **dataloader}
        return Runner.build_dataloader(dataloader, seed, diff_rank_seed)

    def build_train_loop(self, loop: Any) -> Any:
        """Build the train loop; ``by_epoch`` selects this library's loops as it does mmengine's.

        Args:
            loop: a loop or its config.
        """
        if isinstance(loop, dict) and "by_epoch" in loop and "type" not in loop:
            loop = dict(loop)
            by_epoch = loop.pop("by_epoch")
            loop["type"] = EpochBasedTrainLoop if by_epoch else IterBasedTrainLoop
        return super().build_train_loop(loop)

    def call_hook(self, fn_name: str, **kwargs: Any) -> None:
        """Call a method of all hooks.

        Args:
            fn_name: the name of the method.
            kwargs: its arguments.

        Raises:
            TrainingError: a parameter scheduler watches a metric that a validation does not have.
        """
        if fn_name == "after_val_epoch" and isinstance(self.param_schedulers, list):
            for number, scheduler in enumerate(self.param_schedulers):
                key = getattr(scheduler, "monitor", None)
                if isinstance(key, str):
                    where = f"param_scheduler.{number}.monitor"
                    check_monitored("monitor", key, kwargs.get("metrics") or (), where)
        super().call_hook(fn_name, **kwargs)

    def train(self) -> nn.Module:
        """Train from the beginning or from a checkpoint, and return the model.

        Raises:
            CheckpointError: the checkpoint to resume from cannot be read safely, does not fit, or
                has no training state.
            TrainingError: the training cannot start or continue.
        """
        if self._resume and self._load_from is None:
            self._load_from = last_checkpoint(self.work_dir)
            self._resume = self._load_from is not None
            if not self._resume:
                self.logger.info(f"No checkpoint in {self.work_dir}: starting from the beginning")
        loader = self.cfg.get("train_dataloader") or {}
        self._annotations = annotation_digests(loader.get("dataset")) if is_main_process() else {}
        if self._resume:
            # The samplers, which are built next, shuffle by the seed.
            checkpoint = read_training_checkpoint(str(self._load_from))
            self._set_resumed_seed(checkpoint["meta"].get("seed"))
            now = self.cfg.pretty_text
            warning = warn_of_differences(checkpoint["meta"], now, self._data_meta())
            if warning:
                self.logger.warning(f"Resuming {self._load_from}: {warning}")
        with describe_full_disk(self.work_dir, "Then continue with --resume"):
            return super().train()

    def test(self) -> dict:
        """Evaluate, and return the metrics."""
        with describe_full_disk(self.work_dir):
            return super().test()

    def _data_meta(self) -> dict[str, Any]:
        """Return what a resumed training is compared with besides the config."""
        return {"num_processes": self.world_size, "annotations": self._annotations}

    def _set_resumed_seed(self, seed: int | None) -> None:
        configured = self._randomness_cfg.get("seed")
        if seed is None or seed == configured:
            return
        if configured is not None:
            self.logger.warning(
                f"Resuming with the seed {seed} of the checkpoint instead of {configured}"
            )
        self._randomness_cfg.update(seed=seed)
        self.set_randomness(**self._randomness_cfg)

    def resume(
        self,
        filename: str,
        resume_optimizer: bool = True,
        resume_param_scheduler: bool = True,
        map_location: str | torch.device = "cpu",
    ) -> None:
        """Load the state of a training.

        Args:
            filename: the checkpoint.
            resume_optimizer: also load the state of the optimizer.
            resume_param_scheduler: also load the states of the parameter schedulers.
            map_location: ignored; tensors are read on the CPU and copied to their device.

        Raises:
            CheckpointError: it cannot be read safely, does not fit, or has no training state.
        """
        checkpoint = read_training_checkpoint(filename)
        meta = checkpoint["meta"]
        for hook in self.hooks:
            if isinstance(hook, EMAHook) and "ema_state_dict" in checkpoint:
                check_averages(hook.ema_model, checkpoint["ema_state_dict"], filename)
        try:
            super().resume(filename, resume_optimizer, resume_param_scheduler, map_location)
        except GLIPError:
            raise
        except Exception as error:  # what hooks, optimizers and schedulers raise is their own
            raise does_not_fit(filename, summarize(error)) from error
        if resume_param_scheduler and "param_schedulers" in checkpoint:
            check_schedulers(self.param_schedulers, checkpoint["param_schedulers"], filename)
        model = self.model.module if is_model_wrapper(self.model) else self.model
        restore_gradients(model, checkpoint.get("gradients", {}))
        loop = self.train_loop
        if isinstance(loop, EpochBasedTrainLoop):
            batches = len(loop.dataloader)
            done = meta.get("batches_done", 0)
            if done and meta.get("batches_per_epoch") != batches:
                self.logger.warning(
                    f"{filename} was saved after {done} of {meta.get('batches_per_epoch')} batches "
                    f"of an epoch, which now has {batches}: the epoch restarts. To resume within "
                    "the epoch, use the same number of processes, batch size and data"
                )
                done = 0
            loop.batches_done = done

    def load_checkpoint(
        self,
        filename: str,
        map_location: str | torch.device = "cpu",  # noqa: ARG002
        strict: bool = True,  # noqa: ARG002
        revise_keys: list | None = None,  # noqa: ARG002
    ) -> dict[str, Any]:
        """Load a checkpoint into the model.

        Args:
            filename: a ``.pth`` or ``.safetensors`` file, or an http(s) URL.
            map_location: ignored; parameters are copied to the device of the model.
            strict: ignored; a checkpoint that does not fit is always an error.
            revise_keys: ignored; the names of all three formats are recognized.

        Returns:
            the checkpoint, whose ``state_dict`` has the names of this library.

        Raises:
            CheckpointError: the file cannot be read safely or does not fit the model.
        """
        model = self.model.module if is_model_wrapper(self.model) else self.model
        checkpoint = open_checkpoint(filename, verify=True)
        # mmengine's resume would run it as a config.
        checkpoint["meta"].pop("config", None)
        # Before the model is loaded: EMAHook swaps the averaged weights with the current ones.
        self.call_hook("after_load_checkpoint", checkpoint=checkpoint)
        load_into(model, checkpoint, filename)
        self._has_loaded = True
        self.logger.info(f"Loaded {checkpoint['conversion'].source} checkpoint {filename}")
        return checkpoint

    @master_only
    def save_checkpoint(
        self,
        out_dir: str,
        filename: str,
        file_client_args: dict | None = None,
        save_optimizer: bool = True,
        save_param_scheduler: bool = True,
        meta: dict | None = None,
        by_epoch: bool = True,
        backend_args: dict | None = None,
    ) -> None:
        """Save a checkpoint atomically.

        Args:
            out_dir: the folder.
            filename: name of the file.
            file_client_args: mmengine's deprecated way to choose a file backend.
            save_optimizer: also save the state of the optimizer.
            save_param_scheduler: also save the states of the parameter schedulers.
            meta: further entries of ``meta``.
            by_epoch: whether the training counts epochs rather than iterations.
            backend_args: mmengine's file backend; remote files are not written atomically.
        """
        meta = {**(meta or {}), **self._checkpoint_meta()}
        backend = get_file_backend(out_dir, backend_args=backend_args)
        local = isinstance(backend, LocalBackend) and file_client_args is None
        name = f".{filename}.partial" if local else filename
        final, partial = Path(out_dir, filename), Path(out_dir, name)
        advice = "The earlier checkpoints are complete: continue with --resume"
        try:
            with describe_write_errors(final, advice):
                super().save_checkpoint(
                    out_dir,
                    name,
                    file_client_args=file_client_args,
                    save_optimizer=save_optimizer,
                    save_param_scheduler=save_param_scheduler,
                    meta=meta,
                    by_epoch=by_epoch,
                    backend_args=backend_args,
                )
                if local:
                    fsync_rename(partial, final)
        finally:
            if local:
                with suppress(OSError):
                    partial.unlink(missing_ok=True)

    def _checkpoint_meta(self) -> dict[str, Any]:
        """Return the entries of ``meta`` that mmengine does not write."""
        meta: dict[str, Any] = {
            "format": "glip",
            "glip_version": __version__,
            "config": _shipped_config_name(self.cfg),
            **self._data_meta(),
        }
        if isinstance(self.train_loop, EpochBasedTrainLoop):
            meta["batches_done"] = self.train_loop.batches_done
            meta["batches_per_epoch"] = len(self.train_loop.dataloader)
        return meta


def _shipped_config_name(cfg: Config) -> str:
    """Return the name of the shipped config that has the same model; empty if there is none."""
    file = Path(cfg.filename or "").resolve()
    if file not in [each.resolve() for each in config_files()]:
        return ""
    models = [copy.deepcopy(each.model) for each in (cfg, Config.fromfile(file))]
    for model in models:
        model.language_model.pop("name", None)  # the checkpoint contains the tokenizer
    return file.stem if models[0] == models[1] else ""
