"""Initialize a module from a checkpoint file: ``init_cfg=dict(type='Pretrained', ...)``."""

from __future__ import annotations

from mmengine.logging import print_log
from torch import nn

from glip.checkpoint.formats import find_state_dict
from glip.checkpoint.reading import read_checkpoint
from glip.checkpoint.weights import check_weights
from glip.registry import WEIGHT_INITIALIZERS
from glip.utils.errors import CheckpointError


@WEIGHT_INITIALIZERS.register_module(name="Pretrained")
class PretrainedInit:
    """Copy the weights of a checkpoint into a module, as mmengine's initialiser of this name does.

    mmengine's own reads the file with ``torch.load``, which before torch 2.6 runs the code that a
    pickle holds. This one reads it as every checkpoint of this library is read.

    Args:
        checkpoint: a ``.pth`` or ``.safetensors`` file, or its URL.
        prefix: load the parameters whose keys start with it, without it; for example
            ``'backbone.'`` for the backbone of a detector's checkpoint.
        map_location: accepted for mmengine's sake; the values are copied to the module's device.
    """

    def __init__(self, checkpoint: str, prefix: str | None = None, map_location: str = "cpu"):
        self.checkpoint = checkpoint
        self.prefix = prefix
        self.map_location = map_location

    def __call__(self, module: nn.Module) -> None:
        """Copy the weights; parameters that the file lacks keep their values.

        Raises:
            CheckpointError: the file cannot be read safely, has unusable weights, or none for the
                module.
        """
        # Integers are buffers that a module computes from its configuration.
        weights = {
            key: value
            for key, value in find_state_dict(read_checkpoint(self.checkpoint, verify=True)).items()
            if value.is_floating_point() or value.is_complex()
        }
        check_weights(weights, self.checkpoint)
        if self.prefix is not None:
            prefix = self.prefix.removesuffix(".") + "."
            weights = {
                key.removeprefix(prefix): value
                for key, value in weights.items()
                if key.startswith(prefix)
            }
        result = module.load_state_dict(weights, strict=False)
        copied = len(weights) - len(result.unexpected_keys)
        if copied == 0:
            place = f" under {self.prefix!r}" if self.prefix is not None else ""
            raise CheckpointError(
                f"{self.checkpoint} has no parameter of {type(module).__name__}{place}: expected "
                "keys as the module's; set init_cfg.prefix to where they are in the file"
            )
        print_log(
            f"{type(module).__name__} starts from {self.checkpoint}: {copied} tensors are copied, "
            f"{len(result.missing_keys)} keep their initial values",
            logger="current",
        )
