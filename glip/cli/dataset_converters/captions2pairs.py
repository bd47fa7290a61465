r"""Collect images with captions (CC3M, CC12M, SBU, ...) for pseudo-labeling.

OUT gets JSON lines for tools/pseudo_label.py: filename (below --img-root), height and width in
pixels, caption. Images that are missing or damaged are excluded and counted; --decode also finds
truncated ones.

Sources:
- .tsv: caption, tab, file or URL; the last part of a URL is the file name. A third column, if there
  is one, is the file name. (SBU has two files: paste captions.txt urls.txt > sbu.tsv)
- .jsonl: JSON lines with the keys of --caption-key and --file-key.
- .tar: webdataset shards with members key.jpg and key.txt or key.json. The images of a.tar are
  unpacked to a/ below --img-root. (tools/pseudo_label.py also reads a shard directly.)

Examples:
    python tools/dataset_converters/captions2pairs.py Train_GCC-training.tsv \
        --out data/cc3m/pairs.jsonl --img-root data/cc3m/images
    python tools/dataset_converters/captions2pairs.py shards/*.tar \
        --out data/cc12m/pairs.jsonl --img-root data/cc12m/images
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from glip.cli.common import new_parser, parse_and_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("sources", type=Path, nargs="+", help=".tsv, .jsonl or .tar files")
    parser.add_argument("--out", type=Path, required=True, help="file to write: .jsonl")
    parser.add_argument("--img-root", type=Path, required=True, help="folder of the images")
    parser.add_argument(
        "--caption-key", default="caption", help="JSON key of the caption; default: %(default)s"
    )
    parser.add_argument(
        "--file-key", default="filename", help="JSON key of the file name; default: %(default)s"
    )
    parser.add_argument("--decode", action="store_true", help="decode every image; slow")
    parser.add_argument("--overwrite", action="store_true", help="overwrite an existing file")


def run(args: argparse.Namespace) -> None:
    """Collect.

    Raises:
        DataError: a source cannot be used, or the output exists.
    """
    from glip.converters.captions import convert_captions

    report = convert_captions(
        args.sources,
        args.out,
        img_root=args.img_root,
        caption_key=args.caption_key,
        file_key=args.file_key,
        decode=args.decode,
        overwrite=args.overwrite,
    )
    report.show(args.out)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    return new_parser(__doc__, add_arguments)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and collect; see :func:`run`."""
    parse_and_run(build_parser(), run, argv)
