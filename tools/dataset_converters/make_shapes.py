"""Generate images of coloured shapes; see ``--help``.

The command is :mod:`glip.cli.dataset_converters.make_shapes`.
"""

from glip.cli.common import run_main
from glip.cli.dataset_converters.make_shapes import main

if __name__ == "__main__":
    run_main(main)
