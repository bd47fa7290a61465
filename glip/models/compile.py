"""``torch.compile`` for the parts of a detector that become faster."""

from __future__ import annotations

import torch
from mmengine.utils import digit_version
from torch import nn

from glip.utils.errors import ConfigError


def compile_model(model: nn.Module) -> None:
    """Compile the backbone and the neck of a detector with ``torch.compile``.

    They have many small operations between large matrix products. The tower is not compiled: the
    gather of its deformable convolutions does not become faster. One compilation with dynamic
    shapes serves images of any size. The names of the parameters, and checkpoints with them, stay.

    Args:
        model: a detector; it is compiled in place, on its first forward pass.

    Raises:
        ConfigError: torch is older than 2.2.
    """
    if digit_version(torch.__version__) < digit_version("2.2"):
        raise ConfigError(
            f"expected torch >= 2.2 to compile, got {torch.__version__}: update torch, or omit "
            "--compile"
        )
    for name in ("backbone", "neck"):
        model.get_submodule(name).compile(dynamic=True)
