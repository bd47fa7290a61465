"""Convert detection data in COCO format to ODVG; see ``--help``.

The command is :mod:`glip.cli.dataset_converters.coco2odvg`.
"""

from glip.cli.common import run_main
from glip.cli.dataset_converters.coco2odvg import main

if __name__ == "__main__":
    run_main(main)
