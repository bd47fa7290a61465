r"""Print the whole of a config: what it inherits and what the options change included.

Examples:
    python tools/misc/print_config.py glip_atss_swin-t_a_fpn_dyhead_pretrain_obj365
    python tools/misc/print_config.py CONFIG --save whole.py --cfg-options data_root=/data/coco/
"""

from __future__ import annotations

import argparse
from pathlib import Path

from glip.apis import load_config
from glip.cli.common import CfgOptions, run
from glip.utils.errors import ConfigError


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="config file, or the name of a shipped config")
    parser.add_argument("--save", type=Path, help="store the whole config here, too: .py")
    parser.add_argument(
        "--cfg-options", nargs="+", action=CfgOptions, help="override the config: key=value ..."
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Print; see the module's docstring.

    Raises:
        ConfigError: ``--save`` ends in something else.
    """
    args = parse_args(argv)
    if args.save and args.save.suffix != ".py":
        raise ConfigError(f"expected --save to end in .py, got '{args.save}'")
    cfg = load_config(args.config, args.cfg_options)
    print(cfg.pretty_text)
    if args.save:
        args.save.parent.mkdir(parents=True, exist_ok=True)
        cfg.dump(args.save)


if __name__ == "__main__":
    run(main)
