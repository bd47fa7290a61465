r"""Evaluate stored predictions, without running the model.

The predictions are the file that tools/test.py --out stores. The metrics come from the config; the
options can change their settings.

Examples:
    python tools/analysis_tools/eval_metric.py CONFIG results.pkl
    the AP of every class:
        python tools/analysis_tools/eval_metric.py CONFIG results.pkl \
            --cfg-options test_evaluator.classwise=True
    precision-recall curves and a table of the classes, as images:
        python tools/analysis_tools/eval_metric.py CONFIG results.pkl --curves curves
    the standard AP of LVIS instead of the fixed AP:
        python tools/analysis_tools/eval_metric.py CONFIG results.pkl \
            --cfg-options test_evaluator.type=LVISMetric
    the merged boxes of Flickr30k:
        python tools/analysis_tools/eval_metric.py CONFIG results.pkl --cfg-options \
            test_evaluator.metrics.0.merge_boxes=True test_evaluator.metrics.1.merge_boxes=True
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from glip.cli.common import add_cfg_options, add_config_argument, new_parser, parse_and_run
from glip.utils.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_config_argument(parser)
    parser.add_argument("predictions", help="file that tools/test.py --out stored: .pkl or .json")
    parser.add_argument("--out", help="store the metrics in this file: .json")
    parser.add_argument(
        "--curves",
        type=Path,
        metavar="DIR",
        help="draw precision-recall curves and a table of the classes: curves.png, classes.png and "
        "classes.csv in this folder; for AP on one data set",
    )
    add_cfg_options(parser)


def run(args: argparse.Namespace) -> dict[str, float]:
    """Evaluate.

    Returns:
        The metrics by name.

    Raises:
        ConfigError: the file extension of ``--out`` is unknown, the config has no test data, or no
            metric with curves for ``--curves``.
        DataError: the annotations or the predictions cannot be used.
    """
    if args.out and Path(args.out).suffix != ".json":
        raise ConfigError(f"expected --out to end in .json, got {args.out!r}")
    from mmengine.registry import DefaultScope

    from glip.analysis.curves import find_ap_metric, write_curves
    from glip.apis.build import load_config
    from glip.apis.evaluation import (
        build_dataset,
        build_evaluator,
        check_test_data,
        dataset_names,
        format_metrics,
    )
    from glip.evaluation import check_predictions, load_predictions
    from glip.utils.atomic_write import write_new_file
    from glip.utils.serialization import to_builtin

    cfg = load_config(args.config, args.cfg_options)
    check_test_data(cfg)
    predictions = load_predictions(args.predictions)
    dataset = build_dataset(cfg)
    with DefaultScope.overwrite_default_scope(cfg.get("default_scope") or "glip"):
        evaluator = build_evaluator(cfg)
    metric = find_ap_metric(evaluator) if args.curves else None
    evaluator.dataset_meta = dataset.metainfo
    check_predictions(predictions, dataset, args.predictions)
    metrics = evaluator.offline_evaluate(predictions, chunk_size=64)
    print(f"\n{format_metrics(metrics, dataset_names(cfg))}")
    if args.out:
        write_new_file(args.out, json.dumps(to_builtin(metrics), indent=1))
    if metric is not None:
        files = write_curves(metric, predictions, args.curves)
        print(f"wrote {', '.join(map(str, files))}")
    return metrics


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    return new_parser(__doc__, add_arguments)


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Parse the command line and evaluate; see :func:`run`."""
    return parse_and_run(build_parser(), run, argv)
