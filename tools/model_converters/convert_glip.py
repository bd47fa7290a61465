"""Convert a checkpoint between formats; see ``--help``.

The command is :mod:`glip.cli.model_converters.convert_glip`.
"""

from glip.cli.common import run_main
from glip.cli.model_converters.convert_glip import main

if __name__ == "__main__":
    run_main(main)
