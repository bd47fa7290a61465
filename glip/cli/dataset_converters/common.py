"""Options that the converters to ODVG share."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from glip.converters.conversion import Conversion


def add_converter_arguments(
    parser: argparse.ArgumentParser, ann_file: str, *, coco: bool = True
) -> None:
    """Add the arguments that :func:`open_conversion` reads.

    Args:
        parser: parser of the command.
        ann_file: describes the annotation file.
        coco: whether the data set may contain images of COCO.
    """
    parser.add_argument("ann_file", type=Path, help=ann_file)
    parser.add_argument("out", type=Path, help="ODVG file to write (.jsonl)")
    parser.add_argument("--overwrite", action="store_true", help="overwrite existing files")
    parser.add_argument(
        "--img-root",
        type=Path,
        help="folder of the images: excludes images whose file is missing, and gives the sizes "
        "that the annotations lack",
    )
    parser.add_argument(
        "--exclude-images",
        type=Path,
        nargs="+",
        default=(),
        metavar="FILE",
        help="exclude the images that these files name: annotation files in COCO's or MDETR's "
        "format (.json), or text files with a file name or a COCO id per line",
    )
    if coco:
        parser.add_argument(
            "--exclude-coco", action="store_true", help="exclude every image of COCO"
        )


@contextmanager
def open_conversion(
    args: argparse.Namespace, missing: Collection[str] = ()
) -> Iterator[Conversion]:
    """Open the conversion that a command line describes; print its counts at the end.

    Args:
        args: parsed arguments of :func:`add_converter_arguments`.
        missing: file names of images that the data set annotates but does not contain.

    Raises:
        DataError: the image folder does not exist, or the output exists.
        AnnotationFileError: a list of images cannot be used.
    """
    from glip.converters.conversion import Conversion
    from glip.converters.excluded_images import ExcludedImages
    from glip.converters.image_files import ImageFolder

    folder = ImageFolder(args.img_root)
    excluded = ExcludedImages(
        args.exclude_images, all_coco=getattr(args, "exclude_coco", False), missing=missing
    )
    with Conversion(
        args.out, folder=folder, excluded=excluded, overwrite=args.overwrite
    ) as conversion:
        yield conversion
    conversion.report.show(args.out)
