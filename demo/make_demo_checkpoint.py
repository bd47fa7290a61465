"""Write an untrained checkpoint to try the library with; see ``--help``.

The command is :mod:`glip.cli.model_converters.make_demo_checkpoint`.
"""

from glip.cli.common import run_main
from glip.cli.model_converters.make_demo_checkpoint import main

if __name__ == "__main__":
    run_main(main)
