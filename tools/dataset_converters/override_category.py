"""Rename categories of ODinW; see ``--help``.

The command is :mod:`glip.cli.dataset_converters.override_category`.
"""

from glip.cli.common import run_main
from glip.cli.dataset_converters.override_category import main

if __name__ == "__main__":
    run_main(main)
