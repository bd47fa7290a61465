"""The switch between the fused and the plain form of the operators, after timm's ``fused_attn``."""

from __future__ import annotations

import os

#: ``GLIP_FUSED_OPS=0`` in the environment starts with the plain forms.
_fused_ops = os.environ.get("GLIP_FUSED_OPS", "1") != "0"


def use_fused_ops() -> bool:
    """Return whether the operators run in their fused form."""
    return _fused_ops


def set_fused_ops(enable: bool = True) -> None:
    """Set whether the operators run in their fused form, for all models of this process.

    Both forms compute the same up to rounding. The fused one, the default, is faster and needs
    less memory.

    Args:
        enable: ``True`` for the fused form, ``False`` for the plain one.
    """
    global _fused_ops
    _fused_ops = enable
