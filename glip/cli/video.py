r"""Detect in a video the objects that a prompt names; save it with the detections drawn.

SOURCE is a video file, a folder of images in the order of their names, the index of a webcam (0 for
the first one), or an RTSP or HTTP URL. The output is H.264 in MP4, which browsers play, with the
audio of the source. --json writes a line of JSON for each frame.

--every K detects in every K-th frame only and tracks the objects between these keyframes, which is
about K times as fast. With --track objects get ids also without --every.

A run that was killed resumes when the same command is started again. A webcam or stream is recorded
until Ctrl-C, or until it ends.

Examples:
    the small model, on a video of shapes:
        glip video demo/shapes.mp4 --texts 'green cross . yellow star .' --out out.mp4
    published weights, a detection in every fifth frame, and JSON lines:
        glip video street.mp4 --weights glip_tiny_a --texts 'car . person .' --every 5 \
            --out out.mp4 --json out.jsonl
    a part of a video, JSON lines only:
        glip video street.mp4 --weights glip_tiny_a --texts 'car .' --start 60 --end 90 \
            --json out.jsonl
    a webcam:
        glip video 0 --weights glip_tiny_a --texts 'cup . hand .' --out out.mp4
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from glip.cli.argument_types import positive_int, probability, seconds
from glip.cli.common import (
    UsageError,
    add_cfg_options,
    add_device_option,
    add_model_options,
    add_speed_options,
    new_parser,
    parse_and_run,
)
from glip.cli.detect import find_image
from glip.cli.drawing import add_drawing_options, read_style
from glip.cli.model_and_prompt import (
    add_prompt_options,
    choose_weights,
    make_model,
    read_prompt_or_classes,
)

if TYPE_CHECKING:
    from glip.apis.video_run import VideoSummary


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="video file, folder of images, index of a webcam, or URL",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="video to write, NAME.mp4")
    parser.add_argument("--json", type=Path, metavar="FILE", help="JSON lines to write")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace outputs, and the parts of another run"
    )
    add_model_options(parser)
    add_prompt_options(parser)
    parser.add_argument(
        "--every",
        type=positive_int,
        metavar="K",
        default=1,
        help="detect in every K-th frame and track objects between; default: %(default)s",
    )
    parser.add_argument(
        "--track", action="store_true", help="give objects ids, also with --every 1"
    )
    parser.add_argument(
        "--max-lost",
        type=seconds,
        default=1.0,
        metavar="SECONDS",
        help="time that an object keeps its id while it is not detected, at least three "
        "keyframes; default: %(default)s",
    )
    parser.add_argument(
        "--score-thr",
        metavar="T",
        type=probability,
        help="smallest score; default: the config's default_score_thr, which is 0.6 for the small "
        "model and else 0.3",
    )
    parser.add_argument(
        "--start", type=seconds, default=0.0, metavar="S", help="begin at this second"
    )
    parser.add_argument("--end", type=seconds, metavar="S", help="stop before this second")
    parser.add_argument(
        "--fps",
        type=positive_int,
        default=25,
        help="frames per second of a folder of images; default: %(default)s",
    )
    parser.add_argument(
        "--max-pixels",
        type=positive_int,
        metavar="N",
        help="refuse frames of more pixels, before they are decoded; default: about 179 million",
    )
    add_device_option(parser)
    parser.add_argument(
        "--batch-size",
        type=positive_int,
        default=1,
        help="frames that are detected at once; default: %(default)s",
    )
    add_speed_options(parser)
    add_drawing_options(parser)
    parser.add_argument("--quiet", action="store_true", help="show no progress bar")
    add_cfg_options(parser)


def run(args: argparse.Namespace) -> None:
    """Detect.

    Raises:
        UsageError: the arguments do not fit together.
        PromptError: the prompt is empty or malformed.
        ConfigError: the config or the device cannot be used.
        CheckpointError: the checkpoint does not fit the config.
        VideoError: the source cannot be read, or an output exists.
        DependencyError: PyAV or trackers is not installed.
    """
    check_outputs(args)
    args.source = find_image(args.source)
    args.config = args.config_option
    choose_weights(args)
    prompt, classes = read_prompt_or_classes(args)

    from glip.apis.streaming import StreamOptions, VideoDetector
    from glip.apis.video_run import VideoRun, run_video
    from glip.video.decoding import import_av
    from glip.video.frames import open_source
    from glip.video.parts import VideoOutputs
    from glip.video.tracking import check_trackers

    options = StreamOptions(args.every, args.batch_size, args.track, args.max_lost)
    # Before the model is built, which takes seconds.
    if args.out is not None:
        import_av()
    if options.has_ids:
        check_trackers()
    style = read_style(args)
    source = open_source(args.source, fps=args.fps, max_pixels=args.max_pixels)
    detector = VideoDetector(
        make_model(args, classes),
        prompt if classes is None else None,
        classes=classes,
        score_thr=args.score_thr,
    )
    summary = run_video(
        VideoRun(
            source,
            detector,
            options,
            VideoOutputs(args.out, args.json, args.overwrite),
            start=args.start,
            end=args.end,
            style=style,
            show_progress=not args.quiet,
        )
    )
    print(describe(summary, args))


def check_outputs(args: argparse.Namespace) -> None:
    """Check the names of the files to write.

    Raises:
        UsageError: there is none, or one is the source or no MP4 file.
    """
    if args.out is None and args.json is None:
        raise UsageError("expected --out VIDEO.mp4 or --json FILE, or both")
    if args.out is not None and args.out.suffix.lower() != ".mp4":
        raise UsageError(f"expected --out NAME.mp4, got {args.out}")
    outputs = [os.path.realpath(path) for path in (args.out, args.json) if path is not None]
    if len({os.path.realpath(args.source), *outputs}) <= len(outputs):
        raise UsageError("expected SOURCE, --out and --json to be different files")
    if args.end is not None and args.end <= args.start:
        raise UsageError(f"expected --end after --start {args.start:g}, got {args.end:g}")


def describe(summary: VideoSummary, args: argparse.Namespace) -> str:
    """Return what was found, as a text."""
    if summary.num_broken:
        print(f"warning: {summary.num_broken} broken frames", file=sys.stderr)
    found = (
        ", ".join(f"{count} x {name}" for name, count in (summary.objects or {}).items())
        if summary.objects is not None
        else ", ".join(f"{name} in {count}" for name, count in summary.frames.items())
    )
    files = " and ".join(str(path) for path in (args.out, args.json) if path is not None)
    if summary.num_dropped:
        print(
            f"warning: {summary.num_dropped} frames dropped, which came faster than they were "
            "detected in",
            file=sys.stderr,
        )
    resumed = f" ({summary.num_resumed} of a run before)" if summary.num_resumed else ""
    return f"{summary.num_frames} frames{resumed}: {found or 'nothing'}; in {files}"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    return new_parser(__doc__, add_arguments)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and detect; see :func:`run`."""
    parse_and_run(build_parser(), run, argv)
