"""Reproducible random weights: every parameter is a deterministic function of its official name.

The reference outputs of the parity tests were computed with these weights. Every parameter has an
effect on the outputs, and the network is well conditioned; the detections are meaningless.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from glip.checkpoint.formats import convert

#: Pattern of the name, mean and std of the parameter; the first match applies.
_NORMAL = (
    (r"\.scales\.\d+\.scale$", 1.0, 0.1),
    (r"\.log_scale$", 0.0, 0.1),
    (r"\.bias0$", -1.0, 0.1),
    (r"\.bias_lang$", 0.0, 0.8),
    (r"\.gamma_[vl]$", 0.3, 0.05),
    (r"relative_position_bias_table$", 0.0, 0.2),
    (r"(norm\d?|LayerNorm|layer_norm_v|layer_norm_l|\.bn)\.weight$", 1.0, 0.1),
    (r"\.dot_product_projection_text\.bias$", 0.0, 0.05),
    (r"\.offset\.bias$", 0.0, 0.6),
    (r"\.relu\.fc\.2\.bias$", 0.0, 0.3),
    (r"\.bias$", 0.0, 0.1),
)
#: Pattern of the name of a matrix, and its std times sqrt(fan-in); 1 for all others.
_GAIN = (
    (r"\.offset\.weight$", 0.4),
    (r"\.AttnConv\.1\.weight$", 3.0),
    (r"\.relu\.fc\.[02]\.weight$", 2.0),
    (r"\.attention\.self\.(query|key)\.weight$", 1.5),
    (r"\.output\.dense\.weight$", 0.25),
    (r"\.word_embeddings\.weight$", 2.0),
    (r"\.attn\.[vl]_proj\.weight$", 1.5),
    (r"\.dot_product_projection_text\.weight$", 24.0),
    (r"\.bbox_pred\.weight$", 3.0),
    (r"\.centerness\.weight$", 5.0),
)


def draw_parameter(name: str, shape: tuple[int, ...], salt: str = "") -> np.ndarray:
    """Draw a random parameter.

    Args:
        name: the official name, with the prefix ``module.``.
        shape: of the parameter.
        salt: every salt gives another set of weights.

    Returns:
        a float32 array, the same on every machine.
    """
    seed = zlib.crc32((salt + name).encode()) & 0xFFFFFFFF
    noise = np.random.RandomState(seed).standard_normal(shape)
    for pattern, mean, std in _NORMAL:
        if re.search(pattern, name):
            center = np.full(shape, mean)
            if name.endswith(".relu.fc.2.bias"):
                quarter = shape[0] // 4  # of a1, b1, a2, b2: DyReLU's second line has a slope too
                center[2 * quarter : 3 * quarter] = 1.5
            return (center + std * noise).astype(np.float32)
    gain = next((gain for pattern, gain in _GAIN if re.search(pattern, name)), 1.0)
    std = gain / math.sqrt(math.prod(shape[1:]))
    return (0.0 + std * noise).astype(np.float32)


def draw_state_dict(reference: Mapping[str, Tensor], salt: str = "") -> dict[str, Tensor]:
    """Draw all parameters of a detector.

    Args:
        reference: state dict of the detector in this library's names; only its shapes are used, so
            it may be on the meta device.
        salt: every salt gives another set of weights.

    Returns:
        a state dict in the official names, with the prefix ``module.``.
    """
    own = {key: value for key, value in reference.items() if not key.endswith("_extra_state")}
    official = convert(own, "official").state_dict
    return {
        f"module.{key}": torch.from_numpy(draw_parameter(f"module.{key}", tuple(value.shape), salt))
        for key, value in official.items()
    }
