r"""Print a complete config, with all that it inherits and with the options applied.

Examples:
    python tools/misc/print_config.py glip_atss_swin-t_a_fpn_dyhead_pretrain_obj365
    python tools/misc/print_config.py CONFIG --save full.py --cfg-options data_root=/data/coco/
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from glip.cli.common import add_cfg_options, add_config_argument, new_parser, parse_and_run
from glip.utils.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_config_argument(parser)
    parser.add_argument("--save", type=Path, help="also store the config in this file: .py")
    add_cfg_options(parser)


def run(args: argparse.Namespace) -> None:
    """Print.

    Raises:
        ConfigError: the config cannot be read, or the file extension of ``--save`` is unknown.
    """
    if args.save and args.save.suffix != ".py":
        raise ConfigError(f"expected --save to end in .py, got '{args.save}'")
    from glip.apis.build import load_config
    from glip.utils.atomic_write import write_new_file

    cfg = load_config(args.config, args.cfg_options)
    print(cfg.pretty_text)
    if args.save:
        write_new_file(args.save, cfg.pretty_text)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    return new_parser(__doc__, add_arguments)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and print; see :func:`run`."""
    parse_and_run(build_parser(), run, argv)
