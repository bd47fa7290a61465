"""Write a checkpoint of GLIP-T (A) to try the library with, without a download.

Its weights are drawn from a fixed rule (glip/testing/weights.py), not trained: it shows that
everything runs, and finds nothing in particular. Use a released checkpoint for real detections.

Example:
    python demo/make_demo_checkpoint.py demo/glip_a_untrained.safetensors
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from mmengine.registry import DefaultScope

from glip.checkpoint import convert, find_state_dict, write_checkpoint
from glip.cli.common import run
from glip.config import get_config
from glip.registry import MODELS
from glip.testing import draw_state_dict
from glip.text import load_tokenizer
from glip.text.tokenizer import tokenizer_to_bytes

VOCABULARY = Path(__file__).parent / "bert-base-uncased"


def main(argv: list[str] | None = None) -> None:
    """Write the checkpoint; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("dst", help="file to write: .pth or .safetensors")
    parser.add_argument(
        "--config", default="glip_atss_swin-t_a_fpn_dyhead_pretrain_obj365", help="shipped config"
    )
    args = parser.parse_args(argv)
    with DefaultScope.overwrite_default_scope("glip"), torch.device("meta"):
        reference = MODELS.build(get_config(args.config).model).state_dict()
    write_checkpoint(
        args.dst,
        convert(find_state_dict(draw_state_dict(reference))).state_dict,
        dtype="fp16",
        config=args.config,
        tokenizer=tokenizer_to_bytes(load_tokenizer(str(VOCABULARY))),
    )
    print(f"wrote {args.dst}: untrained weights, to try the library with")


if __name__ == "__main__":
    run(main)
