r"""Evaluate a detector on the test data of a config.

Examples:
    python tools/test.py configs/glip/glip_atss_swin-t_b_fpn_dyhead_pretrain_obj365.py glip_b.pth
    python tools/test.py CONFIG CHECKPOINT --out results.pkl --show-dir drawn
    python tools/test.py CONFIG CHECKPOINT --resume-dir work_dirs/half_done
    python tools/test.py CONFIG CHECKPOINT --cfg-options data_root=/data/coco/
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from mmengine.config import Config, DictAction
from mmengine.dist import is_main_process
from rich.console import Console
from rich.table import Table

from glip.apis import UserError, load_config
from glip.engine import GLIPRunner


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="config file, or the name of a shipped config")
    parser.add_argument("checkpoint", help="checkpoint in any of the three formats")
    parser.add_argument("--work-dir", help="where logs and numbers go")
    parser.add_argument("--out", help="store the predictions here: .pkl or .json")
    parser.add_argument("--show", action="store_true", help="show the drawn pictures")
    parser.add_argument("--show-dir", help="save the drawn pictures here")
    parser.add_argument("--wait-time", type=float, default=2, help="seconds to show a picture")
    parser.add_argument(
        "--resume-dir", help="keep finished predictions here, and continue from those that are"
    )
    parser.add_argument(
        "--cfg-options", nargs="+", action=DictAction, help="override the config: key=value ..."
    )
    parser.add_argument(
        "--launcher", choices=("none", "pytorch", "slurm", "mpi"), default="none", help="launcher"
    )
    # torch.distributed.launch passes it in either spelling; torchrun sets the variable alone.
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0)
    args = parser.parse_args(argv)
    os.environ.setdefault("LOCAL_RANK", str(args.local_rank))
    return args


def prepare_config(args: argparse.Namespace) -> Config:
    """Bring the command line's wishes into the config.

    Raises:
        ValueError: ``--out`` ends in something else, or the config has nothing to test.
    """
    cfg = load_config(args.config, args.cfg_options)
    if "test_dataloader" not in cfg or "test_evaluator" not in cfg:
        raise ValueError(
            f"the config {args.config} has no test_dataloader and test_evaluator: there is "
            "nothing to evaluate"
        )
    cfg.launcher = args.launcher
    cfg.work_dir = args.work_dir or cfg.get("work_dir") or f"work_dirs/{Path(args.config).stem}"
    cfg.load_from = args.checkpoint
    cfg.test_cfg = dict(
        type="glip.GLIPTestLoop",
        fp16=cfg.get("test_cfg", {}).get("fp16", False),
        resume_dir=args.resume_dir,
    )
    if args.show or args.show_dir:
        cfg.default_hooks.visualization.update(
            draw=True,
            show=args.show,
            wait_time=args.wait_time,
            test_out_dir=args.show_dir and str(Path(args.show_dir).absolute()),
            interval=1,
        )
    if args.out:
        if Path(args.out).suffix not in (".pkl", ".json"):
            raise ValueError(f"expected --out to end in .pkl or .json, got {args.out!r}")
        evaluators = cfg.test_evaluator
        evaluators = [evaluators] if isinstance(evaluators, dict) else list(evaluators)
        cfg.test_evaluator = [*evaluators, dict(type="DumpDetResults", out_file_path=args.out)]
    return cfg


def print_table(metrics: dict) -> None:
    """Print the numbers."""
    table = Table("metric", "value")
    for name, value in metrics.items():
        table.add_row(name, f"{value:.4f}" if isinstance(value, float) else str(value))
    Console().print(table)


def main(argv: list[str] | None = None) -> dict:
    """Evaluate; see the module's docstring."""
    cfg = prepare_config(parse_args(argv))
    metrics = GLIPRunner.from_cfg(cfg).test()
    if is_main_process():
        print_table(metrics)
    return metrics


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
