r"""Score stored predictions again, without the model.

The predictions are those that tools/test.py stored with --out. Metrics and their settings come from
the config, so other protocols are a matter of options.

Examples:
    python tools/analysis_tools/eval_metric.py CONFIG results.pkl
    every class's AP:
        python tools/analysis_tools/eval_metric.py CONFIG results.pkl \
            --cfg-options test_evaluator.classwise=True
    LVIS's standard AP instead of the fixed one:
        python tools/analysis_tools/eval_metric.py CONFIG results.pkl \
            --cfg-options test_evaluator.type=LVISMetric
    Flickr30k's merged boxes:
        python tools/analysis_tools/eval_metric.py CONFIG results.pkl --cfg-options \
            test_evaluator.metrics.0.merge_boxes=True test_evaluator.metrics.1.merge_boxes=True
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mmengine.fileio import dump
from mmengine.registry import DefaultScope

from glip.apis import load_config
from glip.apis.evaluation import (
    build_evaluator,
    check_test_data,
    dataset_names,
    format_metrics,
)
from glip.cli.common import CfgOptions, run
from glip.evaluation import load_predictions
from glip.registry import DATASETS
from glip.utils.errors import ConfigError


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="config file, or the name of a shipped config")
    parser.add_argument("predictions", help="file that tools/test.py --out stored: .pkl or .json")
    parser.add_argument("--out", help="store the numbers here: .json")
    parser.add_argument(
        "--cfg-options", nargs="+", action=CfgOptions, help="override the config: key=value ..."
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> dict[str, float]:
    """Score; see the module's docstring.

    Returns:
        the numbers by name.
    """
    args = parse_args(argv)
    if args.out and Path(args.out).suffix != ".json":
        raise ConfigError(f"expected --out to end in .json, got {args.out!r}")
    cfg = load_config(args.config, args.cfg_options)
    check_test_data(cfg)
    predictions = load_predictions(args.predictions)
    with DefaultScope.overwrite_default_scope(cfg.get("default_scope", "glip")):
        dataset = DATASETS.build(cfg.test_dataloader.dataset)
        evaluator = build_evaluator(cfg)
    evaluator.dataset_meta = dataset.metainfo
    if len(predictions) != len(dataset):
        print(
            f"note: {args.predictions} has predictions for {len(predictions)} images, and the data "
            f"have {len(dataset)}"
        )
    metrics = evaluator.offline_evaluate(predictions, chunk_size=64)
    print(f"\n{format_metrics(metrics, dataset_names(cfg))}")
    if args.out:
        Path(args.out).parent.mkdir(parents=True, exist_ok=True)
        dump(metrics, args.out)
    return metrics


if __name__ == "__main__":
    run(main)
