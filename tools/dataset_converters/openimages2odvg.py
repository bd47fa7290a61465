"""Convert Open Images to ODVG; see ``--help``.

The command is :mod:`glip.cli.dataset_converters.openimages2odvg`.
"""

from glip.cli.common import run_main
from glip.cli.dataset_converters.openimages2odvg import main

if __name__ == "__main__":
    run_main(main)
