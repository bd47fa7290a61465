"""mmengine's runner, with this library's way of loading and saving checkpoints."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
import torch.distributed
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import is_distributed, master_only
from mmengine.fileio import LocalBackend, get_file_backend
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from glip.checkpoint import load_into, open_checkpoint, read_checkpoint
from glip.config import config_files
from glip.engine.gradient_accumulation import restore_gradients
from glip.engine.hooks.checkpoint import last_checkpoint
from glip.engine.hooks.invalid_loss import InvalidLossHook
from glip.engine.loops import EpochBasedTrainLoop, IterBasedTrainLoop
from glip.engine.cached_text_config import CachedTextConfig
from glip.registry import RUNNERS
from glip.utils.atomic_write import fsync_rename
from glip.utils.errors import CheckpointError, TrainingError
from glip.version import __version__


@RUNNERS.register_module()
class GLIPRunner(Runner):
    """A runner whose ``load_from`` and ``resume`` take checkpoints of any of the three formats.

    mmengine's own runner unpickles whatever a file holds on older torch, and on newer torch refuses
    its own training checkpoints; this one does neither. What it saves is whole or not there, and
    carries the tokenizer and the name of its config as all checkpoints of this library do.

    A training that is resumed goes on as if it had not been interrupted: to the same weights on a
    CPU, see :mod:`glip.engine.seeding`.

    Several processes (``torchrun``) also run without a GPU; they then talk through gloo, whatever
    ``env_cfg.dist_cfg`` says.
    """

    @classmethod
    def from_cfg(cls, cfg: Config | dict) -> GLIPRunner:
        """Build a runner of a config, which is copied."""
        return super().from_cfg(CachedTextConfig.from_config(cfg if isinstance(cfg, Config) else Config(cfg)))

    def setup_env(self, env_cfg: dict) -> None:
        """Set up processes and their communication.

        Args:
            env_cfg: mmengine's settings of the environment.
        """
        if self.launcher == "pytorch" and get_device() == "cpu" and not is_distributed():
            torch.distributed.init_process_group(backend="gloo")  # mmengine would ask for a GPU
        super().setup_env(env_cfg)

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        """Wrap the model for several processes.

        Args:
            model_wrapper_cfg: mmengine's settings of the wrapper.
            model: to wrap.

        Raises:
            TrainingError: the wrapper shards the parameters, which this runner cannot save.
        """
        if "FullySharded" in str((model_wrapper_cfg or {}).get("type")):
            raise TrainingError(
                "this runner saves and validates whole models, and a sharded one is in pieces: "
                "leave out model_wrapper_cfg; for memory see --amp, model.backbone.with_cp and "
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
        """Register the hooks that every run has, and one that stops at a loss that is no number.

        Args:
            hooks: others by name; ``None`` instead of one leaves it out.
        """
        hooks = {"invalid_loss": dict(type=InvalidLossHook), **(hooks or {})}
        super().register_default_hooks(
            {name: hook for name, hook in hooks.items() if hook or name != "invalid_loss"}
        )

    @staticmethod
    def build_dataloader(
        dataloader: DataLoader | dict, seed: int | None = None, diff_rank_seed: bool = False
    ) -> DataLoader:
        """Build a data loader; where there is a GPU, in memory that it copies from by itself.

        Args:
            dataloader: a data loader or its config, which may set ``pin_memory``.
            seed: of the sampler and of the loading processes.
            diff_rank_seed: give every process other random numbers.
        """
        if isinstance(dataloader, dict):
            dataloader = {"pin_memory": torch.cuda.is_available(), **dataloader}
        return Runner.build_dataloader(dataloader, seed, diff_rank_seed)

    def build_train_loop(self, loop: Any) -> Any:
        """Build the loop; ``by_epoch`` chooses between ours as it does between mmengine's.

        Args:
            loop: a loop or its config.
        """
        if isinstance(loop, dict) and "by_epoch" in loop and "type" not in loop:
            kind = EpochBasedTrainLoop if loop["by_epoch"] else IterBasedTrainLoop
            loop = {key: value for key, value in loop.items() if key != "by_epoch"}
            loop["type"] = kind
        return super().build_train_loop(loop)

    def train(self) -> nn.Module:
        """Train, from the beginning or from where a checkpoint was saved.

        Returns:
            the model.

        Raises:
            CheckpointError: the checkpoint to go on from cannot be read safely, does not fit, or
                is none of a training.
            TrainingError: the training cannot begin or go on.
        """
        if self._resume and self._load_from is None:
            self._load_from = last_checkpoint(self.work_dir)
            self._resume = self._load_from is not None
            if not self._resume:
                self.logger.info(f"No checkpoint in {self.work_dir}: starting anew")
        if self._resume:
            # Before the samplers are built, which shuffle by it.
            self._take_seed(read_training(self._load_from)["meta"].get("seed"))
        return super().train()

    def _take_seed(self, seed: int | None) -> None:
        wanted = self._randomness_cfg.get("seed")
        if seed is None or seed == wanted:
            return
        if wanted is not None:
            self.logger.warning(f"Going on with the checkpoint's seed {seed}, not with {wanted}")
        self._randomness_cfg.update(seed=seed)
        self.set_randomness(**self._randomness_cfg)

    def resume(
        self,
        filename: str,
        resume_optimizer: bool = True,
        resume_param_scheduler: bool = True,
        map_location: str | torch.device = "cpu",
    ) -> None:
        """Go on from a checkpoint of a training.

        Args:
            filename: the checkpoint.
            resume_optimizer: also the optimizer's state.
            resume_param_scheduler: also the schedulers' states.
            map_location: always the CPU; everything is copied to where it belongs.

        Raises:
            CheckpointError: it cannot be read safely, does not fit, or is none of a training.
        """
        checkpoint = read_training(filename)
        meta = checkpoint["meta"]
        super().resume(filename, resume_optimizer, resume_param_scheduler, map_location)
        model = self.model.module if is_model_wrapper(self.model) else self.model
        restore_gradients(model, checkpoint.get("gradients", {}))
        loop = self.train_loop
        if isinstance(loop, EpochBasedTrainLoop):
            batches = len(loop.dataloader)
            done = meta.get("batches_done", 0)
            if done and meta.get("batches_per_epoch") != batches:
                self.logger.warning(
                    f"{filename} was saved after {done} of {meta.get('batches_per_epoch')} batches "
                    f"of an epoch, which now has {batches}: the epoch begins anew. To go on where "
                    "it was, start as many processes, with the same batch size and data"
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
            filename: a ``.pth`` or ``.safetensors`` file, or an http(s) address.
            map_location: always the CPU; parameters are copied to where the model is.
            strict: always; a checkpoint that does not fit is an error.
            revise_keys: never needed; names are recognised.

        Returns:
            the checkpoint, with ``state_dict`` in our names.

        Raises:
            CheckpointError: the file cannot be read safely or does not fit the model.
        """
        model = self.model.module if is_model_wrapper(self.model) else self.model
        checkpoint = open_checkpoint(filename)
        # mmengine's resume would run what stands here: to it, it is a config.
        checkpoint["meta"].pop("config", None)
        # Before the model is loaded: with averaged weights, the hook brings back the current ones.
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
        """Save the training, whole or not at all.

        Args:
            out_dir: the folder.
            filename: in it.
            file_client_args: mmengine's old way to name a file backend.
            save_optimizer: also the optimizer's state.
            save_param_scheduler: also the schedulers' states.
            meta: more to say of it.
            by_epoch: count epochs, not iterations.
            backend_args: mmengine's file backend; what is not on a disk is written in place.
        """
        meta = {**(meta or {}), **self._origin()}
        backend = get_file_backend(out_dir, backend_args=backend_args)
        local = isinstance(backend, LocalBackend) and file_client_args is None
        name = f".{filename}.partial" if local else filename
        try:
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
                fsync_rename(Path(out_dir, name), Path(out_dir, filename))
        finally:
            if local:
                Path(out_dir, name).unlink(missing_ok=True)

    def _origin(self) -> dict[str, Any]:
        """What a checkpoint says of itself beside what mmengine writes."""
        origin: dict[str, Any] = {
            "format": "glip",
            "glip_version": __version__,
            "config": _shipped_name(self.cfg),
        }
        if isinstance(self.train_loop, EpochBasedTrainLoop):
            origin["batches_done"] = self.train_loop.batches_done
            origin["batches_per_epoch"] = len(self.train_loop.dataloader)
        return origin


def _shipped_name(cfg: Config) -> str:
    """The name of the shipped config whose model this is; empty if it is another."""
    file = Path(cfg.filename or "").resolve()
    if file not in [each.resolve() for each in config_files()]:
        return ""
    models = [copy.deepcopy(each.model) for each in (cfg, Config.fromfile(file))]
    for model in models:
        model.language_model.pop("name", None)  # the tokenizer is in the checkpoint
    return file.stem if models[0] == models[1] else ""


def read_training(source: str) -> dict[str, Any]:
    """Read a checkpoint that a training can go on from.

    Raises:
        CheckpointError: it cannot be read safely, or holds no training.
    """
    checkpoint = read_checkpoint(source)
    meta = checkpoint.get("meta")
    if not isinstance(meta, dict) or not {"epoch", "iter"} <= meta.keys():
        missing = "how far it was"
    elif "message_hub" not in checkpoint or "optimizer" not in checkpoint:
        missing = "its optimizer"
    else:
        return checkpoint
    raise CheckpointError(
        f"{source} holds weights but not a training to go on with ({missing} is missing): start "
        "from its weights with --load-from, or resume from a checkpoint like epoch_1.pth"
    )
