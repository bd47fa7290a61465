"""Write a checkpoint of GLIP-T (A) with untrained weights, to try the library without a download.

The weights follow a fixed rule (glip/testing/weights.py). The detections mean nothing; use a
released checkpoint for real ones.

Example:
    python demo/make_demo_checkpoint.py demo/glip_a_untrained.safetensors
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from glip.cli.common import new_parser, parse_and_run
from glip.config import demo_file

VOCABULARY = demo_file("bert-base-uncased")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("dst", help="file to write: .pth or .safetensors")
    parser.add_argument(
        "--config",
        default="glip_atss_swin-t_a_fpn_dyhead_pretrain_obj365",
        help="name of a shipped config; default: %(default)s",
    )


def run(args: argparse.Namespace) -> None:
    """Write the checkpoint.

    Raises:
        FileNotFoundError: there is no shipped config of this name.
    """
    import torch
    from mmengine.registry import DefaultScope

    from glip.checkpoint import convert, find_state_dict, write_checkpoint
    from glip.config import get_config
    from glip.registry import MODELS
    from glip.testing import draw_state_dict
    from glip.text.tokenizer import load_tokenizer, tokenizer_to_bytes

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


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    return new_parser(__doc__, add_arguments)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and write the checkpoint; see :func:`run`."""
    parse_and_run(build_parser(), run, argv)
