"""The command ``glip``, also ``python -m glip``: its sub-commands are the modules of ``glip.cli``.

A sub-command's module is imported when the command runs, so ``glip --help`` imports none of them.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from glip.cli.common import run_main
from glip.utils.messages import suggest
from glip.version import __version__

#: Sub-command -> its module, and what it does.
COMMANDS = {
    "detect": ("glip.cli.detect", "detect in images the objects that a prompt names"),
    "web": ("glip.cli.web", "serve a web page that detects"),
    "video": ("glip.cli.video", "detect in a video or webcam, and track objects"),
    "label": ("glip.cli.label", "label a folder, for annotation tools and for training"),
    "calibrate": (
        "glip.cli.calibrate",
        "choose thresholds of classes, and probabilities, on labelled images",
    ),
    "test": ("glip.cli.test", "evaluate a model on your own data, COCO, LVIS, ..."),
    "train": ("glip.cli.train", "fine-tune a model on your own data, or train by a config"),
    "check": ("glip.cli.check", "check annotation files, and repair them"),
    "convert": (
        "glip.cli.model_converters.convert_glip",
        "convert a checkpoint between microsoft/GLIP, MMDetection and this library",
    ),
    "export": ("glip.cli.export", "export a model to ONNX, to detect without torch"),
    "download": ("glip.cli.download", "download published weights, or list them"),
    "configs": ("glip.cli.configs", "list the shipped configs, or print one"),
    "info": ("glip.cli.info", "describe the installation, or a checkpoint"),
}


def build_parser() -> argparse.ArgumentParser:
    """Return the parser that lists the sub-commands; each parses its own arguments."""
    width = max(map(len, COMMANDS))
    listed = [f"  {name:{width}}  {summary}" for name, (_, summary) in COMMANDS.items()]
    parser = argparse.ArgumentParser(
        prog="glip",
        usage="glip COMMAND [options]",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Detect anything you can name: Grounded Language-Image Pre-training (GLIP).",
        epilog="\n".join(
            [
                "commands:",
                *listed,
                "",
                "`glip COMMAND --help` describes the options of a command.",
                "",
                "example:",
                "  glip detect photo.jpg --weights glip_tiny_a --texts 'bench . car .'",
            ]
        ),
    )
    parser.add_argument("--version", action="version", version=f"glip {__version__}")
    parser.add_argument("command", metavar="COMMAND", help="one of the commands below")
    return parser


def run(argv: Sequence[str]) -> None:
    """Run a sub-command.

    Args:
        argv: the arguments of ``glip``.

    Raises:
        SystemExit: the arguments are wrong (2), or after ``--help`` (0).
    """
    parser = build_parser()
    if not argv:
        parser.print_help()
        raise SystemExit(2)
    if argv[0] not in COMMANDS:
        name = parser.parse_args(argv[:1]).command
        parser.error(f"there is no command {name!r}: {suggest(name, COMMANDS)}")
    module = importlib.import_module(COMMANDS[argv[0]][0])
    # The scripts in tools/ run the same parsers under their own names.
    sys.argv[0] = f"glip {argv[0]}"
    module.main(argv[1:])


def main() -> None:
    """Run the command line of this process."""
    run_main(lambda: run(sys.argv[1:]))


if __name__ == "__main__":
    main()
