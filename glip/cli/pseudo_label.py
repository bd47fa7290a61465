r"""Label the phrases of captions with the boxes of a teacher model: data for self-training.

OUT gets an ODVG grounding record for each caption with at least one box above --score-thr, after
the teacher's NMS among the boxes of a phrase (GLIP, section 3.3 and its appendix). Other files
beside OUT: OUT.left_out.jsonl (captions and images without a record, and why), OUT.report.txt and
OUT.report.json, OUT.scores.png, OUT.samples.jpg, and OUT.state.json, which a resumed run needs.

PAIRS are JSON lines {"filename": "a.jpg", "caption": "a dog"} (or "captions", a list) with --images
for the folder of the images; or a .tar with members a.jpg and a.txt or a.json, as webdataset and
img2dataset write it. Other keys of a line are copied to the record.

A run that was killed resumes when the same command is started again; its output is byte-identical
to that of an uninterrupted run. --shard 0/4 does the first quarter of the work and writes
OUT.0-of-4; with --launcher each process that torchrun started does one shard. Afterwards the same
command with --merge merges the shards into OUT.

Examples:
    python tools/pseudo_label.py CONFIG CHECKPOINT pairs.jsonl labels.jsonl --images images
    python tools/pseudo_label.py CONFIG CHECKPOINT 00000.tar 00000.jsonl --score-thr 0.6
    torchrun --nproc_per_node 8 tools/pseudo_label.py CONFIG CHECKPOINT pairs.jsonl labels.jsonl \
        --images images --launcher pytorch
    python tools/pseudo_label.py CONFIG CHECKPOINT pairs.jsonl labels.jsonl --images images --merge
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from glip.cli.argument_types import positive_int, sample_size, worker_count
from glip.cli.common import (
    LAUNCHERS,
    UsageError,
    add_cfg_options,
    add_config_argument,
    add_device_option,
    add_image_limits,
    new_parser,
    parse_and_run,
)
from glip.labeling.shards import Shard
from glip.text.noun_phrases import NP_EXTRACTORS, find_noun_phrases
from glip.utils.errors import ConfigError
from glip.utils.image_files import ImageLimits
from glip.utils.remote_files import is_remote

if TYPE_CHECKING:
    from mmengine.config import Config


#: Boxes of captions with a higher score are kept (GLIP: 0.5).
DEFAULT_SCORE_THR = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_config_argument(parser, "config of the teacher")
    parser.add_argument("checkpoint", help="checkpoint of the teacher")
    parser.add_argument(
        "pairs", help="images with captions: JSON lines or a .tar; a file, or a URL of fsspec"
    )
    parser.add_argument("out", type=Path, help="file to write, for example labels.jsonl")
    parser.add_argument("--images", help="folder of the images that PAIRS names; also a URL")
    parser.add_argument(
        "--score-thr",
        type=parse_score,
        default=DEFAULT_SCORE_THR,
        help="keep boxes with a score above this; default: %(default)s",
    )
    add_caption_options(parser)
    add_run_options(parser)


def add_caption_options(parser: argparse._ActionsContainer) -> None:
    """Add the options of captions."""
    parser.add_argument(
        "--max-boxes-per-phrase",
        type=positive_int,
        help="keep at most this number of boxes per phrase; default: all, of the teacher's 100 per "
        "caption",
    )
    parser.add_argument(
        "--keep-empty", action="store_true", help="also write captions without a kept box"
    )
    parser.add_argument(
        "--np-extractor",
        choices=NP_EXTRACTORS,
        default="rules",
        help="method that finds the noun phrases; default: %(default)s",
    )
    parser.add_argument(
        "--samples",
        type=sample_size,
        default=12,
        help="records to draw in OUT.samples.jpg; default: %(default)s",
    )


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a labeling run: batches, processes, shards, limits."""
    parser.add_argument(
        "--batch-size", type=positive_int, default=4, help="images per batch; default: %(default)s"
    )
    parser.add_argument(
        "--num-workers",
        type=worker_count,
        default=2,
        help="processes that read images; default: %(default)s",
    )
    add_device_option(parser)
    parts = parser.add_mutually_exclusive_group()
    parts.add_argument(
        "--shard", type=parse_shard, help="label one shard: 0/4 is the first of four, 3/4 the last"
    )
    parts.add_argument(
        "--launcher",
        choices=LAUNCHERS,
        default="none",
        help="label one shard per process of this launcher; default: %(default)s",
    )
    parts.add_argument("--merge", action="store_true", help="merge the finished shards")
    parts.add_argument(
        "--ray",
        nargs="?",
        const="",
        metavar="ADDRESS",
        help="label shards on a Ray cluster, HOST:PORT or auto, and merge them; without ADDRESS on "
        "this machine",
    )
    parser.add_argument(
        "--ray-workers",
        type=positive_int,
        metavar="N",
        help="with --ray: processes that hold the model; default: one per GPU of the cluster, or "
        "one per two CPU cores",
    )
    add_image_limits(parser)
    add_cfg_options(parser)


