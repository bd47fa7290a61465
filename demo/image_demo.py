"""Detect objects in images; see ``--help``.

The command is :mod:`glip.cli.detect`.
"""

from glip.cli.common import run_main
from glip.cli.detect import main

if __name__ == "__main__":
    run_main(main)
