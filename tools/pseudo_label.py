"""Label captions with a teacher's boxes; see ``--help``.

The command is :mod:`glip.cli.pseudo_label`.
"""

from glip.cli.common import run_main
from glip.cli.pseudo_label import main

if __name__ == "__main__":
    run_main(main)
