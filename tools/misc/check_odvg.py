"""Validate ODVG files; see ``--help``.

The command is :mod:`glip.cli.misc.check_odvg`.
"""

from glip.cli.common import run_main
from glip.cli.misc.check_odvg import main

if __name__ == "__main__":
    run_main(main)
