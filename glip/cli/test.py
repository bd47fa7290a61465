r"""Evaluate a detector on your own data, or on the test data of a config.

The metrics are printed and stored in the working folder, with the config that was used. An
interrupted evaluation resumes when it is started again with the same --resume-dir.

Examples:
    your own data in COCO's format; the class names are the file's:
        glip test --ann val.json --images val/ --weights glip_tiny_a --out-dir results
    the test data of a config:
        glip test glip_atss_swin-t_b_fpn_dyhead_pretrain_obj365 glip_b.pth \\
            --cfg-options data_root=/data/coco/
        glip test CONFIG CHECKPOINT --out results.pkl --show-dir drawn
        glip test CONFIG CHECKPOINT --resume-dir work_dirs/unfinished
        torchrun --nproc_per_node 2 -m glip test CONFIG CHECKPOINT --launcher pytorch
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from glip.cli.argument_types import path_or_name, seconds
from glip.cli.common import (
    UsageError,
    add_device_option,
    add_model_options,
    add_run_options,
    add_speed_options,
    add_tta_option,
    apply_run_options,
    merge_model_options,
    new_parser,
    parse_and_run,
    use_device,
)
from glip.cli.drawing import add_drawing_options, read_style
from glip.utils.atomic_write import make_writable_folder
from glip.utils.errors import ConfigError

if TYPE_CHECKING:
    from mmengine.config import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("config", nargs="?", help="config: a file or the name of a shipped config")
    parser.add_argument("checkpoint", nargs="?", help="checkpoint, as for --weights")
    add_model_options(parser)
    parser.add_argument("--ann", help="annotation file of your own data, in COCO's format")
    parser.add_argument("--images", help="with --ann: folder of its images")
    add_device_option(parser)
    parser.add_argument("--out", help="store the predictions in this file: .pkl or .json")
    parser.add_argument("--show", action="store_true", help="show the drawn images in a window")
    parser.add_argument(
        "--show-dir", type=path_or_name, help="save the drawn images in this folder"
    )
    parser.add_argument(
        "--wait-time",
        type=seconds,
        default=2,
        help="seconds to show an image; default: %(default)s",
    )
    add_drawing_options(parser)
    parser.add_argument(
        "--resume-dir", help="store finished predictions in this folder, and resume from them"
    )
    add_tta_option(parser)
    add_speed_options(parser)
    add_run_options(parser)


def run(args: argparse.Namespace) -> dict[str, float]:
    """Evaluate.

    Returns:
        The metrics by name.

    Raises:
        ConfigError: the file extension of ``--out`` is unknown, or the config has no test data.
        DataError: the test data are missing or cannot be used.
        CheckpointError: the checkpoint does not fit the config.
    """
    cfg = prepare_config(args)
    from mmengine.dist import is_main_process
    from mmengine.model import is_model_wrapper

    from glip.apis.evaluation import dataset_names, format_metrics
    from glip.engine import GLIPRunner
    from glip.evaluation import DumpDetResults
    from glip.models.compile import compile_model

    runner = GLIPRunner.from_cfg(cfg, verbose=args.verbose)
    if args.compile:
        model = runner.model
        compile_model(model.module if is_model_wrapper(model) else model)
    if args.out:
        runner.test_evaluator.metrics.append(DumpDetResults(args.out))
    metrics = runner.test()
    if is_main_process():
        print(f"\n{format_metrics(metrics, dataset_names(cfg))}")
    return metrics


def prepare_config(args: argparse.Namespace) -> Config:
    """Load the config and apply the command line to it.

    Raises:
        UsageError: there is no checkpoint or no data.
        ConfigError: the file extension of ``--out`` is unknown, or the config has no test data.
        AnnotationFileError: the test data are missing.
    """
    if args.out and Path(args.out).suffix not in (".pkl", ".json"):
        raise ConfigError(f"expected --out to end in .pkl or .json, got {args.out!r}")
    merge_model_options(args)
    if args.weights is None:
        raise UsageError("expected a checkpoint: --weights W, or CHECKPOINT after CONFIG")
    if bool(args.ann) != bool(args.images):
        raise UsageError("expected --ann FILE and --images DIR together")
    if not args.ann and args.config is None:
        raise UsageError("expected data to evaluate on: --ann FILE --images DIR, or a CONFIG")
    use_device(args.device)
    style = read_style(args)
    if args.show:
        from glip.visualization.local_visualizer import check_display

        check_display()
    from glip.apis.build import check_device, load_config
    from glip.apis.custom_data import evaluation_config
    from glip.apis.evaluation import check_test_data
    from glip.engine.options import check_options
    from glip.utils.options import check_mapping

    if args.ann:
        cfg = evaluation_config(
            args.weights, args.ann, args.images, config=args.config, cfg_options=args.cfg_options
        )
    else:
        cfg = load_config(args.config, args.cfg_options)
    check_test_data(cfg)
    for name in ("val_dataloader", "val_evaluator", "val_cfg"):
        cfg.pop(name, None)  # unused here, and long in the log for many data sets
    fp16 = (check_mapping("test_cfg", cfg.get("test_cfg"), none=True) or {}).get("fp16", False)
    cfg.test_cfg = dict(type="glip.GLIPTestLoop", fp16=fp16, resume_dir=args.resume_dir)
    if args.tta:
        from glip.apis.tta import apply_tta

        apply_tta(cfg)
    check_options(cfg)
    apply_run_options(cfg, args)
    check_device("cuda" if args.device and args.device != "cpu" else "cpu")
    cfg.load_from = args.weights
    cfg.compile = args.compile
    if args.amp:
        cfg.merge_from_dict({"model.test_cfg.amp": args.amp})
    if args.show or args.show_dir:
        hooks = dict(cfg.get("default_hooks") or {})
        hooks["visualization"] = dict(
            hooks.get("visualization") or dict(type="DetVisualizationHook"),
            draw=True,
            show=args.show,
            wait_time=args.wait_time,
            test_out_dir=args.show_dir and str(Path(args.show_dir).absolute()),
            interval=1,
        )
        cfg.default_hooks = hooks
    if args.show_dir:
        make_writable_folder(args.show_dir)
        given = {name: value for name, value in asdict(style).items() if value}
        cfg.visualizer = dict(cfg.get("visualizer") or dict(type="DetLocalVisualizer"), **given)
    return cfg


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    return new_parser(__doc__, add_arguments)


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Parse the command line and evaluate; see :func:`run`."""
    return parse_and_run(build_parser(), run, argv)
