r"""Serve a web page that detects: upload, paste or take an image, and type what to find.

Answers follow as the visitor types, because the image is encoded once; the threshold filters
without running the model. The page listens on this computer only (127.0.0.1), has no public
link, reads only what is uploaded, no paths and no URLs, and sends no statistics.

It needs gradio: pip install "glip[web]"

Examples:
    the small model, at http://127.0.0.1:7860:
        glip web
    two models to choose from:
        glip web --weights glip_tiny_a --weights glip_large_model.pth --classes 'bench . car .'
    for other computers of the network; whoever reaches the port can use the page:
        glip web --weights glip_tiny_a --host 0.0.0.0 --port 8000
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from glip.cli.argument_types import positive_int
from glip.cli.common import add_device_option, new_parser, parse_and_run
from glip.web.settings import WebSettings
from glip.weights import SMALL_MODEL

_LOCAL = ("127.0.0.1", "localhost", "::1")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "--weights",
        action="append",
        metavar="W",
        help="checkpoint: a file, a URL, or a name that `glip download` lists; several times for "
        f"models to choose from; default: {SMALL_MODEL}",
    )
    parser.add_argument(
        "--classes", default="", help="class names in the text box at the start: 'bench . car .'"
    )
    parser.add_argument(
        "--host",
        default=WebSettings.host,
        help="address to listen on; default: %(default)s, this computer only",
    )
    parser.add_argument(
        "--port", type=positive_int, default=WebSettings.port, help="default: %(default)s"
    )
    add_device_option(parser)
    parser.add_argument(
        "--max-pixels",
        type=positive_int,
        metavar="N",
        default=WebSettings.max_pixels,
        help="refuse images of more pixels, before they are decoded; default: %(default)s",
    )
    parser.add_argument(
        "--max-bytes",
        type=positive_int,
        metavar="N",
        default=WebSettings.max_bytes,
        help="refuse larger uploads; default: %(default)s",
    )
    parser.add_argument(
        "--max-queue",
        type=positive_int,
        metavar="N",
        default=WebSettings.max_queue,
        help="refuse requests while N others wait; default: %(default)s",
    )


def run(args: argparse.Namespace) -> None:
    """Serve the page until Ctrl-C.

    Raises:
        DependencyError: gradio is not installed.
        ConfigError: an option or the device cannot be used.
        CheckpointError: a checkpoint cannot be read.
        OSError: the port is in use.
    """
    settings = WebSettings(
        weights=tuple(args.weights or [SMALL_MODEL]),
        device=args.device,
        host=args.host,
        port=args.port,
        classes=args.classes,
        max_pixels=args.max_pixels,
        max_bytes=args.max_bytes,
        max_queue=args.max_queue,
    )
    if settings.host not in _LOCAL:
        print(
            f"warning: other computers can reach the page at {settings.host}:{settings.port}, "
            "without a password",
            file=sys.stderr,
        )
    from glip.web.server import serve

    serve(settings)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    return new_parser(__doc__, add_arguments)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and serve; see :func:`run`."""
    parse_and_run(build_parser(), run, argv)
