r"""Detect the objects that a prompt names; save the drawn images and the predictions.

Without --weights the small model glip_nano_shapes is used, which ships with the library and detects
coloured shapes as in demo/shapes.jpg.

Examples:
    the small model:
        glip detect demo/shapes.jpg --texts 'red star . blue circle .'
        glip detect demo/shapes.jpg --caption 'A small green heart and a ring.'
    published weights, downloaded once; a checkpoint in any of the three formats:
        glip detect photo.jpg --weights glip_tiny_a --texts 'bench . car .'
        glip detect photo.jpg --weights glip_large_model.pth --texts 'bench . car .'
    small objects in a large image, by slices of 512 pixels:
        glip detect large.jpg --weights glip_tiny_a --texts 'car .' --slices --slice-size 512
    several images and folders, all class names of a data set:
        glip detect photo.jpg folder/ --weights glip_tiny_a --texts '$: coco'
    a caption; its noun phrases are found automatically:
        glip detect photo.jpg --weights glip_tiny_a --caption 'A temple by a pond.'
    a caption with the character spans of its phrases:
        glip detect photo.jpg --weights glip_tiny_a --caption 'A temple by a pond.' \
            --tokens-positive '[[[2, 8]], [[14, 18]]]'
    config and checkpoint as in MMDetection:
        glip detect photo.jpg CONFIG CHECKPOINT --texts 'bench . car .'
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from glip.cli.argument_types import positive_int, probability
from glip.cli.common import (
    UsageError,
    add_cfg_options,
    add_device_option,
    add_image_limits,
    add_model_options,
    add_speed_options,
    add_tta_option,
    merge_model_options,
    new_parser,
    parse_and_run,
)
from glip.cli.drawing import add_drawing_options, read_style
from glip.cli.exported import check_options, detect_exported
from glip.cli.model_and_prompt import (
    add_prompt_options,
    choose_weights,
    make_model,
    read_prompt_or_classes,
)
from glip.config import demo_file, list_configs
from glip.runtime.manifest import is_exported
from glip.utils.atomic_write import make_writable_folder
from glip.utils.errors import ImageReadError
from glip.utils.messages import shorten

if TYPE_CHECKING:
    from glip.slicing import Slicing

#: Phrases that were not found and are printed for each image.
_MAX_MISSING = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="IMAGE",
        help="image files, URLs, folders of images, or quoted patterns such as 'photos/*.jpg'; "
        "demo/shapes.jpg and demo/demo.jpg ship with the library; CONFIG and CHECKPOINT may follow",
    )
    add_model_options(parser)
    add_prompt_options(parser)
    parser.add_argument(
        "--out-dir", default="outputs", help="folder for the results; default: %(default)s"
    )
    parser.add_argument(
        "--recursive", action="store_true", help="also search the subfolders of a folder"
    )
    add_image_limits(parser)
    add_device_option(parser)
    parser.add_argument(
        "--batch-size",
        type=positive_int,
        help="images per batch, or slices; default: 1 image or 4 slices",
    )
    parser.add_argument(
        "--slices",
        action="store_true",
        help="detect also in slices of each image, to find small objects in large images",
    )
    parser.add_argument(
        "--slice-size",
        metavar="PIXELS",
        type=positive_int,
        help="side of a slice; default: 640",
    )
    parser.add_argument(
        "--overlap", type=float, help="part of a slice that the next one repeats; default: 0.2"
    )
    parser.add_argument(
        "--merge",
        choices=("nms", "nmm"),
        help="how boxes of slices are merged: the best one (nms), or the box around them (nmm); "
        "default: nms",
    )
    add_tta_option(parser)
    add_speed_options(parser)
    parser.add_argument(
        "--score-thr",
        metavar="T",
        type=probability,
        help="save and draw only detections with at least this score; default: the config's "
        "default_score_thr, which is 0.6 for the small model and else 0.3",
    )
    parser.add_argument(
        "--pred-score-thr",
        metavar="T",
        type=probability,
        help="as in MMDetection, draw only detections with at least this score; without "
        "--score-thr, all are saved",
    )
    add_drawing_options(parser)
    parser.add_argument(
        "--save-crops",
        action="store_true",
        help="also save a crop of each detection, as OUT_DIR/crops/PHRASE/IMAGE_K.jpg",
    )
    parser.add_argument("--show", action="store_true", help="show each image in a window")
    parser.add_argument("--no-save-vis", action="store_true", help="do not save drawn images")
    parser.add_argument("--no-save-pred", action="store_true", help="do not save predictions")
    parser.add_argument("--print-result", action="store_true", help="print the predictions")
    add_cfg_options(parser)


def run(args: argparse.Namespace) -> None:
    """Detect.

    Raises:
        UsageError: there is a config without a checkpoint.
        PromptError: the prompt is empty or malformed.
        ConfigError: the config or the device cannot be used.
        CheckpointError: the checkpoint does not fit the config.
        ImageReadError: no image can be read.
    """
    slicing = read_slicing(args)
    if args.tta and args.slices:
        raise UsageError("expected --tta or --slices, got both")
    split_positional_model(args)
    args.inputs = list(map(find_image, args.inputs))
    choose_weights(args)
    exported = is_exported(args.weights)
    if exported:
        check_options(args)
    if args.classes is not None and args.pred_score_thr is not None:
        raise UsageError("--pred-score-thr goes without --classes: all that is found is drawn")
    prompt, classes = read_prompt_or_classes(args)
    names = prompt.names if classes is None else classes.names
    if exported:
        output, drawn_thr = detect_exported(args, prompt)
        print_results(args, output, names, drawn_thr, f"a score of {drawn_thr:g} or more")
        return

    from glip.apis import DetInferencer
    from glip.apis.det_inferencer import list_images
    from glip.apis.results import default_score_thr
    from glip.visualization.local_visualizer import check_display

    style = read_style(args)  # before the model is built, which takes seconds
    if args.show:
        check_display()
    inputs = args.inputs[0]
    if len(args.inputs) > 1:
        inputs = [image for each in args.inputs for image in list_images(each)]
    if not (args.no_save_vis and args.no_save_pred):
        make_writable_folder(args.out_dir)
    model = make_model(args, classes)
    score_thr, drawn_thr = args.score_thr, args.pred_score_thr
    if score_thr is None and drawn_thr is None and classes is None:
        score_thr = default_score_thr(model.cfg)
    if drawn_thr is None:
        drawn_thr = 0.0 if classes is not None else score_thr
    inferencer = DetInferencer(
        model,
        max_pixels=args.max_pixels,
        max_bytes=args.max_bytes,
        style=style,
        classes=classes,
        slicing=slicing,
        tta=args.tta,
    )
    output = inferencer(
        inputs,
        texts=prompt if classes is None else None,
        batch_size=args.batch_size or 1,
        out_dir=args.out_dir,
        score_thr=score_thr,
        pred_score_thr=drawn_thr,
        show=args.show,
        no_save_vis=args.no_save_vis,
        no_save_pred=args.no_save_pred,
        print_result=args.print_result,
        recursive=args.recursive,
        save_crops=args.save_crops,
    )
    limit = f"a score of {drawn_thr:g} or more"
    if classes is not None:
        limit = f"the thresholds of {args.classes}"
    print_results(args, output, names, drawn_thr, limit)


def print_results(
    args: argparse.Namespace, output: dict, names: Sequence[str], threshold: float, limit: str
) -> None:
    """Print what was found; the other arguments are those of :func:`print_counts`.

    Raises:
        ImageReadError: no image can be read.
    """
    results = output["predictions"]
    if all("error" in result for result in results):
        given = shorten(" ".join(args.inputs))
        raise ImageReadError(
            f"none of the {len(results)} images of {given} can be read. The first "
            f"error: {results[0]['error']}"
        )
    print_counts(output, names, threshold, limit)
    if args.save_crops or not (args.no_save_vis and args.no_save_pred):
        print(f"saved to {args.out_dir}")


def read_slicing(args: argparse.Namespace) -> Slicing | None:
    """Return how images are cut into slices, ``None`` without ``--slices``.

    Raises:
        UsageError: an option of slices is given without ``--slices``.
        ConfigError: an option is outside its range.
    """
    given = {
        "size": args.slice_size,
        "overlap": args.overlap,
        "merge": args.merge,
    }
    given = {name: value for name, value in given.items() if value is not None}
    if not args.slices:
        if given:
            raise UsageError("--slice-size, --overlap and --merge go with --slices")
        return None
    from glip.slicing import Slicing

    if args.batch_size is not None:
        given["batch_size"] = args.batch_size
    return Slicing(**given)


def split_positional_model(args: argparse.Namespace) -> None:
    """Split CONFIG and CHECKPOINT off the images: ``IMAGE ... CONFIG CHECKPOINT``.

    They are recognized by the config, or by a checkpoint at the end.

    Args:
        args: changed in place: ``inputs``, ``config`` and ``weights``.

    Raises:
        UsageError: there is a config without a checkpoint, or a checkpoint without a config.
    """
    configs = set(list_configs())
    args.config = args.checkpoint = None
    images = args.inputs
    places = [
        at
        for at, name in enumerate(images)
        if at and (name.endswith(".py") or (name in configs and not Path(name).exists()))
    ]
    if not places and len(images) > 1 and images[-1].endswith((".pth", ".safetensors")):
        if len(images) == 2:
            raise UsageError(f"expected images, got {images[-1]}: pass a checkpoint as --weights W")
        places = [len(images) - 2]
    if places:
        args.inputs, args.config, rest = (
            images[: places[0]],
            images[places[0]],
            images[places[0] + 1 :],
        )
        if len(rest) != 1:
            raise UsageError(f"expected one checkpoint after the config {args.config}")
        args.checkpoint = rest[0]
    merge_model_options(args)


def find_image(path: str) -> str:
    """Return the shipped file for ``demo/NAME`` if the current folder has none, else the path."""
    folder, _, name = path.rpartition("/")
    if folder == "demo" and not os.path.lexists(path) and demo_file(name).is_file():
        return str(demo_file(name))
    return path


def print_counts(output: dict, names: Sequence[str], threshold: float, limit: str) -> None:
    """Print for each image what was found, what was not, and the files of its results.

    Args:
        output: what :class:`glip.apis.DetInferencer` returned.
        names: of the phrases.
        threshold: count detections with at least this score.
        limit: how to say this.
    """
    crops = output.get("crops") or [None] * len(output["images"])
    images = zip(output["images"], output["predictions"], output["files"], crops, strict=True)
    for image, result, files, cropped in images:
        if "error" in result:
            print(f"skipped: {result['error']}")
            continue
        kept = [
            name
            for name, score in zip(result["label_names"], result["scores"], strict=True)
            if score >= threshold
        ]
        counts = {name: kept.count(name) for name in dict.fromkeys(names) if name in kept}
        found = ", ".join(f"{count} x {name}" for name, count in counts.items()) or "nothing"
        line = f"{image}: {found}, with {limit}"
        if len(result["scores"]) > len(kept):
            line += f" (of {len(result['scores'])} detections)"
        if slices := result.get("slices"):
            line += f"; {slices['count']} slices added {slices['added']} of them"
        if missing := describe_missing(result, set(kept)):
            line += f"; not found: {missing}"
        if cropped is not None:
            line += f"; {len(cropped.files)} crops"
            if cropped.num_empty:
                line += f" ({cropped.num_empty} boxes without a pixel in the image have none)"
        print("; in ".join([line, " and ".join(map(str, files))]) if files else line)


def describe_missing(result: dict, found: Collection[str]) -> str:
    """Return the phrases that were not found with their best scores, the best ones first.

    Args:
        result: the predictions of an image.
        found: the names of the phrases that were found.
    """
    best: dict[str, float] = {}
    for name, score in zip(result["phrases"], result["presence"], strict=True):
        if name not in found:
            best[name] = max(score, best.get(name, 0.0))
    ranked = sorted(best, key=lambda name: -best[name])
    # Rounded down: 0.299 is not 0.30, which would have been found.
    shown = [f"{name} (best {int(best[name] * 100) / 100:.2f})" for name in ranked[:_MAX_MISSING]]
    more = len(ranked) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    return new_parser(__doc__, add_arguments)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and detect; see :func:`run`."""
    parse_and_run(build_parser(), run, argv)
