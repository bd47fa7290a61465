r"""Train a detector.

Examples:
    python tools/train.py CONFIG
    python tools/train.py CONFIG --load-from CHECKPOINT --cfg-options data_root=/data/coco/
    python tools/train.py CONFIG --resume            # resume an interrupted training
    torchrun --nproc_per_node 2 tools/train.py CONFIG --launcher pytorch
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from glip.cli.common import (
    AMP_CHOICES,
    add_config_argument,
    add_run_options,
    apply_run_options,
    new_parser,
    parse_and_run,
)

if TYPE_CHECKING:
    from mmengine.config import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_config_argument(parser)
    parser.add_argument(
        "--amp",
        nargs="?",
        const="bf16",
        choices=AMP_CHOICES,
        help="train in mixed precision; --amp alone means bf16",
    )
    parser.add_argument(
        "--resume",
        nargs="?",
        const="auto",
        metavar="CHECKPOINT",
        help="resume from this checkpoint; --resume alone means the last in the working folder",
    )
    parser.add_argument("--load-from", help="initialize the weights from this checkpoint")
    parser.add_argument(
        "--auto-scale-lr",
        action="store_true",
        help="scale the learning rate with the total batch size",
    )
    parser.add_argument("--seed", type=int, help="random seed; default: the config's")
    add_run_options(parser)


def run(args: argparse.Namespace) -> None:
    """Train.

    Raises:
        ConfigError: the config has no training, or an option does not fit it.
        DataError: the data are missing or cannot be used.
        CheckpointError: the checkpoint to start from cannot be used.
    """
    from glip.engine import GLIPRunner

    GLIPRunner.from_cfg(prepare_config(args)).train()


def prepare_config(args: argparse.Namespace) -> Config:
    """Load the config and apply the command line to it.

    Raises:
        ConfigError: the config has no training.
        AnnotationFileError: the data are missing.
        CheckpointError: the checkpoint to start from is missing.
    """
    from glip.apis.build import load_config
    from glip.apis.training import check_training, set_amp, set_auto_scale_lr, set_start

    cfg = load_config(args.config, args.cfg_options)
    check_training(cfg)
    apply_run_options(cfg, args)
    set_start(cfg, args.load_from, args.resume)
    if args.amp:
        set_amp(cfg, args.amp)
    if args.auto_scale_lr:
        set_auto_scale_lr(cfg)
    if args.seed is not None:
        cfg.randomness = dict(cfg.get("randomness") or {}, seed=args.seed)
    return cfg


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    return new_parser(__doc__, add_arguments)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and train; see :func:`run`."""
    parse_and_run(build_parser(), run, argv)
