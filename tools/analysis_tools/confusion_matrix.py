"""Draw the confusion matrix of stored predictions; see ``--help``.

The command is :mod:`glip.cli.analysis_tools.confusion_matrix`.
"""

from glip.cli.analysis_tools.confusion_matrix import main
from glip.cli.common import run_main

if __name__ == "__main__":
    run_main(main)
