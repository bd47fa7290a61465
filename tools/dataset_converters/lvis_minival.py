"""Write LVIS minival; see ``--help``.

The command is :mod:`glip.cli.dataset_converters.lvis_minival`.
"""

from glip.cli.common import run_main
from glip.cli.dataset_converters.lvis_minival import main

if __name__ == "__main__":
    run_main(main)
