r"""Evaluate a detector on the test data of a config.

Prints the numbers at the end, and stores them in the working folder. An evaluation that was
interrupted continues where it was if it is started again with the same --resume-dir.

Examples:
    python tools/test.py configs/glip/glip_atss_swin-t_b_fpn_dyhead_pretrain_obj365.py glip_b.pth
    python tools/test.py CONFIG CHECKPOINT --out results.pkl --show-dir drawn
    python tools/test.py CONFIG CHECKPOINT --resume-dir work_dirs/half_done
    python tools/test.py CONFIG CHECKPOINT --cfg-options data_root=/data/coco/
    torchrun --nproc_per_node 2 tools/test.py CONFIG CHECKPOINT --launcher pytorch
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.model import is_model_wrapper

from glip.apis import load_config
from glip.apis.evaluation import check_test_data, dataset_names, format_metrics
from glip.cli.common import (
    add_run_options,
    add_speed_options,
    apply_run_options,
    parse_run_options,
    run,
)
from glip.engine import GLIPRunner
from glip.evaluation import DumpDetResults
from glip.models.compile import compile_model
from glip.utils.errors import ConfigError, EvaluationMismatchError


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="config file, or the name of a shipped config")
    parser.add_argument("checkpoint", help="checkpoint in any of the three formats")
    parser.add_argument("--out", help="store the predictions here: .pkl or .json")
    parser.add_argument("--show", action="store_true", help="show the drawn pictures")
    parser.add_argument("--show-dir", help="save the drawn pictures here")
    parser.add_argument("--wait-time", type=float, default=2, help="seconds to show a picture")
    parser.add_argument(
        "--resume-dir", help="keep finished predictions here, and continue from those that are"
    )
    add_speed_options(parser)
    add_run_options(parser)
    return parse_run_options(parser, argv)


def prepare_config(args: argparse.Namespace) -> Config:
    """Bring the command line's wishes into the config.

    Raises:
        ConfigError: ``--out`` ends in something else, or the config has nothing to test.
        AnnotationFileError: the test data are absent.
    """
    if args.out and Path(args.out).suffix not in (".pkl", ".json"):
        raise ConfigError(f"expected --out to end in .pkl or .json, got {args.out!r}")
    cfg = load_config(args.config, args.cfg_options)
    check_test_data(cfg)
    for name in ("val_dataloader", "val_evaluator", "val_cfg"):
        cfg.pop(name, None)  # not needed, and for many data sets long to print
    apply_run_options(cfg, args)
    cfg.load_from = args.checkpoint
    if args.amp:
        cfg.merge_from_dict({"model.test_cfg.amp": args.amp})
    cfg.test_cfg = dict(
        type="glip.GLIPTestLoop",
        fp16=cfg.get("test_cfg", {}).get("fp16", False),
        resume_dir=args.resume_dir,
    )
    if args.show or args.show_dir:
        hooks = cfg.setdefault("default_hooks", {})
        hooks.setdefault("visualization", dict(type="DetVisualizationHook"))
        hooks["visualization"].update(
            draw=True,
            show=args.show,
            wait_time=args.wait_time,
            test_out_dir=args.show_dir and str(Path(args.show_dir).absolute()),
            interval=1,
        )
    return cfg


def main(argv: list[str] | None = None) -> dict[str, float]:
    """Evaluate; see the module's docstring.

    Returns:
        the numbers by name.
    """
    args = parse_args(argv)
    cfg = prepare_config(args)
    runner = GLIPRunner.from_cfg(cfg)
    if args.compile:
        model = runner.model
        compile_model(model.module if is_model_wrapper(model) else model)
    try:
        evaluator = runner.test_evaluator
    except EvaluationMismatchError as error:
        raise ConfigError(str(error)) from error
    if args.out:
        evaluator.metrics.append(DumpDetResults(args.out))
    metrics = runner.test()
    if is_main_process():
        print(f"\n{format_metrics(metrics, dataset_names(cfg))}")
    return metrics


if __name__ == "__main__":
    run(main)
