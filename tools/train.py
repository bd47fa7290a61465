r"""Train a detector.

Examples:
    python tools/train.py CONFIG
    python tools/train.py CONFIG --load-from CHECKPOINT --cfg-options data_root=/data/coco/
    python tools/train.py CONFIG --resume            # go on after an interruption
    torchrun --nproc_per_node 2 tools/train.py CONFIG --launcher pytorch
"""

from __future__ import annotations

import argparse

from mmengine.config import Config

from glip.apis import load_config
from glip.apis.training import check_training, set_amp, set_auto_scale_lr, set_start
from glip.cli.common import add_run_options, apply_run_options, parse_run_options, run
from glip.engine import GLIPRunner


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="config file, or the name of a shipped config")
    parser.add_argument(
        "--amp", nargs="?", const="bf16", choices=("bf16", "fp16"), help="mixed precision"
    )
    parser.add_argument(
        "--resume",
        nargs="?",
        const="auto",
        metavar="CHECKPOINT",
        help="go on from this checkpoint of a training, or from the last in the working folder",
    )
    parser.add_argument("--load-from", help="start from the weights of this checkpoint")
    parser.add_argument(
        "--auto-scale-lr",
        action="store_true",
        help="scale the learning rate with the number of images a step",
    )
    parser.add_argument("--seed", type=int, help="the same seed gives the same training")
    add_run_options(parser)
    return parse_run_options(parser, argv)


def prepare_config(args: argparse.Namespace) -> Config:
    """Bring the command line's wishes into the config.

    Raises:
        ConfigError: the config cannot be trained.
        AnnotationFileError: the data are absent.
        CheckpointError: the checkpoint to start from is absent.
    """
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


def main(argv: list[str] | None = None) -> None:
    """Train; see the module's docstring."""
    GLIPRunner.from_cfg(prepare_config(parse_args(argv))).train()


if __name__ == "__main__":
    run(main)
