"""Print a complete config; see ``--help``.

The command is :mod:`glip.cli.misc.print_config`.
"""

from glip.cli.common import run_main
from glip.cli.misc.print_config import main

if __name__ == "__main__":
    run_main(main)
