"""Convert Objects365 to ODVG; see ``--help``.

The command is :mod:`glip.cli.dataset_converters.objects365_2odvg`.
"""

from glip.cli.common import run_main
from glip.cli.dataset_converters.objects365_2odvg import main

if __name__ == "__main__":
    run_main(main)
