"""Check and repair annotation files in COCO format; see ``--help``.

The command is :mod:`glip.cli.misc.check_coco`.
"""

from glip.cli.common import run_main
from glip.cli.misc.check_coco import main

if __name__ == "__main__":
    run_main(main)
