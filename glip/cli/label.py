r"""Label a folder of images with classes, and write the labels in formats of annotation tools.

IMAGES is a folder, a quoted pattern such as 'photos/*.jpg', a file of JSON lines with "filename",
or a .tar (or a pattern of them). CLASSES is a class file (.yaml, .json, .txt: docs/label.md), or
names: 'bench . car .', '$: coco'. OUT is a folder, or NAME.json for the COCO file with the rest
beside it.

OUT gets detections.jsonl, of which the formats are made, the counts of report.txt, and the page
review.html for corrections, which any browser opens from the disk. A run that was killed resumes
when the same command is started again; its output is byte-identical to that of an uninterrupted
run. The same command with another --format writes that format without detecting again.

With --captions the noun phrases of captions are labeled instead, and OUT is the file of the ODVG
records: docs/self_training.md.

Examples:
    glip label photos classes.yaml --out labels --preview 20
    glip label photos classes.yaml --out labels --format yolo coco
    glip label photos classes.yaml --out labels --format yolo coco --apply-review corrected.json
    glip label photos 'bench . car .' --out labels.json --weights glip_tiny_a
    glip label photos --captions pairs.jsonl --out labels.jsonl --weights glip_tiny
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from glip.cli.argument_types import non_negative_int, preview_size
from glip.cli.common import UsageError, add_model_options, new_parser, parse_and_run
from glip.cli.detect import find_image
from glip.cli.pseudo_label import (
    DEFAULT_SCORE_THR,
    add_caption_options,
    add_run_options,
    check_np_extractor,
    find_device,
    find_part,
    label_captions,
    parse_score,
    prepare_ray,
)
from glip.labeling.shards import Shard
from glip.utils.image_files import ImageLimits
from glip.utils.options import check_int, check_mapping
from glip.weights import SMALL_MODEL

if TYPE_CHECKING:
    from mmengine.config import Config

#: The keys of ``glip.labeling.formats.export.FORMATS``, which imports numpy and more.
FORMATS = ("coco", "yolo", "voc", "labelme", "labelstudio", "cvat", "fiftyone", "odvg")

#: Label Studio's URL of local files.
_IMAGE_PREFIX = "/data/local-files/?d="
#: Options that have an effect on captions alone, and on classes alone.
_ONLY_CAPTIONS = ("max_boxes_per_phrase", "keep_empty", "np_extractor", "samples")
_ONLY_CLASSES = (
    "format",
    "preview",
    "review",
    "apply_review",
    "overwrite",
    "recursive",
    "image_prefix",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "images", nargs="?", metavar="IMAGES", help="the images; with --captions their folder"
    )
    parser.add_argument(
        "classes", nargs="?", metavar="CLASSES", help="class file, or names 'bench . car .'"
    )
    parser.add_argument("--out", required=True, help="folder to write, or NAME.json")
    parser.add_argument(
        "--format",
        nargs="+",
        choices=FORMATS,
        default=["coco"],
        help="formats to write; default: coco",
    )
    add_model_options(parser)
    parser.add_argument(
        "--score-thr",
        type=parse_score,
        help="smallest score of classes without a threshold; default: that of the class file, "
        "else that of the model, with --captions 0.5",
    )
    parser.add_argument(
        "--preview",
        type=preview_size,
        metavar="N",
        help="label a sample of N images, write OUT/preview.html with counts and histograms, stop",
    )
    parser.add_argument(
        "--review",
        type=non_negative_int,
        metavar="N",
        default=2000,
        help="images of the review page, the most doubtful ones, 0 for no page; default: "
        "%(default)s",
    )
    parser.add_argument(
        "--apply-review",
        nargs="+",
        metavar="CORRECTED.json",
        help="write the formats of a finished run with the corrections that its review page "
        "downloaded, to OUT/reviewed",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace the output of another run"
    )
    parser.add_argument(
        "--recursive", action="store_true", help="also search the subfolders of a folder"
    )
    parser.add_argument(
        "--image-prefix",
        default=_IMAGE_PREFIX,
        metavar="URL",
        help="with --format labelstudio: what comes before the file names; default: %(default)s",
    )
    add_run_options(parser)
    captions = parser.add_argument_group("with --captions")
    captions.add_argument(
        "--captions",
        metavar="PAIRS",
        help="images with captions: JSON lines, or a .tar that holds the images; also a URL",
    )
    add_caption_options(captions)


def run(args: argparse.Namespace) -> None:
    """Label.

    Raises:
        UsageError: the arguments do not fit together.
        ClassFileError: the classes are invalid, or a phrase cannot be tokenized.
        ConfigError: the config or the device cannot be used.
        CheckpointError: the checkpoint does not fit the config.
        DataError: there are no images, or a format cannot hold the names.
        LabelingMismatchError: the files at OUT are of another run.
    """
    args.config = args.config_option
    if args.images is not None:
        args.images = find_image(args.images)
    prepare_ray(args, "images", "captions", "out")
    if args.captions is not None:
        _run_captions(args)
        return
    if args.apply_review and (
        args.preview or args.merge or args.shard is not None or args.launcher != "none"
    ):
        raise UsageError("--apply-review goes without --preview, --shard, --merge and --launcher")
    if args.images is None or args.classes is None:
        raise UsageError("expected IMAGES and CLASSES, or --captions PAIRS")
    if args.image_prefix != _IMAGE_PREFIX and "labelstudio" not in args.format:
        raise UsageError("--image-prefix goes with --format labelstudio")
    _check_not_given(args, _ONLY_CAPTIONS, "--{} goes with --captions")
    is_file = args.out.lower().endswith(".json")
    if is_file and args.format != ["coco"]:
        raise UsageError(f"{args.out} is one COCO file: give a folder for the other formats")

    from glip.classes import load_classes

    classes = load_classes(args.classes).with_default_threshold(args.score_thr)

    from glip.apis.pipelines import set_image_limits
    from glip.labeling.digests import digest_checkpoint, digest_config
    from glip.labeling.files import OutputFiles
    from glip.labeling.image_list import ImageList

    images = ImageList(args.images, args.recursive)
    images.limits = ImageLimits(args.max_pixels, args.max_bytes)
    if images.root is not None and not is_file and _same(images.root, args.out):
        raise UsageError(f"--out {args.out} is the folder of the images: choose another")
    cfg = _load_model_config(args, labels_classes=True)
    set_image_limits(cfg, images.limits)

    from glip.labeling.folder import FolderRun, apply_reviews, label_folder
    from glip.labeling.preview import write_preview

    folder_run = FolderRun(
        images,
        classes,
        OutputFiles.at(args.out, args.overwrite),
        cfg,
        args.checkpoint,
        dict(config=digest_config(cfg), checkpoint=digest_checkpoint(args.checkpoint)),
        formats=tuple(dict.fromkeys(args.format)),
        batch_size=args.batch_size,
        num_workers=args.num_workers,
        num_reviewed=args.review,
        image_prefix=args.image_prefix,
    )
    if args.apply_review:
        print(apply_reviews(folder_run, args.apply_review))
        return
    part = find_part(args)
    device = args.device or find_device(part or Shard())
    if args.preview:
        print(write_preview(folder_run, args.preview, device))
        return
    merge = args.merge
    if args.ray is not None:
        from glip.labeling.ray_run import label_with_ray

        label_with_ray(
            folder_run, address=args.ray, num_workers=args.ray_workers, device=args.device
        )
        merge = True
    print(label_folder(folder_run, device=device, part=part, merge=merge))


def _run_captions(args: argparse.Namespace) -> None:
    """Label captions, as ``tools/pseudo_label.py`` does."""
    if args.classes is not None:
        raise UsageError("--captions goes without CLASSES")
    _check_not_given(args, _ONLY_CLASSES, "--captions goes without --{}")
    check_np_extractor(args.np_extractor)
    args.pairs, args.out = args.captions, Path(args.out)
    if args.score_thr is None:
        args.score_thr = DEFAULT_SCORE_THR
    label_captions(args, _load_model_config(args, labels_classes=False))


def _check_not_given(args: argparse.Namespace, options: Sequence[str], message: str) -> None:
    """Check that options which would have no effect are not given.

    Raises:
        UsageError: one is; ``message`` with its name.
    """
    parser = build_parser()
    for name in options:
        if getattr(args, name) != parser.get_default(name):
            raise UsageError(message.format(name.replace("_", "-")))


def _load_model_config(args: argparse.Namespace, *, labels_classes: bool) -> Config:
    """Return the config of the model, and set ``args.checkpoint`` to the file of its weights."""
    from glip.apis.build import config_of_weights, load_config
    from glip.config import find_weights
    from glip.weights import find_weights_file

    weights = args.weights
    if weights is None:
        weights = SMALL_MODEL if args.config is None else find_weights(args.config)
    if weights is None:
        raise UsageError(f"expected a checkpoint for the config {args.config}: --weights W")
    args.checkpoint = os.path.abspath(find_weights_file(weights))
    options = dict(args.cfg_options or {})
    if args.config is None:
        cfg = config_of_weights(weights, options)
        args.config = cfg.filename
    else:
        cfg = load_config(args.config, options)
    limit = "model.test_cfg.max_per_img"
    if labels_classes and limit not in options:
        from glip.apis.class_detection import MAX_PER_IMG

        model = check_mapping("model", cfg.get("model"))
        test_cfg = check_mapping("model.test_cfg", model.get("test_cfg"), none=True) or {}
        own = check_int(limit, test_cfg.get("max_per_img", 1), low=1)
        cfg.merge_from_dict({limit: max(own, MAX_PER_IMG)})
    return cfg


def _same(one: Path, other: str) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    return new_parser(__doc__, add_arguments)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and label; see :func:`run`."""
    parse_and_run(build_parser(), run, argv)