def parse_score(text: str) -> float:
    """Parse a score threshold from 0 to below 1; a ``type`` for argparse."""
    try:
        score = float(text)
    except ValueError:
        score = -1.0
    if not 0 <= score < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to below 1, got {text!r}")
    return score


def parse_shard(text: str) -> Shard:
    """Parse ``0/4``, the first of four; a ``type`` for argparse."""
    try:
        return Shard.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def run(args: argparse.Namespace) -> None:
    """Label.

    Raises:
        ConfigError: the config, the device or the noun phrase extractor cannot be used.
        CheckpointError: the checkpoint does not fit the config.
        DataError: the images and captions cannot be used.
        LabelingMismatchError: the files at OUT are of other settings.
    """
    from glip.apis.build import load_config

    prepare_ray(args, "pairs", "images", "out", "checkpoint")
    check_np_extractor(args.np_extractor)
    label_captions(args, load_config(args.config, args.cfg_options))


def check_np_extractor(name: str) -> None:
    """Check that the extractor of noun phrases is installed.

    Raises:
        ConfigError: it is not.
    """
    try:
        find_noun_phrases("A check.", name)
    except ImportError as error:
        raise ConfigError(str(error)) from error


def label_captions(args: argparse.Namespace, cfg: Config) -> None:
    """Label the captions of the arguments with the model of a config; see :func:`run`."""
    from glip.apis.pipelines import set_image_limits
    from glip.labeling import open_pairs
    from glip.labeling.caption_run import CaptionRun
    from glip.labeling.caption_run import label_captions as label
    from glip.labeling.digests import digest_checkpoint, digest_config

    if "model" not in cfg:
        raise ConfigError(f"{args.config} has no `model`: expected a config of a GLIP")
    limits = ImageLimits(args.max_pixels, args.max_bytes)
    set_image_limits(cfg, limits)
    pairs = open_pairs(args.pairs, args.images)
    pairs.limits = limits
    pairs.skipped.log(f"'{args.pairs}': skipped")
    caption_run = CaptionRun(
        pairs,
        args.out,
        cfg,
        args.checkpoint,
        dict(config=digest_config(cfg), checkpoint=digest_checkpoint(args.checkpoint)),
        np_extractor=args.np_extractor,
        score_thr=args.score_thr,
        max_boxes_per_phrase=args.max_boxes_per_phrase,
        keep_empty=args.keep_empty,
        batch_size=args.batch_size,
        num_workers=args.num_workers,
        num_samples=args.samples,
    )
    part = find_part(args)
    merge = args.merge
    if args.ray is not None:
        from glip.labeling.ray_run import label_with_ray

        label_with_ray(
            caption_run, address=args.ray, num_workers=args.ray_workers, device=args.device
        )
        merge = True
    device = args.device or find_device(part or Shard())
    text = label(caption_run, device=device, part=part, merge=merge)
    if part is None or part.local_rank == 0:
        print(text)


def find_part(args: argparse.Namespace) -> Shard | None:
    """Return the shard that the arguments name; ``None`` for all.

    Raises:
        ConfigError: the launcher did not start this process.
    """
    return Shard.of_launcher(args.launcher) if args.launcher != "none" else args.shard


def prepare_ray(args: argparse.Namespace, *paths: str) -> None:
    """Check Ray before any slow work, and make paths absolute for its processes.

    Args:
        args: the arguments.
        paths: names of the arguments that are paths or URLs.

    Raises:
        UsageError: ``--ray-workers`` is given without ``--ray``.
        ConfigError: no cluster answers.
        DependencyError: ray is not installed.
    """
    if args.ray is None:
        if args.ray_workers is not None:
            raise UsageError("--ray-workers goes with --ray")
        return
    from glip.labeling.ray_run import check_address, import_ray

    import_ray()
    if args.ray:
        check_address(args.ray)
    for name in paths:
        path = getattr(args, name)
        if path is not None and not is_remote(path):
            setattr(args, name, type(path)(os.path.abspath(path)))


def find_device(shard: Shard) -> str:
    """Return the GPU of this process, or the CPU without one."""
    import torch

    from glip.apis.build import default_device

    if torch.cuda.is_available():
        return f"cuda:{shard.local_rank % torch.cuda.device_count()}"
    return default_device()


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    return new_parser(__doc__, add_arguments)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and label; see :func:`run`."""
    parse_and_run(build_parser(), run, argv)
