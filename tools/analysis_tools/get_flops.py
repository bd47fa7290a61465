r"""Count a model's parameters and the floating-point operations of one image with one prompt.

The model gets random weights and runs on the CPU. Counted are matrix products, convolutions and
attention, a multiplication and an addition as two operations. Of a deformable convolution the
product with its kernel is counted, the sampling before it is not. The fusion is counted as it is
computed here, with its wide projections folded away, and grows with the prompt.

The prompt takes a tokenizer; demo/bert-base-uncased is one that needs no download.

Examples:
    python tools/analysis_tools/get_flops.py glip_atss_swin-t_b_fpn_dyhead_pretrain_obj365 \
        --cfg-options lang_model_name=demo/bert-base-uncased
    python tools/analysis_tools/get_flops.py CONFIG --shape 640 640 --texts 'person . dog .'
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from glip.apis import load_config
from glip.apis.build import build_detector
from glip.cli.common import CfgOptions, positive_int, run
from glip.models import GLIP
from glip.text import parse_prompt
from glip.utils.errors import PromptError
from glip.utils.tables import format_table


def parts_of(model: GLIP) -> dict[str, list[nn.Module]]:
    """Name the parts of a model, and the modules of each; the rest is the head's outputs."""
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
    """Count the parameters of each part, and of all as ``total``."""
    counts = {
        name: sum(weight.numel() for module in modules for weight in module.parameters())
        for name, modules in parts_of(model).items()
    }
    total = sum(weight.numel() for weight in model.parameters())
    return {**counts, "head outputs": total - sum(counts.values()), "total": total}


def count_flops(model: GLIP, shape: tuple[int, int], text: str) -> dict[str, int]:
    """Count the operations of each part, and of all as ``total``.

    Args:
        model: on the CPU, in evaluation mode.
        shape: height and width of the image in pixels.
        text: the prompt; it must fit one caption.

    Raises:
        PromptError: the prompt is empty or too long.
        TokenizerNotFoundError: there is no tokenizer.
    """
    pieces = model.chunk_prompt(parse_prompt(text))
    if len(pieces) > 1:
        raise PromptError("the prompt is too long for one caption: shorten --texts")
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
    """Run attention as matrix products: the CPU's fused kernel is not counted."""
    before = torch.backends.cuda.flash_sdp_enabled()  # holds for the CPU's kernel, too
    torch.backends.cuda.enable_flash_sdp(False)
    try:
        yield
    finally:
        torch.backends.cuda.enable_flash_sdp(before)


def main(argv: list[str] | None = None) -> None:
    """Count and print; see the module's docstring."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="config file, or the name of a shipped config")
    parser.add_argument(
        "--shape",
        nargs=2,
        type=positive_int,
        default=(800, 1066),
        metavar=("HEIGHT", "WIDTH"),
        help="of the image in pixels",
    )
    parser.add_argument("--texts", default="bench . car .", help="the prompt")
    parser.add_argument(
        "--cfg-options", nargs="+", action=CfgOptions, help="override the config: key=value ..."
    )
    args = parser.parse_args(argv)
    model = build_detector(load_config(args.config, args.cfg_options))
    parameters = count_parameters(model)
    flops = count_flops(model, tuple(args.shape), args.texts)
    rows = [[name, parameters[name] / 1e6, flops[name] / 1e9] for name in parameters]
    print(f"image of {args.shape[0]} x {args.shape[1]} pixels, prompt {args.texts!r}")
    print(format_table(["part", "parameters [M]", "operations [GFLOP]"], rows))
    print("without the sampling of deformable convolutions")


if __name__ == "__main__":
    run(main)
