"""What the command lines of the converters share."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from glip.converters.detection import Layout, convert_detection
from glip.converters.excluded_images import ExcludedImages
from glip.converters.grounding import convert_grounding
from glip.converters.image_files import ImageFolder


def converter_parser(description: str | None, ann_file: str | None) -> argparse.ArgumentParser:
    """Return the parser of a converter: from where, where to, whether to overwrite.

    Args:
        description: the docstring of the tool.
        ann_file: what the annotation file is; None for a tool that has other inputs.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    if ann_file is not None:
        parser.add_argument("ann_file", type=Path, help=ann_file)
    parser.add_argument("out", type=Path, help="file of lines to write (.jsonl)")
    parser.add_argument("--overwrite", action="store_true", help="write over files of a former run")
    return parser


def add_image_options(parser: argparse.ArgumentParser, *, coco: bool = True) -> None:
    """Add where the images are and which to leave out.

    Args:
        parser: of the command line.
        coco: whether images of COCO may be among them.
    """
    parser.add_argument(
        "--img-root",
        type=Path,
        help="folder of the images: leaves out those that are not there, and gives sizes that the "
        "annotations lack",
    )
    parser.add_argument(
        "--exclude-images",
        type=Path,
        nargs="+",
        default=(),
        metavar="FILE",
        help="leave out the images that these name: annotation files in COCO's or MDETR's format "
        "(.json), or texts with a file name or an id of COCO's a line",
    )
    if coco:
        parser.add_argument(
            "--exclude-coco", action="store_true", help="leave out every image of COCO"
        )


def image_options(args: argparse.Namespace, missing: Collection[str] = ()) -> dict:
    """Return what :func:`add_image_options` read, as keyword arguments of a conversion.

    Args:
        args: of the command line.
        missing: file names of images that the data set annotates and does not have.

    Raises:
        DataError: the folder is not there.
        AnnotationFileError: a list of images cannot be used.
    """
    all_coco = getattr(args, "exclude_coco", False)
    return dict(
        folder=ImageFolder(args.img_root),
        left_out=ExcludedImages(args.exclude_images, all_coco=all_coco, missing=missing),
    )


def convert_detection_and_show(
    args: argparse.Namespace, layout: Layout, missing: Collection[str] = ()
) -> None:
    """Convert detection data in COCO's format as a command line says, and print the counts.

    Args:
        args: of the command line.
        layout: what is special about the data set.
        missing: file names of images that the data set annotates and does not have.
    """
    options = image_options(args, missing)
    report = convert_detection(
        args.ann_file, args.out, layout=layout, overwrite=args.overwrite, **options
    )
    report.show(args.out)


def convert_grounding_and_show(
    args: argparse.Namespace,
    *,
    whole_caption: bool,
    name_of: Callable[[dict[str, Any]], str | None] | None = None,
) -> None:
    """Convert captions in MDETR's format as a command line says, and print the counts.

    Args:
        args: of the command line.
        whole_caption: take the whole caption as its one phrase.
        name_of: what the file of an image is called, if not by ``file_name``.
    """
    report = convert_grounding(
        args.ann_file,
        args.out,
        whole_caption=whole_caption,
        name_of=name_of,
        overwrite=args.overwrite,
        **image_options(args),
    )
    report.show(args.out)
