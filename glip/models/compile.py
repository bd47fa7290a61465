"""Compiling the parts of a model that are worth it, in place."""

from __future__ import annotations

import torch
from mmengine.utils import digit_version
from torch import nn

from glip.utils.errors import ConfigError


def compile_model(model: nn.Module) -> None:
    """Compile a detector's backbone and pyramid with ``torch.compile``.

    They are the parts that are many small operations between large products; the tower gathers at
    positions that it computes, which gains nothing. Compiled once for pictures of any size. Names
    of parameters stay, and so do checkpoints.

    Args:
        model: a detector; changed in place. The compiling itself takes place at the first picture.

    Raises:
        ConfigError: torch is older than 2.2.
    """
    if digit_version(torch.__version__) < digit_version("2.2"):
        raise ConfigError(
            f"compiling needs torch 2.2, and this is {torch.__version__}: leave out --compile"
        )
    for part in (model.backbone, model.neck):
        part.compile(dynamic=True)
