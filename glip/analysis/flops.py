"""Count the parameters and the floating-point operations of a model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from glip.models import GLIP
from glip.text import parse_prompt
from glip.utils.errors import PromptError


def parts_of(model: GLIP) -> dict[str, list[nn.Module]]:
    """Return the modules of each part of a model; the outputs of the head are in none."""
    blocks = model.bbox_head.tower.blocks
    fusion = [part for block in blocks for part in (block.fusion, block.text_layer) if part]
    return dict(
        backbone=[model.backbone],
        neck=[model.neck],
        language=[model.language_model],
        fusion=fusion,
        dyconv=[block.dyconv for block in blocks],
    )


def count_parameters(model: GLIP) -> dict[str, int]:
    """Count the parameters of each part, and of the model as ``total``."""
    counts = {
        name: sum(weight.numel() for module in modules for weight in module.parameters())
        for name, modules in parts_of(model).items()
    }
    total = sum(weight.numel() for weight in model.parameters())
    return {**counts, "head outputs": total - sum(counts.values()), "total": total}


def count_flops(model: GLIP, shape: tuple[int, int], text: str) -> dict[str, int]:
    """Count the floating-point operations of each part, and of the model as ``total``.

    Args:
        model: model on the CPU, in evaluation mode.
        shape: height and width of the image in pixels.
        text: prompt that fits into one chunk.

    Raises:
        PromptError: the prompt is empty or too long.
        TokenizerNotFoundError: there is no tokenizer.
    """
    pieces = model.chunk_prompt(parse_prompt(text))
    if len(pieces) > 1:
        raise PromptError("the prompt does not fit into one chunk: shorten it (--texts)")
    counts: Counter[str] = Counter()
    counter = FlopCounterMode(display=False)
    hooks = []
    for name, modules in parts_of(model).items():

        def enter(*_: object, name: str = name) -> None:
            counts[name] -= counter.get_total_flops()

        def leave(*_: object, name: str = name) -> None:
            counts[name] += counter.get_total_flops()

        for module in modules:
            hooks.append(module.register_forward_pre_hook(enter))
            hooks.append(module.register_forward_hook(leave))
    try:
        with torch.no_grad(), _plain_attention(), counter:
            with torch.enable_grad():  # without it captions seen before are not encoded again
                features = model.encode_text([pieces[0].tokens])
            model.bbox_head(model.extract_feat(torch.zeros(1, 3, *shape)), features)
    finally:
        for hook in hooks:
            hook.remove()
    total = counter.get_total_flops()
    named = {name: counts[name] for name in parts_of(model)}
    return {**named, "head outputs": total - sum(named.values()), "total": total}


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Compute attention as matrix products, since the counter ignores the CPU's fused kernel."""
    before = torch.backends.cuda.flash_sdp_enabled()  # also switches the CPU's kernel
    torch.backends.cuda.enable_flash_sdp(False)
    try:
        yield
    finally:
        torch.backends.cuda.enable_flash_sdp(before)
