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
import json
import os
import re
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from glip.cli.argument_types import chunk_size, positive_int, probability
from glip.cli.common import (
    UsageError,
    add_cfg_options,
    add_device_option,
    add_font_option,
    add_image_limits,
    add_model_options,
    add_speed_options,
    merge_model_options,
    new_parser,
    parse_and_run,
)
from glip.config import demo_file, find_weights, list_configs
from glip.text.noun_phrases import NP_EXTRACTORS
from glip.utils.errors import ImageReadError, PromptError
from glip.utils.messages import shorten
from glip.weights import SMALL_MODEL

if TYPE_CHECKING:
    from glip.slicing import Slicing
    from glip.text import Prompt

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
    prompt = parser.add_mutually_exclusive_group(required=True)
    prompt.add_argument(
        "--texts",
        nargs="+",
        help="class names: 'bench . car .', or several names, or '$: coco', '$: lvis'",
    )
    prompt.add_argument("--caption", help="caption to ground")
    prompt.add_argument(
        "--classes",
        metavar="FILE",
        help="class file with prompts and thresholds of classes, also a calibrated one",
    )
    parser.add_argument(
        "--tokens-positive",
        help="with --caption: the character spans of each phrase, '[[[start, end], ...], ...]'; "
        "-1 for the whole caption as one phrase",
    )
    parser.add_argument(
        "--np-extractor",
        choices=NP_EXTRACTORS,
        default="rules",
        help="with --caption: method that finds the noun phrases; default: %(default)s",
    )
    parser.add_argument(
        "--chunked-size",
        type=chunk_size,
        default=-1,
        help="class names per forward pass of the text; default: as many as fit",
    )
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
    add_font_option(parser)
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
    split_positional_model(args)
    args.inputs = list(map(find_image, args.inputs))
    if args.config is None and args.weights is None:
        args.weights = SMALL_MODEL
    elif args.weights is None and find_weights(args.config) is None:
        raise UsageError(f"expected a checkpoint for the config {args.config}: --weights W")
    classes = None
    if args.classes is not None:
        if args.pred_score_thr is not None:
            raise UsageError("--pred-score-thr goes without --classes: all that is found is drawn")
        from glip.classes import load_classes

        classes = load_classes(args.classes)
        prompt = classes.prompt()
        names = classes.names
    else:
        prompt = read_prompt(args)
        names = prompt.names
    if args.weights == SMALL_MODEL:
        warn_of_unknown_words(prompt)

    from glip.apis import DetInferencer
    from glip.apis.build import make_detector
    from glip.apis.class_detection import with_class_limit
    from glip.apis.det_inferencer import list_images
    from glip.apis.results import default_score_thr
    from glip.models.compile import compile_model
    from glip.visualization.fonts import check_font
    from glip.visualization.local_visualizer import check_display

    options = dict(args.cfg_options or {})
    if args.chunked_size > 0:
        options["model.test_cfg.chunked_size"] = args.chunked_size
    if args.amp:
        options["model.test_cfg.amp"] = args.amp
    if classes is not None:
        options = with_class_limit(options)
    font = check_font(args.font)  # before the model is built, which takes seconds
    if args.show:
        check_display()
    inputs = args.inputs[0]
    if len(args.inputs) > 1:
        inputs = [image for each in args.inputs for image in list_images(each)]
    model = make_detector(args.config, args.weights, args.device, options)
    score_thr, drawn_thr = args.score_thr, args.pred_score_thr
    if score_thr is None and drawn_thr is None and classes is None:
        score_thr = default_score_thr(model.cfg)
    if drawn_thr is None:
        drawn_thr = 0.0 if classes is not None else score_thr
    if args.compile:
        compile_model(model)
    inferencer = DetInferencer(
        model,
        max_pixels=args.max_pixels,
        max_bytes=args.max_bytes,
        font=font,
        classes=classes,
        slicing=slicing,
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
    )
    results = output["predictions"]
    if all("error" in result for result in results):
        given = shorten(" ".join(args.inputs))
        raise ImageReadError(
            f"none of the {len(results)} images of {given} can be read. The first "
            f"error: {results[0]['error']}"
        )
    limit = f"a score of {drawn_thr:g} or more"
    if classes is not None:
        limit = f"the thresholds of {args.classes}"
    print_counts(output, names, drawn_thr, limit)
    if not (args.no_save_vis and args.no_save_pred):
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


def read_prompt(args: argparse.Namespace) -> Prompt:
    """Parse the prompt of the command line.

    Raises:
        PromptError: the prompt is empty or malformed.
    """
    from glip.text import Prompt, parse_prompt
    from glip.text.parse import is_class_text
    from glip.text.vocabulary import parse_vocabulary_shorthand

    if args.texts:
        if args.tokens_positive is not None:
            raise PromptError("--tokens-positive goes with --caption, not with --texts")
        names = args.texts[0] if len(args.texts) == 1 else args.texts
        if not isinstance(names, str) and any(map(is_class_text, names)):
            raise PromptError(
                "expected --texts as several names, or as one text of names, got "
                f"{len(names)} texts with ' . ' in them: {shorten(names)}; write one, "
                f"{shorten(' . '.join(names))}"
            )
        return parse_prompt(names, custom_entities=True, warn=False)  # DetInferencer warns
    if parse_vocabulary_shorthand(args.caption) is not None:
        raise PromptError(f"{shorten(args.caption)} goes with --texts, not with --caption")
    if args.tokens_positive is not None:
        try:
            spans = json.loads(args.tokens_positive)
        except (ValueError, RecursionError):  # no JSON, a number or nesting that is too long
            spans = None
        if spans is None:
            raise PromptError(
                "expected --tokens-positive as '[[[start, end], ...], ...]' or -1, got "
                f"{shorten(args.tokens_positive)}"
            )
        return parse_prompt(args.caption, tokens_positive=spans)
    return Prompt.from_caption(args.caption, np_extractor=args.np_extractor)


def warn_of_unknown_words(prompt: Prompt) -> None:
    """Say which words of a prompt the small model was not trained on; it answers all the same."""
    from glip.testing.shapes import all_words

    known = set(all_words())
    words = re.findall(r"\w+", " ".join(prompt.names).lower())
    unknown = [word for word in dict.fromkeys(words) if word not in known]
    if unknown:
        print(
            f"warning: {SMALL_MODEL} detects coloured shapes only and does not know "
            f"{shorten(' '.join(unknown))}; for other objects pass --weights, for example "
            "--weights glip_tiny_a (downloaded once)",
            file=sys.stderr,
        )


def print_counts(output: dict, names: Sequence[str], threshold: float, limit: str) -> None:
    """Print for each image what was found, what was not, and the files of its results.

    Args:
        output: what :class:`glip.apis.DetInferencer` returned.
        names: of the phrases.
        threshold: count detections with at least this score.
        limit: how to say this.
    """
    images = zip(output["images"], output["predictions"], output["files"], strict=True)
    for image, result, files in images:
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
