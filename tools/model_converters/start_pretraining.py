"""Build the initial checkpoint of pre-training; see ``--help``.

The command is :mod:`glip.cli.model_converters.start_pretraining`.
"""

from glip.cli.common import run_main
from glip.cli.model_converters.start_pretraining import main

if __name__ == "__main__":
    run_main(main)
