"""Generate a small data set in every format; see ``--help``.

The command is :mod:`glip.cli.dataset_converters.make_examples`.
"""

from glip.cli.common import run_main
from glip.cli.dataset_converters.make_examples import main

if __name__ == "__main__":
    run_main(main)
