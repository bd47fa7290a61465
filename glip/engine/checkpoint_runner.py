"""A runner that saves checkpoints atomically and resumes from them bit-exactly."""

from __future__ import annotations

import copy
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
import torch.distributed
from mmengine.config import Config
from mmengine.dist import is_main_process, master_only
from mmengine.fileio import LocalBackend, get_file_backend
from mmengine.hooks import EMAHook
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner
from torch import nn

from glip.checkpoint import load_into, open_checkpoint
from glip.config import config_files
from glip.engine.digests import annotation_digests
from glip.engine.gradient_accumulation import restore_gradients
from glip.engine.hooks.checkpoint import last_checkpoint, log_no_checkpoint
from glip.engine.loops import EpochBasedTrainLoop
from glip.engine.resuming import (
    check_averages,
    check_schedulers,
    does_not_fit,
    read_training_checkpoint,
    warn_of_differences,
)
from glip.engine.training_state import check_shapes
from glip.utils.atomic_write import describe_full_disk, describe_write_errors, fsync_rename
from glip.utils.errors import GLIPError, TrainingError, is_out_of_memory, summarize
from glip.version import __version__

_OUT_OF_MEMORY = (
    "the training needs more memory than there is: lower train_dataloader.batch_size, num_workers "
    "or the scales of the images, or use --amp, model.backbone.with_cp=True and "
    "model.bbox_head.use_checkpoint=True; then continue with --resume"
)


class CheckpointRunner(Runner):
    """mmengine's runner with the checkpoints of this library; see :class:`~glip.engine.GLIPRunner`.

    Its loops are this library's.
    """

    _load_from: str | None
    _resume: bool

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
                log_no_checkpoint(self.work_dir)
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
        try:
            with describe_full_disk(self.work_dir, "Then continue with --resume"):
                return super().train()
        except (RuntimeError, MemoryError, OSError) as error:
            if isinstance(error, GLIPError) or not is_out_of_memory(error):
                raise
            raise TrainingError(_OUT_OF_MEMORY) from None

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
        for optimizer in _optimizers(self.optim_wrapper):
            check_shapes(optimizer, filename)
        if resume_param_scheduler and "param_schedulers" in checkpoint:
            check_schedulers(self.param_schedulers, checkpoint["param_schedulers"], filename)
        elif resume_param_scheduler and self.param_schedulers:
            self.logger.warning(
                f"{filename} has no state of param_scheduler, whose schedules begin anew, which "
                "changes the result"
            )
        model = self.model.module if is_model_wrapper(self.model) else self.model
        try:
            restore_gradients(model, checkpoint.get("gradients", {}))
        except ValueError as error:
            raise does_not_fit(filename, str(error)) from None
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

        Raises:
            TrainingError: a parameter is NaN or Inf, as after the last step of a training that
                diverges; the loss was still finite.
            StorageError: the file cannot be written.
        """
        self._check_finite(filename)
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

    def _check_finite(self, filename: str) -> None:
        model = self.model.module if is_model_wrapper(self.model) else self.model
        for name, parameter in model.named_parameters():
            if not torch.isfinite(parameter).all():
                raise TrainingError(
                    f"the weights are not finite any more ({name}), and {filename} is not saved: "
                    "lower the learning rate or clip the gradients (optim_wrapper.clip_grad), and "
                    "resume from an earlier checkpoint with --resume"
                )

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


def _optimizers(wrapper: Any) -> list[torch.optim.Optimizer]:
    """Return the optimizer of a wrapper, or those of several."""
    wrappers = list(wrapper.values()) if isinstance(wrapper, OptimWrapperDict) else [wrapper]
    return [each.optimizer for each in wrappers]


def _shipped_config_name(cfg: Config) -> str:
    """Return the name of the shipped config that has the same model; empty if there is none."""
    file = Path(cfg.filename or "").resolve()
    if file not in [each.resolve() for each in config_files()]:
        return ""
    models = [copy.deepcopy(each.model) for each in (cfg, Config.fromfile(file))]
    for model in models:
        model.language_model.pop("name", None)  # the checkpoint contains the tokenizer
    return file.stem if models[0] == models[1] else ""
