r"""Let a teacher draw boxes for the phrases of captions: data for self-training.

Writes to OUT a grounding line of the ODVG format for each caption with at least one box above
--score-thr, after the teacher's own suppression of boxes of the same phrase (GLIP, section 3.3 and
its appendix). Beside OUT lie OUT.left_out.jsonl (what gave no line, and why), OUT.report.txt and
.json, OUT.scores.png, OUT.samples.jpg, and OUT.state.json, which is needed to go on.

PAIRS are JSON lines {"filename": "a.jpg", "caption": "a dog"} (or "captions", a list), with
--images for the folder of the pictures; or a .tar with members a.jpg and a.txt or a.json, as
webdataset and img2dataset have it. Other keys of a line are carried along.

Killed at any moment and started again with the same command, it goes on and ends with the same
file, byte for byte. --shard 0/4 does the first quarter of the work and writes OUT.0-of-4; with
--launcher each process that torchrun started does its share. Afterwards the same command with
--merge joins the shards in OUT.

Examples:
    python tools/pseudo_label.py CONFIG CHECKPOINT pairs.jsonl labels.jsonl --images pictures
    python tools/pseudo_label.py CONFIG CHECKPOINT 00000.tar 00000.jsonl --score-thr 0.6
    torchrun --nproc_per_node 8 tools/pseudo_label.py CONFIG CHECKPOINT pairs.jsonl labels.jsonl \
        --images pictures --launcher pytorch
    python tools/pseudo_label.py CONFIG CHECKPOINT pairs.jsonl labels.jsonl --images pictures \
        --merge
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from tqdm import tqdm

from glip.apis import load_config
from glip.apis.build import build_detector, default_device
from glip.apis.inference import find_test_pipeline
from glip.cli.common import CfgOptions, positive_int, run
from glip.labeling import (
    Labeler,
    Output,
    Pairs,
    Shard,
    join_shards,
    label_pairs,
    open_pairs,
    write_report,
)
from glip.labeling.shards import LAUNCHERS
from glip.text.noun_phrases import CHUNKERS, find_noun_phrases
from glip.utils.errors import ConfigError


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="the teacher's config file, or the name of a shipped config")
    parser.add_argument("checkpoint", help="the teacher's checkpoint in any of the three formats")
    parser.add_argument("pairs", type=Path, help="pictures with captions: JSON lines, or a .tar")
    parser.add_argument("out", type=Path, help="where to write the lines, for example labels.jsonl")
    parser.add_argument("--images", type=Path, help="folder of the pictures that PAIRS names")
    parser.add_argument(
        "--score-thr", type=float, default=0.5, help="keep boxes above this score; default: 0.5"
    )
    parser.add_argument(
        "--max-boxes-per-phrase",
        type=positive_int,
        help="keep the best so many; by default all, of the 100 a caption that the teacher gives",
    )
    parser.add_argument(
        "--keep-empty", action="store_true", help="write captions without a kept box, too"
    )
    parser.add_argument(
        "--np_extractor", choices=CHUNKERS, default="rules", help="what finds the noun phrases"
    )
    parser.add_argument("--batch-size", type=positive_int, default=4, help="pictures at a time")
    parser.add_argument("--num-workers", type=int, default=2, help="processes that read pictures")
    parser.add_argument("--device", help="cpu, cuda:0, ...; by default a GPU if there is one")
    parts = parser.add_mutually_exclusive_group()
    parts.add_argument("--shard", help="do a part of the work: 0/4 is the first of four")
    parts.add_argument(
        "--launcher", choices=("none", *LAUNCHERS), default="none", help="a shard a process"
    )
    parts.add_argument("--merge", action="store_true", help="join the shards that are finished")
    parser.add_argument(
        "--samples", type=int, default=12, help="lines to draw on OUT.samples.jpg; default: 12"
    )
    parser.add_argument(
        "--cfg-options", nargs="+", action=CfgOptions, help="override the config: key=value ..."
    )
    args = parser.parse_args(argv)
    if args.num_workers < 0:
        parser.error(f"expected --num-workers of 0 or more, got {args.num_workers}")
    if not 0 <= args.score_thr < 1:
        parser.error(f"expected --score-thr from 0 to below 1, got {args.score_thr}")
    try:
        args.shard = Shard.parse(args.shard) if args.shard else None
    except ValueError as error:
        parser.error(f"--shard: {error}")
    return args


def find_settings(args: argparse.Namespace, cfg: Config, pairs: Pairs) -> dict[str, Any]:
    """Return what must not change in the middle of the work, by name.

    Raises:
        ConfigError: the config has no model or pipeline.
        OSError: the checkpoint cannot be read.
    """
    if "model" not in cfg:
        raise ConfigError(f"{args.config} has no `model`: expected a config of a GLIP")
    config = f"{cfg.model}\n{find_test_pipeline(cfg)}"
    return {
        "config": hashlib.sha256(config.encode()).hexdigest(),
        "checkpoint": _digest(args.checkpoint),
        "pairs": pairs.digest,
        "np_extractor": args.np_extractor,
        "score_thr": args.score_thr,
        "max_boxes_per_phrase": args.max_boxes_per_phrase,
        "keep_empty": args.keep_empty,
        "batch_size": args.batch_size,
    }


def _digest(checkpoint: str) -> str:
    """Of a file's content; of an address, the address."""
    if "://" in checkpoint:
        return checkpoint
    digest = hashlib.sha256()
    with open(checkpoint, "rb") as file:
        while content := file.read(1 << 20):
            digest.update(content)
    return digest.hexdigest()


