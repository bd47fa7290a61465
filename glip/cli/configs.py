"""List the shipped configs, or print one.

Examples:
    glip configs                    # all names
    glip configs lvis               # the names that contain a word
    glip configs glip_nano_shapes --path
    glip configs glip_nano_shapes --show > my_config.py
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from glip.cli.common import new_parser, parse_and_run
from glip.config import find_config, list_configs
from glip.utils.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("name", nargs="?", default="", help="name of a config, or a part of it")
    show = parser.add_mutually_exclusive_group()
    show.add_argument("--path", action="store_true", help="print the path of the file")
    show.add_argument(
        "--show", action="store_true", help="print the whole config, with that of its bases"
    )


def run(args: argparse.Namespace) -> None:
    """List or print.

    Raises:
        ConfigError: no config has this name.
        FileNotFoundError: with ``--path`` or ``--show``, no config has this name.
    """
    if args.path:
        print(find_config(args.name))
    elif args.show:
        from mmengine.config import Config

        print(Config.fromfile(find_config(args.name)).pretty_text)
    else:
        names = [name for name in list_configs() if args.name.removesuffix(".py") in name]
        if not names:
            raise ConfigError(
                f"no shipped config has {args.name!r} in its name: run `glip configs`"
            )
        print("\n".join(names))


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    return new_parser(__doc__, add_arguments)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and list; see :func:`run`."""
    parse_and_run(build_parser(), run, argv)
