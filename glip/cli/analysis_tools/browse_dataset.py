r"""Draw samples of a data set as the model gets them: after the pipeline, with the prompt.

The caption is below each image; the phrases with boxes have the colours of these boxes. Of a long
caption only the parts around these phrases are shown. Ignored boxes, crowds for example, are gray.

Training boxes are the model's targets: after GTBoxSubOne their right and bottom edges are the last
pixel inside. Test pipelines keep the boxes in pixels of the original image, for the metrics; here
they are resized with the image.

The samples are evenly spaced over the data set. The options have the names of tools/test.py:
--out-dir is --output-dir of MMDetection's browse_dataset, --wait-time its --show-interval, and a
window opens only with --show.

Examples:
    python tools/analysis_tools/browse_dataset.py CONFIG --out-dir browsed
    python tools/analysis_tools/browse_dataset.py CONFIG --split test --num 5 --show
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from glip.cli.argument_types import positive_int, seconds
from glip.cli.common import (
    add_cfg_options,
    add_config_argument,
    new_parser,
    parse_and_run,
)
from glip.cli.drawing import add_drawing_options, read_style


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_config_argument(parser)
    parser.add_argument(
        "--split",
        choices=("train", "val", "test"),
        default="train",
        help="split of the data; default: %(default)s",
    )
    parser.add_argument(
        "--out-dir",
        type=Path,
        help="folder for the images; default: outputs/browse, or none with --show",
    )
    parser.add_argument("--show", action="store_true", help="show the images in a window")
    parser.add_argument(
        "--wait-time",
        type=seconds,
        default=2,
        help="seconds to show an image; default: %(default)s",
    )
    parser.add_argument(
        "--num", type=positive_int, default=20, help="number of samples; default: %(default)s"
    )
    add_drawing_options(parser, scores=False)
    add_cfg_options(parser)


def run(args: argparse.Namespace) -> None:
    """Draw.

    Raises:
        ConfigError: the config has no such data set, its pipeline does not pack samples, there is
            no display, or the font cannot be used.
        DataError: the annotations are missing or cannot be used.
    """
    import numpy as np
    from PIL import Image

    from glip.analysis.browse import build_dataset, draw_sample, move_boxes_with_images
    from glip.utils.atomic_write import atomic_open, make_writable_folder
    from glip.utils.image_files import safe_file_name
    from glip.visualization import DetLocalVisualizer
    from glip.visualization.local_visualizer import check_display

    style = read_style(args)
    if args.show:
        check_display()
    out_dir = args.out_dir or (None if args.show else Path("outputs/browse"))
    dataset = build_dataset(args.config, args.cfg_options, args.split)
    move_boxes_with_images(dataset)
    count = min(args.num, len(dataset))
    visualizer = DetLocalVisualizer() if args.show else None
    if out_dir is not None:
        make_writable_folder(out_dir)
    for index in np.linspace(0, len(dataset) - 1, count).round().astype(int).tolist():
        packed = dataset[index]
        image = draw_sample(packed, style)
        path = packed["data_samples"].get("img_path") or "image"
        name = safe_file_name(Path(path).stem, "image")
        if out_dir is not None:
            with atomic_open(out_dir / f"{index:06d}_{name}.jpg") as file:
                Image.fromarray(image).save(file, "JPEG", quality=92)
        if visualizer is not None:
            visualizer.show(image, win_name=name, wait_time=args.wait_time)
    print(f"drew {count} of {len(dataset)} samples" + (f" to {out_dir}" if out_dir else ""))


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    return new_parser(__doc__, add_arguments)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and draw; see :func:`run`."""
    parse_and_run(build_parser(), run, argv)
