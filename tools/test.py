"""Evaluate a detector; see ``--help``.

The command is :mod:`glip.cli.test`.
"""

from glip.cli.common import run_main
from glip.cli.test import main

if __name__ == "__main__":
    run_main(main)
