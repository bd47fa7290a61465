r"""Train a detector: fine-tune it on your own data, or train by a config.

--data DIR is a folder in COCO's format: train.json and val.json (or
annotations/instances_train*.json and instances_val*.json) with the images in train/ and val/,
images/train/ and images/val/, or images/; or train/_annotations.coco.json and
valid/_annotations.coco.json with the images beside them. The class names are those of the training
file. The recipe is that of configs/glip/_templates/custom_coco_finetune.py; the config that was
used is written to the working folder.

Examples:
    glip train --data DIR --weights glip_tiny_b --out-dir work_dirs/mine
    glip train --data DIR --weights glip_nano_shapes --cfg-options train_cfg.max_epochs=20
    glip train CONFIG
    glip train CONFIG --weights CHECKPOINT --cfg-options data_root=/data/coco/
    glip train CONFIG --resume            # resume an interrupted training
    torchrun --nproc_per_node 2 -m glip train CONFIG --launcher pytorch
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from glip.cli.argument_types import path_or_name, seed
from glip.cli.common import (
    AMP_CHOICES,
    UsageError,
    add_device_option,
    add_model_options,
    add_run_options,
    apply_run_options,
    merge_model_options,
    new_parser,
    parse_and_run,
    use_device,
)

if TYPE_CHECKING:
    from mmengine.config import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "config",
        type=path_or_name,
        nargs="?",
        help="config: a file or the name of a shipped config",
    )
    add_model_options(parser)
    parser.add_argument(
        "--data", type=path_or_name, metavar="DIR", help="folder of your own data, see above"
    )
    add_device_option(parser)
    parser.add_argument(
        "--amp",
        nargs="?",
        const="bf16",
        choices=AMP_CHOICES,
        help="train in mixed precision; --amp alone means bf16",
    )
    parser.add_argument(
        "--resume",
        type=path_or_name,
        nargs="?",
        const="auto",
        metavar="CHECKPOINT",
        help="resume from this checkpoint; --resume alone means the last in the working folder",
    )
    parser.add_argument("--load-from", type=path_or_name, help="another name of --weights")
    parser.add_argument(
        "--auto-scale-lr",
        action="store_true",
        help="scale the learning rate with the total batch size",
    )
    parser.add_argument("--seed", type=seed, help="random seed; default: the config's")
    add_run_options(parser)


def run(args: argparse.Namespace) -> None:
    """Train.

    Raises:
        ConfigError: the config has no training, or an option does not fit it.
        DataError: the data are missing or cannot be used.
        CheckpointError: the checkpoint to start from cannot be used.
    """
    from glip.engine import GLIPRunner

    GLIPRunner.from_cfg(prepare_config(args), verbose=args.verbose).train()


def prepare_config(args: argparse.Namespace) -> Config:
    """Load the config and apply the command line to it.

    Raises:
        UsageError: there is no data, or no checkpoint to start from.
        ConfigError: the config has no training.
        AnnotationFileError: the data are missing.
        CheckpointError: the checkpoint to start from is missing.
    """
    merge_model_options(args, "load_from")
    if args.config is None and (args.resume or "").endswith(".py"):
        raise UsageError(
            f"--resume takes {args.resume} as its CHECKPOINT: expected the config before --resume"
        )
    if args.config is None and not args.data:
        raise UsageError("expected data to train on: --data DIR, or a CONFIG")
    if args.data and args.weights is None:
        raise UsageError(
            "expected weights to start from: --weights W, for example glip_tiny_b (downloaded "
            "once) or glip_nano_shapes (the small model)"
        )
    use_device(args.device)
    from glip.apis.build import check_device, load_config
    from glip.apis.custom_data import training_config
    from glip.apis.training import check_training, set_amp, set_auto_scale_lr, set_start

    if args.data:
        cfg = training_config(
            args.weights, args.data, config=args.config, cfg_options=args.cfg_options
        )
    else:
        cfg = load_config(args.config, args.cfg_options)
    check_training(cfg)
    apply_run_options(cfg, args)
    check_device("cuda" if args.device and args.device != "cpu" else "cpu")
    set_start(cfg, args.weights, args.resume)
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
