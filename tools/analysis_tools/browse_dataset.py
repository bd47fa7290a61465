"""Draw the samples of a data set; see ``--help``.

The command is :mod:`glip.cli.analysis_tools.browse_dataset`.
"""

from glip.cli.analysis_tools.browse_dataset import main
from glip.cli.common import run_main

if __name__ == "__main__":
    run_main(main)