def check_np_extractor(np_extractor: str) -> None:
    """See to it that the np_extractor is installed.

    Raises:
        ConfigError: it is not.
    """
    try:
        find_noun_phrases("A check.", np_extractor)
    except ImportError as error:
        raise ConfigError(str(error)) from error


def find_device(shard: Shard) -> str:
    """Return the first GPU, or that of the process among those on the machine; else the CPU."""
    if torch.cuda.is_available():
        return f"cuda:{shard.local % torch.cuda.device_count()}"
    return default_device()


def label(args: argparse.Namespace, cfg: Config, pairs: Pairs, shard: Shard, out: Output) -> None:
    """Do what is left of the work."""
    blocks = shard.blocks(len(pairs), args.batch_size)
    model = build_detector(cfg, args.checkpoint, args.device or find_device(shard))
    teacher = Labeler(
        model,
        score_thr=args.score_thr,
        max_boxes_per_phrase=args.max_boxes_per_phrase,
        keep_empty=args.keep_empty,
    )
    todo = blocks[out.done :]
    bar = tqdm(
        desc="Labeling",
        unit="picture",
        initial=sum(map(len, blocks[: out.done])),
        total=sum(map(len, blocks)),
        disable=shard.local > 0,
        dynamic_ncols=True,
    )
    found = label_pairs(
        teacher, pairs, todo, np_extractor=args.np_extractor, num_workers=args.num_workers
    )
    with bar:
        for block, labels in zip(todo, found, strict=True):
            out.add(labels.lines, labels.left_out, labels.tally)
            bar.update(len(block))
            bar.set_postfix(boxes=out.tally.counts["boxes"], refresh=False)
    out.finish()


def main(argv: list[str] | None = None) -> None:
    """Label; see the module's docstring."""
    args = parse_args(argv)
    cfg = load_config(args.config, args.cfg_options)
    check_np_extractor(args.np_extractor)
    launched = Shard.of_launcher(args.launcher) if args.launcher != "none" else None
    part = args.shard or launched
    shard = part or Shard()
    pairs = open_pairs(args.pairs, args.images)
    pairs.skipped.log(f"'{args.pairs}': left out")
    settings = find_settings(args, cfg, pairs)
    path = part.path(args.out) if part else args.out
    own = settings | {"shard": str(part)} if part else settings
    num_blocks = len(shard.blocks(len(pairs), args.batch_size))
    with Output(path, settings=own, num_blocks=num_blocks) as out:
        if out.finished:
            print(f"{path} was finished before")
        elif args.merge:
            join_shards(out, settings)
        else:
            label(args, cfg, pairs, shard, out)
        text = write_report(out, pairs, num_samples=args.samples)
        if shard.local == 0:
            print(text)


if __name__ == "__main__":
    run(main)
