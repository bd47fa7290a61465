"""mmengine's runner, with this library's way of loading checkpoints."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed
from mmengine.device import get_device
from mmengine.dist import is_distributed
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from glip.checkpoint import load_checkpoint
from glip.registry import RUNNERS


@RUNNERS.register_module()
class GLIPRunner(Runner):
    """A runner whose ``load_from`` and ``resume`` take checkpoints of any of the three formats.

    mmengine's own runner unpickles whatever a file holds on older torch, and on newer torch refuses
    its own training checkpoints; this one does neither.

    Several processes (``torchrun``) also run without a GPU; they then talk through gloo, whatever
    ``env_cfg.dist_cfg`` says.
    """

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
        """
        if self.distributed and get_device() == "cpu":
            defaults = dict(
                device_ids=None,
                broadcast_buffers=False,
                find_unused_parameters=self.cfg.get("find_unused_parameters", False),
            )
            model_wrapper_cfg = {**defaults, **(model_wrapper_cfg or {})}
        return super().wrap_model(model_wrapper_cfg, model)

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
        checkpoint = load_checkpoint(model, filename)
        self.call_hook("after_load_checkpoint", checkpoint=checkpoint)
        self._has_loaded = True
        self.logger.info(f"Loaded {checkpoint['conversion'].source} checkpoint {filename}")
        return checkpoint
