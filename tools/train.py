"""Train a detector; see ``--help``.

The command is :mod:`glip.cli.train`.
"""

from glip.cli.common import run_main
from glip.cli.train import main

if __name__ == "__main__":
    run_main(main)
