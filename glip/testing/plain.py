"""A detector computed as its formulas are written: slow, and equal to the last few digits.

What the library re-arranges for speed has here its plain form, to be compared in tests and timed
beside the fast one by ``tools/analysis_tools/benchmark.py --baseline``:

- torchvision's deformable convolution;
- the cross-attention with all its projections of the image (GLIP, equation 5);
- captions padded to all the tokens the language encoder reads, and encoded anew each time;
- the tower run for every caption, also where no text enters it.

Shapes: B images, N visual positions, T text tokens, C visual and D text channels, h heads of width
E / h.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torchvision.ops import deform_conv2d

from glip.models import GLIP
from glip.models.fusion import dyconv
from glip.models.fusion.attention import BiAttention
from glip.models.ops.bi_attention import CLAMP
from glip.models.ops.deform_conv import reread


@contextmanager
def plain_formulation(model: GLIP) -> Iterator[None]:
    """Compute the plain way inside the ``with`` block.

    Args:
        model: what to compute with; it is as before afterwards.
    """
    head = model.bbox_head
    language = model.language_model
    with ExitStack() as stack:

        def replace(owner: Any, name: str, value: Any) -> None:
            stack.enter_context(patch.object(owner, name, value))

        replace(dyconv, "modulated_deform_conv", plain_deform_conv)
        replace(language, "pad_to_max", True)
        replace(model._captions._cache, "get", lambda _: None)
        for block in head.tower.blocks:
            if block.fusion is not None:
                replace(block.fusion.attn, "forward", partial(plain_attention, block.fusion.attn))
        if not head.tower.early_fuse:
            forward_dense, forward_visual = head._forward_dense, head.tower.forward_visual
            replace(head, "forward_visual", list)
            replace(
                head,
                "_forward_dense",
                lambda levels, text: forward_dense(forward_visual(levels), text),
            )
        yield


def plain_deform_conv(
    x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor, *, stride: int = 1
) -> Tensor:
    """Do what :func:`glip.models.ops.deform_conv.modulated_deform_conv` does, by torchvision.

    Args:
        x: (B, C, H, W).
        offset: (B, 18, h, w), read again for the output's size as the official code does.
        mask: (B, 9, h, w), likewise.
        weight: (K, C, 3, 3).
        bias: (K,).
        stride: of the output.

    Returns:
        (B, K, H', W'), float32.
    """
    size = tuple((side - 1) // stride + 1 for side in x.shape[-2:])
    with torch.autocast(x.device.type, enabled=False):
        x, offset, mask = x.float(), reread(offset, *size).float(), reread(mask, *size).float()
        return deform_conv2d(
            x, offset, weight.float(), bias.float(), stride=stride, padding=1, mask=mask
        )


def plain_attention(
    attention: BiAttention, visual: Tensor, text: Tensor, mask: Tensor
) -> tuple[Tensor, Tensor]:
    """Do what :class:`~glip.models.fusion.attention.BiAttention` does, with projections as wide.

    Args:
        attention: whose weights to use.
        visual: (B, N, C).
        text: (B, T, D).
        mask: (B, T) bool, true on real tokens.

    Returns:
        what the image reads, (B, N, C), and what the text reads, (B, T, D).
    """

    def heads(x: Tensor) -> Tensor:
        return x.unflatten(-1, (attention.num_heads, -1)).transpose(1, 2)  # (B, h, ., E/h)

    queries, keys = heads(attention.v_proj(visual) * attention.scale), heads(attention.l_proj(text))
    logits = (queries @ keys.mT).clamp(-CLAMP, CLAMP)  # (B, h, N, T)
    lowest = torch.finfo(logits.dtype).min
    to_text = logits.masked_fill(~mask[:, None, None], lowest).softmax(dim=-1)
    to_image = (logits - logits.amax(dim=2, keepdim=True)).clamp(-CLAMP, CLAMP)
    to_image = to_image.softmax(dim=2).mT
    read_text = attention.dropout(to_text) @ heads(attention.values_l_proj(text))
    read_image = attention.dropout(to_image) @ heads(attention.values_v_proj(visual))
    return (
        attention.out_v_proj(read_text.transpose(1, 2).flatten(2)),
        attention.out_l_proj(read_image.transpose(1, 2).flatten(2)),
    )
