"""Options of the commands that draw boxes."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from glip.cli.argument_types import positive_int

if TYPE_CHECKING:
    from glip.visualization import DrawStyle


def add_drawing_options(parser: argparse.ArgumentParser, *, scores: bool = True) -> None:
    """Add ``--thickness``, ``--font-size``, ``--font``, ``--hide-labels`` and ``--hide-scores``.

    Args:
        parser: of the command.
        scores: whether the command draws scores, which can be hidden.
    """
    parser.add_argument(
        "--thickness",
        type=positive_int,
        metavar="PIXELS",
        help="line width of the drawn boxes; default: it scales with the image",
    )
    parser.add_argument(
        "--font-size",
        type=positive_int,
        metavar="PIXELS",
        help="size of the drawn labels; default: it scales with the image",
    )
    parser.add_argument(
        "--font", help="font file of the labels; default: one that is installed and has them"
    )
    parser.add_argument("--hide-labels", action="store_true", help="draw boxes without names")
    if scores:
        parser.add_argument("--hide-scores", action="store_true", help="draw boxes without scores")
    else:
        parser.set_defaults(hide_scores=False)


def read_style(args: argparse.Namespace) -> DrawStyle:
    """Return how to draw.

    Raises:
        ConfigError: a size is too large, or the font is no font file.
    """
    from glip.visualization.style import DrawStyle

    return DrawStyle(
        line_width=args.thickness,
        font_size=args.font_size,
        font=args.font,
        hide_labels=args.hide_labels,
        hide_scores=args.hide_scores,
    )
