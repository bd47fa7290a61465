"""Write few-shot subsets of an annotation file; see ``--help``.

The command is :mod:`glip.cli.dataset_converters.few_shot`.
"""

from glip.cli.common import run_main
from glip.cli.dataset_converters.few_shot import main

if __name__ == "__main__":
    run_main(main)
