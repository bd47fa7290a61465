"""mmengine's runner with checkpoints of this library and bit-exact resuming."""

from __future__ import annotations

import inspect
from datetime import timedelta
from functools import partial
from typing import Any

import torch
import torch.distributed
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import is_distributed
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from glip.engine.cached_text_config import CachedTextConfig
from glip.engine.checkpoint_runner import CheckpointRunner
from glip.engine.console import (
    hide_own_warnings,
    shorten_console,
    shorten_lines,
    show_progress,
)
from glip.engine.data_loader_options import complete_data_loader
from glip.engine.hooks.invalid_loss import InvalidLossHook
from glip.engine.hooks.monitor import check_monitored
from glip.engine.log_file import report_log_errors_once
from glip.engine.loops import EpochBasedTrainLoop, IterBasedTrainLoop
from glip.engine.options import check_options
from glip.engine.process_group import torchrun_group
from glip.registry import RUNNERS
from glip.utils.atomic_write import describe_full_disk
from glip.utils.config_entries import unread_entries
from glip.utils.errors import ConfigError, GLIPError, TrainingError, foreign_cause, summarize

#: Seconds that a process waits for the others; the first evaluates, which can take minutes.
_TIMEOUT = 1800


@RUNNERS.register_module()
class GLIPRunner(CheckpointRunner):
    """A runner whose ``load_from`` and ``resume`` accept checkpoints of any of the three formats.

    mmengine's runner unpickles arbitrary objects on older torch, and on newer torch refuses its own
    training checkpoints; this one does neither. It saves checkpoints atomically, and they contain
    the tokenizer and the name of their config like all checkpoints of this library.

    A resumed training continues as if it had not been interrupted: on a CPU it ends with the same
    weights, see :mod:`glip.engine.seeding`.

    Distributed runs (``torchrun``) also work without a GPU; they then use gloo, whatever
    ``env_cfg.dist_cfg`` is.

    Args:
        args: of mmengine's runner.
        verbose: whether the console, too, has the environment, the config and the hooks, which are
            hundreds of lines; the log file always has them.
        kwargs: of mmengine's runner.
    """

    def __init__(self, *args: Any, verbose: bool = False, **kwargs: Any) -> None:
        given = inspect.signature(Runner.__init__).bind(self, *args, **kwargs).arguments
        whole = given.get("cfg") or {}
        entries = {name: whole.get(name) for name in ("compile", "find_unused_parameters")}
        check_options(entries | {name: given[name] for name in given if name != "self"})
        self._verbose = verbose
        with describe_full_disk(given["work_dir"]):
            super().__init__(*args, **kwargs)
        for text in unread_entries(self.cfg):
            self.logger.warning(text)
        show_progress(self.logger)
        self.logger.info(f"Environment, config and log: {self.log_dir}")

    @classmethod
    def from_cfg(cls, cfg: Config | dict, *, verbose: bool = False) -> GLIPRunner:
        """Build a runner from a config, which is copied.

        Args:
            cfg: the config.
            verbose: see :class:`GLIPRunner`.

        Raises:
            ConfigError: the config is incomplete, or an option is unknown or invalid.
        """
        cfg = cfg if isinstance(cfg, Config) else Config(cfg)
        for name in ("model", "work_dir"):
            if not cfg.get(name):
                raise ConfigError(f"the config has no {name}: a runner needs model and work_dir")
        # mmengine's method passes the entries of the config only.
        build = partial(cls, verbose=verbose)
        return Runner.from_cfg.__func__(build, CachedTextConfig.from_config(cfg))

    def build_logger(
        self, log_level: int | str = "INFO", log_file: str | None = None, **kwargs: Any
    ) -> MMLogger:
        """Build the logger: a full disk gives one warning, and the console begins short.

        Args:
            log_level: lines of this level and above are logged.
            log_file: the file; by default in the work directory.
            kwargs: further arguments of ``MMLogger``.
        """
        logger = super().build_logger(log_level, log_file, **kwargs)
        report_log_errors_once(logger)
        hide_own_warnings(logger)
        shorten_lines(logger)
        if not self._verbose:
            shorten_console(logger)
        return logger

    def setup_env(self, env_cfg: dict) -> None:
        """Set up multiprocessing and distributed communication.

        Args:
            env_cfg: mmengine's settings of the environment.
        """
        dist_cfg = {"timeout": _TIMEOUT, **(env_cfg.get("dist_cfg") or {})}
        device = get_device()
        if self.launcher == "pytorch" and device in ("cpu", "cuda") and not is_distributed():
            timeout = timedelta(seconds=dist_cfg["timeout"])
            group = torchrun_group(timeout)
            if device == "cpu":  # mmengine requires a GPU
                torch.distributed.init_process_group(backend="gloo", timeout=timeout, **group)
            else:
                dist_cfg.update(group)
        env_cfg = {**env_cfg, "dist_cfg": dist_cfg}
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
            ) from foreign_cause(error)

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

        Raises:
            ConfigError: it cannot be built from its config.
        """
        if isinstance(dataloader, dict):
            dataloader = complete_data_loader(dataloader)
            dataloader = {"pin_memory": torch.cuda.is_available(), **dataloader}
        try:
            return Runner.build_dataloader(dataloader, seed, diff_rank_seed)
        except GLIPError:
            raise
        except Exception as error:  # the data set can be anyone's
            raise ConfigError(
                f"a data loader cannot be built from its config ({summarize(error)})"
            ) from foreign_cause(error)

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
