"""Evaluate stored predictions; see ``--help``.

The command is :mod:`glip.cli.analysis_tools.eval_metric`.
"""

from glip.cli.analysis_tools.eval_metric import main
from glip.cli.common import run_main

if __name__ == "__main__":
    run_main(main)
