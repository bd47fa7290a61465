"""Collect images with captions; see ``--help``.

The command is :mod:`glip.cli.dataset_converters.captions2pairs`.
"""

from glip.cli.common import run_main
from glip.cli.dataset_converters.captions2pairs import main

if __name__ == "__main__":
    run_main(main)
