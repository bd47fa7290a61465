r"""Gather images with captions (CC3M, CC12M, SBU, ...) for a teacher model to label.

OUT gets a JSON object a line for tools/pseudo_label.py: filename (below --img-root), height and
width in pixels, caption. Images that are missing or broken are left out and counted; --decode also
finds those that are cut off.

Sources are
- .tsv: caption, tab, file or URL; of a URL the last part is the file. A third column, if there is
  one, names the file. (SBU has two files: paste captions.txt urls.txt > sbu.tsv)
- .jsonl: a JSON object a line, with the keys of --caption-key and --file-key.
- .tar: shards in webdataset's style, members key.jpg and key.txt or key.json. The images of a.tar
  are unpacked to a/ below --img-root. (tools/pseudo_label.py also reads a shard as it is.)

Examples:
    python tools/dataset_converters/captions2pairs.py Train_GCC-training.tsv \
        --out data/cc3m/pairs.jsonl --img-root data/cc3m/images
    python tools/dataset_converters/captions2pairs.py shards/*.tar \
        --out data/cc12m/pairs.jsonl --img-root data/cc12m/images
"""

from __future__ import annotations

import argparse
from pathlib import Path

from glip.cli.common import run
from glip.converters.captions import convert_captions


def main(argv: list[str] | None = None) -> None:
    """Gather; see the module's docstring."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sources", type=Path, nargs="+", help=".tsv, .jsonl or .tar files")
    parser.add_argument("--out", type=Path, required=True, help="file of pairs to write (.jsonl)")
    parser.add_argument("--img-root", type=Path, required=True, help="folder of the images")
    parser.add_argument("--caption-key", default="caption", help="in JSON; default: %(default)s")
    parser.add_argument("--file-key", default="filename", help="in JSON; default: %(default)s")
    parser.add_argument("--decode", action="store_true", help="decode every image; slow")
    parser.add_argument("--overwrite", action="store_true", help="write over a former run's file")
    args = parser.parse_args(argv)
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


if __name__ == "__main__":
    run(main)
